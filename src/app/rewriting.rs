//! What is done to each copy before it leaves: redacted, then rewritten, then read again.
//!
//! In: the flags. Out: what the replayer calls for each request at its turn, on the replay thread, whatever transport
//! sends it; nothing where there are no rules, which then cost nothing. Guaranteed: the message that leaves is what its bytes
//! say; a copy of which that cannot be had is not sent, and counted (`rewrite_invalid`, `unredacted`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::anyhow;
use bytes::Bytes;

use super::secrets::{Key, Redaction};
use super::values::Values;
use crate::cli::rewrite_args::{IdempotencyKeyArg, RewriteArgs, SafetyArgs};
use crate::http::{Config, Provenance, Role, parse_whole, trailers_at};
use crate::model::ledger::ShedLater;
use crate::model::{Completion, Message};
use crate::replay::{Prepare, Prepared};
use crate::shape::Redactor;
use crate::shape::rewrite::{
    IdempotencyKey, MemberValue, Rewriter, Rewritten, Rules, Source, parse,
};

/// What is done to each copy, as the flags say; nothing for none.
pub fn prepare(
    args: &RewriteArgs,
    safety: &SafetyArgs,
    redaction: &Redaction,
    key: &Key,
) -> anyhow::Result<Option<Prepare>> {
    let mut values = Values::default();
    let rules = rules(args, safety, &mut values)?;
    let rewriter = Rewriter::new(rules, trailers_at).map_err(|wrong| anyhow!(wrong))?;
    let redactor = redaction.only(key)?;
    if redactor.is_none() && rewriter.is_empty() {
        return Ok(None);
    }
    let files = values.followed();
    let is_told = [AtomicBool::new(false), AtomicBool::new(false)];
    Ok(Some(Arc::new(move |message| {
        if let Some(files) = &files {
            files.look(Instant::now());
        }
        prepared(message, redactor.as_ref(), &rewriter, &is_told)
    })))
}

/// Whether the rules can be read; neither the environment nor a file is looked at.
pub fn check(args: &RewriteArgs, safety: &SafetyArgs) -> anyhow::Result<()> {
    let rules = rules(args, safety, &mut Values::unread())?;
    Rewriter::new(rules, trailers_at).map(drop).map_err(|wrong| anyhow!(wrong))
}

/// A request as it is to leave; `is_told`: whether the user knows of one that was not, of each kind.
fn prepared(
    message: Message,
    redactor: Option<&Redactor>,
    rewriter: &Rewriter,
    is_told: &[AtomicBool; 2],
) -> Result<Prepared, ShedLater> {
    let [told_invalid, told_unredacted] = is_told;
    let replaced = message.redacted;
    let message = match redactor {
        None => message,
        Some(redactor) => redactor.try_redact(message).map_err(|_| {
            let why =
                "its body is coded, or not what it says, so that --redact cannot look into it";
            tell(told_unredacted, why);
            ShedLater::Unredacted
        })?,
    };
    match rewriter.apply(&message) {
        Rewritten::Same { passed_over } if message.redacted == replaced => {
            Ok(Prepared { message, passed_over })
        }
        Rewritten::Same { passed_over } => match whole_again(message.raw.clone(), &message) {
            Some(message) => Ok(Prepared { message, passed_over }),
            None => {
                tell(told_unredacted, "--redact would make no request of it");
                Err(ShedLater::Unredacted)
            }
        },
        Rewritten::Changed { raw, passed_over } => match whole_again(raw.into(), &message) {
            Some(message) => Ok(Prepared { message, passed_over }),
            None => {
                tell(told_invalid, "the rewrite rules would make no request of it");
                Err(ShedLater::RewriteInvalid)
            }
        },
        Rewritten::Invalid(why) => {
            tell(told_invalid, why);
            Err(ShedLater::RewriteInvalid)
        }
    }
}

fn tell(is_told: &AtomicBool, why: &str) {
    if !is_told.swap(true, Ordering::Relaxed) {
        tracing::warn!("a request is not sent: {why}; further ones are only counted");
    }
}

/// The message of these bytes, which must be as whole as before.
fn whole_again(raw: Bytes, before: &Message) -> Option<Message> {
    let message = read_again(raw, before)?;
    (message.completion == Completion::Complete || before.completion != Completion::Complete)
        .then_some(message)
}

/// The message of these bytes, with everything else as it was.
pub(super) fn read_again(raw: Bytes, before: &Message) -> Option<Message> {
    let from = Provenance {
        conn: before.conn,
        index: before.index,
        client: before.client,
        server: before.server,
        first_byte: before.first_byte,
        last_byte: before.last_byte,
        request: None,
        anomalies: before.anomalies,
        is_whole: true,
    };
    let config = Config { max_body: Some(u64::MAX), ..Config::default() };
    let mut message = parse_whole(raw, Role::Client, from, &config)?;
    message.redacted = before.redacted;
    Some(message)
}

/// The rules that the flags name.
fn rules(args: &RewriteArgs, safety: &SafetyArgs, values: &mut Values) -> anyhow::Result<Rules> {
    let mut value = |flag: &str, name: &str, source: Source| {
        values.get(source).map_err(|wrong| anyhow!("{flag} {name}: {wrong}"))
    };
    let mut rules = Rules {
        idempotency_key: match safety.idempotency_key {
            IdempotencyKeyArg::Keep => IdempotencyKey::Keep,
            IdempotencyKeyArg::Strip => IdempotencyKey::Strip,
            IdempotencyKeyArg::Rewrite => IdempotencyKey::Rewrite,
        },
        renamed_fields: each("--rename-header", &args.rename_header, parse::renaming)?,
        removed_fields: each("--remove-header", &args.remove_header, parse::field_name)?,
        replaced_fields: each("--rewrite-header", &args.rewrite_header, parse::field_replacing)?,
        replaced_paths: each("--rewrite-path", &args.rewrite_path, parse::replacing)?,
        removed_parameters: each("--remove-query", &args.remove_query, parse::parameter_name)?,
        removed_members: each("--remove-json", &args.remove_json, str::parse)?,
        ..Rules::default()
    };
    for (name, source) in each("--set-header", &args.set_header, parse::field)? {
        let value = value("--set-header", &name, source)?;
        rules.set_fields.push((name, value));
    }
    for (name, source) in each("--add-header", &args.add_header, parse::field)? {
        let value = value("--add-header", &name, source)?;
        rules.added_fields.push((name, value));
    }
    for (name, source) in each("--set-query", &args.set_query, parse::parameter)? {
        let value = value("--set-query", &name, source)?;
        rules.set_parameters.push((name, value));
    }
    for (path, source) in each("--set-json", &args.set_json, parse::member)? {
        let member = match source {
            Source::Literal(text) => MemberValue::of(&text),
            live => MemberValue::Text(value("--set-json", "", live)?),
        };
        rules.set_members.push((path, member));
    }
    Ok(rules)
}

/// Each of a flag's values read.
fn each<T>(
    flag: &str,
    texts: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> anyhow::Result<Vec<T>> {
    let read = |text: &String| read(text).map_err(|wrong| anyhow!("{flag}: {wrong}"));
    texts.iter().filter(|text| !text.is_empty()).map(read).collect()
}

#[cfg(test)]
mod tests;
