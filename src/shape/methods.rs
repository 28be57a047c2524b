//! Which methods may be sent to v2: `--methods`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The safe methods of RFC 9110 section 9.2.1: v2 must not change state for them.
const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];

/// A set of methods. Tokens are compared with regard to case (RFC 9110 section 9.1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Methods {
    /// Only the safe ones: nothing is written at v2 that was not meant to be.
    #[default]
    Safe,
    /// Every method.
    All,
    /// Exactly these.
    List(Vec<String>),
}

impl Methods {
    /// Whether a request with this method may be sent.
    pub fn allow(&self, method: &[u8]) -> bool {
        match self {
            Self::Safe => SAFE.iter().any(|safe| safe.as_bytes() == method),
            Self::All => true,
            Self::List(list) => list.iter().any(|listed| listed.as_bytes() == method),
        }
    }
}

/// What is wrong with the value of `--methods`.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "`{0}` is not a method; give `safe`, `all`, or a list such as GET,POST or safe,POST (methods are \
     written in capitals)"
)]
pub struct MethodsError(String);

impl FromStr for Methods {
    type Err = MethodsError;

    fn from_str(text: &str) -> Result<Self, MethodsError> {
        let items: Vec<_> = text.split(',').map(str::trim).collect();
        if items.iter().any(|item| item.eq_ignore_ascii_case("all")) {
            return Ok(Self::All);
        }
        if items.len() == 1 && text.trim().eq_ignore_ascii_case("safe") {
            return Ok(Self::Safe);
        }
        let is_token = |m: &str| {
            let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            // Methods are case-sensitive: `get` would hold back every GET.
            !m.is_empty() && m.bytes().all(is_tchar) && !m.bytes().any(|b| b.is_ascii_lowercase())
        };
        let mut list = Vec::new();
        for item in items {
            match item {
                safe if safe.eq_ignore_ascii_case("safe") => list.extend(SAFE.map(str::to_owned)),
                token if is_token(token) => list.push(token.to_owned()),
                other => return Err(MethodsError(other.to_owned())),
            }
        }
        Ok(Self::List(list))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Safe => f.write_str("GET, HEAD, OPTIONS and TRACE"),
            Self::All => f.write_str("every method"),
            Self::List(list) => f.write_str(&list.join(", ")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_methods_pass_until_told_otherwise() {
        let safe = Methods::default();
        for method in SAFE {
            assert!(safe.allow(method.as_bytes()), "{method}");
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "get", "PROPFIND", ""] {
            assert!(!safe.allow(method.as_bytes()), "{method}");
            assert!(Methods::All.allow(method.as_bytes()));
        }
    }

    #[test]
    fn lists_are_exact_and_nonsense_is_named() {
        let list: Methods = "GET, POST".parse().unwrap();
        assert!(list.allow(b"POST") && !list.allow(b"PUT") && !list.allow(b"HEAD"));
        assert_eq!("GET,,POST".parse::<Methods>(), Err(MethodsError(String::new())));
        for bad in ["GE T", "get", "Post"] {
            assert_eq!(bad.parse::<Methods>(), Err(MethodsError(bad.into())));
        }
        let more: Methods = "safe,POST".parse().unwrap();
        assert!(more.allow(b"GET") && more.allow(b"POST") && !more.allow(b"PUT"));
        for all in ["all", "ALL", "all,GET"] {
            assert_eq!(all.parse::<Methods>(), Ok(Methods::All));
        }
    }
}
