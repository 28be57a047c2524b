//! The capture side in one piece: frames in, messages out, every packet and byte counted.
//!
//! Used by one thread, with no lock and no atomic: `decode`, `reassemble` and `http` one after the
//! other for each frame.

use crate::decode::Decoder;
use crate::http::{Config, HttpReader};
use crate::model::ledger::{HttpCounts, PacketCounts, StreamCounts};
use crate::model::{Answered, Frame, Ignored, Message, StatusSeen, Timestamp, Watch};
use crate::reassemble::{Limits, Reassembler};

/// What was seen since the last look.
#[derive(Default)]
pub struct Seen {
    /// Messages, in order of completion.
    pub messages: Vec<Message>,
    /// Connections from which no request will come any more: all of them came before.
    pub ended: Vec<u64>,
    /// Requests that were answered, where the responses are not among the messages.
    pub answered: Vec<Answered>,
    /// Final responses whose heads were seen, where a rule asks for v1's status.
    pub statuses: Vec<StatusSeen>,
    /// Packet time of what was seen last; not told where messages come when they are whole, in whatever order, and nobody waits
    /// for the next.
    pub now: Option<Timestamp>,
    /// Whether nothing comes any more that belongs to what was seen so far.
    pub is_end: bool,
    /// Requests that are not among the messages, since they lie outside the range that is wanted.
    pub out_of_range: u64,
    /// Responses of which the same is true.
    pub responses_out_of_range: u64,
    /// When the first message of all began, whether it is among the messages or not; from then on in each of these.
    pub first: Option<Timestamp>,
}

impl From<Vec<Message>> for Seen {
    fn from(messages: Vec<Message>) -> Self {
        Self { messages, ..Self::default() }
    }
}

/// See the module's description.
pub struct Pipeline {
    decoder: Decoder,
    reassembler: Reassembler<HttpReader>,
    packets: PacketCounts,
    now: Timestamp,
    is_end: bool,
}

impl Pipeline {
    /// A pipeline for the connections of `watch`.
    pub fn new(watch: Watch, http: Config, limits: Limits) -> Self {
        let read_responses = http.read_responses;
        let reader = HttpReader::new(http);
        Self {
            decoder: Decoder::default(),
            reassembler: Reassembler::new(reader, watch, read_responses, limits),
            packets: PacketCounts::default(),
            now: Timestamp::ZERO,
            is_end: false,
        }
    }

    /// Takes one frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        self.packets.received += 1;
        // The last, not the latest: files may begin again before the end of the one before.
        self.now = frame.time;
        let pushed = match self.decoder.decode(frame) {
            Ok(segment) => self.reassembler.push(&segment),
            Err(cause) => Err(cause),
        };
        match pushed {
            Ok(()) => self.packets.decoded += 1,
            Err(cause) => self.packets.ignored.count(cause),
        }
    }

    /// Takes over what the kernel and the interfaces dropped so far.
    /// `excluded` frames did not pass the user's filter: received, and ignored under that name.
    pub fn note_drops(&mut self, kernel: u64, interface: u64, excluded: u64) {
        let before = self.packets.ignored.get(Ignored::Filter);
        let new = excluded.saturating_sub(before);
        self.packets.received += new;
        self.packets.ignored.add(Ignored::Filter, new);
        self.packets.kernel_dropped = kernel;
        self.packets.interface_dropped = interface;
    }

    /// Lets packet time pass without a packet.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = now;
        self.reassembler.advance(now);
    }

    /// The capture is over: what is unfinished comes out as incomplete.
    pub fn finish(&mut self) {
        self.is_end = true;
        self.reassembler.finish();
    }

    /// The messages completed since the last call.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Message> {
        self.reassembler.handler().drain()
    }

    /// The same, and the connections that ended.
    pub fn seen(&mut self) -> Seen {
        let handler = self.reassembler.handler();
        Seen {
            ended: handler.ended(),
            answered: handler.answered(),
            first: handler.first(),
            statuses: handler.statuses(),
            messages: handler.drain().collect(),
            now: Some(self.now),
            is_end: std::mem::take(&mut self.is_end),
            ..Seen::default()
        }
    }

    /// What was counted so far.
    pub fn counts(&mut self) -> (PacketCounts, StreamCounts, HttpCounts) {
        let http = self.reassembler.handler().counts();
        (self.packets, self.reassembler.counts(), http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LinkType;

    #[test]
    fn time_and_the_end_are_those_of_each_round() {
        let config = Config::default();
        let mut pipeline = Pipeline::new(Watch::everything(), config, Limits::default());
        let mut round = |seconds: &[u64]| {
            for &second in seconds {
                let time = Timestamp::from_parts(second, 0);
                pipeline.frame(&Frame { time, link: LinkType(1), bytes: &[], wire_len: 0 });
            }
            let seen = pipeline.seen();
            assert!(!seen.is_end);
            pipeline.finish();
            assert!(pipeline.seen().is_end);
            seen.now
        };
        assert_eq!(round(&[100, 900]), Some(Timestamp::from_parts(900, 0)));
        assert_eq!(round(&[100]), Some(Timestamp::from_parts(100, 0)));
    }
}
