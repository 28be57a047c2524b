//! Values in URLs and forms: percent-encoding (RFC 3986 section 2.1, and that of HTML forms), and the few character
//! references with which a token is written in HTML.

/// The bytes that this stands for; with `is_form` a plus sign is a space.
pub(super) fn decoded(text: &[u8], is_form: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        out.push(match byte {
            b'+' if is_form => b' ',
            b'%' => match behind {
                [high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    rest = behind;
                    digit(*high) << 4 | digit(*low)
                }
                _ => byte,
            },
            _ => byte,
        });
    }
    out
}

fn digit(hex: u8) -> u8 {
    u8::try_from(char::from(hex).to_digit(16).unwrap_or_default()).unwrap_or_default()
}

/// So that it stands for itself in a segment of a path, in a query and in a form.
pub(super) fn encoded(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            // Writing to memory does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Without character references: decimal, hexadecimal, and the five named ones of old.
pub(super) fn without_references(text: &[u8]) -> Vec<u8> {
    const NAMED: [(&[u8], u8); 5] =
        [(b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"quot", b'"'), (b"apos", b'\'')];
    /// The longest reference: `&#x10FFFF;`.
    const LONGEST: usize = 10;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        let end = behind.iter().take(LONGEST).position(|&b| b == b';');
        let Some((name, after)) =
            end.filter(|_| byte == b'&').and_then(|end| behind.split_at_checked(end))
        else {
            out.push(byte);
            continue;
        };
        let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, b)| char::from(*b));
        match named.or_else(|| numbered(name)) {
            Some(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after.get(1..).unwrap_or_default();
            }
            None => out.push(byte),
        }
    }
    out
}

fn numbered(name: &[u8]) -> Option<char> {
    let number = std::str::from_utf8(name.strip_prefix(b"#")?).ok()?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}
