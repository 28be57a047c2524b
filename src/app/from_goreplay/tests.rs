//! Each flag of GoReplay in a command line, the command that comes of it, and that shadowtap reads that command.

use clap::Parser;

use super::flags::{FLAGS, Flag, Form};
use super::*;
use crate::cli::Cli;

/// What every translated command that sends without a choice of methods has.
const SENT: &str = "--to http://v2:80 --host target --methods all";

/// Command lines all of which have a form: GoReplay's, ours.
const CASES: &[(&str, &str)] = &[
    ("gor --input-raw :80 --output-http http://v2:80", "mirror -p 80 {SENT}"),
    ("gor -input-raw=:80 -output-http=\"v2:80\"", "mirror -p 80 {SENT}"),
    (
        "sudo -E /usr/local/bin/gor --input-raw :80,8080 --output-http http://v2:80",
        "mirror -p 80,8080 {SENT}",
    ),
    (
        "A=b ./goreplay --input-raw eth0:80 --input-raw eth1:80 --output-http v2:80",
        "mirror -p 80 -i eth0,eth1 {SENT}",
    ),
    ("--input-raw 10.0.0.1:80 --output-http v2:80", "mirror -p 80 --server 10.0.0.1 {SENT}"),
    ("gor --input-raw [::1]:80 --output-http v2:80", "mirror -p 80 --server ::1 {SENT}"),
    (
        "gor --input-raw :80 --output-http v2:80 --output-http http://w2",
        "mirror -p 80 --to http://v2:80 --to http://w2 --host target --methods all",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-allow-method GET --http-allow-method POST",
        "mirror -p 80 --to http://v2:80 --host target --methods GET,POST",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-original-host",
        "mirror -p 80 --to http://v2:80 --methods all",
    ),
    ("gor --input-raw :80 --output-http v2:80 --http-original-host=false", "mirror -p 80 {SENT}"),
    (
        "gor --input-raw :80 --output-http v2:80 --http-set-header 'Host: v2.example'",
        "mirror -p 80 --to http://v2:80 --host v2.example --methods all",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-original-host --http-set-header 'Host: other'",
        "mirror -p 80 --to http://v2:80 --host other --methods all",
    ),
    // Limiters.
    ("gor --input-raw :80 --output-http 'v2:80|10%'", "mirror -p 80 {SENT} --percent 10"),
    ("gor --input-raw ':80|50%' --output-http 'v2:80|10%'", "mirror -p 80 {SENT} --percent 5"),
    ("gor --input-raw :80 --output-http 'v2:80|10'", "mirror -p 80 {SENT} --max-rate 10/s"),
    ("gor --input-raw ':80|20' --output-http 'v2:80|10'", "mirror -p 80 {SENT} --max-rate 10/s"),
    ("gor --input-raw :80 --output-http 'v2:80|100%'", "mirror -p 80 {SENT}"),
    (
        "gor --input-raw :80 --output-http 'v2:80|10%' --output-http w2",
        "mirror -p 80 --to http://v2:80@10% --to http://w2 --host target --methods all",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-header-limiter 'X-User: 25%'",
        "mirror -p 80 {SENT} --percent 25 --sample-by header:X-User",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-header-limiter 'X-User: 1/4'",
        "mirror -p 80 {SENT} --percent 25 --sample-by header:X-User",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-param-limiter 'user_id: 12%'",
        "mirror -p 80 {SENT} --percent 12 --sample-by query:user_id",
    ),
    ("gor --input-file 'r.gor|200%' --output-http v2:80", "replay r.gor {SENT} --speed 2x"),
    (
        "gor --input-file 'r.gor|50%' --output-http 'v2:80|10'",
        "replay r.gor {SENT} --max-rate 10/s --speed 0.5x",
    ),
    ("gor --input-file 'r.gor|10' --output-http v2:80", "replay r.gor {SENT} --max-rate 10/s"),
    // Capture.
    (
        "gor --input-raw :80 --input-raw-engine libpcap --input-raw-protocol http --output-http v2:80",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw a.pcap:80 --input-raw-engine pcap_file --output-http v2:80",
        "replay -p 80 a.pcap {SENT}",
    ),
    (
        "gor --input-raw a.pcap --input-raw-engine pcap_file --output-http v2:80",
        "replay a.pcap {SENT}",
    ),
    (
        "gor --input-raw :80 --input-raw-track-response --output-http v2:80",
        "mirror -p 80 {SENT} --responses",
    ),
    (
        "gor --input-raw :80 --input-raw-track-response --output-file r.gor",
        "record -p 80 -o r.warc",
    ),
    (
        "gor --input-raw :80 --input-raw-buffer-size 64mb --output-http v2:80",
        "mirror -p 80 {SENT} --ring 64MiB",
    ),
    (
        "gor --input-raw :80 --input-raw-bpf-filter 'src net 10.0.0.0/8' --output-http v2:80",
        "mirror -p 80 {SENT} --filter 'src net 10.0.0.0/8'",
    ),
    (
        "gor --input-raw :80 --input-raw-realip-header X-Real-IP --output-http v2:80",
        "mirror -p 80 {SENT} --realip-header X-Real-IP",
    ),
    // Sending.
    (
        "gor --input-raw :80 --output-http v2:80 --output-http-workers 10 --output-http-queue-len 500",
        "mirror -p 80 {SENT} --concurrency 10 --queue 500",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --output-http-workers 0 --output-http-redirects 0",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --output-http-timeout 1.5s --output-http-skip-verify",
        "mirror -p 80 {SENT} --timeout 1s500ms --insecure",
    ),
    ("gor --input-raw :80 --output-http v2:80 --output-null", "mirror -p 80 {SENT}"),
    (
        "gor --input-raw :80 --output-http v2:80 --copy-buffer-size 1mb --exit-after 1h30m --verbose 1",
        "mirror -p 80 {SENT} --max-body 1MiB --duration 1h30m --log debug",
    ),
    // Files.
    (
        "gor --input-raw :80 --output-file /data/r-%Y%m%d.gor.gz",
        "record -p 80 -o /data/r-%Y%m%d.warc.gz",
    ),
    (
        "gor --input-raw :80 --output-file r.gor --output-file-size-limit 256mb",
        "record -p 80 -o r.warc --rotate 256MiB",
    ),
    (
        "gor --input-raw :80 --output-file r.gor --output-http v2:80",
        "mirror -p 80 {SENT} --record r.warc",
    ),
    ("gor --input-file a.gor --input-file b.gor --output-file c.gor", "convert a.gor b.gor c.gor"),
    ("gor --input-file a.gor --output-file c.gz", "convert --format gor.gz a.gor c.gz"),
    ("gor --input-file a.gor --output-stdout", "inspect a.gor --body"),
    ("gor --input-file a.gor --output-null", "inspect a.gor --stats"),
    ("gor --input-file a.gor --input-file-dry-run", "inspect a.gor --stats"),
    (
        "gor --input-file a.gor --input-file-loop --input-file-max-wait 500ms --output-http v2:80",
        "replay a.gor {SENT} --loop forever --max-gap 500ms",
    ),
    ("gor --input-file a.gor --input-file-max-wait 0s --output-http v2:80", "replay a.gor {SENT}"),
];

