//! What several flags of GoReplay have in common: how a value is taken apart and put into the plan.
//!
//! In: a flag as given. Out: its parts, or why shadowtap has no form for this value.

use super::line::Given;
use super::plan::Plan;
use super::values::{limited, named_share, size};

pub fn whole_size(given: &Given) -> Result<String, String> {
    size(&given.value).ok_or_else(|| format!("`{}` is no size of GoReplay's", given.value))
}

/// A field that rules may change.
pub fn changeable(name: &str) -> Result<(), String> {
    let kept = ["content-length", "transfer-encoding", "upgrade"];
    match kept.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
        true => Err(format!("{name} is made right for what is sent, and no rule changes it")),
        false => Ok(()),
    }
}

/// `Name: value`, as GoReplay parts it.
pub fn pair(given: &Given) -> Result<(&str, &str), String> {
    let parts = given.value.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    parts.filter(|(name, _)| !name.is_empty()).ok_or_else(|| "there is no `NAME: ` in it".into())
}

/// A regular expression for the path alone.
pub fn on_path(plan: &mut Plan, given: &Given) -> Result<String, String> {
    if given.value.contains("\\?") || given.value.contains("[?]") {
        return Err("`path` is without the query; write it with `query NAME`, such as --only 'query a == b'".into());
    }
    plan.note("GoReplay matches path and query as one text, `path` is without the query");
    Ok(given.value.clone())
}

/// `name: 25%`.
pub fn keyed(plan: &mut Plan, given: &Given, kind: &str) -> Result<(), String> {
    let (name, percent) =
        named_share(&given.value).ok_or("it is no share; GoReplay's are `NAME: 25%`")?;
    plan.share(percent, Some(format!("{kind}:{name}")))?;
    plan.note(format!(
        "--percent takes other {kind} values than GoReplay's hash, as many; requests without one are chosen each for \
         itself, where GoReplay sends all of them"
    ));
    Ok(())
}

/// `--output-http`.
pub fn target(plan: &mut Plan, given: &Given) -> Result<(), String> {
    let (url, limit) = limited(&given.value)?;
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
    if rest.is_empty() || !matches!(scheme, "http" | "https") {
        return Err("a target is http://HOST:PORT or https://HOST:PORT".into());
    }
    let (mut authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if let Some((_, host)) = authority.rsplit_once('@') {
        plan.miss(
            format!("the user in --output-http {}", given.value),
            "requests keep the Authorization they were captured with; --set-header sets another",
        );
        authority = host;
    }
    if !path.trim_matches('/').is_empty() {
        plan.miss(
            format!("the path in --output-http {}", given.value),
            "GoReplay sends every request to it; behind --to a path would be put before each request's own",
        );
    }
    plan.urls.push((format!("{scheme}://{authority}"), limit));
    Ok(())
}
