//! Which part of files is wanted, and how often.
//!
//! In: messages with their captured times. Out: those within the range; and each round put behind the one
//! before, its times and its connections, which are others. Guaranteed: the range is that of the captured
//! times, in every round; a round is as long as what is wanted of it. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::pipeline::Seen;
use crate::cli::units::Moment;
use crate::model::{Message, Timestamp};

/// The range of captured time that is wanted.
#[derive(Clone, Default)]
pub struct Range {
    from: Option<Moment>,
    until: Option<Moment>,
    /// The first message of all.
    first: Option<Timestamp>,
}

impl Range {
    /// From one moment until the other, both included.
    pub fn new(from: Option<Moment>, until: Option<Moment>) -> Self {
        Self { from, until, first: None }
    }

    /// Notes when the first message of all began: the first that was complete, a response or not, looked at or not.
    pub fn begin(&mut self, first: Option<Timestamp>) {
        self.first = self.first.or(first);
    }

    /// When that was.
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    /// Takes out what lies outside, and counts the requests among it.
    pub fn apply(&mut self, seen: &mut Seen) {
        self.begin(seen.first);
        if self.from.is_none() && self.until.is_none() {
            return;
        }
        let all = std::mem::take(&mut seen.messages);
        for message in all {
            match self.includes(&message) {
                true => seen.messages.push(message),
                false => seen.out_of_range += u64::from(message.is_request()),
            }
        }
    }

    /// Whether it lies within.
    pub fn includes(&self, message: &Message) -> bool {
        self.times().is_none_or(|times| times.contains(&message.first_byte))
    }

    /// From when until when, once there was a first message; `None` where every time is wanted, too.
    pub fn times(&self) -> Option<RangeInclusive<Timestamp>> {
        if self.from.is_none() && self.until.is_none() {
            return None;
        }
        let first = self.first?;
        let at = |moment| match moment {
            Moment::At(at) => Timestamp::from_parts(at.as_secs(), u64::from(at.subsec_nanos())),
            Moment::After(after) => first + after,
        };
        let from = self.from.map_or(Timestamp::ZERO, at);
        let until = self.until.map_or(Timestamp::from_nanos(u64::MAX), at);
        Some(from..=until)
    }
}

/// Puts each round behind the one before.
#[derive(Default)]
pub struct Shift {
    /// First and last time of the first round.
    span: Option<(Timestamp, Timestamp)>,
}

impl Shift {
    /// Between the last message of a round and the first of the next.
    const PAUSE: Duration = Duration::from_millis(1);
    /// Connections of a recording bear their own numbers; no file has so many.
    const CONNECTIONS: u32 = 40;

    /// To the place of this round, from 0.
    pub fn apply(&mut self, seen: &mut Seen, round: u64) {
        for message in &mut seen.messages {
            self.message(message, round);
        }
        for conn in &mut seen.ended {
            *conn = Self::conn(*conn, round);
        }
        for answered in &mut seen.answered {
            answered.at = answered.at + self.behind(round);
            answered.conn = Self::conn(answered.conn, round);
        }
    }

    fn message(&mut self, message: &mut Message, round: u64) {
        let at = message.first_byte;
        if round == 0 {
            let (first, last) = self.span.get_or_insert((at, at));
            (*first, *last) = ((*first).min(at), (*last).max(at));
            return;
        }
        let by = self.behind(round);
        message.first_byte = message.first_byte + by;
        message.last_byte = message.last_byte + by;
        message.conn = Self::conn(message.conn, round);
    }

    /// How much later than the first round it is.
    fn behind(&self, round: u64) -> Duration {
        let rounds = u32::try_from(round).unwrap_or(u32::MAX);
        let first_round = |(first, last): (Timestamp, Timestamp)| last.since(first) + Self::PAUSE;
        self.span.map(first_round).unwrap_or_default().saturating_mul(rounds)
    }

    /// The connection's number in that round.
    fn conn(conn: u64, round: u64) -> u64 {
        conn.wrapping_add(round << Self::CONNECTIONS)
    }

    /// Whether the first round gave nothing: no other will.
    pub fn is_empty(&self) -> bool {
        self.span.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::request;

    /// Messages captured so many seconds after the epoch, on connection 1, which ends.
    fn seen(seconds: &[u64]) -> Seen {
        let message = |&at: &u64| {
            let mut message = request(b"GET / HTTP/1.1\r\n\r\n");
            message.first_byte = Timestamp::from_parts(at, 0);
            message.conn = 1;
            message
        };
        let messages = seconds.iter().map(message).collect();
        let first = seconds.first().map(|&at| Timestamp::from_parts(at, 0));
        Seen { messages, ended: vec![1], first, ..Seen::default() }
    }

    #[test]
    fn what_is_after_the_first_is_after_the_first_of_all_though_it_is_not_handed_on() {
        let until = Some(Moment::After(Duration::from_secs(10)));
        let mut range = Range::new(None, until);
        let mut seen = Seen { first: Some(Timestamp::from_parts(95, 0)), ..seen(&[100, 105, 106]) };
        range.apply(&mut seen);
        assert_eq!((seen.messages.len(), seen.out_of_range), (2, 1));
        assert_eq!(range.first(), Some(Timestamp::from_parts(95, 0)));
    }

    #[test]
    fn a_range_is_the_same_in_every_round_and_rounds_are_as_long_as_it_is() {
        let after = |seconds| Some(Moment::After(Duration::from_secs(seconds)));
        let (mut range, mut shift) = (Range::new(after(10), after(12)), Shift::default());
        let mut round = |n| {
            let mut seen = seen(&[100, 110, 112, 113, 5000]);
            range.apply(&mut seen);
            shift.apply(&mut seen, n);
            let at = |message: &Message| message.first_byte.since(Timestamp::ZERO).as_millis();
            assert_eq!((seen.messages.len(), seen.out_of_range), (2, 3));
            assert!(seen.messages.iter().all(|message| message.conn == seen.ended[0]));
            seen.messages.iter().map(at).collect::<Vec<_>>()
        };
        assert_eq!(round(0), [110_000, 112_000]);
        assert_eq!(round(1), [112_001, 114_001]);
        assert_eq!(round(2), [114_002, 116_002]);
    }
}