/// The same, of filters and rewriters.
const RULES: &[(&str, &str)] = &[
    (
        "gor --input-raw :80 --output-http v2:80 --http-allow-url /api --http-allow-url ^/v1/",
        "mirror -p 80 {SENT} --only 'path =~ \"/api\" or path =~ \"^/v1/\"'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-disallow-url 'a\"b'",
        "mirror -p 80 {SENT} --except 'path =~ \"a\\\"b\"'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-allow-header api-version:^1\\.0 --http-allow-header 'x-shadow: true'",
        "mirror -p 80 {SENT} --only 'header api-version =~ \"^1.0\"' --only 'header x-shadow =~ \"true\"'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-disallow-header 'User-Agent: Replayed by Gor'",
        "mirror -p 80 {SENT} --except 'header User-Agent =~ \"Replayed by Gor\"'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-set-header 'User-Agent: Gor'",
        "mirror -p 80 {SENT} --set-header 'User-Agent: Gor'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-set-header 'X-From: env:x'",
        "mirror -p 80 {SENT} --set-header 'X-From: literal:env:x'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-rewrite-header 'Referer: (.*).example,$1.staging'",
        "mirror -p 80 {SENT} --rewrite-header 'Referer: (.*).example => $1.staging'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-rewrite-url '/v1/user/([^\\/]+)/ping:/v2/user/$1/ping'",
        "mirror -p 80 {SENT} --rewrite-path '/v1/user/([^\\/]+)/ping => /v2/user/$1/ping'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-rewrite-url 'a => b:c' --http-rewrite-url ' a =>:d'",
        "mirror -p 80 {SENT} --rewrite-path 'a \\x3D> b => c' --rewrite-path '(?: a \\x3D>) => d'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-rewrite-header 'X: a => b,c'",
        "mirror -p 80 {SENT} --rewrite-header 'X: a \\x3D> b => c'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-set-param api_key=1",
        "mirror -p 80 {SENT} --set-query api_key=1",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --middleware ./m",
        "mirror -p 80 {SENT} --middleware ./m --middleware-protocol gor",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --middleware \"./m  'a b\" --input-raw-track-response --output-http-track-response",
        "mirror -p 80 {SENT} --middleware './m \"'\"'\"'a\" b' --middleware-protocol gor --middleware-sees all",
    ),
];

