//! Messages summed up: how many, of what kind, how large, how fast.
//!
//! In come messages one by one, out come a table or one JSON object. Constant memory: what a peer
//! can choose freely, the method, has a limit on how many are told apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::model::ledger::{STATUS_CLASSES, StatusClass};
use crate::model::tally::Tally;
use crate::model::{Completion, Message, Timestamp};

use super::inspect::printable;
use super::numbers::{bytes, count, duration, per_second, rate};

/// Methods told apart; IANA registers about 40.
const MAX_METHODS: usize = 64;
/// Where requests with any further method are counted.
const OTHER_METHODS: &str = "(other)";

/// Counts over messages.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// Requests.
    pub requests: u64,
    /// Requests by method, escaped where it is not printable.
    pub methods: BTreeMap<String, u64>,
    /// Responses.
    pub responses: u64,
    /// Responses by status class.
    pub statuses: Tally<StatusClass, STATUS_CLASSES>,
    /// Connections with at least one request.
    pub connections: u64,
    /// Bytes of heads.
    pub head_bytes: u64,
    /// Bytes of bodies without chunk framing.
    pub body_bytes: u64,
    /// Messages not seen whole.
    pub incomplete: u64,
    /// Messages by anomaly; one with several is counted in each.
    pub anomalies: BTreeMap<&'static str, u64>,
    /// Packet time of the earliest first byte, in nanoseconds since the epoch.
    #[serde(rename = "first_ns", serialize_with = "as_nanos")]
    pub first: Option<Timestamp>,
    /// Packet time of the latest last byte.
    #[serde(rename = "last_ns", serialize_with = "as_nanos")]
    pub last: Option<Timestamp>,
}

impl Stats {
    /// Counts a message.
    pub fn add(&mut self, message: &Message) {
        match message.status() {
            Some(status) => {
                self.responses += 1;
                self.statuses.count(StatusClass::of(status));
            }
            None => {
                self.requests += 1;
                // The first of its connection.
                self.connections += u64::from(message.index == 0);
                self.count_method(message.method());
            }
        }
        self.head_bytes += message.head_len as u64;
        self.body_bytes += message.body_len;
        self.incomplete += u64::from(message.completion == Completion::Incomplete);
        for anomaly in message.anomalies.iter() {
            use crate::model::Cause as _;
            *self.anomalies.entry(anomaly.name()).or_default() += 1;
        }
        self.first = Some(self.first.map_or(message.first_byte, |t| t.min(message.first_byte)));
        self.last = self.last.max(Some(message.last_byte));
    }

    fn count_method(&mut self, method: &[u8]) {
        // The common case without an allocation.
        if let Ok(text) = std::str::from_utf8(method)
            && let Some(n) = self.methods.get_mut(text)
        {
            *n += 1;
            return;
        }
        let name = printable(method);
        let is_known = self.methods.contains_key(&name) || self.methods.len() < MAX_METHODS;
        let name = if is_known { name } else { OTHER_METHODS.to_string() };
        *self.methods.entry(name).or_default() += 1;
    }

    /// Time from the first byte to the last.
    pub fn span(&self) -> Duration {
        match (self.first, self.last) {
            (Some(first), Some(last)) => last.since(first),
            _ => Duration::ZERO,
        }
    }

    /// Requests per second over the whole span.
    pub fn request_rate(&self) -> f64 {
        rate(self.requests, self.span())
    }

    /// As one JSON object on one line, without a line end.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            stats: &'a Stats,
            duration_s: f64,
            requests_per_s: f64,
        }
        let duration_s = self.span().as_secs_f64();
        serde_json::to_string(&Whole {
            stats: self,
            duration_s,
            requests_per_s: self.request_rate(),
        })
    }

    /// As a table for a terminal, its last line ended.
    pub fn table(&self) -> String {
        let mut rows = vec![("requests".to_string(), count(self.requests))];
        let mut methods: Vec<_> = self.methods.iter().collect();
        methods.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        rows.extend(methods.into_iter().map(|(name, n)| (format!("  {name}"), count(*n))));
        rows.push(("responses".to_string(), count(self.responses)));
        for (class, n) in self.statuses.iter().filter(|(_, n)| *n > 0) {
            use crate::model::Cause as _;
            rows.push((format!("  {}", class.name()), count(n)));
        }
        rows.push(("connections".to_string(), count(self.connections)));
        rows.push(("incomplete".to_string(), count(self.incomplete)));
        for (name, n) in &self.anomalies {
            rows.push((format!("  {name}"), count(*n)));
        }
        rows.push(("heads".to_string(), bytes(self.head_bytes)));
        rows.push(("bodies".to_string(), bytes(self.body_bytes)));
        rows.push(("time".to_string(), duration(self.span())));
        rows.push(("rate".to_string(), per_second(self.request_rate())));
        let name_width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let value_width = rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
        let mut out = String::new();
        for (name, value) in rows {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{name:<name_width$}  {value:>value_width$}");
        }
        out
    }
}

fn as_nanos<S: serde::Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(Timestamp::as_nanos).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Anomaly;
    use crate::telemetry::inspect::tests::{request, response};

    fn some() -> Stats {
        let mut stats = Stats::default();
        for (index, method) in [b"GET".as_slice(), b"GET", b"POST", b"\xff"].into_iter().enumerate()
        {
            let mut message = request(method, b"/");
            message.index = index as u32;
            message.body_len = 1024;
            message.last_byte = message.first_byte + Duration::from_secs(index as u64);
            stats.add(&message);
        }
        let mut answer = response(503);
        answer.completion = Completion::Incomplete;
        answer.anomalies.insert(Anomaly::ClosedEarly);
        stats.add(&answer);
        stats
    }

    #[test]
    fn the_table_counts_by_method_class_and_anomaly() {
        let expected = "\
requests              4
  GET                 2
  POST                1
  \\xff                1
responses             1
  5xx                 1
connections           1
incomplete            1
  closed_early        1
heads              92 B
bodies          4.0 KiB
time              3.0 s
rate              1.3/s
";
        let table = some().table();
        assert_eq!(table, expected, "{table}");
    }

    #[test]
    fn the_json_has_the_same_with_times_in_nanoseconds() {
        let value: serde_json::Value =
            serde_json::from_str(&some().json().expect("json")).expect("valid");
        assert_eq!((&value["requests"], &value["methods"]["GET"]), (&4.into(), &2.into()));
        assert_eq!(value["first_ns"], 1_700_000_000_000_000_001_u64);
        assert_eq!(value["duration_s"], 3.0);
        assert_eq!(value["statuses"]["5xx"], 1);
        let empty: serde_json::Value =
            serde_json::from_str(&Stats::default().json().expect("json")).expect("valid");
        assert_eq!((&empty["first_ns"], &empty["requests_per_s"]), (&().into(), &0.0.into()));
    }

    #[test]
    fn endless_methods_are_counted_in_bounded_memory() {
        let mut stats = Stats::default();
        for n in 0..1000 {
            stats.add(&request(format!("M{n}").as_bytes(), b"/"));
        }
        assert_eq!(stats.methods.len(), MAX_METHODS + 1);
        assert_eq!(stats.methods[OTHER_METHODS], 1000 - MAX_METHODS as u64);
        assert_eq!(stats.methods.values().sum::<u64>(), 1000);
    }
}
