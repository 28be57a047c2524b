//! Requests as curl commands, for people and for shells.
//!
//! In: whole requests. Out: one POSIX shell command each, with the request's time and endpoints in a remark. Guaranteed: nothing
//! captured is run by the shell or reaches a terminal as a control character; what curl is told to
//! send has method, target, fields in order with duplicates, and body of the request. What curl
//! cannot say (chunk sizes, another field before Host, spelling of the head) is counted.

use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::{Anomaly, Message, Version};

use super::export::{Exported, LeftOut, Lost, is_behind_another};
use super::{uri, warc};

/// What a file begins with.
pub const BEGIN: &[u8] = b"#!/bin/sh\n";

/// Bytes of a body that may stand on the command line; Linux takes 128 KiB in one argument.
const MAX_ARGUMENT: usize = 64 << 10;

/// Fields that curl sends of its own accord; naming one without a value keeps it from that.
const OWN_FIELDS: [&str; 5] = ["Host", "User-Agent", "Accept", "Content-Type", "Expect"];

/// Appends the command of a request; anything else is counted as left out.
pub fn message(out: &mut Vec<u8>, message: &Message, counts: &mut Exported) {
    if !message.is_request() {
        counts.left_out.count(LeftOut::Response);
        return;
    }
    // An argument cannot hold a NUL; `--head` goes with no body, and without it curl waits for one.
    let is_head = message.method() == b"HEAD";
    // It reads fields from a file whose name stands behind an `@`.
    let is_file = message.headers().any(|(name, _)| name.starts_with(b"@"));
    let has_nul = message.head().contains(&0);
    if has_nul || is_file || (is_head && message.body_len > 0) || message.method() == b"CONNECT" {
        counts.left_out.count(LeftOut::Inexpressible);
        return;
    }
    remark(out, message);
    let mut body = Vec::new();
    if !message.body.is_empty() {
        body = body_argument(out, &message.body);
    }
    out.extend_from_slice(b"curl -sS -g --path-as-is --noproxy '*' --proto =http,https");
    let version = if message.version == Version::HTTP_10 { "--http1.0" } else { "--http1.1" };
    let _ = write!(out, " {version}");
    match is_head {
        true => out.extend_from_slice(b" --head"),
        false => {
            out.extend_from_slice(b" -X ");
            push_quoted(out, message.method());
        }
    }
    address(out, message);
    fields(out, message);
    out.extend_from_slice(&body);
    out.extend_from_slice(b"\n\n");
    counts.wrote(message);
    for (is_lost, what) in lost(message) {
        if is_lost {
            counts.lost.count(what);
        }
    }
}

/// What of this request the command does not say.
fn lost(message: &Message) -> [(bool, Lost); 5] {
    let spelling = [
        Anomaly::ObsFold,
        Anomaly::BareLf,
        Anomaly::SpaceBeforeColon,
        Anomaly::InvalidField,
        Anomaly::OddVersion,
        Anomaly::OddStartLine,
        Anomaly::LeadingEmptyLine,
    ];
    let host = message.headers().position(|(name, _)| name.eq_ignore_ascii_case(b"host"));
    [
        (true, Lost::Times),
        (is_behind_another(message), Lost::Connection),
        (message.chunked, Lost::Chunks),
        (host.is_some_and(|place| place > 0), Lost::HostNotFirst),
        (spelling.iter().any(|&odd| message.anomalies.contains(odd)), Lost::HeadSpelling),
    ]
}

/// When, and from whom to whom.
fn remark(out: &mut Vec<u8>, message: &Message) {
    out.extend_from_slice(b"# ");
    warc::push_date(out, message.first_byte);
    let _ = writeln!(out, " {} > {}", message.client, message.server);
}

/// The URI, and the target where the URI cannot hold it.
fn address(out: &mut Vec<u8>, message: &Message) {
    let mut uri = Vec::new();
    uri::push_target_uri(&mut uri, message);
    let behind = uri.get(7..).unwrap_or_default();
    let path = behind.iter().position(|&b| b == b'/').and_then(|at| behind.get(at..));
    if path != Some(message.target()) {
        out.extend_from_slice(b" \\\n  --request-target ");
        push_quoted(out, message.target());
    }
    out.extend_from_slice(b" \\\n  --url ");
    push_quoted(out, &uri);
}

