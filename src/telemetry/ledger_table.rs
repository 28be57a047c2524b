//! The ledger as a table for a terminal and as one JSON object.
//!
//! In comes a settled snapshot, out comes text. The table has a fixed order and leaves out causes
//! that did not occur; the JSON has every bucket. "0 lost" is said only when the snapshot is
//! lossless, and a ledger that does not sum says so itself.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::model::ledger::{RecordCounts, Refused, Snapshot, TargetCounts};
use crate::model::{Cause, Tally};

use super::numbers::{bytes, count, counted, duration};
use super::times;

/// The run that a ledger is of.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its identifier, which also stands in the marker header.
    pub name: &'a str,
    /// How long it took.
    pub duration: Duration,
}

/// The ledger as one JSON object on one line, without a line end.
pub fn json(snapshot: &Snapshot, run: Run<'_>) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Whole<'a> {
        run: &'a str,
        duration_s: f64,
        lossless: bool,
        #[serde(flatten)]
        snapshot: &'a Snapshot,
    }
    serde_json::to_string(&Whole {
        run: run.name,
        duration_s: run.duration.as_millis() as f64 / 1000.0,
        lossless: snapshot.is_lossless(),
        snapshot,
    })
}

/// The ledger as a table, its last line ended.
pub fn table(snapshot: &Snapshot, run: Run<'_>) -> String {
    let mut rows = Rows::default();
    let records = &snapshot.records;
    if records.read > 0 {
        rows.section("records", "read", records.read);
        rows.part("messages", records.messages);
        rows.causes("passed over", &records.passed);
    }
    packets(&mut rows, snapshot);
    streams(&mut rows, snapshot);
    requests(&mut rows, snapshot);
    for target in &snapshot.targets {
        copies(&mut rows, snapshot, target);
    }
    if let Some(recording) = &snapshot.recording {
        recorded(&mut rows, recording);
    }
    let mut out = format!("run {}, {}\n", run.name, duration(run.duration));
    rows.render(&mut out);
    out.push('\n');
    for line in notes(snapshot) {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// What was lost between the wire and this process, in words.
pub fn loss(snapshot: &Snapshot) -> String {
    if snapshot.is_lossless() {
        return "0 lost".to_string();
    }
    let (packets, streams) = (&snapshot.packets, &snapshot.streams);
    let known = streams.received.saturating_sub(streams.duplicate) + streams.unseen;
    let mut out =
        format!("at least {} of {} unseen", counted(streams.unseen, "byte"), count(known));
    let drops =
        [(packets.kernel_dropped, "the kernel"), (packets.interface_dropped, "the interface")];
    for (dropped, by) in drops.into_iter().filter(|(dropped, _)| *dropped > 0) {
        let _ = write!(out, ", {} dropped by {by}", counted(dropped, "packet"));
    }
    if snapshot.damaged > 0 {
        let _ = write!(out, ", {} of the recording unreadable", counted(snapshot.damaged, "part"));
    }
    out
}

/// How many requests were held back by their method, and what lets them through.
pub fn held_back(snapshot: &Snapshot) -> Option<String> {
    let held = snapshot.requests.refused.get(Refused::MethodHeldBack);
    (held > 0).then(|| {
        let were = if held == 1 { "was" } else { "were" };
        format!(
            "{} {were} held back by their method; --methods all lets them through",
            counted(held, "request")
        )
    })
}

/// How many requests were sent with hashes in place of secrets, and what gives v2 the secrets.
pub fn replaced(snapshot: &Snapshot) -> Option<String> {
    let replaced = snapshot.requests.secrets_replaced;
    (replaced > 0).then(|| {
        let carry = if replaced == 1 { "carries" } else { "carry" };
        format!(
            "{} {carry} secrets that were replaced when they were recorded, so v2 will likely refuse \
             what needs them; record with --keep-secrets to store them as they are",
            counted(replaced, "request")
        )
    })
}

/// What the reader of the ledger must know besides the numbers.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    let mut notes = vec![loss(snapshot)];
    notes.extend(held_back(snapshot));
    notes.extend(replaced(snapshot));
    let marked = snapshot.requests.refused.get(Refused::Marker);
    if marked > 0 {
        notes.push(format!(
            "{} carried the marker header and were taken for copies; a client that sends it hides \
             from v2",
            counted(marked, "request")
        ));
    }
    notes.extend(
        snapshot.contradictions().into_iter().map(|wrong| format!("the ledger is wrong: {wrong}")),
    );
    notes
}

fn packets(rows: &mut Rows, snapshot: &Snapshot) {
    let packets = &snapshot.packets;
    rows.section("packets", "received", packets.received);
    rows.part("decoded", packets.decoded);
    rows.causes("ignored", &packets.ignored);
    rows.beside("dropped by the kernel", packets.kernel_dropped);
    rows.beside("dropped by the interface", packets.interface_dropped);
}

fn streams(rows: &mut Rows, snapshot: &Snapshot) {
    let (streams, http) = (&snapshot.streams, &snapshot.http);
    rows.section("bytes", "received", streams.received);
    rows.part("in messages", http.messages);
    rows.part_if("in messages not finished", http.open);
    rows.causes("skipped", &http.skipped);
    rows.part_if("duplicate", streams.duplicate);
    rows.part_if("other direction", streams.other_direction);
    rows.part_if("urgent", streams.urgent);
    rows.part_if("refused", streams.refused);
    rows.part_if("behind a hole", streams.buffered);
    rows.beside("never seen", streams.unseen);
    rows.beside_if("holes", streams.gaps);
    rows.beside_if("segments that contradict", streams.conflicts);
    rows.section("connections", "seen", streams.flows);
    rows.causes("not HTTP/1.x", &http.other_protocol);
    rows.causes("closed", &streams.closed);
}

fn requests(rows: &mut Rows, snapshot: &Snapshot) {
    let requests = &snapshot.requests;
    rows.section("requests", "captured", requests.captured);
    rows.part("queued", requests.queued);
    rows.causes("", &requests.refused);
    rows.beside_if("with secrets replaced", requests.secrets_replaced);
    let http = &snapshot.http;
    if http.responses > 0 {
        rows.section("responses", "seen", http.responses);
        rows.part_if("not whole", http.responses_incomplete);
        rows.part_if("body too large", http.responses_too_large);
    }
}

fn copies(rows: &mut Rows, snapshot: &Snapshot, target: &TargetCounts) {
    rows.title(&format!("to {}", target.target));
    rows.section("copies", "queued", snapshot.requests.queued);
    rows.causes("answered", &target.answered);
    rows.causes("failed", &target.failed);
    rows.causes("shed", &target.shed);
    rows.part_if("in flight", target.in_flight);
    rows.part_if("in transit", target.in_transit);
    rows.beside_if("with ambiguous framing", target.ambiguous_sent);
    rows.beside_if("with a body that rules could not read", target.rules_passed_over);
    rows.beside_if("with values of v2's answers", target.carried);
    rows.beside_if("with values v2 has not given", target.carry_missing);
    rows.beside_if("answers not read for values", target.carry_unread);
    rows.beside_if("values given up", target.carry_evicted);
    rows.beside_if("changed by the middleware", target.middleware_changed);
    rows.beside_if("restarts of the middleware", target.middleware_restarts);
    rows.beside_if("its lines not understood", target.middleware_bad_lines);
    rows.beside_if("its lines too late", target.middleware_late);
    rows.beside_if("answers it was not told", target.middleware_untold);
    rows.text(times::lines(&target.timing, &snapshot.v1));
}

fn recorded(rows: &mut Rows, recording: &RecordCounts) {
    rows.title(&format!("in {}, {}", recording.file, bytes(recording.bytes)));
    rows.section("messages", "offered", recording.offered);
    rows.part("requests written", recording.requests);
    rows.part("responses written", recording.responses);
    rows.part_if("failed", recording.failed);
    rows.part_if("in transit", recording.in_transit);
    rows.beside_if("requests shed", recording.requests_shed);
    rows.beside_if("responses shed", recording.responses_shed);
    if recording.files > 1 {
        rows.beside_if("files finished", recording.files);
    }
    rows.beside_if("files deleted (--keep)", recording.deleted_files);
    rows.beside_if("messages in them", recording.deleted);
    rows.beside_if("not whole", recording.truncated);
    rows.beside_if("with secrets replaced", recording.redacted);
}

/// One line of the table.
enum Row {
    /// A line that stands for itself, after an empty one.
    Title(String),
    /// Whole lines, each with its end.
    Text(String),
    /// A number: its section where that begins, its name, its value.
    Number(&'static str, String, u64),
}

/// The lines of the table, so that the numbers can be aligned when all are known.
#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    fn title(&mut self, title: &str) {
        self.0.push(Row::Title(title.chars().filter(|c| !c.is_control()).collect()));
    }

    fn text(&mut self, lines: String) {
        if !lines.is_empty() {
            self.0.push(Row::Text(lines));
        }
    }

    /// The first number of a section: what the parts below add up to.
    fn section(&mut self, section: &'static str, name: &str, value: u64) {
        self.0.push(Row::Number(section, name.to_string(), value));
    }

    fn part(&mut self, name: &str, value: u64) {
        self.0.push(Row::Number("", format!("  {name}"), value));
    }

    fn part_if(&mut self, name: &str, value: u64) {
        if value > 0 {
            self.part(name, value);
        }
    }

    /// A number that stands beside the sum.
    fn beside(&mut self, name: &str, value: u64) {
        self.0.push(Row::Number("", name.to_string(), value));
    }

    fn beside_if(&mut self, name: &str, value: u64) {
        if value > 0 {
            self.beside(name, value);
        }
    }

    fn causes<C: Cause, const N: usize>(&mut self, name: &str, tally: &Tally<C, N>) {
        for (cause, value) in tally.iter().filter(|(_, value)| *value > 0) {
            self.part(format!("{name} {}", cause.name()).trim_start(), value);
        }
    }

    fn render(&self, out: &mut String) {
        let numbers = || {
            self.0.iter().filter_map(|row| match row {
                Row::Title(_) | Row::Text(_) => None,
                Row::Number(_, name, value) => Some((name.len(), count(*value).len())),
            })
        };
        let name_width = numbers().map(|(name, _)| name).max().unwrap_or(0);
        let value_width = numbers().map(|(_, value)| value).max().unwrap_or(0);
        let mut below_title = false;
        for row in &self.0 {
            // Writing to a string does not fail.
            let _ = match row {
                Row::Title(title) => write!(out, "\n{title}"),
                Row::Text(lines) => write!(out, "{}", lines.trim_end()),
                Row::Number(section, name, value) => {
                    let gap = if section.is_empty() || below_title { "" } else { "\n" };
                    let value = count(*value);
                    write!(out, "{gap}{section:<13}{name:<name_width$}  {value:>value_width$}")
                }
            };
            out.push('\n');
            below_title = matches!(row, Row::Title(_));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ledger::{Failure, Protocol, Skipped, StatusClass};
    use crate::model::{CloseReason, Ignored};

    const RUN: Run<'_> = Run { name: "5f3a", duration: Duration::from_millis(41_250) };

    /// A run in which a bit of everything happened, and whose ledger sums.
    fn eventful() -> Snapshot {
        let mut s = Snapshot::default();
        s.packets.received = 1_234_567;
        s.packets.decoded = 1_234_500;
        s.packets.ignored.add(Ignored::NotTcp, 60);
        s.packets.ignored.add(Ignored::OwnConnection, 7);
        s.streams.flows = 40;
        s.streams.closed.add(CloseReason::Fin, 30);
        s.streams.received = 9_000_000;
        s.streams.delivered = 8_999_000;
        s.streams.duplicate = 1000;
        s.http.messages = 8_998_500;
        s.http.skipped.add(Skipped::MidStream, 500);
        s.http.other_protocol.add(Protocol::Tls, 2);
        s.requests.captured = 12_100;
        s.requests.queued = 12_000;
        s.requests.refused.add(Refused::MethodHeldBack, 98);
        s.requests.refused.add(Refused::Marker, 2);
        let mut target = TargetCounts { target: "http://v2:8080".into(), ..Default::default() };
        target.answered.add(StatusClass::Success, 11_900);
        target.answered.add(StatusClass::ServerError, 40);
        target.failed.add(Failure::Timeout, 50);
        target.in_flight = 3;
        s.targets.push(target);
        s.recording = Some(RecordCounts {
            file: "a.warc".into(),
            offered: 12_000,
            requests: 12_000,
            bytes: 3 << 20,
            ..Default::default()
        });
        s.settle();
        s
    }

    #[test]
    fn the_table_is_aligned_and_leaves_out_what_did_not_happen() {
        let expected = "\
run 5f3a, 41.2 s

packets      received                  1,234,567
               decoded                 1,234,500
               ignored not_tcp                60
               ignored own_connection          7
             dropped by the kernel             0
             dropped by the interface          0

bytes        received                  9,000,000
               in messages             8,998,500
               skipped mid_stream            500
               duplicate                   1,000
             never seen                        0

connections  seen                             40
               not HTTP/1.x tls                2
               closed fin                     30

requests     captured                     12,100
               queued                     12,000
               refused_marker                  2
               method_held_back               98

to http://v2:8080
copies       queued                       12,000
               answered 2xx               11,900
               answered 5xx                   40
               failed timeout                 50
               in flight                       3
               in transit                      7

in a.warc, 3.0 MiB
messages     offered                      12,000
               requests written           12,000
               responses written               0

0 lost
98 requests were held back by their method; --methods all lets them through
2 requests carried the marker header and were taken for copies; a client that sends it hides from v2
";
        let table = table(&eventful(), RUN);
        assert_eq!(table, expected, "{table}");
    }

    #[test]
    fn loss_is_said_with_its_extent_and_its_causes() {
        let mut s = eventful();
        s.streams.unseen = 1500;
        assert_eq!(loss(&s), "at least 1,500 bytes of 9,000,500 unseen");
        s.packets.kernel_dropped = 1;
        s.packets.interface_dropped = 2000;
        assert_eq!(
            loss(&s),
            "at least 1,500 bytes of 9,000,500 unseen, 1 packet dropped by the kernel, \
             2,000 packets dropped by the interface"
        );
        assert!(!table(&s, RUN).contains("0 lost"));
    }

    #[test]
    fn a_ledger_that_does_not_sum_says_so() {
        let mut s = eventful();
        s.requests.captured += 1;
        assert!(table(&s, RUN).contains("the ledger is wrong: requests.captured: 12101"));
    }

    #[test]
    fn the_json_has_the_run_and_every_bucket() {
        let text = json(&eventful(), RUN).expect("json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("valid");
        assert_eq!(value["run"], "5f3a");
        assert_eq!(value["duration_s"], 41.25);
        assert_eq!(value["lossless"], true);
        assert_eq!(value["requests"]["refused"]["method_held_back"], 98);
        assert_eq!(value["requests"]["refused"]["ambiguous"], 0);
        assert_eq!(value["targets"][0]["in_transit"], 7);
        assert!(!text.contains('\n'));
    }
}
