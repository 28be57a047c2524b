//! Rules as typed: `NAME: VALUE`, `REGEX => REPLACEMENT`, `$.path=VALUE`.
//!
//! In: the text of one flag. Out: the parts of a rule, or an error that says what is wrong and how to write it. An
//! error never repeats a value: it may be a secret.

use regex::bytes::Regex;

use super::super::lines::is_token;
use super::value::Source;

/// Fields that no rule may touch: framing is made right for the body, and copies must stay known as such.
const KEPT: [(&str, &str); 4] = [
    ("content-length", "its framing is made right for the body that is sent"),
    ("transfer-encoding", "its framing is made right for the body that is sent"),
    ("x-shadowtap", "it tells copies from v1's own requests"),
    ("upgrade", "a copy cannot leave HTTP"),
];

/// A field's name that rules may touch.
pub fn field_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if !is_token(name.as_bytes()) {
        return Err(format!("`{name}` is no field name; write one such as X-Env"));
    }
    match KEPT.iter().find(|(kept, _)| name.eq_ignore_ascii_case(kept)) {
        Some((_, why)) => Err(format!("{name} cannot be changed by a rule: {why}")),
        None => Ok(name.to_owned()),
    }
}

/// `NAME: VALUE`.
pub fn field(text: &str) -> Result<(String, Source), String> {
    let Some((name, value)) = text.split_once(':') else {
        return Err("there is no colon; write NAME: VALUE, such as X-Env: shadow".into());
    };
    Ok((field_name(name)?, Source::of(value.trim())))
}

/// `OLD: NEW`.
pub fn renaming(text: &str) -> Result<(String, String), String> {
    let Some((old, new)) = text.split_once(':') else {
        return Err("there is no colon; write OLD: NEW, such as X-User: X-Shadow-User".into());
    };
    Ok((field_name(old)?, field_name(new)?))
}

/// What is looked for, and what is put there.
#[derive(Clone, Debug)]
pub struct Replace {
    pub(super) regex: Regex,
    pub(super) replacement: Vec<u8>,
}

/// `REGEX => REPLACEMENT`; parted at the first ` => `.
pub fn replacing(text: &str) -> Result<Replace, String> {
    let parts = match text.split_once(" => ") {
        Some(parts) => Some(parts),
        None => text.strip_suffix(" =>").map(|regex| (regex, "")),
    };
    let Some((regex, replacement)) = parts else {
        return Err(
            "there is no ` => `; write REGEX => REPLACEMENT, such as ^/v1/(.*) => /v2/$1".into()
        );
    };
    let regex = Regex::new(regex.trim()).map_err(|wrong| wrong.to_string())?;
    let replacement = replacement.trim();
    if !super::super::lines::is_value(replacement.as_bytes()) {
        return Err(super::value::NOT_A_VALUE.into());
    }
    references(&regex, replacement)?;
    Ok(Replace { regex, replacement: replacement.into() })
}

/// Every `$name` must be a group: an unknown one would silently be nothing.
fn references(regex: &Regex, replacement: &str) -> Result<(), String> {
    let mut rest = replacement;
    while let Some((_, behind)) = rest.split_once('$') {
        if let Some(escaped) = behind.strip_prefix('$') {
            rest = escaped;
            continue;
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, braced) = match behind.strip_prefix('{') {
            Some(inner) => (inner.split_once('}').map_or(inner, |(name, _)| name), true),
            None => {
                let len = behind.find(|c| !is_part(c)).unwrap_or(behind.len());
                (behind.get(..len).unwrap_or_default(), false)
            }
        };
        rest = behind;
        let is_group = match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|group| group == name),
        };
        if is_group {
            continue;
        }
        let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        return Err(match (name, name.split_at_checked(digits)) {
            ("", _) => {
                "a `$` of the replacement names no group; write $$ for the sign itself".into()
            }
            (name, Some((number, text))) if !braced && digits > 0 => {
                format!("there is no group `{name}`; write ${{{number}}}{text}")
            }
            (name, _) => format!("the regular expression has no group `{name}`"),
        });
    }
    Ok(())
}

/// `NAME: REGEX => REPLACEMENT`.
pub fn field_replacing(text: &str) -> Result<(String, Replace), String> {
    let Some((name, rest)) = text.split_once(':') else {
        return Err(
            "there is no colon; write NAME: REGEX => REPLACEMENT, such as Referer: //v1/ => //v2/"
                .into(),
        );
    };
    Ok((field_name(name)?, replacing(rest)?))
}

/// `NAME=VALUE`, of a query parameter.
pub fn parameter(text: &str) -> Result<(String, Source), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("there is no `=`; write NAME=VALUE, such as env=shadow".into());
    };
    Ok((parameter_name(name)?, Source::of(value)))
}

/// The name of a query parameter, without percent-encoding.
pub fn parameter_name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the parameter's name is missing; write one such as token".into()),
        name => Ok(name.to_owned()),
    }
}

/// `$.path=VALUE`: the path, and what is put there.
pub fn member(text: &str) -> Result<(super::super::JsonPath, Source), String> {
    // A name in brackets may hold the sign.
    let mut is_quoted = false;
    let sign = text.char_indices().find(|(_, c)| {
        is_quoted ^= matches!(c, '"' | '\'');
        *c == '=' && !is_quoted
    });
    let Some((path, value)) = sign.and_then(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)))
    else {
        return Err("there is no `=`; write $.path=VALUE, such as $.user.plan=free".into());
    };
    Ok((path.trim().parse()?, Source::of(value.trim())))
}