fn fields(out: &mut Vec<u8>, message: &Message) {
    let mut push = |field: &[u8]| {
        out.extend_from_slice(b" \\\n  -H ");
        push_quoted(out, field);
    };
    for (name, value) in message.headers() {
        // A folded value goes on one line; without a value curl wants a semicolon.
        let mut value = value.to_vec();
        value.iter_mut().filter(|b| b"\r\n".contains(b)).for_each(|b| *b = b' ');
        match value.is_empty() {
            true => push(&[name, b";"].concat()),
            false => push(&[name, b": ", &value].concat()),
        }
    }
    for name in OWN_FIELDS.iter().filter(|name| message.header(name).is_none()) {
        push(format!("{name}:").as_bytes());
    }
}

/// The argument that gives the body. One that cannot be an argument comes by a pipe, whose beginning is
/// written at once.
fn body_argument(out: &mut Vec<u8>, body: &[u8]) -> Vec<u8> {
    let is_plain = body.len() <= MAX_ARGUMENT && is_text(body) && body.first() != Some(&b'@');
    let mut argument = b" \\\n  --data-binary ".to_vec();
    if is_plain {
        push_quoted(&mut argument, body);
    } else {
        let _ = write!(out, "printf %s '{}' | base64 -d | ", STANDARD.encode(body));
        argument.extend_from_slice(b"@-");
    }
    argument
}

/// Whether the bytes may stand between quotes: text, and nothing that commands a terminal.
fn is_text(bytes: &[u8]) -> bool {
    let is_shown = |c: char| !c.is_control() || c == '\n' || c == '\t';
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_shown))
}

/// Appends one word of a shell's: between quotes, or by `printf` where it has control characters.
fn push_quoted(out: &mut Vec<u8>, word: &[u8]) {
    if !is_text(word) {
        out.extend_from_slice(b"\"$(printf '");
        for byte in word {
            let _ = write!(out, "\\{byte:03o}");
        }
        // Command substitution takes line ends away; a word that ends in one gets none here.
        out.extend_from_slice(b"')\"");
        return;
    }
    out.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            _ => out.push(byte),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{request, response};

    fn command(message: &Message) -> String {
        let (mut out, mut counts) = (Vec::new(), Exported::default());
        super::message(&mut out, message, &mut counts);
        assert_eq!(counts.requests + counts.left_out.total(), 1);
        String::from_utf8(out).expect("utf-8")
    }

    #[test]
    fn a_request_is_one_command_with_its_fields_in_order() {
        let text = command(&request(
            b"POST /it's?a=1 HTTP/1.1\r\nHost: h\r\nB: 1\r\nA:\r\nB: 2\r\nContent-Length: 3\r\n\r\n$x'",
        ));
        let expected = "# 2023-11-14T22:13:20.000000001Z 10.0.0.1:40000 > 10.0.0.2:8080\n\
            curl -sS -g --path-as-is --noproxy '*' --proto =http,https --http1.1 -X 'POST' \\\n  \
            --url 'http://h/it'\\''s?a=1' \\\n  -H 'Host: h' \\\n  -H 'B: 1' \\\n  -H 'A;' \\\n  \
            -H 'B: 2' \\\n  -H 'Content-Length: 3' \\\n  -H 'User-Agent:' \\\n  -H 'Accept:' \\\n  \
            -H 'Content-Type:' \\\n  -H 'Expect:' \\\n  --data-binary '$x'\\'''\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_no_argument_holds_comes_another_way_or_is_left_out() {
        let text = command(&request(b"PUT / HTTP/1.1\r\nHost: h\r\n\r\n\x00\xff"));
        assert!(text.contains("\nprintf %s 'AP8=' | base64 -d | curl "), "{text}");
        assert!(text.contains("--data-binary @-\n"), "{text}");
        let text = command(&request(b"PUT / HTTP/1.1\r\nHost: h\r\n\r\n@file"));
        assert!(text.contains("| base64 -d |"), "a file's name: {text}");
        let text = command(&request(b"OPTIONS * HTTP/1.1\r\nX: a\x1b[2J\r\n\r\n"));
        assert!(text.contains("--request-target '*'"), "{text}");
        assert!(!text.contains('\x1b') && text.contains("\\033\\133"), "{text}");
        for raw in [&b"HEAD / HTTP/1.1\r\n\r\nbody"[..], b"GET /\x00 HTTP/1.1\r\n\r\n"] {
            assert_eq!(command(&request(raw)), "", "{}", raw.escape_ascii());
        }
        assert_eq!(command(&response(b"HTTP/1.1 200 OK\r\n\r\n", None)), "");
    }
}
