//! Values of GoReplay's flags, read as it reads them, written as shadowtap does.

use std::time::Duration;

/// What stands behind `|` in an address.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Limit {
    /// `10%`.
    Percent(f64),
    /// `10`: so many in a second.
    PerSecond(f64),
}

/// An address and its limit; `Err` is a limit that is none.
pub fn limited(value: &str) -> Result<(&str, Option<Limit>), String> {
    let Some((address, limit)) = value.split_once('|') else { return Ok((value, None)) };
    let wrong = || format!("`{limit}` is no limit; GoReplay's are 10 and 10%");
    let number = limit.trim_end_matches('%').parse::<f64>().map_err(|_| wrong())?;
    if !(number.is_finite() && number > 0.0) {
        return Err(wrong());
    }
    let limit = match limit.ends_with('%') {
        true => Limit::Percent(number),
        false => Limit::PerSecond(number),
    };
    Ok((address, Some(limit)))
}

/// `name: 25%` or `name: 1/4`, as name and percent.
pub fn named_share(value: &str) -> Option<(&str, f64)> {
    let (name, share) = value.split_once(':')?;
    let share = share.trim();
    let percent = match share.split_once('/') {
        Some((part, whole)) => 100.0 * part.parse::<f64>().ok()? / whole.parse::<f64>().ok()?,
        None => share.trim_end_matches('%').parse().ok()?,
    };
    (0.0..=100.0).contains(&percent).then(|| (name.trim(), percent))
}

/// `5mb`, `200`: powers of 1024.
pub fn size(value: &str) -> Option<String> {
    let lower = value.trim().to_ascii_lowercase();
    let units = [("kb", "KiB"), ("mb", "MiB"), ("gb", "GiB"), ("tb", "TiB"), ("", "")];
    let (number, unit) =
        units.iter().find_map(|(theirs, ours)| Some((lower.strip_suffix(theirs)?, ours)))?;
    let number = number.trim().parse::<u64>().ok()?;
    Some(format!("{number}{unit}"))
}

/// Go's `1h30m`, `1.5s`, `100ms`.
pub fn duration(value: &str) -> Option<String> {
    let units = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let (mut rest, mut seconds) = (value.trim(), 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at_checked(end)?;
        let len = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(len)?;
        let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * factor;
        rest = behind;
    }
    let nanos = Duration::try_from_secs_f64(seconds).ok()?.as_nanos();
    // To the microsecond: thirds of what a double holds would be shown.
    let micros = u64::try_from((nanos + 500) / 1000).ok().filter(|micros| *micros > 0)?;
    Some(humantime::format_duration(Duration::from_micros(micros)).to_string().replace(' ', ""))
}

/// The name of a recording for that of a .gor file, and the variables in it that shadowtap has not.
pub fn recording(path: &str) -> (String, Vec<String>) {
    let (path, missing) = without_variables(path, &["%Y", "%m", "%d", "%H", "%M", "%S"]);
    let (stem, packed) = match path.strip_suffix(".gz") {
        Some(stem) => (stem, ".gz"),
        None => (path.as_str(), ""),
    };
    let stem = stem.strip_suffix(".gor").unwrap_or(stem);
    (format!("{stem}.warc{packed}"), missing)
}

/// A name without the variables of GoReplay's but these, and those that were left out.
pub fn without_variables(path: &str, kept: &[&str]) -> (String, Vec<String>) {
    let all = ["%NS", "%Y", "%m", "%d", "%H", "%M", "%S", "%r", "%t", "%i"];
    let (mut name, mut missing, mut rest) = (String::new(), Vec::new(), path);
    while let Some(c) = rest.chars().next() {
        let variable = all.iter().find(|variable| rest.starts_with(**variable));
        match variable {
            Some(variable) if kept.contains(variable) => name.push_str(variable),
            Some(variable) => missing.push((*variable).to_owned()),
            None => name.push(c),
        }
        rest = rest
            .get(variable.map_or(c.len_utf8(), |variable| variable.len())..)
            .unwrap_or_default();
    }
    (name, missing)
}

/// A number as short as it can be said.
pub fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}

/// A text in an expression of `--only`.
pub fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}

/// A rule as shadowtap parts it, at the first arrow with spaces around it, where white space ends either part.
pub fn replacing(re: &str, to: &str) -> String {
    let re = re.replace(" =>", " \\x3D>");
    match re.trim() == re {
        true => format!("{re} => {to}"),
        false => format!("(?:{re}) => {to}"),
    }
}

/// The name of a field in one.
pub fn field(name: &str) -> String {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if is_plain { name.to_owned() } else { in_quotes(name) }
}

/// A value that is itself, whatever it looks like.
pub fn literal(value: &str) -> String {
    let is_source = ["env:", "file:", "literal:"].iter().any(|source| value.starts_with(source));
    if is_source { format!("literal:{value}") } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_goreplay_does() {
        assert_eq!(limited("a|10%"), Ok(("a", Some(Limit::Percent(10.0)))));
        assert_eq!(limited("a|10"), Ok(("a", Some(Limit::PerSecond(10.0)))));
        assert!(limited("a|x").is_err() && limited("a|").is_err() && limited("a|0").is_err());
        assert_eq!(named_share("X-Id: 25%"), Some(("X-Id", 25.0)));
        assert_eq!(named_share("X-Id: 1/4"), Some(("X-Id", 25.0)));
        assert_eq!((named_share("X-Id"), named_share("X-Id: 101%")), (None, None));
        for (theirs, ours) in [("32mb", "32MiB"), ("5KB", "5KiB"), ("1gb", "1GiB"), ("77", "77")] {
            assert_eq!(size(theirs).as_deref(), Some(ours));
        }
        assert_eq!((size("256m"), size("")), (None, None), "GoReplay refuses it too");
        for (theirs, ours) in
            [("1.5s", "1s500ms"), ("1h30m", "1h30m"), ("100ms", "100ms"), ("60s", "1m")]
        {
            assert_eq!(duration(theirs).as_deref(), Some(ours));
        }
        for bad in ["", "5", "s", "5 s", "1d", "1.2.3s", "-1s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(number(33.333_333_333), "33.333333");
    }

    #[test]
    fn a_recording_has_a_name_of_its_own_kind() {
        for (theirs, ours, missing) in [
            ("/a/r.gor", "/a/r.warc", &[][..]),
            ("r.gor.gz", "r.warc.gz", &[]),
            ("r-%Y%m%d.gz", "r-%Y%m%d.warc.gz", &[]),
            ("r_%NS_%i%t%r", "r__.warc", &["%NS", "%i", "%t", "%r"]),
        ] {
            let (name, left) = recording(theirs);
            assert_eq!(
                (name.as_str(), left.as_slice()),
                (ours, missing.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>().as_slice())
            );
        }
    }
}
