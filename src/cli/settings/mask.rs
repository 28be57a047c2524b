//! What of a value may be shown: no passwords, no tokens.
//!
//! In: a key and its value. Out: the value with `***` for what may be a secret: the user's part of a URL, what is
//! behind a header's name, what is compared with something that holds credentials, what follows the name of such a thing,
//! and keys that are not the name of their place. In doubt it is a secret.

/// What stands for a secret.
pub const MASK: &str = "***";

/// Keys whose values are `NAME: VALUE` or `NAME=VALUE`, and what parts them.
const PAIRS: [(&str, char); 6] = [
    ("set-header", ':'),
    ("add-header", ':'),
    ("rewrite-header", ':'),
    ("header", ':'),
    ("set-query", '='),
    ("set-json", '='),
];

/// Keys whose values name things and hold none.
const NAMING: [&str; 6] =
    ["sample-by", "remove-header", "rename-header", "remove-query", "remove-json", "redact"];

/// Keys whose values are expressions.
const EXPRESSIONS: [&str; 2] = ["only", "except"];

/// Parts of names whose values are credentials, wherever they stand.
const NAMES: [&str; 17] = [
    "authorization",
    "cookie",
    "api-key",
    "api_key",
    "apikey",
    "access-key",
    "access_key",
    "accesskey",
    "private-key",
    "private_key",
    "credential",
    "passwd",
    "password",
    "secret",
    "session",
    "signature",
    "token",
];

/// Words of names whose values are credentials.
const WORDS: [&str; 12] =
    ["auth", "bearer", "csrf", "jwt", "key", "otp", "pass", "pin", "pwd", "sid", "sig", "xsrf"];

/// The value as it may be shown. `is_hidden`: clap hides what the environment holds of it.
pub fn mask(key: &str, value: &str, is_hidden: bool) -> String {
    if let Some((_, sign)) = PAIRS.iter().find(|(pair, _)| *pair == key) {
        return match split(value, *sign) {
            Some((_, secret)) if is_place(secret) => value.to_owned(),
            Some((name, _)) => format!("{name}{sign}{MASK}"),
            None if is_hidden => MASK.to_owned(),
            None => without_credentials(value),
        };
    }
    if is_hidden {
        return if is_place(value) { value.to_owned() } else { MASK.to_owned() };
    }
    match key {
        _ if NAMING.contains(&key) => value.to_owned(),
        _ if EXPRESSIONS.contains(&key) => expression(value),
        "to" | "proxy" => without_user(value),
        _ => without_credentials(&without_user(value)),
    }
}

/// A place that holds a secret is none.
fn is_place(value: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let value = value.trim();
    value.strip_prefix("env:").is_some_and(|name| name.chars().all(is_part))
        || value.starts_with("file:")
}

/// Parted at the sign, which may stand in quotes before.
fn split(value: &str, sign: char) -> Option<(&str, &str)> {
    let mut is_quoted = false;
    let at = value.char_indices().find(|(_, c)| {
        is_quoted ^= sign == '=' && matches!(c, '"' | '\'');
        *c == sign && !is_quoted
    });
    let (at, _) = at?;
    Some((value.get(..at)?, value.get(at + sign.len_utf8()..)?))
}

/// `http://user:password@host` without the user's part. A share (`@25%`) behind it is none.
fn without_user(value: &str) -> String {
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), value),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let (before, share) = match authority.rsplit_once('@') {
        Some((before, share)) if share.ends_with('%') => (before, format!("@{share}")),
        _ => (authority, String::new()),
    };
    match before.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{MASK}@{host}{share}{path}"),
        None => value.to_owned(),
    }
}

/// Whether something of this name holds credentials.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    NAMES.iter().any(|part| name.contains(part)) || words.any(|word| WORDS.contains(&word))
}

/// Of which signs operators are made.
fn is_operator(c: char) -> bool {
    "=!<>~^$*".contains(c)
}

/// An expression without what is compared with credentials: every value behind such a name, up to the next `and` or `or`.
fn expression(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut is_name, mut is_secret, mut is_of_cookie) = (false, false, false);
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at_checked(piece_len(rest)).unwrap_or((rest, ""));
        rest = behind;
        match piece {
            _ if piece.trim().is_empty() => out.push_str(piece),
            "(" | ")" | "not" | "in" => out.push_str(piece),
            "and" | "or" => {
                (is_name, is_secret) = (false, false);
                out.push_str(piece);
            }
            _ if is_secret && piece.chars().all(is_operator) => out.push_str(piece),
            _ if is_secret && out.ends_with(MASK) => {}
            _ if is_secret => out.push_str(MASK),
            _ if is_name => {
                // The value may follow without a space.
                let end = piece.find(['=', '!', '<', '>', '~', '^']);
                let (name, value) =
                    piece.split_at_checked(end.unwrap_or(piece.len())).unwrap_or((piece, ""));
                is_name = false;
                is_secret = is_of_cookie || is_credential(name);
                let sign = value.len() - value.trim_start_matches(is_operator).len();
                let (sign, value) = value.split_at_checked(sign).unwrap_or((value, ""));
                out.push_str(name);
                out.push_str(sign);
                match is_secret && !value.is_empty() {
                    true => out.push_str(MASK),
                    false => out.push_str(&without_credentials(value)),
                }
            }
            "header" | "query" | "json" | "cookie" => {
                (is_name, is_of_cookie) = (true, piece == "cookie");
                out.push_str(piece);
            }
            _ => out.push_str(&without_credentials(piece)),
        }
    }
    out
}

