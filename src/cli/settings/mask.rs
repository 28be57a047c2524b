//! What of a value may be shown: no passwords, no tokens.
//!
//! In: a key and its value. Out: the value with `***` for what may be a secret: the user's part of a URL, what is
//! behind a header's name, what follows the name of a field that holds credentials, and keys that are not the name of their place.

/// What stands for a secret.
pub const MASK: &str = "***";

/// Parts of keys whose values are `NAME: VALUE` or `NAME=VALUE`.
const PAIRS: [&str; 6] = ["header", "cookie", "param", "query", "json", "body"];

/// Parts of names whose values are credentials, wherever they stand.
const NAMES: [&str; 8] =
    ["authorization", "cookie", "x-api-key", "api-key", "apikey", "token", "password", "secret"];

/// A place that holds a secret is none.
fn is_place(value: &str) -> bool {
    let value = value.trim().trim_start_matches(['"', '\'']);
    ["env:", "file:"].iter().any(|place| value.starts_with(place))
}

/// The value as it may be shown. `is_hidden`: clap hides what the environment holds of it.
pub fn mask(key: &str, value: &str, is_hidden: bool) -> String {
    if is_hidden && !is_place(value) {
        return MASK.to_owned();
    }
    let value = without_user(value);
    if PAIRS.iter().any(|part| key.contains(part))
        && let Some((name, secret)) = value.split_once([':', '='])
        && !is_place(&value)
    {
        let separator = value.get(name.len()..=name.len()).unwrap_or_default();
        return match is_place(secret) {
            true => value,
            false => format!("{name}{separator}{MASK}"),
        };
    }
    without_credentials(value)
}

/// `http://user:password@host` without the user's part. A share (`@25%`) behind it is none.
fn without_user(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let (before, share) = match authority.rsplit_once('@') {
        Some((before, share)) if share.ends_with('%') => (before, format!("@{share}")),
        _ => (authority, String::new()),
    };
    match before.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{share}{path}"),
        None => value.to_owned(),
    }
}

/// Without what follows the name of a field that holds credentials: `header authorization == "Bearer x"`.
fn without_credentials(value: String) -> String {
    let lower = value.to_ascii_lowercase();
    let at = NAMES.iter().filter_map(|name| Some(lower.find(name)? + name.len())).min();
    let Some(at) = at else { return value };
    let (before, after) = value.split_at_checked(at).unwrap_or((&value, ""));
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // Only what is set apart from the name as its value: the name of a file is none.
    let rest = after.trim_start_matches(is_name);
    let secret = rest.trim_start().trim_start_matches(['=', ':', '~', '!', '>', '-']).trim_start();
    if secret.is_empty() || secret.len() == rest.len() || is_place(secret) {
        return value;
    }
    let kept = value.len() - secret.len();
    format!("{}{MASK}", value.get(..kept).unwrap_or(before))
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
            ("proxy", "https://user:p@ss@proxy", "https://***@proxy"),
            ("set-header", "Authorization: Bearer x", "Authorization:***"),
            ("set-header", "Authorization: env:TOKEN", "Authorization: env:TOKEN"),
            ("header", "Accept", "Accept"),
            ("realip-header", "X-Real-IP", "X-Real-IP"),
            ("only", "header authorization == \"Bearer x\"", "header authorization == ***"),
            ("only", "header x-shadow == true", "header x-shadow == true"),
            ("ca", "/etc/token-ca.pem", "/etc/token-ca.pem"),
            ("methods", "safe", "safe"),
        ] {
            assert_eq!(mask(key, value, false), want, "{key} {value}");
        }
        assert_eq!(mask("redact-key", "env:KEY", true), "env:KEY");
        assert_eq!(mask("redact-key", "0123456789abcdef", true), "***");
    }
}
