//! The format of an access log, in nginx's words: text and `$variables`.
//!
//! In: a format such as `$remote_addr [$time_local] "$request"`, and lines. Out: the values of the variables in a line.
//! Guaranteed: a line is walked once for each text of the format; a value ends where the text behind it
//! stands, and an escaped quotation mark does not end it.

use std::borrow::Cow;

use memchr::memmem;

/// nginx's and Apache's `combined`; Apache has a second name where nginx has a dash.
const COMBINED: &str = "$remote_addr $_ $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
    \"$http_referer\" \"$http_user_agent\"";
/// Both servers' `common`.
const COMMON: &str =
    "$remote_addr $_ $remote_user [$time_local] \"$request\" $status $body_bytes_sent";

/// Variables that tell something of a request, beside those that begin with `http_`.
const KNOWN: [&str; 15] = [
    "remote_addr",
    "time_local",
    "time_iso8601",
    "msec",
    "request",
    "request_method",
    "request_uri",
    "uri",
    "args",
    "query_string",
    "server_protocol",
    "host",
    "content_length",
    "content_type",
    "request_time",
];

/// A part of a format: a variable, and the text behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Part {
    variable: String,
    behind: Vec<u8>,
}

/// See the module's description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFormat {
    /// The text before the first variable.
    before: Vec<u8>,
    parts: Vec<Part>,
}

/// The values of a line, by the names of their variables.
pub type Values<'a> = Vec<(&'a str, Cow<'a, [u8]>)>;

impl LogFormat {
    /// A format in nginx's words; an error is words for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = text.split('$');
        let before = pieces.next().unwrap_or_default().as_bytes().to_vec();
        let mut parts: Vec<Part> = Vec::new();
        for piece in pieces {
            let (name, behind) = match piece.strip_prefix('{').and_then(|p| p.split_once('}')) {
                Some(braced) => braced,
                None => {
                    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    let end = piece.find(|c| !is_part(c)).unwrap_or(piece.len());
                    piece.split_at(end)
                }
            };
            if name.is_empty() {
                return Err(format!("`{text}` has a `$` without a name behind it"));
            }
            if parts.last().is_some_and(|last| last.behind.is_empty()) {
                return Err(format!(
                    "`{text}`: nothing stands between two variables, so nobody can tell where ${name} begins"
                ));
            }
            parts.push(Part { variable: name.to_owned(), behind: behind.as_bytes().to_vec() });
        }
        let format = Self { before, parts };
        let has = |name: &str| format.parts.iter().any(|part| part.variable == name);
        let has_time = has("time_local") || has("time_iso8601") || has("msec");
        let has_target = has("request") || has("request_uri") || has("uri");
        match has_time && has_target {
            true => Ok(format),
            false => Err(format!(
                "`{text}` must have $request (or $request_method and $request_uri) and one of $time_local, \
                 $time_iso8601 and $msec; write it as in nginx's log_format, such as '{COMBINED}'"
            )),
        }
    }

    /// What nginx and Apache write unless told otherwise, the longest first.
    pub fn usual() -> Vec<Self> {
        [COMBINED, COMMON].iter().filter_map(|text| Self::parse(text).ok()).collect()
    }

    /// The values of a line; `None` when it is not of this format. More may stand behind.
    pub fn values<'a>(&'a self, line: &'a [u8]) -> Option<Values<'a>> {
        let mut rest = line.strip_prefix(self.before.as_slice())?;
        let mut values = Vec::new();
        for (place, Part { variable, behind }) in self.parts.iter().enumerate() {
            let is_last = place + 1 == self.parts.len();
            let end = match behind.is_empty() {
                true if is_last => rest.iter().position(|&b| b == b' ').unwrap_or(rest.len()),
                true => return None,
                false => end_before(rest, behind)?,
            };
            let (value, left) = rest.split_at_checked(end)?;
            rest = left.get(behind.len()..)?;
            if value != b"-" && !value.is_empty() && is_known(variable) {
                values.push((variable.as_str(), unescaped(value)));
            }
        }
        Some(values)
    }
}

fn is_known(variable: &str) -> bool {
    variable.starts_with("http_") || KNOWN.contains(&variable)
}

/// Where `behind` stands, unless a backslash is before it: `\"` is within a value.
fn end_before(rest: &[u8], behind: &[u8]) -> Option<usize> {
    let is_quote = behind.first() == Some(&b'"');
    memmem::find_iter(rest, behind).find(|&at| {
        let before = rest.get(..at).unwrap_or_default();
        let slashes = before.iter().rev().take_while(|&&b| b == b'\\').count();
        !is_quote || slashes % 2 == 0
    })
}

/// The value as it was: both servers write `\xHH`, and Apache `\"`, `\\`, `\n`, `\t` too.
fn unescaped(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\\') {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, behind)) = rest.split_first() {
        let (byte, taken) = match (byte, behind) {
            (b'\\', [b'x', high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (b'\\', 1),
            },
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b @ (b'"' | b'\\'), ..]) => (*b, 2),
            _ => (byte, 1),
        };
        out.push(byte);
        rest = rest.get(taken..).unwrap_or_default();
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(values: &Values<'_>, name: &str) -> Option<String> {
        let value = values.iter().find(|(n, _)| *n == name)?;
        Some(value.1.escape_ascii().to_string())
    }

    #[test]
    fn the_usual_formats_are_read_with_what_is_escaped_in_them() {
        let line = br#"10.0.0.1 - jo e [10/Oct/2000:13:55:36 -0700] "GET /a\x22b\"c HTTP/1.0" 200 2326 "-" "M\\z (x) \"y\"" "more""#;
        let usual = LogFormat::usual();
        let values = usual[0].values(line).expect("combined");
        assert_eq!(value(&values, "request").as_deref(), Some(r#"GET /a\"b\"c HTTP/1.0"#));
        assert_eq!(value(&values, "http_user_agent").as_deref(), Some(r#"M\\z (x) \"y\""#));
        assert_eq!(value(&values, "time_local").as_deref(), Some("10/Oct/2000:13:55:36 -0700"));
        assert_eq!(value(&values, "http_referer"), None, "a dash is nothing");
        let common = br#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 -"#;
        assert!(usual[0].values(common).is_none() && usual[1].values(common).is_some());
    }

    #[test]
    fn a_format_is_text_and_variables() {
        let format = LogFormat::parse("<${msec}> $host|$request_method $request_uri $status");
        let format = format.expect("a format");
        let values = format.values(b"<1700000000.123> a.b|PUT /x?y 200 more").expect("a line");
        let got: Vec<_> = values.iter().map(|(name, _)| *name).collect();
        assert_eq!(got, ["msec", "host", "request_method", "request_uri"]);
        assert_eq!(value(&values, "msec").as_deref(), Some("1700000000.123"));
        for (text, what) in [
            ("$request", "$time_local"),
            ("$msec", "$request"),
            ("$msec$request", "nothing stands between"),
            ("$ $request", "without a name"),
        ] {
            let error = LogFormat::parse(text).expect_err(text);
            assert!(error.contains(what), "{error}");
        }
    }
}
