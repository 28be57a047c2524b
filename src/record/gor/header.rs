//! The lines of a .gor file that are not payload: what begins a record, and what ends it.
//!
//! In: bytes. Out: a [`Header`], when they begin with one. Guaranteed: a header is only what GoReplay
//! itself writes (any version), so that a line of somebody's body is hardly ever taken for one.

use std::time::Duration;

use crate::model::Timestamp;

/// What ends a record: an empty line of three monkeys.
pub(super) const SEPARATOR: &[u8] = "\n🐵🙈🙉\n".as_bytes();
/// Bytes of a header line; GoReplay's own have 84 at most.
pub(super) const MAX_HEADER: usize = 128;

/// What a record holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holds {
    Request,
    Response,
    /// What a target answered when GoReplay replayed the request.
    ReplayedResponse,
}

/// `TYPE ID TIMESTAMP [DURATION]` and its line end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub holds: Holds,
    /// The same for a request and what answers it; not unique in a file.
    pub id: Box<[u8]>,
    /// When its first packet was captured.
    pub at: Timestamp,
    /// From its first packet to its last; old files do not tell.
    pub lasted: Duration,
    /// Bytes of the line, its end included.
    pub len: usize,
}

impl Header {
    /// The header with which these bytes begin.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..MAX_HEADER).unwrap_or(bytes);
        let end = memchr::memchr(b'\n', bytes)?;
        let mut fields = bytes.get(..end)?.split(|&b| b == b' ');
        let holds = match fields.next()? {
            b"1" => Holds::Request,
            b"2" => Holds::Response,
            b"3" => Holds::ReplayedResponse,
            _ => return None,
        };
        let id = fields.next()?;
        let is_id = matches!(id.len(), 24 | 40) && id.iter().all(u8::is_ascii_hexdigit);
        let at = u64::try_from(number(fields.next()?)?).ok()?;
        // Old inputs of GoReplay write -1.
        let lasted = fields.next().map_or(Some(0), number)?.max(0).unsigned_abs();
        let is_rest_numbers = fields.all(|field| number(field).is_some());
        (is_id && is_rest_numbers).then(|| Self {
            holds,
            id: id.into(),
            at: Timestamp::from_nanos(at),
            lasted: Duration::from_nanos(lasted),
            len: end + 1,
        })
    }
}

/// A decimal number, perhaps negative; no other sign.
fn number(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field).ok().filter(|text| !text.starts_with('+'))?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8e091765ae902fef8a2b7d9d";

    #[test]
    fn a_header_has_three_fields_or_more() {
        let parse = |line: &str| Header::parse(line.as_bytes());
        let header = parse(&format!("1 {ID} 1388534400000000001 250\nGET")).expect("a header");
        assert_eq!(header.holds, Holds::Request);
        assert_eq!(&*header.id, ID.as_bytes());
        assert_eq!(header.at.as_nanos(), 1_388_534_400_000_000_001);
        assert_eq!((header.lasted.as_nanos(), header.len), (250, 51));
        let old = format!("3 {} 5\n", "d712".repeat(10));
        assert_eq!(parse(&old).map(|header| header.holds), Some(Holds::ReplayedResponse));
        let without = parse(&format!("2 {ID} 5 -1\n")).expect("a header");
        assert_eq!((without.holds, without.lasted), (Holds::Response, Duration::ZERO));
        assert!(parse(&format!("1 {ID} 5 6 7\n")).is_some(), "later versions may add fields");
    }

    #[test]
    fn what_is_no_header_is_none() {
        for line in [
            format!("4 {ID} 5\n"),
            format!("1 {ID}\n"),
            format!("1 {ID} 5"),
            format!("1 {ID} x\n"),
            format!("1 {ID} -5\n"),
            format!("1 {ID} 5 +6\n"),
            format!("1 {ID} 5 \n"),
            format!("1 {ID} 5\r\n"),
            format!("1 {ID}0 5\n"),
            format!("1  {ID} 5\n"),
            format!("1 {} 5\n", "x".repeat(24)),
            format!("1 {ID} 5{}\n", " 6".repeat(MAX_HEADER)),
            String::new(),
        ] {
            assert_eq!(Header::parse(line.as_bytes()), None, "{line:?}");
        }
    }
}
