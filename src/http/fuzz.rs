//! The fuzzing bodies for HTTP: any bytes, in any pieces, with any holes, keep the invariants.
//!
//! Guaranteed, or it panics: the sum of the ledger holds after every event, memory is held, every
//! message lies within what came and is what it says, and pieces of another size give the same
//! messages. Called by fuzz targets and, over seeds, by a test.

use super::{Config, HttpReader};
use crate::model::ledger::Skipped;
use crate::model::{
    CloseReason, Completion, Endpoint, FlowInfo, FlowKey, Gap, Message, Piece, Side, StreamHandler,
    Timestamp,
};

/// Largest body kept and largest head: small, so that they are reached.
const MAX_BODY: u64 = 512;
const MAX_HEAD: usize = 512;

/// A client's bytes. The first byte decides about size of pieces and holes.
#[doc(hidden)]
pub fn fuzz_request_stream(data: &[u8]) {
    fuzz_stream(data, false);
}

/// A server's bytes, after a few requests.
#[doc(hidden)]
pub fn fuzz_response_stream(data: &[u8]) {
    fuzz_stream(data, true);
}

fn fuzz_stream(data: &[u8], is_server: bool) {
    let Some((&how, data)) = data.split_first() else { return };
    let size = usize::from(how & 0x1f) * 7 + 1;
    let from_start = how & 0x20 == 0;
    let (whole, is_whole_sure) = run(data, is_server, from_start, usize::MAX, false);
    let (pieces, is_pieces_sure) = run(data, is_server, from_start, size, false);
    if from_start && is_whole_sure && is_pieces_sure {
        assert_eq!(whole, pieces, "in pieces of {size}");
    }
    run(data, is_server, from_start, size, true);
}

/// Reads the bytes in pieces, each the start of a segment; with `holes` every fifth one is missing.
/// Gives the messages, and whether reading was in step all the time.
fn run(
    data: &[u8],
    is_server: bool,
    from_start: bool,
    size: usize,
    holes: bool,
) -> (Vec<String>, bool) {
    let config = Config {
        tell_statuses: true,
        max_body: Some(MAX_BODY),
        max_head: MAX_HEAD,
        hash_bodies: true,
        read_responses: true,
        emit_responses: true,
    };
    let (key, client) = FlowKey::new(
        Endpoint::new([10, 0, 0, 1].into(), 1000),
        Endpoint::new([10, 0, 0, 2].into(), 80),
    );
    let info = FlowInfo { conn: 0, key, client: Some(client), from_start };
    let mut reader = HttpReader::new(config);
    let mut flow = reader.opened(&info);
    let (mut delivered, mut shown) = (0, Vec::new());
    let mut feed = |reader: &mut HttpReader, flow: &mut _, side: Side, bytes: &[u8]| {
        let piece = Piece {
            at: Timestamp::ZERO,
            bytes,
            segment_start: true,
            anomalies: Default::default(),
        };
        reader.data(&info, flow, side, piece);
        delivered += bytes.len() as u64;
        let counts = reader.counts();
        assert_eq!(delivered, counts.messages + counts.skipped.total() + counts.open);
    };
    if is_server {
        let requests = b"GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n\r\n";
        feed(&mut reader, &mut flow, client, requests);
    }
    let side = if is_server { client.peer() } else { client };
    for (n, bytes) in data.chunks(size.min(data.len().max(1))).enumerate() {
        if holes && n % 5 == 4 {
            let gap = Gap { at: Timestamp::ZERO, len: bytes.len() as u64 };
            reader.gap(&info, &mut flow, side, gap);
        } else {
            feed(&mut reader, &mut flow, side, bytes);
        }
        // What is kept, a piece beyond it, and what surrounds it.
        let most = 4 * (MAX_BODY as usize + MAX_HEAD) + (1 << 20) + 4 * size.min(data.len()) + 4096;
        assert!(reader.held(&flow) <= most, "{} held", reader.held(&flow));
        shown.extend(reader.drain().map(|message| check(&message, holes)));
    }
    reader.finished(&info, &mut flow, side, Timestamp::ZERO);
    reader.closed(&info, flow, Timestamp::ZERO, CloseReason::Fin);
    assert_eq!(reader.counts().open, 0);
    shown.extend(reader.drain().map(|message| check(&message, holes)));
    let is_in_step = reader.counts().skipped.get(Skipped::Resync) == 0;
    let is_cut = shown.iter().any(|line| line.contains("Incomplete"));
    (shown, is_in_step && !is_cut)
}

/// A message is what it says. Gives it as text.
fn check(message: &Message, has_holes: bool) -> String {
    assert!(message.head_len <= message.raw.len());
    assert!(message.head().len() == message.head_len);
    for (name, value) in message.headers() {
        assert!(name.len() + value.len() <= message.head_len);
    }
    if message.completion == Completion::Complete {
        assert!(message.body_len == message.body.len() as u64 && message.body_len <= MAX_BODY);
        assert!(message.head_len <= MAX_HEAD, "a head over the limit is never whole");
        assert!(message.chunked || message.wire_body() == message.body);
    }
    let anomalies: Vec<_> = message.anomalies.iter().collect();
    // Where a message was cut off depends on the pieces when bytes are missing or were given up.
    let raw = if has_holes { String::new() } else { message.raw.escape_ascii().to_string() };
    let is_whole = message.completion == Completion::Complete;
    let kept = if is_whole { raw } else { String::new() };
    format!("{:?} {:?} {anomalies:?} {kept}", message.start, message.completion)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::model::testing::{Random, seeds};

    /// Fragments that meet in interesting ways.
    const PARTS: [&str; 26] = [
        "GET / HTTP/1.1\r\n",
        "POST /x HTTP/1.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 C\r\n",
        "HTTP/1.1 101 S\r\n",
        "HTTP/1.1 304 N\r\n",
        "CONNECT a:1 HTTP/1.1\r\n",
        "Host: a\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 700\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: x\r\n",
        "\r\n",
        "\n",
        "\r",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\nT: v\r\n\r\n",
        "hello",
        " folded\r\n",
        "no colon\r\n",
        "\u{0}\u{1}",
        "ffffffffffffffffff\r\n",
    ];

    #[test]
    fn random_streams_keep_the_invariants() {
        for seed in seeds(4_000) {
            let mut random = Random::new(seed);
            let mut data = random.bytes(1);
            for _ in 0..random.below(30) {
                data.extend_from_slice(random.pick(&PARTS).as_bytes());
                if random.one_in(20) {
                    data.extend(vec![b'x'; random.below(900)]);
                }
                if random.one_in(15) {
                    let at = random.below(data.len());
                    data[at] = random.u64() as u8;
                }
            }
            fuzz_request_stream(&data);
            fuzz_response_stream(&data);
        }
    }
}
