//! Parameters as any server may take a target, a URL in a field or a form apart: where those of some names lie.
//!
//! In: the text, and where in it parameters may begin. Out: names and values in order, none within another. Guaranteed:
//! linear time. A parameter begins behind each `?`, `&`, `;` and `#`, also of a path (`/a;name=value`): who disagrees about
//! the separators, or about what a query is, finds it all the same. In doubt a value is the longer one.

use std::ops::Range;

use super::super::edits::Edit;
use super::super::query::decoded;
use super::cover::Cover;
use super::rules::RedactWith;

/// What kind of text it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Text {
    /// A request target, or a field that is a URL.
    Url,
    /// A field in which URLs stand among other things (Link, Refresh).
    Urls,
    /// A form.
    Form,
}

/// A parameter that is named.
#[derive(PartialEq, Eq, Debug)]
struct Parameter {
    /// The separator before it.
    sign: Option<usize>,
    name: Range<usize>,
    /// Empty, and behind the name, where there is no `=`.
    value: Range<usize>,
}

/// The edits that cover the values of parameters with one of these names, in a text that begins at `offset`.
pub(super) fn edits(
    text: &[u8],
    offset: usize,
    kind: Text,
    names: &[String],
    cover: &Cover,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    if names.is_empty() {
        return edits;
    }
    // Up to where everything is dealt with.
    let mut done = 0;
    for Parameter { sign, name, value } in named(text, kind, names) {
        let place = match cover.with {
            RedactWith::Drop => {
                let is_first = |sign| sign < done || matches!(text.get(sign), Some(b'?' | b'#'));
                match sign.filter(|&sign| !is_first(sign)) {
                    Some(sign) => sign..value.end,
                    // With the separator behind it.
                    None => {
                        let has_next = matches!(text.get(value.end), Some(b'&'));
                        name.start..value.end + usize::from(has_next)
                    }
                }
            }
            RedactWith::Hash | RedactWith::Mask if value.is_empty() => continue,
            RedactWith::Hash | RedactWith::Mask => value,
        };
        let covered = match cover.with {
            RedactWith::Drop => Vec::new(),
            RedactWith::Hash | RedactWith::Mask => {
                cover.parameter(text.get(place.clone()).unwrap_or_default())
            }
        };
        done = place.end;
        edits.push(Edit::new(offset + place.start..offset + place.end, covered));
    }
    edits
}

fn is_sign(byte: &u8) -> bool {
    matches!(byte, b'?' | b'&' | b';' | b'#')
}

fn named(text: &[u8], kind: Text, names: &[String]) -> Vec<Parameter> {
    let len_to = |at: usize, is_end: &dyn Fn(&u8) -> bool| {
        let rest = text.get(at..).unwrap_or_default();
        rest.iter().position(is_end).unwrap_or(rest.len())
    };
    let is_named = |name: Range<usize>| {
        let name = decoded(text.get(name).unwrap_or_default());
        let name = name.trim_ascii();
        names.iter().any(|wanted| wanted.as_bytes() == name)
    };
    let mut found = Vec::new();
    let mut in_query = kind == Text::Form;
    let mut at = 0;
    if kind != Text::Form {
        at = len_to(0, &is_sign);
    }
    loop {
        // At a separator, or at the beginning of a form.
        let sign = text.get(at).filter(|byte| is_sign(byte)).copied();
        let is_start = at == 0 && kind == Text::Form;
        if sign.is_none() && !is_start {
            break;
        }
        in_query |= matches!(sign, Some(b'?' | b'#'));
        let start = at + usize::from(sign.is_some());
        let name = start..start + len_to(start, &|b| *b == b'=' || is_sign(b));
        let has_value = text.get(name.end) == Some(&b'=');
        if !is_named(name.clone()) {
            at = name.end + len_to(name.end, &is_sign);
            if at == 0 {
                break;
            }
            continue;
        }
        let from = name.end + usize::from(has_value);
        let is_end = |b: &u8| match b {
            b'&' => true,
            b';' => sign == Some(b';') || !in_query,
            b'/' | b'?' | b'#' => !in_query,
            b'>' | b'"' | b'\'' => kind == Text::Urls,
            _ => false,
        };
        let end = if has_value { from + len_to(from, &is_end) } else { from };
        found.push(Parameter { sign: sign.map(|_| at), name, value: from..end });
        at = end + len_to(end, &is_sign);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str, kind: Text) -> Vec<&str> {
        let names = ["token".to_owned(), "a b".to_owned()];
        let found = named(text.as_bytes(), kind, &names).into_iter();
        found.map(|found| text.get(found.value).unwrap_or_default()).collect()
    }

    #[test]
    fn a_parameter_is_found_however_a_server_takes_the_text_apart() {
        for (text, want) in [
            ("/x?token=s&y=1", &["s"][..]),
            ("foo?token=s", &["s"]),
            ("?token=s", &["s"]),
            ("/x?a=1#&token=s", &["s"]),
            ("/x#token=s&b=1", &["s"]),
            ("/x?a=1;token=s;b=2", &["s"]),
            ("/x?token=s;t&b", &["s;t"]),
            ("/x;token=s/y;b?token=t#u", &["s", "t#u"]),
            ("/x?u=http://y/?token=s&b", &["s"]),
            ("/x?t%6fken=s&a+b=t&+token=u", &["s", "t", "u"]),
            ("/x?token=s?token=t&token", &["s?token=t", ""]),
            ("/token=s?mytoken=s&token2=s", &[]),
            ("", &[]),
            ("*", &[]),
        ] {
            assert_eq!(values(text, Text::Url), want, "{text}");
        }
        assert_eq!(values("token=s&token=t", Text::Form), ["s", "t"]);
        assert_eq!(values("", Text::Form), [""; 0]);
        assert_eq!(values("&&=&token=s", Text::Form), ["s"]);
        let link = "<http://v1/?token=s>; rel=\"next\", </b?token=t>; rel=x";
        assert_eq!(values(link, Text::Urls), ["s", "t"]);
    }

    #[test]
    fn a_text_of_nothing_but_separators_takes_linear_time() {
        let text = ";?#&=".repeat(400_000);
        assert_eq!(values(&text, Text::Url), [""; 0]);
        let text = ";token=".repeat(300_000);
        assert_eq!(values(&text, Text::Form).len(), 300_000);
    }
}
