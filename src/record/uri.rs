//! The `WARC-Target-URI` of a request: an absolute URI by RFC 3986 whatever bytes came.
//!
//! In comes a request, out comes its target URI as RFC 9112 3.3 rebuilds it: scheme `http`, the
//! authority from Host or else the server's endpoint. Bytes that may not stand in a URI are
//! percent-encoded. The result is ASCII and has no white space; it names the resource for WARC
//! tools, the exact target is in the record's block.

use std::net::Ipv6Addr;

use crate::model::{Endpoint, Message};

/// Appends the target URI of a request.
pub fn push_target_uri(out: &mut Vec<u8>, request: &Message) {
    let target = request.target();
    if let Some((scheme, authority, path)) = split_absolute(target) {
        // absolute-form
        out.extend_from_slice(scheme);
        out.extend_from_slice(b"://");
        push_authority(out, authority, true);
        push_path(out, path);
    } else if request.method() == b"CONNECT" {
        // authority-form
        out.extend_from_slice(b"http://");
        push_authority(out, target, false);
    } else {
        out.extend_from_slice(b"http://");
        match request.header("host").map(<[u8]>::trim_ascii).filter(|host| !host.is_empty()) {
            Some(host) => push_authority(out, host, false),
            None => push_endpoint(out, request.server),
        }
        // asterisk-form: the authority alone
        if target != b"*" {
            // origin-form; a target without its slash gets one
            if target.first() != Some(&b'/') {
                out.push(b'/');
            }
            push_path(out, target);
        }
    }
}

/// Appends the URI of a response whose request is not known: the server alone.
pub fn push_server_uri(out: &mut Vec<u8>, server: Endpoint) {
    out.extend_from_slice(b"http://");
    push_endpoint(out, server);
    out.push(b'/');
}

fn push_endpoint(out: &mut Vec<u8>, endpoint: Endpoint) {
    out.extend_from_slice(endpoint.to_string().as_bytes());
}

/// Scheme, authority and the rest of an absolute URI with an authority.
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let colon = target.iter().position(|&b| b == b':')?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    let rest = rest.strip_prefix(b"://")?;
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b));
    let end = rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    (is_scheme && !authority.is_empty()).then_some((scheme, authority, path))
}

/// Appends host and port; with `userinfo`, what stands before an `@` stays.
fn push_authority(out: &mut Vec<u8>, authority: &[u8], userinfo: bool) {
    let at = authority.iter().rposition(|&b| b == b'@').filter(|_| userinfo);
    let (user, place) = match at.and_then(|at| authority.split_at_checked(at)) {
        Some((user, place)) => (Some(user), place.get(1..).unwrap_or_default()),
        None => (None, authority),
    };
    if let Some(user) = user {
        push_encoded(out, user, b":");
        out.push(b'@');
    }
    if is_ipv6_literal(place) {
        out.extend_from_slice(place);
        return;
    }
    let colon = place.iter().rposition(|&b| b == b':').unwrap_or(place.len());
    let (host, port) = place.split_at_checked(colon).unwrap_or((place, &[]));
    if port.iter().skip(1).all(u8::is_ascii_digit) {
        push_encoded(out, host, b"");
        out.extend_from_slice(port);
    } else {
        push_encoded(out, place, b"");
    }
}

/// `[::1]`, with or without a port.
fn is_ipv6_literal(place: &[u8]) -> bool {
    let Ok(place) = std::str::from_utf8(place) else { return false };
    let Some((address, port)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']'))
    else {
        return false;
    };
    let port_fits = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    address.parse::<Ipv6Addr>().is_ok() && port_fits
}

/// Appends path and query. A `#` is no fragment here, a target has none (RFC 9112 3.2).
fn push_path(out: &mut Vec<u8>, path: &[u8]) {
    push_encoded(out, path, b"/:@?");
}

/// Appends bytes, percent-encoding what is neither unreserved, a sub-delimiter, an escape already,
/// nor in `also` (RFC 3986 2).
fn push_encoded(out: &mut Vec<u8>, bytes: &[u8], also: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for (at, &byte) in bytes.iter().enumerate() {
        let is_escape = || {
            byte == b'%'
                && bytes
                    .get(at + 1..at + 3)
                    .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        };
        let stays = byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=".contains(&byte)
            || also.contains(&byte)
            || is_escape();
        if stays {
            out.push(byte);
        } else {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(&[b'%', digits[0], digits[1]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::request;

    fn uri(head: &[u8]) -> String {
        let mut out = Vec::new();
        push_target_uri(&mut out, &request(head));
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn each_form_of_target_becomes_an_absolute_uri() {
        let cases: &[(&[u8], &str)] = &[
            (b"GET /a/b?x=1&y=[2] HTTP/1.1\r\nHost: a.b\r\n\r\n", "http://a.b/a/b?x=1&y=%5B2%5D"),
            (b"GET / HTTP/1.1\r\nhost:  a:8080 \r\n\r\n", "http://a:8080/"),
            (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "http://[::1]:80/"),
            (b"GET / HTTP/1.0\r\n\r\n", "http://10.0.0.2:8080/"),
            (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "http://10.0.0.2:8080/"),
            (b"GET http://u:p@x:1/y?z#f HTTP/1.1\r\nHost: a\r\n\r\n", "http://u:p@x:1/y?z%23f"),
            (b"GET HTTP://x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP://x"),
            (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "http://a"),
            (b"CONNECT x:443 HTTP/1.1\r\nHost: a\r\n\r\n", "http://x:443"),
            (b"GET foo HTTP/1.1\r\nHost: a\r\n\r\n", "http://a/foo"),
            (b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "http://a/http:///x"),
        ];
        for (head, expected) in cases {
            assert_eq!(uri(head), *expected, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn bytes_that_no_uri_holds_are_escaped_and_escapes_stay() {
        let head =
            b"GET /a b\"<>\\^`{|}%41%4\xc3\xa9\x00\xff HTTP/1.1\r\nHost: a/../b c?\xff\r\n\r\n";
        assert_eq!(
            uri(head),
            "http://a%2F..%2Fb%20c%3F%FF/a%20b%22%3C%3E%5C%5E%60%7B%7C%7D%41%254%C3%A9%00%FF"
        );
    }

    #[test]
    fn any_target_and_host_give_a_clean_uri() {
        for byte in (0..=255u8).filter(|b| !b"\r\n".contains(b)) {
            for (target, host) in [(vec![byte], vec![b'h']), (vec![b'/', byte], vec![byte, b':'])] {
                let head =
                    [b"GET ", &target[..], b" HTTP/1.1\r\nHost: ", &host, b"\r\n\r\n"].concat();
                let uri = uri(&head);
                assert!(uri.starts_with("http://"), "{uri}");
                assert!(uri.bytes().all(|b| b.is_ascii_graphic()), "{uri}");
            }
        }
    }
}