/// How long the piece is with which a text begins: white space, a parenthesis, a text in quotes, or a word, in which
/// a name in brackets may have quotes.
fn piece_len(text: &str) -> usize {
    let Some(first) = text.chars().next() else { return 0 };
    if first.is_whitespace() {
        return text.len() - text.trim_start().len();
    }
    if matches!(first, '(' | ')') {
        return 1;
    }
    if matches!(first, '"' | '\'') {
        return quoted_len(text, first);
    }
    let mut at = 0;
    let mut before = first;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let is_quote = matches!(c, '"' | '\'');
        if c.is_whitespace() || matches!(c, '(' | ')') || is_quote && before != '[' {
            break;
        }
        at += if is_quote {
            text.get(at..).map_or(1, |rest| quoted_len(rest, c))
        } else {
            c.len_utf8()
        };
        before = c;
    }
    at.max(first.len_utf8())
}

/// The length of a text in these quotes, with which a text begins; without an end all of it.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if c == quote && !is_escaped => return at + c.len_utf8(),
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    text.len()
}

/// Without what follows the name of something that holds credentials: `token=x`, `authorization: x`.
fn without_credentials(value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    let mut ends: Vec<_> = NAMES
        .iter()
        .flat_map(|name| lower.match_indices(name).map(|(at, name)| at + name.len()))
        .collect();
    ends.sort_unstable();
    for at in ends {
        let after = value.get(at..).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        // Only what is set apart from the name as its value: the name of a file is none.
        let rest = after.trim_start_matches(is_name);
        let is_between = |c: char| c.is_whitespace() || is_operator(c) || "\"'])}:-".contains(c);
        let secret = rest.trim_start_matches(is_between);
        if !secret.is_empty() && secret.len() < rest.len() && !is_place(secret) {
            let kept = value.len() - secret.len();
            return format!("{}{MASK}", value.get(..kept).unwrap_or_default());
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (key, value, want) in [
            ("to", "http://v2:8080", "http://v2:8080"),
            ("to", "http://u:p@v2:8080/x", "http://***@v2:8080/x"),
            ("to", "http://v2:8080@25%", "http://v2:8080@25%"),
            ("to", "http://u:p@v2@25%", "http://***@v2@25%"),
            ("to", "http://v2/a@b", "http://v2/a@b"),
            ("to", "http://token:80", "http://token:80"),
            ("proxy", "https://user:p@ss@proxy", "https://***@proxy"),
            ("proxy", "user:p@proxy:3128", "***@proxy:3128"),
            ("header", "Accept", "Accept"),
            ("header", "Accept: env:x y", "Accept:***"),
            ("realip-header", "X-Real-IP", "X-Real-IP"),
            ("sample-by", "cookie:sid", "cookie:sid"),
            ("redact", "json $.password", "json $.password"),
            ("carry", "json $.t -> header A \"token={}\"", "json $.t -> header A \"token=***"),
            ("ca", "/etc/token-ca.pem", "/etc/token-ca.pem"),
            ("filter", "/token/x password=S", "/token/x password=***"),
            ("methods", "safe", "safe"),
        ] {
            assert_eq!(mask(key, value, false), want, "{key} {value}");
        }
        for (key, value, want) in [
            ("set-header", "Authorization: Bearer x", "Authorization:***"),
            ("set-header", "Authorization: env:TOKEN", "Authorization: env:TOKEN"),
            ("set-header", "env: S", "env:***"),
            ("set-header", "file: S", "file:***"),
            ("set-header", "A: env:B S", "A:***"),
            ("set-header", "nonsense S", "***"),
            ("set-query", "a:env:x=S", "a:env:x=***"),
            ("set-json", "$[\"a=env:x\"]=S", "$[\"a=env:x\"]=***"),
            ("set-json", "$.a=file:/x", "$.a=file:/x"),
            ("rewrite-path", "a => b", "***"),
            ("redact-key", "env:KEY", "env:KEY"),
            ("redact-key", "0123456789abcdef", "***"),
        ] {
            assert_eq!(mask(key, value, true), want, "{key} {value}");
        }
    }

    #[test]
    fn of_an_expression_every_value_behind_a_name_of_credentials_is_masked() {
        for (text, want) in [
            ("header authorization == \"Bearer S\"", "header authorization == ***"),
            ("header x-shadow == true", "header x-shadow == true"),
            ("header authorization", "header authorization"),
            (
                "path ~~ \"/token/**\" and header authorization == \"Bearer S\"",
                "path ~~ \"/token/**\" and header authorization == ***",
            ),
            ("header \"x-api-key\" == S", "header \"x-api-key\" == ***"),
            ("json $[\"password\"] == S", "json $[\"password\"] == ***"),
            (
                "json $['pass word'] == S or method == GET",
                "json $['pass word'] == *** or method == GET",
            ),
            ("query token=='S S'and header b==c", "query token==***and header b==c"),
            ("header x-auth=S", "header x-auth=***"),
            (
                "header authorization=~S and (cookie x ^= S)",
                "header authorization=~*** and (cookie x ^= ***)",
            ),
            (
                "not header x-session in (S, 'S',S) and status == 200",
                "not header x-session in (*** ***) and status == 200",
            ),
            ("header referer *= \"?token=S\"", "header referer *= \"?token=***"),
            ("header secret == \"a \\\" S\"", "header secret == ***"),
            ("header secret == \"S", "header secret == ***"),
        ] {
            assert_eq!(expression(text), want, "{text}");
        }
    }
}
