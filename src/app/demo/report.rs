//! The demo's result as one JSON object: its checks, and the ledger.

use serde_json::{Value, json};

use super::check::Check;
use super::journal::Entry;
use super::story::{Origin, Story};

/// Checks and ledger of a finished demo.
pub fn json(story: &Story, check: &Check) -> serde_json::Result<String> {
    let ledger: Value = serde_json::from_str(&story.ledger)?;
    let (client, is_live) = match &story.origin {
        Origin::Live(seen) => (json!({"answers": seen.answers, "errors": seen.errors}), true),
        Origin::Recorded => (Value::Null, false),
    };
    let payment = story.payment.as_ref().map(|pair| {
        json!({
            "request_v1": String::from_utf8_lossy(&pair.v1_wire),
            "request_v2": String::from_utf8_lossy(&pair.v2_wire),
            "answer_v1": pair.v1.answer,
            "answer_v2": pair.v2.answer,
        })
    });
    let demo = json!({
        "finished": true,
        "live": is_live,
        "command": story.command,
        "client": client,
        "v1": side(&story.v1),
        "v2": side(&story.v2),
        "same": check.same,
        "missing": check.missing,
        "extra": check.extra,
        "exact": check.is_exact(),
        "payment": payment,
    });
    serde_json::to_string(&json!({"demo": demo, "ledger": ledger}))
}

/// The ledger of a demo that was cut short, given as JSON.
pub fn json_unfinished(ledger: &str) -> serde_json::Result<String> {
    let ledger: Value = serde_json::from_str(ledger)?;
    serde_json::to_string(&json!({"demo": {"finished": false}, "ledger": ledger}))
}

fn side(entries: &[Entry]) -> Value {
    let count = |wanted: fn(&Entry) -> bool| entries.iter().filter(|e| wanted(e)).count();
    json!({
        "requests": entries.len(),
        "get": count(|e| e.method == "GET"),
        "post": count(|e| e.method == "POST"),
        "chunked": count(|e| e.chunked),
        "with_marker": count(|e| e.is_copy),
    })
}
