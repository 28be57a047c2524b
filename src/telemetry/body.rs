//! A body for a person, and for a program.
//!
//! In: the body of a message without chunk framing, and how much of it is wanted. Out: text as it is, line by line,
//! anything else as a hex dump; in JSON a string with one character for each byte, as everywhere. Guaranteed:
//! nothing captured can command a terminal, and what is left out is said.

use std::io::Write as _;

use super::inspect::push_latin1;
use super::numbers::bytes;
use crate::model::Message;

/// Bytes on a line of a hex dump.
const LINE: usize = 16;

/// Appends the body as lines below its message; nothing where there is none.
pub fn push_lines(out: &mut Vec<u8>, message: &Message, most: usize) {
    if message.body_len == 0 {
        return;
    }
    let shown = beginning(message, most);
    match std::str::from_utf8(whole_characters(shown, message.body.len())) {
        Ok(text) if is_text(text) => push_text(out, text),
        _ => push_hex(out, shown),
    }
    let left = message.body_len - shown.len() as u64;
    if left > 0 {
        // Writing to a vector does not fail.
        let _ = writeln!(out, "    … {} more", bytes(left));
    }
}

/// Appends the fields `body` and `body_cut` of a JSON object, a comma before them.
pub fn push_json(out: &mut Vec<u8>, message: &Message, most: usize) {
    let shown = beginning(message, most);
    out.extend_from_slice(b",\"body\":");
    push_latin1(out, shown);
    let _ = write!(out, ",\"body_cut\":{}", (shown.len() as u64) < message.body_len);
}

fn beginning(message: &Message, most: usize) -> &[u8] {
    message.body.get(..most).unwrap_or(&message.body)
}

/// Without the character that a cut went through.
fn whole_characters(shown: &[u8], whole: usize) -> &[u8] {
    match std::str::from_utf8(shown) {
        Err(error) if shown.len() < whole && error.error_len().is_none() => {
            shown.get(..error.valid_up_to()).unwrap_or_default()
        }
        _ => shown,
    }
}

/// Whether a person would read it: no control characters but those that lay text out.
fn is_text(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\r' | '\n'))
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    for line in text.lines() {
        out.extend_from_slice(b"    ");
        for c in line.chars() {
            // What turns the direction of writing, or breaks lines unseen, is shown by its number.
            let is_plain = !c.is_control()
                && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            match c {
                '\t' => out.push(b'\t'),
                _ if is_plain => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => out.extend_from_slice(c.escape_unicode().to_string().as_bytes()),
            }
        }
        out.push(b'\n');
    }
}

fn push_hex(out: &mut Vec<u8>, data: &[u8]) {
    for (place, line) in data.chunks(LINE).enumerate() {
        let _ = write!(out, "    {:08x} ", place * LINE);
        for column in 0..LINE {
            let gap = if column == LINE / 2 { "  " } else { " " };
            let _ = match line.get(column) {
                Some(byte) => write!(out, "{gap}{byte:02x}"),
                None => write!(out, "{gap}  "),
            };
        }
        out.extend_from_slice(b"  |");
        let shown = |&byte: &u8| if (b' '..=b'~').contains(&byte) { byte } else { b'.' };
        out.extend(line.iter().map(shown));
        out.extend_from_slice(b"|\n");
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::telemetry::inspect::tests::request;

    fn message(body: &[u8]) -> Message {
        let mut message = request(b"POST", b"/");
        message.body = Bytes::copy_from_slice(body);
        message.body_len = body.len() as u64;
        message
    }

    fn lines(body: &[u8], most: usize) -> String {
        let mut out = Vec::new();
        push_lines(&mut out, &message(body), most);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn text_is_text_and_anything_else_is_hex() {
        assert_eq!(lines(b"", 99), "");
        assert_eq!(
            lines("{\"a\":\r\n\t\"\u{e4}\"}".as_bytes(), 99),
            "    {\"a\":\n    \t\"\u{e4}\"}\n"
        );
        assert_eq!(lines("a\u{202e}b".as_bytes(), 99), "    a\\u{202e}b\n");
        let hex =
            "    00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 1b 5b 41 ff  |.............[A.|\n";
        let next = "    00000010  7e                                                |~|\n";
        let data = b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x1b[A\xff~";
        assert_eq!(lines(data, 99), [hex, next].concat());
    }

    #[test]
    fn what_is_left_out_is_said_and_a_cut_character_does_not_make_it_binary() {
        assert_eq!(lines(b"abcdef", 4), "    abcd\n    … 2 B more\n");
        assert_eq!(lines("abc\u{e4}def".as_bytes(), 4), "    abc\n    … 4 B more\n");
        assert!(lines(b"abc\xe4", 99).contains("61 62 63 e4"));
        let mut unkept = message(b"");
        unkept.body_len = 5000;
        let mut out = Vec::new();
        push_lines(&mut out, &unkept, 99);
        assert_eq!(out, "    … 4.9 KiB more\n".as_bytes());
    }

    #[test]
    fn json_has_each_byte_as_a_character() {
        let mut out = b"{\"x\":1".to_vec();
        push_json(&mut out, &message(b"a\"\xff\x00bc"), 4);
        out.push(b'}');
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!((&value["body"], &value["body_cut"]), (&"a\"\u{ff}\0".into(), &true.into()));
    }
}