/// Command lines of which a part has no form: the line, the part, a word of why, and the command for the rest.
const MISSING: &[(&str, &str, &str, &str)] = &[
    (
        "gor --input-raw :80 --output-file r.gor --middleware ./m",
        "--middleware ./m",
        "no such part",
        "record -p 80 -o r.warc",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --output-http-track-response",
        "--output-http-track-response",
        "not handed on",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http http://u:p@v2:80",
        "the user",
        "Authorization",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http http://v2:80/x",
        "the path",
        "before each",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --output-stdout",
        "--output-stdout",
        "inspect --follow",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-header-limiter 'a: 1%' --http-header-limiter 'b: 1%'",
        "--http-header-limiter b: 1%",
        "one --percent",
        "mirror -p 80 {SENT} --percent 1 --sample-by header:a",
    ),
    (
        "gor --input-raw :80 --output-http 'v2:80|5' --output-http w2:80",
        "--output-http http://v2:80|5",
        "together",
        "mirror -p 80 --to http://v2:80 --to http://w2:80 --host target --methods all",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-allow-url '/a\\?b=c'",
        "--http-allow-url /a\\?b=c",
        "query NAME",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-set-header 'Content-Length: 5'",
        "--http-set-header Content-Length: 5",
        "made right",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --output-http-redirects 3",
        "--output-http-redirects 3",
        "followed",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --nonsense 5 --insane",
        "--nonsense 5",
        "no such flag",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 > log --verbose 1",
        "`> log --verbose 1`",
        "behind it",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-file 'r.gor|10%' --http-allow-method GET",
        "the limit of --output-file",
        "replay --percent",
        "record -p 80 -o r.warc",
    ),
    (
        "gor --input-raw ':80|10%' --output-file r-%i.gor",
        "%i in the file's name",
        "variable",
        "record -p 80 -o r-.warc",
    ),
    (
        "gor --input-raw ':80|10%' --output-file r.gor",
        "the limit of 10%",
        "replay --percent",
        "record -p 80 -o r.warc",
    ),
    (
        "gor --input-raw :80 --output-file r.gor --http-set-param a=b",
        "--http-set-param a=b",
        "`shadowtap record`",
        "record -p 80 -o r.warc",
    ),
    (
        "gor --input-raw :80 --input-file r.gor --output-http v2:80",
        "files beside --input-raw",
        "two commands",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --input-raw veth*:80 --output-http v2:80",
        "--input-raw veth*:80",
        "each interface",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --input-raw k8s://pod/a:80 --output-http v2:80",
        "--input-raw k8s://pod/a:80",
        "k8s/sidecar",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --input-raw :0 --output-http v2:80",
        "--input-raw :0",
        "every port",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --output-file a --output-file s3://b/c",
        "--output-file s3://b/c",
        "S3",
        "mirror -p 80 {SENT} --record a.warc",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-allow-method get",
        "--http-allow-method get",
        "refuses",
        "mirror -p 80 --to http://v2:80 --host target",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-set-header 'X-Shadowtap: 1' --http-set-header 'A: b'",
        "--http-set-header X-Shadowtap: 1",
        "tells copies",
        "mirror -p 80 {SENT} --set-header 'A: b'",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-set-header 'Host: a b'",
        "--http-set-header Host: a b",
        "refuses",
        "mirror -p 80 --to http://v2:80 --methods all",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-allow-url '('",
        "--http-allow-url (",
        "unclosed group",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --http-rewrite-url '(a):$2x'",
        "--http-rewrite-url (a):$2x",
        "no group `2x`",
        "mirror -p 80 {SENT}",
    ),
    (
        "gor --input-raw :80 --output-http v2:80 --output-http-workers x --exit-after 1h",
        "--output-http-workers x",
        "refuses",
        "mirror -p 80 {SENT} --duration 1h",
    ),
    ("gor --input-raw :80 --output-http v2:99999", "the command", "refuses", ""),
    ("gor --input-raw :80 --output-kafka-host k:9092", "the command", "no output", ""),
    ("gor --input-tcp :28020 --output-http v2:80", "the command", "no input", ""),
    ("gor file-server :80", "`file-server :80`", "demo", ""),
];

fn translated(line: &str) -> Translated {
    translate(line::words(line).expect(line)).expect(line)
}

fn command(want: &str) -> String {
    format!("shadowtap {}", want.replace("{SENT}", SENT))
}

/// As it is printed.
fn printed(translated: &Translated) -> String {
    translated.words.as_ref().map(|words| quoted(words).expect("one line")).unwrap_or_default()
}

