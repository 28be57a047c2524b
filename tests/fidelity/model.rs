//! Random traffic against what was said. `SHADOWTAP_SEEDS=10000` (and `SHADOWTAP_FIRST_SEED`) runs more.

use std::time::Duration;

use shadowtap::http::Config;
use shadowtap::model::{Completion, Message, Start};
use shadowtap::reassemble::Limits;

use super::testing::{Random, seeds};
use super::traffic::{Conversation, Said, disturb};
use super::{Capture, show};

fn capture() -> Capture {
    let config = Config {
        read_responses: true,
        emit_responses: true,
        hash_bodies: true,
        ..Config::default()
    };
    Capture::with(config, Limits::default())
}

/// The number of the exchange that a message carries in a field of its own.
fn id(message: &Message) -> Option<u32> {
    std::str::from_utf8(message.header("x-id")?).ok()?.parse().ok()
}

/// Whether a complete message is the one that was said, byte for byte.
fn is_same(message: &Message, said: &Said) -> bool {
    message.raw == said.raw && message.body == said.body && message.is_request() == said.is_request
}

#[test]
fn any_packets_of_the_same_bytes_give_the_exact_messages() {
    for seed in seeds(700) {
        let mut random = Random::new(seed);
        let talk = Conversation::new(&mut random);
        let first = [random.u32(), u32::MAX - random.below(3000) as u32];
        let packets = talk.packets(&mut random, first);
        let mut capture = capture();
        for packet in disturb(packets, &talk.streams, first, true, &mut random) {
            capture.push(&packet);
        }
        capture.finish();
        for is_request in [true, false] {
            let said: Vec<_> =
                talk.messages.iter().filter(|said| said.is_request == is_request).collect();
            let got: Vec<_> =
                capture.messages.iter().filter(|m| m.is_request() == is_request).collect();
            assert_eq!(got.len(), said.len(), "seed {seed}");
            for (index, (message, said)) in got.iter().zip(said).enumerate() {
                let line = show(message);
                assert_eq!(message.completion, Completion::Complete, "seed {seed}: {line}");
                assert!(is_same(message, said), "seed {seed}: {line}");
                assert_eq!(message.index as usize, index, "seed {seed}: {line}");
                if let Start::Response { request, .. } = message.start {
                    assert_eq!(request, Some(said.exchange), "seed {seed}: {line}");
                }
            }
        }
        let counts = capture.reassembler.counts();
        assert_eq!((counts.unseen, counts.gaps), (0, 0), "seed {seed}");
    }
}

/// Which bytes of each stream the capture saw, and where its segments began.
struct Seen {
    bytes: [Vec<bool>; 2],
    starts: [Vec<usize>; 2],
}

impl Seen {
    fn is_whole(&self, side: usize, from: usize, to: usize) -> bool {
        self.bytes[side][from..to].iter().all(|seen| *seen)
    }
}

#[test]
fn with_loss_nothing_wrong_is_called_complete_and_what_is_sure_is_found() {
    let (mut found, mut runs) = (0, 0);
    for seed in seeds(1_000) {
        runs += 1;
        let mut random = Random::new(seed ^ 0xdead_beef);
        let talk = Conversation::new(&mut random);
        let first = [random.u32(), random.u32()];
        let packets = talk.packets(&mut random, first);
        let mut seen = Seen {
            bytes: [0, 1].map(|side| vec![false; talk.streams[side].len()]),
            starts: [vec![], vec![]],
        };
        let rate = *random.pick(&[6, 20, 60]);
        let kept: Vec<_> = packets
            .into_iter()
            .enumerate()
            .filter(|(n, packet)| *n < 3 || packet.flags.fin || !random.one_in(rate))
            .map(|(_, packet)| packet)
            .collect();
        for packet in kept.iter().filter(|packet| !packet.bytes.is_empty()) {
            let side = usize::from(!packet.is_client);
            let from = packet.seq.wrapping_sub(first[side]) as usize;
            seen.bytes[side][from..from + packet.bytes.len()].fill(true);
            seen.starts[side].push(from);
        }
        let mut capture = capture();
        capture.step = Duration::from_micros(500);
        for packet in disturb(kept, &talk.streams, first, false, &mut random) {
            capture.push(&packet);
        }
        capture.wait(Duration::from_millis(300));
        capture.finish();
        let missing = seen.bytes.iter().flatten().filter(|seen| !**seen).count() as u64;
        assert_eq!(capture.reassembler.counts().unseen, missing, "seed {seed}");
        nothing_is_wrong(seed, &talk, &capture);
        if !talk.is_pipelined {
            found += what_is_sure_is_found(seed, &talk, &seen, &capture);
        }
    }
    assert!(found > runs, "{found} sure messages in {runs} runs");
}

/// Every message called complete was said, once and in order; every pair is a true one.
fn nothing_is_wrong(seed: u64, talk: &Conversation, capture: &Capture) {
    let requests = capture.requests();
    for is_request in [true, false] {
        let mut said = talk.messages.iter().filter(|said| said.is_request == is_request);
        for message in capture.messages.iter().filter(|m| m.is_request() == is_request) {
            let line = show(message);
            if message.completion == Completion::Complete {
                assert!(said.any(|said| is_same(message, said)), "seed {seed}: invented {line}");
            }
            let Start::Response { request: Some(index), .. } = message.start else { continue };
            let request = requests.iter().find(|request| request.index == index);
            let ids = (id(message), request.and_then(|request| id(request)));
            if let (Some(response), Some(request)) = ids {
                assert_eq!(response, request, "seed {seed}: paired wrongly: {line}");
            }
        }
    }
}

/// Every message that no hole touches is found where reading is in step, or begins at a segment.
fn what_is_sure_is_found(seed: u64, talk: &Conversation, seen: &Seen, capture: &Capture) -> usize {
    let mut sure = 0;
    for side in [0, 1] {
        let mut is_in_step = true;
        for said in talk.messages.iter().filter(|said| said.is_request == (side == 0)) {
            let is_whole = seen.is_whole(side, said.start, said.end());
            is_in_step |= is_whole && seen.starts[side].contains(&said.start);
            if is_whole && is_in_step && is_trusted(talk, seen, said) {
                let mut complete =
                    capture.messages.iter().filter(|m| m.completion == Completion::Complete);
                assert!(
                    complete.any(|message| is_same(message, said)),
                    "seed {seed}: not found: {} {:?}",
                    said.exchange,
                    String::from_utf8_lossy(&said.raw[..said.head_len])
                );
                sure += 1;
            }
            is_in_step &= is_whole || is_followed(seen, side, said);
        }
    }
    sure
}

/// Whether a hole in this message leaves its end known: only data is missing, and not over its end.
fn is_followed(seen: &Seen, side: usize, said: &Said) -> bool {
    let is_data = |at: usize| said.data.iter().any(|(from, to)| (*from..*to).contains(&at));
    let missing = |at: usize| !seen.bytes[side][at];
    let goes_on =
        said.end() < seen.bytes[side].len() && missing(said.end() - 1) && missing(said.end());
    (said.start..said.end()).all(|at| !missing(at) || is_data(at)) && !goes_on && !said.until_close
}

/// Whether a response's request was seen whole: else its framing is in doubt.
fn is_trusted(talk: &Conversation, seen: &Seen, said: &Said) -> bool {
    if said.is_request {
        return true;
    }
    let mut earlier = talk.messages.iter().filter(|m| m.is_request && m.exchange <= said.exchange);
    earlier.all(|request| seen.is_whole(0, request.start, request.end()))
}
