//! The ledger as the program prints it with `--json`, checked by arithmetic of our own.

use serde_json::Value;

/// A parsed ledger.
#[derive(Clone, Debug)]
pub struct Ledger(pub Value);

impl Ledger {
    /// The last JSON object in the output; anything else there is a fault of the program.
    #[track_caller]
    pub fn parse(stdout: &[u8]) -> Self {
        let values: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_slice(stdout).into_iter().collect();
        let mut values = values.unwrap_or_else(|err| {
            panic!("stdout is not JSON ({err}):\n{}", String::from_utf8_lossy(stdout))
        });
        let last = values.pop().expect("a ledger on stdout");
        Self(last.get("ledger").cloned().unwrap_or(last))
    }

    /// A count by its JSON pointer, such as `/requests/captured`.
    #[track_caller]
    pub fn count(&self, pointer: &str) -> u64 {
        let value = self.0.pointer(pointer);
        value.and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {:#}", self.0))
    }

    /// The sum of all counts below a JSON pointer, such as `/targets/0/answered`.
    #[track_caller]
    pub fn total(&self, pointer: &str) -> u64 {
        let value =
            self.0.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {:#}", self.0));
        sum(value)
    }

    /// Panics unless every bucket sums: packets, bytes, requests, targets, recording.
    #[track_caller]
    pub fn assert_balanced(&self) -> &Self {
        let eq = |name: &str, whole: u64, parts: u64| {
            assert_eq!(whole, parts, "{name} is not the sum of its buckets in {:#}", self.0);
        };
        let n = |pointer: &str| self.count(pointer);
        let decoded = n("/packets/decoded") + self.total("/packets/ignored");
        eq("packets.received", n("/packets/received"), decoded);
        let fates = ["delivered", "duplicate", "other_direction", "refused", "urgent", "buffered"];
        let fates = fates.map(|name| n(&format!("/streams/{name}"))).iter().sum();
        eq("streams.received", n("/streams/received"), fates);
        let read = n("/http/messages") + self.total("/http/skipped") + n("/http/open");
        eq("streams.delivered", n("/streams/delivered"), read);
        let records = n("/records/messages") + self.total("/records/passed");
        eq("records.read", n("/records/read"), records);
        let requests = n("/requests/queued") + self.total("/requests/refused");
        eq("requests.captured", n("/requests/captured"), requests);
        for target in 0..self.0["targets"].as_array().map_or(0, Vec::len) {
            let sums = ["answered", "failed", "shed", "in_flight", "in_transit"];
            let sums = sums.map(|name| self.total(&format!("/targets/{target}/{name}")));
            eq("requests.queued", n("/requests/queued"), sums.iter().sum());
        }
        if self.0.get("recording").is_some() {
            let parts = ["requests", "responses", "failed", "in_transit"];
            let parts = parts.map(|name| n(&format!("/recording/{name}"))).iter().sum();
            eq("recording.offered", n("/recording/offered"), parts);
        }
        self
    }

    /// Whether the program may say "0 lost".
    #[track_caller]
    pub fn is_lossless(&self) -> bool {
        let lost = ["/packets/kernel_dropped", "/packets/interface_dropped", "/streams/unseen"];
        lost.iter().all(|pointer| self.count(pointer) == 0)
    }
}

fn sum(value: &Value) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().unwrap_or(0),
        Value::Object(members) => members.values().map(sum).sum(),
        Value::Array(items) => items.iter().map(sum).sum(),
        _ => 0,
    }
}