/// Whether our own command line reads it.
#[track_caller]
fn is_read(command: &str) {
    let words = shlex::split(command).expect("a shell reads it");
    if let Err(wrong) = Cli::try_parse_from(words) {
        panic!("{command}: {wrong}");
    }
}

#[test]
fn each_command_line_gives_the_command_that_does_the_same() {
    for (line, want) in CASES.iter().chain(RULES) {
        let got = translated(line);
        assert_eq!(got.missing, [], "{line}");
        // Quotes may be others.
        let words = shlex::split(&command(want)).expect(want);
        assert_eq!(got.words.as_ref(), Some(&words), "{line}: {}", printed(&got));
        assert_eq!(shlex::split(&printed(&got)), Some(words), "{line}");
    }
}

#[test]
fn each_printed_command_is_one_that_shadowtap_reads() {
    for (line, _) in CASES.iter().chain(RULES) {
        is_read(&printed(&translated(line)));
    }
    for (line, _, _, want) in MISSING.iter().filter(|(_, _, _, want)| !want.is_empty()) {
        let printed = printed(&translated(line));
        assert_eq!(shlex::split(&printed), shlex::split(&command(want)), "{line}");
        is_read(&printed);
    }
}

#[test]
fn what_has_no_form_is_named_with_the_reason_and_the_rest_is_there() {
    for (line, part, why, want) in MISSING {
        let got = translated(line);
        let is_it =
            |missing: &&(String, String)| missing.0.contains(part) && missing.1.contains(why);
        assert!(got.missing.iter().any(|missing| is_it(&missing)), "{line}: {:?}", got.missing);
        assert_eq!(got.words.is_none(), want.is_empty(), "{line}");
    }
}

#[test]
fn every_flag_has_a_case_a_reason_or_a_note() {
    let given = |flag: &Flag, line: &str| {
        let words = line::words(line).expect(line);
        line::parse(words).is_ok_and(|line| line.given.iter().any(|given| given.name == flag.name))
    };
    for flag in FLAGS {
        let base = "gor --input-raw :80 --output-http v2:80";
        let value = if flag.is_switch { "" } else { " x" };
        let got = translated(&format!("{base} --{}{value}", flag.name));
        let shown = format!("--{}{value}", flag.name);
        match &flag.form {
            Form::Is(..) => {
                let mut cases = CASES.iter().chain(RULES).map(|(line, _)| line);
                assert!(cases.any(|line| given(flag, line)), "{shown} has no case");
            }
            Form::Needless(why) => {
                assert_eq!(got.missing, [], "{shown}");
                let is_it = |note: &String| note.contains(&shown) && note.contains(why);
                assert!(got.notes.iter().any(is_it), "{shown}: {:?}", got.notes);
            }
            Form::None(why) => {
                assert_eq!(got.missing, [(shown.clone(), (*why).to_owned())]);
                assert_eq!(printed(&got), command("mirror -p 80 {SENT}"));
            }
        }
        let names = FLAGS.iter().filter(|other| other.name == flag.name).count();
        assert_eq!(names, 1, "{shown}");
    }
}

#[test]
fn what_is_no_command_line_of_goreplay_is_a_usage_error() {
    let fails = |line: &str| {
        let translated = line::words(line).and_then(translate);
        translated.err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (line, why) in [
        ("gor --input-raw ':80", "left open"),
        ("", "no flag"),
        ("gor", "no flag"),
        ("tcpdump -i lo", "`tcpdump` is not GoReplay"),
        ("gor --output-http v2 --input-raw", "--input-raw has no value"),
    ] {
        assert!(fails(line).contains(why), "{line}: {}", fails(line));
    }
}

#[test]
fn lines_of_a_script_are_read_as_its_shell_does() {
    let line = "sudo gor --input-raw :80 \\\n  --output-http \"v2:80\" # comment\n";
    assert_eq!(printed(&translated(line)), command("mirror -p 80 {SENT}"));
    let broken =
        translated("gor --input-raw :80 --output-http v2:80 --input-raw-bpf-filter 'a\nb'");
    assert!(quoted(&broken.words.expect("words")).is_err());
}

/// A row of the table for each flag, in the order of the code.
fn table() -> String {
    let mut table = String::from("| GoReplay | shadowtap |\n|---|---|\n");
    for flag in FLAGS {
        let form = match &flag.form {
            Form::Is(form, _) => (*form).to_owned(),
            Form::Needless(why) => format!("not needed: {why}"),
            Form::None(why) => format!("none: {why}"),
        };
        table += &format!("| `--{}` | {form} |\n", flag.name);
    }
    table
}

#[test]
fn the_table_of_the_documentation_is_the_code_s() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/from-goreplay.md");
    let text = std::fs::read_to_string(path).expect("docs/from-goreplay.md");
    assert!(text.contains(&table()), "docs/from-goreplay.md should have this table:\n{}", table());
}
