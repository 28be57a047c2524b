//! Two requests side by side.
//!
//! In: their text. Out: two columns, line by line; a field that only one side has stands beside an
//! empty place and is pointed at, and long lines go on below.

/// Width of a column.
const WIDTH: usize = 45;

/// The two in columns below their titles.
pub fn beside(left_title: &str, left: &str, right_title: &str, right: &str) -> String {
    let mut out = row(left_title, ' ', right_title);
    for (mark, left, right) in align(&lines(left), &lines(right)) {
        let (left, right) = (wrap(left), wrap(right));
        for place in 0..left.len().max(right.len()) {
            let part = |of: &[String]| of.get(place).cloned().unwrap_or_default();
            out.push_str(&row(&part(&left), mark, &part(&right)));
        }
    }
    out
}

/// Whether a field has a name that differs in nothing but its case.
pub fn names_differ_in_case(left: &str, right: &str) -> bool {
    let names = |text| {
        let lines = lines(text).into_iter().skip(1);
        lines.filter_map(|line| Some(line.split_once(": ")?.0.to_owned())).collect::<Vec<_>>()
    };
    let right = names(right);
    names(left).iter().any(|name| {
        !right.contains(name) && right.iter().any(|other| other.eq_ignore_ascii_case(name))
    })
}

fn row(left: &str, mark: char, right: &str) -> String {
    format!("{left:<WIDTH$} {mark} {right}").trim_end().to_owned() + "\n"
}

fn lines(text: &str) -> Vec<&str> {
    text.split('\n').map(|line| line.trim_end_matches('\r')).collect()
}

/// Pairs the lines up; the mark says which side has one that the other has not.
fn align<'a>(left: &[&'a str], right: &[&'a str]) -> Vec<(char, &'a str, &'a str)> {
    let mut rows = Vec::new();
    let (mut left, mut right) = (left, right);
    loop {
        let same = |one: &str, two: &str| one.eq_ignore_ascii_case(two);
        match (left.split_first(), right.split_first()) {
            (None, None) => return rows,
            (Some((one, left_rest)), Some((two, right_rest))) if same(one, two) => {
                rows.push((' ', *one, *two));
                (left, right) = (left_rest, right_rest);
            }
            (one, Some((two, rest))) if one.is_none_or(|(one, _)| has(rest, one)) => {
                rows.push(('+', "", *two));
                right = rest;
            }
            (Some((one, rest)), two) if two.is_none_or(|(two, _)| has(rest, two)) => {
                rows.push(('-', *one, ""));
                left = rest;
            }
            (one, two) => {
                let first = |side: Option<(&&'a str, _)>| side.map_or("", |(line, _)| *line);
                rows.push(('!', first(one), first(two)));
                left = left.get(1..).unwrap_or_default();
                right = right.get(1..).unwrap_or_default();
            }
        }
    }
}

fn has(lines: &[&str], wanted: &str) -> bool {
    lines.iter().any(|line| line.eq_ignore_ascii_case(wanted))
}

/// Lines no longer than a column, at least one.
fn wrap(line: &str) -> Vec<String> {
    let shown: Vec<char> = line.chars().map(|c| if c.is_control() { '.' } else { c }).collect();
    if shown.is_empty() {
        return vec![String::new()];
    }
    shown.chunks(WIDTH).map(|part| part.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_only_v2_has_is_pointed_at() {
        let v1 = "POST /pay HTTP/1.1\r\nHost: a\r\n\r\n{}";
        let v2 = "POST /pay HTTP/1.1\r\nhost: a\r\nx-shadowtap: r-1\r\n\r\n{}";
        let text = beside("v1", v1, "v2", v2);
        let rows: Vec<String> =
            text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            rows,
            [
                "v1 v2",
                "POST /pay HTTP/1.1 POST /pay HTTP/1.1",
                "Host: a host: a",
                "+ x-shadowtap: r-1",
                "",
                "{} {}"
            ]
        );
        assert!(names_differ_in_case(v1, v2));
        assert!(!names_differ_in_case(v1, v1));
    }

    #[test]
    fn other_differences_are_marked_and_nothing_is_lost() {
        let rows = align(&["a", "b", "c", "x"], &["a", "c", "y", "z"]);
        assert_eq!(
            rows,
            [(' ', "a", "a"), ('-', "b", ""), (' ', "c", "c"), ('!', "x", "y"), ('+', "", "z")]
        );
    }

    #[test]
    fn long_lines_go_on_below_and_control_bytes_stay_out_of_the_terminal() {
        assert_eq!(wrap(&"x".repeat(WIDTH + 1)), ["x".repeat(WIDTH), "x".into()]);
        assert_eq!(wrap("a\u{1b}[2Jb"), ["a.[2Jb"]);
    }
}
