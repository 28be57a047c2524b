//! Settings for a person and for a program: `config show`.
//!
//! In: settings. Out: a JSON object without secrets, and a table of that object. The table is made of the object so that
//! it can be made of what another process left as well.

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::settings::{Setting, Settings, Source};

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    value: crate::cli::settings::Value,
    #[serde(flatten)]
    source: &'a Source,
}

/// The object.
pub fn object(settings: &Settings) -> Value {
    let row = |setting: &Setting| {
        let (value, source) = (setting.shown(), setting.source.clone());
        serde_json::to_value(Row { key: &setting.key, value, source: &source }).unwrap_or_default()
    };
    json!({
        "command": settings.command,
        "config": settings.file,
        "settings": settings.settings.iter().map(row).collect::<Vec<_>>(),
        "left_out": settings.left_out,
    })
}

/// The table of such an object.
pub fn table(object: &Value) -> String {
    let file = text(&object["config"]);
    let row = |row: &Value| {
        let from = match row["source"].as_str() {
            Some("file") => format!("{file}:{}", row["line"]),
            Some("environment") => text(&row["variable"]),
            other => other.unwrap_or("-").to_owned(),
        };
        [text(&row["key"]), text(&row["value"]), from]
    };
    let rows = object["settings"].as_array().into_iter().flatten().map(row);
    let rows: Vec<_> =
        std::iter::once(["key", "value", "from"].map(str::to_owned)).chain(rows).collect();
    let width = |at: usize| {
        rows.iter()
            .filter_map(|row| row.get(at))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1).min(60));
    let mut table = String::new();
    for [key, value, from] in &rows {
        table.push_str(&format!("{key:first$}  {value:second$}  {from}\n"));
    }
    for left in object["left_out"].as_array().into_iter().flatten() {
        table.push_str(&format!(
            "{} ({file}:{}) is left out: it does not go with {}\n",
            text(&left["key"]),
            left["line"],
            text(&left["because_of"])
        ));
    }
    table
}

/// A value in a line of text: nothing in it steers a terminal.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => {
            let mut shown = String::with_capacity(text.len());
            for c in text.chars() {
                match c.is_control() {
                    true => shown.extend(c.escape_default()),
                    false => shown.push(c),
                }
            }
            shown
        }
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
