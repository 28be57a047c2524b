//! The demo's result as a page for a person: short sections, at most 100 columns.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::check::Check;
use super::client::Seen;
use super::columns;
use super::journal::Entry;
use super::service::Release;
use super::story::{Origin, Pair, Story};
use crate::telemetry::numbers::{count, counted};

/// The whole page.
pub fn page(story: &Story, check: &Check) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = out.write_str(&opening(story));
    if let Origin::Live(seen) = &story.origin {
        section(&mut out, "What the client saw", &client(seen));
    }
    section(
        &mut out,
        "What each service got, by its own log, and how long it took to answer",
        &services(story),
    );
    if let Some(pair) = &story.payment {
        section(&mut out, "One payment, as each service received it", &requests(pair));
        section(&mut out, "... and answered it", &answers(pair));
    }
    section(&mut out, "The ledger: every packet, byte and request has one place", &story.ledger);
    out.push('\n');
    out.push_str(&verdict(check));
    out
}

fn section(out: &mut String, title: &str, body: &str) {
    let _ = write!(out, "\n{title}\n{}\n", "-".repeat(title.len()));
    for line in body.trim_end().lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        let _ = writeln!(out, "{indent}{line}");
    }
}

fn opening(story: &Story) -> String {
    let why = "v2 gets POST too (--methods all) because this v2 shares no data with v1. The default, \
               `safe`,\nsends GET, HEAD, OPTIONS and TRACE only.";
    let command = &story.command;
    match story.origin {
        Origin::Live(_) => {
            let address = |entries: &[Entry]| {
                entries.first().map(|entry| entry.server.to_string()).unwrap_or_default()
            };
            let (v1, v2) = (address(&story.v1), address(&story.v2));
            format!(
                "shadowtap demo, live on the loopback interface\n\n  \
                 client <---> payments v1  {v1}    answers the client\n                    \
                 :  sniffed on lo by shadowtap, never in the way\n                    \
                 '---> payments v2  {v2}    gets copies\n\n  \
                 $ {command}\n\n{why}\n"
            )
        }
        Origin::Recorded => format!(
            "shadowtap demo, from a RECORDING: nothing below was captured live\n\n\
             This process may not capture (it has no CAP_NET_RAW). So a capture of the same client \
             and the\nsame v1, made earlier and built into this program, is replayed at a v2 that \
             runs now:\n\n  \
             $ {command}\n\n{why}\nTo see it live: sudo {} demo\n",
            program()
        ),
    }
}

fn program() -> String {
    std::env::current_exe().map_or_else(|_| "shadowtap".into(), |path| path.display().to_string())
}

fn client(seen: &Seen) -> String {
    let all: u64 = seen.answers.values().sum();
    let from_v1 = seen.answers.get(Release::V1.signature()).copied().unwrap_or(0);
    let mut out = format!(
        "{} to its requests: {} signed `Server: {}`, {} by anyone else",
        counted(all, "answer"),
        count(from_v1),
        Release::V1.signature(),
        count(all - from_v1),
    );
    if seen.errors > 0 {
        let _ = write!(out, "; {} of them errors", count(seen.errors));
    }
    if let Some(wait) = median(seen.waits.iter().copied()) {
        let _ = write!(out, "\nit waited {} (median), for v1 alone", milliseconds(wait));
    }
    out
}

fn services(story: &Story) -> String {
    let mut out = String::new();
    let requests = &story.snapshot.requests;
    let answered = story.snapshot.targets.iter().map(|t| t.answered.total()).sum();
    let (v1_name, captured) = match story.origin {
        Origin::Live(_) => ("v1 got", "shadowtap captured"),
        Origin::Recorded => ("v1 got, back then", "shadowtap read"),
    };
    let _ = writeln!(out, "{v1_name:<20}{}", side(&story.v1));
    let _ = writeln!(out, "{:<20}{:>6}", captured, count(requests.captured));
    let _ = writeln!(out, "{:<20}{:>6}", "shadowtap sent", count(requests.queued));
    let _ = writeln!(out, "{:<20}{}", "v2 got", side(&story.v2));
    let _ = writeln!(
        out,
        "{:<20}{:>6}  whose answers shadowtap read and dropped",
        "v2 answered",
        count(answered)
    );
    out
}

