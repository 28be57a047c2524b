//! Messages summed up: how many, of what kind, how large, how fast.
//!
//! In come messages one by one, out come a table or one JSON object. Constant memory: what a peer
//! can choose freely, methods and paths, has a limit on how many are told apart.

mod over_time;
mod paths;
mod spread;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::model::ledger::{Quantiles, STATUS_CLASSES, StatusClass};
use crate::model::tally::Tally;
use crate::model::{Completion, Message, Timestamp};

use self::over_time::OverTime;
use self::paths::Paths;
use self::spread::{Spread, V1Times};
use super::inspect::{printable, shorten};
use super::numbers::{bytes, count, duration, per_second, rate};

/// Methods told apart; IANA registers about 40.
const MAX_METHODS: usize = 64;
/// Where requests with any further method or path are counted.
const OTHER: &str = "(other)";
/// Paths of the table; the JSON has all that are told apart.
const TABLE_PATHS: usize = 20;
/// Characters of a path in the table.
const PATH_WIDTH: usize = 60;

/// Counts over messages.
#[derive(Debug, Default, Serialize)]
pub struct Stats {
    /// Requests.
    pub requests: u64,
    /// Requests by method, escaped where it is not printable.
    pub methods: BTreeMap<String, u64>,
    /// Requests by the template of their path.
    pub paths: Paths,
    /// Requests over time.
    pub over_time: OverTime,
    /// Sizes of the bodies of requests.
    #[serde(serialize_with = "as_sizes")]
    pub request_body_bytes: Spread,
    /// Responses.
    pub responses: u64,
    /// Sizes of the bodies of responses.
    #[serde(serialize_with = "as_sizes")]
    pub response_body_bytes: Spread,
    /// How long v1 took.
    #[serde(flatten, serialize_with = "as_times")]
    pub v1: V1Times,
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
                self.response_body_bytes.add(message.body_len);
            }
            None => {
                self.requests += 1;
                // The first of its connection.
                self.connections += u64::from(message.index == 0);
                self.count_method(message.method());
                self.paths.count(message.path_and_query());
                self.over_time.count(message.first_byte);
                self.request_body_bytes.add(message.body_len);
            }
        }
        self.v1.add(message);
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
        let name = if is_known { name } else { OTHER.to_string() };
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
        self.push_paths(&mut out);
        self.push_spreads(&mut out);
        self.push_over_time(&mut out);
        out
    }

    fn push_paths(&self, out: &mut String) {
        let sorted = self.paths.sorted();
        let (shown, rest) = sorted.split_at(sorted.len().min(TABLE_PATHS));
        if shown.is_empty() {
            return;
        }
        let rest = rest.iter().map(|(_, n)| n).sum::<u64>() + self.paths.other;
        let _ = writeln!(out, "\n{:>9}  path", "requests");
        for (path, n) in shown {
            let _ = writeln!(out, "{:>9}  {}", count(*n), shorten(path, PATH_WIDTH));
        }
        if rest > 0 {
            let _ = writeln!(out, "{:>9}  {OTHER}", count(rest));
        }
    }

    fn push_spreads(&self, out: &mut String) {
        let head = |out: &mut String, name: &str| {
            let _ = writeln!(
                out,
                "\n{name:<26} {:>10} {:>10} {:>10} {:>10}",
                "p50", "p90", "p99", "max"
            );
        };
        let sizes = [
            ("  of requests", self.request_body_bytes.sizes()),
            ("  of responses", self.response_body_bytes.sizes()),
        ];
        if sizes.iter().any(|(_, sizes)| sizes.count > 0) {
            head(out, "bodies");
        }
        for (name, sizes) in sizes.iter().filter(|(_, sizes)| sizes.count > 0) {
            let _ = write!(out, "{name:<26}");
            for size in [sizes.p50, sizes.p90, sizes.p99, sizes.max] {
                let _ = write!(out, " {:>10}", bytes(size));
            }
            out.push('\n');
        }
        let times = [
            ("  to the first byte", self.v1.first_byte.quantiles()),
            ("  to the last byte", self.v1.last_byte.quantiles()),
        ];
        if times.iter().any(|(_, times)| times.count > 0) {
            head(out, "v1 after a request, in ms");
            for (name, times) in times {
                let _ = write!(out, "{name:<26}");
                for us in [times.p50_us, times.p90_us, times.p99_us, times.max_us] {
                    let _ = write!(out, " {:>10.2}", us as f64 / 1000.0);
                }
                out.push('\n');
            }
        }
    }

    fn push_over_time(&self, out: &mut String) {
        const BAR: u64 = 40;
        let most = self.over_time.intervals().map(|(_, n)| n).max().unwrap_or(0);
        let Some((from, _)) = self.over_time.intervals().next().filter(|_| most > 0) else {
            return;
        };
        let interval = self.over_time.interval;
        let _ = writeln!(out, "\n{:>9}  {:>9}  requests in each {interval} s", "second", "");
        for (second, n) in self.over_time.intervals() {
            let bar = "#".repeat((n * BAR).div_ceil(most) as usize);
            let line = format!("{:>9}  {:>9}  {bar}", second - from, count(n));
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

fn as_sizes<S: serde::Serializer>(spread: &Spread, serializer: S) -> Result<S::Ok, S::Error> {
    spread.sizes().serialize(serializer)
}

fn as_times<S: serde::Serializer>(v1: &V1Times, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Times {
        v1_first_byte: Quantiles,
        v1_last_byte: Quantiles,
    }
    let (v1_first_byte, v1_last_byte) = (v1.first_byte.quantiles(), v1.last_byte.quantiles());
    Times { v1_first_byte, v1_last_byte }.serialize(serializer)
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
            let target = if index == 0 { "/".into() } else { format!("/orders/{index}?x=y") };
            let mut message = request(method, target.as_bytes());
            message.index = index as u32;
            message.body_len = 1024;
            message.last_byte = message.first_byte + Duration::from_secs(index as u64);
            stats.add(&message);
        }
        let mut answer = response(503);
        answer.completion = Completion::Incomplete;
        // To request 2, whose last byte came two seconds after its first.
        answer.first_byte = answer.first_byte + Duration::from_millis(2002);
        answer.last_byte = answer.last_byte + Duration::from_millis(2005);
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
heads             128 B
bodies          4.0 KiB
time              3.0 s
rate              1.3/s

 requests  path
        3  /orders/{id}
        1  /

bodies                            p50        p90        p99        max
  of requests                 1.0 KiB    1.0 KiB    1.0 KiB    1.0 KiB
  of responses                    0 B        0 B        0 B        0 B

v1 after a request, in ms         p50        p90        p99        max
  to the first byte              2.00       2.00       2.00       2.00
  to the last byte               5.00       5.00       5.00       5.00

   second             requests in each 1 s
        0          4  ########################################
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
        assert_eq!(value["paths"]["/orders/{id}"], 3);
        assert_eq!(value["over_time"]["requests"], serde_json::json!([4]));
        assert_eq!(value["request_body_bytes"]["max"], 1024);
        assert_eq!(value["v1_first_byte"]["count"], 1);
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
        assert_eq!(stats.methods[OTHER], 1000 - MAX_METHODS as u64);
        assert_eq!(stats.methods.values().sum::<u64>(), 1000);
    }
}
