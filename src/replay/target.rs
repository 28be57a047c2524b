//! Where the copies go: the `--to` argument.
//!
//! In: what the user typed. Out: scheme, host, port and path prefix, or an error that says what is
//! wrong and what is expected. Nothing is resolved and nothing is connected here.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::Url;
use thiserror::Error;

/// A v2 service: `http://host[:port][/prefix]`, or `https`, or `unix:/path/of/socket`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Whether to speak TLS; host is then also the SNI and the name in the certificate.
    tls: bool,
    /// Host name or address, an IPv6 address without brackets.
    host: String,
    /// TCP port.
    port: u16,
    /// Host and port as they stand in a Host field: without the scheme's own port.
    authority: String,
    /// Scheme and authority, as every URL to this target begins.
    origin: String,
    /// Path put before that of every request; empty, or with a leading and no trailing slash.
    prefix: String,
    /// The unix socket to connect to, in place of host and port.
    socket: Option<PathBuf>,
}

/// Why a text is not a target.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TargetError {
    /// There is no `http://` or `https://` in front.
    #[error("`{0}` has no scheme; expected http://host:port or https://host:port")]
    NoScheme(String),
    /// `unix:` without an absolute path.
    #[error("`unix:{0}` names no socket; expected unix:/absolute/path")]
    SocketPath(String),
    /// Some other scheme.
    #[error("cannot send to `{0}://`; expected http:// or https://")]
    OtherScheme(String),
    /// The URL cannot be read.
    #[error("`{0}` is not a URL: {1}; expected http://host:port[/prefix]")]
    NotUrl(String, String),
    /// `http://user:secret@host`.
    #[error(
        "a user name or password in the target is not supported; requests keep the Authorization \
         field they were captured with"
    )]
    UserInfo,
    /// `?query`.
    #[error("a target has no query (`?{0}`); each request brings its own")]
    Query(String),
    /// `#fragment`.
    #[error("a target has no fragment (`#{0}`)")]
    Fragment(String),
    /// Port 0.
    #[error("port 0 cannot be connected to; expected 1 to 65535")]
    PortZero,
}

impl Target {
    /// Reads `http://host[:port][/prefix]` or `unix:/path`. The port defaults to 80 or 443.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(path);
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Err(TargetError::NoScheme(text.to_owned()));
        };
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(TargetError::OtherScheme(scheme.to_owned())),
        };
        let not_url = |why: &str| TargetError::NotUrl(text.to_owned(), why.to_owned());
        let url = Url::parse(text).map_err(|err| not_url(&err.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        if let Some(query) = url.query() {
            return Err(TargetError::Query(query.to_owned()));
        }
        if let Some(fragment) = url.fragment() {
            return Err(TargetError::Fragment(fragment.to_owned()));
        }
        let bracketed = url.host_str().ok_or_else(|| not_url("empty host"))?;
        let port = url.port_or_known_default().ok_or_else(|| not_url("no port"))?;
        if port == 0 {
            return Err(TargetError::PortZero);
        }
        let authority = match url.port() {
            Some(port) => format!("{bracketed}:{port}"),
            None => bracketed.to_owned(),
        };
        Ok(Self {
            tls,
            host: bracketed.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            origin: format!("{}://{authority}", url.scheme()),
            authority,
            prefix: url.path().trim_end_matches('/').to_owned(),
            socket: None,
        })
    }

    /// A unix socket; what asks for a host or an authority gets `localhost`.
    fn unix(path: &str) -> Result<Self, TargetError> {
        if !path.starts_with('/') {
            return Err(TargetError::SocketPath(path.to_owned()));
        }
        Ok(Self {
            tls: false,
            host: "localhost".into(),
            port: 0,
            authority: "localhost".into(),
            origin: format!("unix:{path}"),
            prefix: String::new(),
            socket: Some(path.into()),
        })
    }

    /// The unix socket to connect to, if it is one.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Host name or address; an IPv6 address is without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as in a Host field: without the scheme's own port, IPv6 in brackets.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Scheme and authority: `http://v2:8080`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What is put before the path of every request; empty for none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// As the user would type it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

impl std::str::FromStr for Target {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (bool, String, u16, String, String) {
        let t = Target::parse(text).expect(text);
        (t.tls, t.host, t.port, t.authority, t.prefix)
    }

    #[test]
    fn a_target_is_scheme_host_port_and_prefix() {
        let expect = |tls, host: &str, port, authority: &str, prefix: &str| {
            (tls, host.to_owned(), port, authority.to_owned(), prefix.to_owned())
        };
        assert_eq!(parts("http://v2:8080"), expect(false, "v2", 8080, "v2:8080", ""));
        assert_eq!(parts("http://v2"), expect(false, "v2", 80, "v2", ""));
        assert_eq!(parts("http://v2:80/"), expect(false, "v2", 80, "v2", ""));
        assert_eq!(parts("HTTPS://v2/api/"), expect(true, "v2", 443, "v2", "/api"));
        assert_eq!(parts("https://v2:8443"), expect(true, "v2", 8443, "v2:8443", ""));
        assert_eq!(parts("http://[::1]:81/a/b"), expect(false, "::1", 81, "[::1]:81", "/a/b"));
        assert_eq!(parts("http://10.0.0.1"), expect(false, "10.0.0.1", 80, "10.0.0.1", ""));
    }

    #[test]
    fn it_is_shown_as_it_was_typed() {
        for text in ["http://v2:8080", "https://v2/api", "http://[::1]:81", "unix:/run/v2"] {
            assert_eq!(Target::parse(text).map(|t| t.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_what_is_expected() {
        let says = |text: &str, what: &str| {
            let message = Target::parse(text).expect_err(text).to_string();
            assert!(message.contains(what), "{text}: {message}");
        };
        says("unix:run/v2.sock", "expected unix:/absolute/path");
        says("v2:8080", "no scheme; expected http://host:port");
        says("", "no scheme");
        says("ftp://v2", "cannot send to `ftp://`; expected http:// or https://");
        says("http://", "is not a URL: empty host");
        says("http://v2:99999", "is not a URL: invalid port number");
        says("http://v2:0", "port 0");
        says("http://me:secret@v2", "user name or password");
        says("http://me@v2", "user name or password");
        says("http://v2/?a=b", "no query (`?a=b`)");
        says("http://v2/#x", "no fragment (`#x`)");
    }

    #[test]
    fn a_secret_is_not_repeated_in_the_error() {
        let message = Target::parse("http://me:secret@v2").expect_err("refused").to_string();
        assert!(!message.contains("secret"), "{message}");
    }
}