fn side(entries: &[Entry]) -> String {
    let count_of = |wanted: fn(&Entry) -> bool| {
        count(entries.iter().filter(|entry| wanted(entry)).count() as u64)
    };
    let mut out = format!(
        "{:>6}  {} GET, {} POST ({} chunked), {} with the marker",
        count(entries.len() as u64),
        count_of(|e| e.method == "GET"),
        count_of(|e| e.method == "POST"),
        count_of(|e| e.chunked),
        count_of(|e| e.is_copy),
    );
    if let Some(took) = median(entries.iter().map(|entry| entry.took)) {
        let _ = write!(out, "; median {}", milliseconds(took));
    }
    out
}

fn requests(pair: &Pair) -> String {
    let (v1, v2) = (text(&pair.v1_wire), text(&pair.v2_wire));
    let mut out = columns::beside("v1", &v1, "v2", &v2);
    out.push_str(
        "\nAdded: the marker, so that no copy is ever taken for traffic and copied again.\n",
    );
    if columns::names_differ_in_case(&v1, &v2) {
        out.push_str("Names of fields reach v2 in another case; HTTP does not distinguish it.\n");
    }
    out
}

fn answers(pair: &Pair) -> String {
    let mut out = format!("v1  {}\nv2  {}\n\n", pair.v1.answer, pair.v2.answer);
    match differing(&pair.v1.answer, &pair.v2.answer).as_slice() {
        [] => out.push_str("The same.\n"),
        fields => {
            for (name, one, two) in fields {
                let _ = writeln!(out, "`{name}` differs: {one} from v1, {two} from v2.");
            }
            out.push_str("A fault of v2, found without any client meeting it.\n");
        }
    }
    out
}

/// Members of two JSON objects that are not equal: name, and the two values.
fn differing(one: &str, two: &str) -> Vec<(String, Value, Value)> {
    let parse = |text| serde_json::from_str::<serde_json::Map<String, Value>>(text);
    let (Ok(one), Ok(two)) = (parse(one), parse(two)) else { return Vec::new() };
    let value = |of: &serde_json::Map<String, Value>, name: &str| {
        of.get(name).cloned().unwrap_or(Value::Null)
    };
    let mut names: Vec<&String> = one.keys().chain(two.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| one.get(*name) != two.get(*name))
        .map(|name| (name.clone(), value(&one, name), value(&two, name)))
        .collect()
}

fn verdict(check: &Check) -> String {
    if check.is_exact() {
        return format!(
            "EXACT: v2 got the {} that v1 got, none missing, none extra (method, path, body hash).\n",
            counted(check.same, "request"),
        );
    }
    let mut out = String::new();
    for example in &check.examples {
        let _ = writeln!(out, "  {example}");
    }
    let _ = writeln!(
        out,
        "NOT EXACT: v2 got {} of v1's requests; {} missing, {} extra (method, path, body hash).",
        count(check.same),
        count(check.missing),
        count(check.extra),
    );
    out
}

fn text(wire: &[u8]) -> String {
    String::from_utf8_lossy(wire).into_owned()
}

fn median(times: impl Iterator<Item = Duration>) -> Option<Duration> {
    let mut times: Vec<Duration> = times.filter(|time| !time.is_zero()).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_says_yes_only_when_it_is_so() {
        let exact = Check { same: 500, ..Check::default() };
        assert!(verdict(&exact).starts_with("EXACT: v2 got the 500 requests that v1 got"));
        let short = Check { same: 499, missing: 1, examples: vec!["GET /x".into()], extra: 0 };
        let text = verdict(&short);
        assert!(text.starts_with("  GET /x\nNOT EXACT: v2 got 499"), "{text}");
    }

    #[test]
    fn the_fields_that_differ_are_named() {
        let fields = differing(r#"{"a":1,"fee":88}"#, r#"{"a":1,"fee":87,"new":true}"#);
        let names: Vec<_> =
            fields.iter().map(|(name, one, two)| format!("{name} {one} {two}")).collect();
        assert_eq!(names, ["fee 88 87", "new null true"]);
        assert!(differing("no", "JSON").is_empty());
    }

    #[test]
    fn the_median_is_of_what_was_measured() {
        let ms = Duration::from_millis;
        assert_eq!(median([ms(0), ms(9), ms(1), ms(2)].into_iter()), Some(ms(2)));
        assert_eq!(median([ms(0)].into_iter()), None);
    }
}
