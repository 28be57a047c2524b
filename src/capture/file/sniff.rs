//! What a file is, by its first bytes and never by its name.
//!
//! In: the first bytes. Out: a format, or words for a person about what it looks like instead.

/// How many bytes [`sniff`] wants to see, if the file has them.
pub const SNIFF_LEN: usize = 16;

/// How many it wants to see of what might be a .gor recording: type, identifier, the time's first digits.
pub(super) const GOR_SNIFF_LEN: usize = 48;

/// The same of what might be a HAR document: blanks, `{`, blanks, `"log"`.
pub(super) const HAR_SNIFF_LEN: usize = 64;

/// The same of what might be an access log: its first line, or so much of it.
pub(super) const LOG_SNIFF_LEN: usize = 4096;

/// A file format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// pcap in one of its variants.
    Pcap,
    /// pcapng.
    PcapNg,
    /// WARC, the recordings of this program.
    Warc,
    /// .gor, the recordings of GoReplay.
    Gor,
    /// HAR, what browsers export.
    Har,
    /// The access log of a web server, in one of the usual formats.
    AccessLog,
    /// Compressed with gzip: look inside.
    Gzip,
    /// Compressed with zstd: look inside.
    Zstd,
    /// No bytes at all.
    Empty,
    /// None of these.
    Unknown,
}

/// pcap's magic numbers as a big-endian writer leaves them: microseconds, nanoseconds, and
/// Kuznetzov's modified records.
pub(super) const PCAP_MAGICS: [u32; 3] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34];
/// The Section Header Block's type, the same in both byte orders.
pub(super) const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Tells formats apart by their magic numbers.
pub fn sniff(first_bytes: &[u8]) -> Kind {
    let Some(&magic) = first_bytes.first_chunk::<4>() else {
        return match first_bytes {
            [] => Kind::Empty,
            [0x1f, 0x8b, ..] => Kind::Gzip,
            _ => Kind::Unknown,
        };
    };
    let (big, little) = (u32::from_be_bytes(magic), u32::from_le_bytes(magic));
    match magic {
        _ if PCAP_MAGICS.contains(&big) || PCAP_MAGICS.contains(&little) => Kind::Pcap,
        PCAPNG_MAGIC => Kind::PcapNg,
        [0x1f, 0x8b, ..] => Kind::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Kind::Zstd,
        // A skippable frame, with which parallel writers begin.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Kind::Zstd,
        _ if first_bytes.starts_with(b"WARC/") => Kind::Warc,
        _ if is_gor(first_bytes) => Kind::Gor,
        _ if is_har(first_bytes) => Kind::Har,
        _ if is_access_log(first_bytes) => Kind::AccessLog,
        _ => Kind::Unknown,
    }
}

/// Whether this may be a JSON object whose first key is `log`, as far as it is there.
fn is_har(first_bytes: &[u8]) -> bool {
    let text = first_bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first_bytes).trim_ascii_start();
    let Some(inside) = text.strip_prefix(b"{") else { return false };
    let key = inside.trim_ascii_start();
    key.starts_with(b"\"log\"")
        || (first_bytes.len() < HAR_SNIFF_LEN && b"\"log\"".starts_with(key))
}

/// Whether the first line has a time as access logs do, `[10/Oct/2000:13:55:36`, and a request behind it.
fn is_access_log(first_bytes: &[u8]) -> bool {
    let line = first_bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let Some(at) = line.iter().position(|&b| b == b'[') else { return false };
    let (before, behind) = line.split_at_checked(at + 1).unwrap_or_default();
    let is_like = |(&byte, &form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        b'a' => byte.is_ascii_alphabetic(),
        form => byte == form,
    };
    const FORM: &[u8] = b"00/aaa/0000:00:00:00 ";
    let is_time = behind.len() >= FORM.len() && behind.iter().zip(FORM).all(is_like);
    let is_text = |b: &u8| matches!(b, b' '..=b'~');
    is_time && before.iter().all(is_text) && behind.windows(3).any(|part| part == b"] \"")
}

/// What a file is whose content does not tell, by its name.
pub fn by_name(name: &str) -> Kind {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("har") => Kind::Har,
        Some("gor") => Kind::Gor,
        Some("warc") => Kind::Warc,
        Some("log") => Kind::AccessLog,
        _ => Kind::Unknown,
    }
}

/// Whether this may be the first line of a .gor recording, `TYPE ID NANOSECONDS [DURATION]`, as far as it
/// is there.
fn is_gor(first_bytes: &[u8]) -> bool {
    let Some((b'1'..=b'3', [b' ', rest @ ..])) = first_bytes.split_first() else { return false };
    let id = rest.split(|&b| b == b' ').next().unwrap_or(rest);
    if !id.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    match rest.get(id.len() + 1..) {
        // Within the identifier.
        None => (8..=40).contains(&id.len()),
        Some(behind) => {
            let is_number = behind.first().is_none_or(u8::is_ascii_digit);
            let is_time = |b: &u8| matches!(b, b'0'..=b'9' | b' ' | b'-' | b'\n');
            let line = behind.split_inclusive(|&b| b == b'\n').next().unwrap_or(behind);
            matches!(id.len(), 24 | 40) && is_number && line.iter().all(is_time)
        }
    }
}

/// Files that people mistake for captures, by how they begin.
const OTHERS: [(&[u8], &str); 19] = [
    (b"WARC/", "a WARC recording"),
    (b"snoop\0\0\0", "a Solaris snoop capture"),
    (b"GMBU", "a Microsoft Network Monitor capture"),
    (b"RTSS", "a Microsoft Network Monitor 1 capture"),
    (b"TRSNIFF data", "a Sniffer capture"),
    (&[0x1c, 0x00, 0x01, 0xac], "an IXIA lcap capture"),
    (&[0x1c, 0x00, 0x01, 0xab], "an IXIA lcap capture"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (&[0x04, 0x22, 0x4d, 0x18], "compressed with lz4"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "compressed with gzip twice"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd twice"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a picture"),
    (b"<", "HTML or XML"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
];

/// What the first bytes look like, in words.
pub(super) fn looks_like(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "it is empty".into();
    }
    let head = bytes.get(..SNIFF_LEN).unwrap_or(bytes);
    let known = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic));
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let what = match known {
        Some((_, what)) => format!(", which looks like {what}"),
        None if head.iter().all(is_text) => ", which looks like text".into(),
        None => String::new(),
    };
    let hex: Vec<String> = head.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("it begins with {} ({:?}){what}", hex.join(" "), String::from_utf8_lossy(head))
}
