//! Every flag of GoReplay 2.0, and what it is in shadowtap: the table that docs/from-goreplay.md prints.

use super::line::Given;
use super::plan::{Command, LIVE, Plan, SENDING, time};
use super::put::{changeable, keyed, on_path, pair, target, whole_size};
use super::values::{field, in_quotes, limited, literal, replacing};

/// One flag.
pub struct Flag {
    /// Its name, without hyphens.
    pub name: &'static str,
    /// Whether it is given without a value.
    pub is_switch: bool,
    /// What it is here.
    pub form: Form,
}

/// What a flag is in shadowtap.
pub enum Form {
    /// This; what is put in, or why this value cannot be.
    Is(&'static str, fn(&mut Plan, &Given) -> Result<(), String>),
    /// Nothing needs to be said, because of this.
    Needless(&'static str),
    /// There is none, because of this.
    None(&'static str),
}

use Form::{Is, Needless};

const RECORDING: &[Command] = &[Command::Mirror, Command::Record];
const ALL_BUT_INSPECT: &[Command] =
    &[Command::Mirror, Command::Record, Command::Replay, Command::Convert];

/// The flag of this name.
pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// Takes a flag into the plan.
pub fn apply(plan: &mut Plan, given: &Given) {
    let Some(flag) = find(&given.name) else { return };
    if flag.is_switch
        && matches!(given.value.as_str(), "false" | "0" | "f" | "F" | "FALSE" | "False")
    {
        return;
    }
    match &flag.form {
        Is(form, put) => {
            if let Err(why) = put(plan, given) {
                plan.miss(given.shown(), format!("{why} (in general: {form})"));
            }
        }
        Needless(why) => plan.note(format!("{} is not needed: {why}", given.shown())),
        Form::None(why) => plan.miss(given.shown(), *why),
    }
}

const fn flag(name: &'static str, form: Form) -> Flag {
    Flag { name, is_switch: false, form }
}

const fn switch(name: &'static str, form: Form) -> Flag {
    Flag { name, is_switch: true, form }
}

const KAFKA: Form = Form::None("shadowtap neither reads nor writes Kafka");
const LINK: Form =
    Form::None("shadowtap captures and sends in one process; between hosts go recordings");
const BINARY: Form = Form::None("what is no HTTP/1.x is counted, not sent");
const WORKERS: Form = Needless("requests are futures of one task, no workers");
const LEDGER: Form =
    Needless("the ledger is printed at the end (`--json`), and progress on the way");

/// In the order of GoReplay's help, by area.
pub const FLAGS: &[Flag] = &[
    // Filters.
    flag(
        "http-allow-method",
        Is(
            "`--methods LIST`; without it GoReplay sends every method: `--methods all`",
            |plan, given| {
                plan.methods.push(given.value.clone());
                Ok(())
            },
        ),
    ),
    flag(
        "http-allow-url",
        Is("`--only 'path =~ \"RE\"'`; several are joined by `or`", |plan, given| {
            let path = on_path(plan, given)?;
            plan.paths.push(path);
            Ok(())
        }),
    ),
    flag(
        "http-disallow-url",
        Is("`--except 'path =~ \"RE\"'`", |plan, given| {
            let test = format!("path =~ {}", in_quotes(&on_path(plan, given)?));
            plan.put(&given.shown(), SENDING, &["--except", &test]);
            Ok(())
        }),
    ),
    flag(
        "http-allow-header",
        Is("`--only 'header NAME =~ \"RE\"'`", |plan, given| {
            let (name, re) = pair(given)?;
            let test = format!("header {} =~ {}", field(name), in_quotes(re));
            plan.put(&given.shown(), SENDING, &["--only", &test]);
            Ok(())
        }),
    ),
    flag(
        "http-disallow-header",
        Is("`--except 'header NAME =~ \"RE\"'`", |plan, given| {
            let (name, re) = pair(given)?;
            let test = format!("header {} =~ {}", field(name), in_quotes(re));
            plan.put(&given.shown(), SENDING, &["--except", &test]);
            Ok(())
        }),
    ),
    flag(
        "http-basic-auth-filter",
        Form::None(
            "fields are matched as they are sent, and this one is base64; --only 'header authorization == \"Basic ...\"' matches one user",
        ),
    ),
    // Limiters; those behind an address (`|10`, `|10%`) are part of its value.
    flag(
        "http-header-limiter",
        Is("`--percent N --sample-by header:NAME`", |plan, given| keyed(plan, given, "header")),
    ),
    flag(
        "http-param-limiter",
        Is("`--percent N --sample-by query:NAME`", |plan, given| keyed(plan, given, "query")),
    ),
    // Rewriters.
    flag(
        "http-set-header",
        Is("`--set-header 'NAME: VALUE'`; Host: `--host NAME`", |plan, given| {
            let (name, value) = pair(given)?;
            if name.eq_ignore_ascii_case("host") {
                plan.host = Some(value.to_owned());
                return Ok(());
            }
            changeable(name)?;
            plan.put(
                &given.shown(),
                SENDING,
                &["--set-header", &format!("{name}: {}", literal(value))],
            );
            Ok(())
        }),
    ),
    flag(
        "http-rewrite-header",
        Is("`--rewrite-header 'NAME: RE => REPLACEMENT'`", |plan, given| {
            let (name, rule) = pair(given)?;
            changeable(name)?;
            let (re, to) =
                rule.split_once(',').ok_or("there is no comma before the replacement")?;
            let rule = format!("{name}: {}", replacing(re.trim(), to.trim()));
            plan.put(&given.shown(), SENDING, &["--rewrite-header", &rule]);
            Ok(())
        }),
    ),
    flag(
        "http-rewrite-url",
        Is("`--rewrite-path 'RE => REPLACEMENT'`", |plan, given| {
            let (re, to) =
                given.value.split_once(':').ok_or("there is no colon before the replacement")?;
            if plan.has("--rewrite-path") {
                plan.note(
                    "each --rewrite-path that fits is applied; of GoReplay's the first that fits",
                );
            }
            plan.put(&given.shown(), SENDING, &["--rewrite-path", &replacing(re, to)]);
            Ok(())
        }),
    ),
    flag(
        "http-set-param",
        Is("`--set-query 'NAME=VALUE'`", |plan, given| {
            let (name, value) =
                given.value.split_once('=').ok_or("there is no `=` before the value")?;
            plan.put(
                &given.shown(),
                SENDING,
                &["--set-query", &format!("{name}={}", literal(value))],
            );
            Ok(())
        }),
    ),
    switch(
        "http-original-host",
        Is(
            "`--host original`, the default; without it GoReplay sends the target's: `--host target`",
            |plan, _| {
                plan.keeps_host = true;
                Ok(())
            },
        ),
    ),
    flag(
        "middleware",
        Is(
            "`--middleware COMMAND --middleware-protocol gor`, asked behind the filters; with `--input-raw-track-response` and `--output-http-track-response` `--middleware-sees v1`, `v2`, `all`",
            |plan, given| {
                plan.middleware = Some(given.value.clone());
                Ok(())
            },
        ),
    ),
    switch(
        "prettify-http",
        Form::None("bytes are sent as they were captured: chunks and compression stay"),
    ),
    // Inputs.
    flag(
        "input-raw",
        Is(
            "`mirror -p PORT`, with a host `--server ADDR`, with an interface `-i NAME`; of a pcap file `replay FILE`",
            |plan, given| {
                plan.raws.push(given.value.clone());
                Ok(())
            },
        ),
    ),
    flag(
        "input-file",
        Is("`replay FILE`; `FILE\\|200%` is `--speed 2x`", |plan, given| {
            let (file, limit) = limited(&given.value)?;
            if file.starts_with("s3://") {
                return Err("there is no S3; fetch the files first".into());
            }
            plan.files.push(file.to_owned());
            match limit {
                Some(super::values::Limit::Percent(percent)) => {
                    let speed = format!("{}x", super::values::number(percent / 100.0));
                    plan.put(&given.shown(), &[Command::Replay], &["--speed", &speed]);
                    Ok(())
                }
                rate => plan.limit(rate),
            }
        }),
    ),
    flag("input-tcp", LINK),
    switch("input-tcp-secure", LINK),
    flag("input-tcp-certificate", LINK),
    flag("input-tcp-certificate-key", LINK),
    flag("input-kafka-host", KAFKA),
    flag("input-kafka-topic", KAFKA),
    switch("input-kafka-json-format", KAFKA),
    flag("input-kafka-offset", KAFKA),
    switch("input-kafka-use-sasl", KAFKA),
    flag("input-kafka-mechanism", KAFKA),
    flag("input-kafka-username", KAFKA),
    flag("input-kafka-password", KAFKA),
    flag(
        "input-dummy",
        Form::None("requests are not made up; `shadowtap demo` has a client of its own"),
    ),
    flag(
        "input-http",
        Form::None("shadowtap listens nowhere, and GoReplay no longer has this flag either"),
    ),
    // Capture.
    flag(
        "input-raw-engine",
        Is("`pcap_file`: `replay FILE`; the others: the default", |plan, given| {
            match given.value.as_str() {
                "pcap_file" => plan.is_pcap = true,
                "libpcap" | "raw_socket" | "af_packet" | "" => {}
                "vxlan" => return Err(
                    "VXLAN is read out of what arrives: capture that interface, with --server any"
                        .into(),
                ),
                other => return Err(format!("GoReplay 2.0 has no engine `{other}`")),
            }
            Ok(())
        }),
    ),
    switch(
        "input-raw-track-response",
        Is(
            "`mirror --responses`; a recording always holds them; for a middleware `--middleware-sees v1`",
            |plan, _| {
                plan.is_answered = true;
                Ok(())
            },
        ),
    ),
    flag(
        "input-raw-protocol",
        Is("`http`: the default", |_, given| match given.value.as_str() {
            "http" | "" => Ok(()),
            _ => Err("what is no HTTP/1.x is counted, not sent".into()),
        }),
    ),
    flag(
        "input-raw-expire",
        Needless("what is not whole is given up by the time of the packets, and counted"),
    ),
    switch(
        "input-raw-allow-incomplete",
        Form::None("a request that is not whole is never sent; `record` writes it down as such"),
    ),
    flag(
        "input-raw-buffer-size",
        Is("`--ring SIZE`", |plan, given| {
            plan.put(&given.shown(), LIVE, &["--ring", &whole_size(given)?]);
            Ok(())
        }),
    ),
    flag("input-raw-buffer-timeout", Needless("packets are read within a millisecond")),
    switch("input-raw-override-snaplen", Needless("packets are always captured whole")),
    flag(
        "input-raw-bpf-filter",
        Is("`--filter EXPR`", |plan, given| {
            plan.note("--filter is a further condition beside ports and addresses; GoReplay's replaces them");
            plan.put(&given.shown(), LIVE, &["--filter", &given.value]);
            Ok(())
        }),
    ),
    switch(
        "input-raw-promisc",
        Form::None(
            "the interface is never put into another mode; do it with `ip link set dev NAME promisc on` and give --server any",
        ),
    ),
    switch("input-raw-monitor", Form::None("the interface is never put into another mode")),
    flag("input-raw-timestamp-type", Needless("times are the kernel's, to the nanosecond")),
    flag(
        "input-raw-realip-header",
        Is("`--realip-header NAME`", |plan, given| {
            plan.put(&given.shown(), SENDING, &["--realip-header", &given.value]);
            Ok(())
        }),
    ),
    flag("input-raw-ignore-interface", Form::None("name the interfaces that are wanted, with -i")),
    switch("input-raw-vlan", Needless("VLAN tags are read wherever they are, two of them as well")),
    flag(
        "input-raw-vlan-vid",
        Form::None(
            "connections count in every VLAN; --filter cannot tell them apart behind a tag that the kernel took off",
        ),
    ),
    flag(
        "input-raw-vxlan-port",
        Form::None(
            "VXLAN is read out of what arrives at port 4789; capture that interface, with --server any",
        ),
    ),
    flag("input-raw-vxlan-vni", Form::None("connections count in every VXLAN network")),
    switch("input-raw-stats", LEDGER),
    // Output over HTTP.
    flag(
        "output-http",
        Is(
            "`--to URL`; `URL\\|10%` is `--percent 10`, `URL\\|10` is `--max-rate 10/s`, and so behind --input-raw",
            target,
        ),
    ),
    flag(
        "output-http-workers",
        Is("`--concurrency N`", |plan, given| {
            if given.value != "0" {
                plan.put(&given.shown(), SENDING, &["--concurrency", &given.value]);
            }
            Ok(())
        }),
    ),
    flag("output-http-workers-min", WORKERS),
    flag(
        "output-http-queue-len",
        Is("`--queue N`", |plan, given| {
            plan.put(&given.shown(), SENDING, &["--queue", &given.value]);
            Ok(())
        }),
    ),
    flag("output-http-worker-timeout", WORKERS),
    flag(
        "output-http-timeout",
        Is("`--timeout TIME`", |plan, given| {
            plan.put(&given.shown(), SENDING, &["--timeout", &time(&given.value)?]);
            Ok(())
        }),
    ),
    flag(
        "output-http-redirects",
        Is("`0`: always", |_, given| {
            match given.value.as_str() {
        "0" => Ok(()),
        _ => Err("redirects are not followed: v1's clients follow theirs, and those requests are captured".into()),
    }
        }),
    ),
    switch(
        "output-http-skip-verify",
        Is("`--insecure`", |plan, given| {
            plan.put(&given.shown(), SENDING, &["--insecure"]);
            Ok(())
        }),
    ),
    switch(
        "output-http-track-response",
        Is(
            "for a middleware `--middleware-sees v2`; else v2's answers are counted by status and timed, and not handed on",
            |plan, _| {
                plan.is_replayed = true;
                Ok(())
            },
        ),
    ),
    flag(
        "output-http-response-buffer",
        Needless("answers are read to their end and not kept; GoReplay 2.0 does not use it either"),
    ),
    flag(
        "output-http-elasticsearch",
        Form::None("nothing is exported to Elasticsearch; the ledger is JSON with --json"),
    ),
    switch("output-http-stats", LEDGER),
    flag("output-http-stats-ms", LEDGER),
    // Output to files.
    flag(
        "output-file",
        Is(
            "`record -o FILE`; beside --output-http `mirror --record FILE`; of files `convert FILES FILE`",
            |plan, given| {
                if given.value.starts_with("s3://") {
                    return Err("there is no S3; write to a file".into());
                }
                limited(&given.value)?;
                plan.outputs.push(given.value.clone());
                Ok(())
            },
        ),
    ),
    switch(
        "output-file-append",
        Form::None(
            "a recording is begun anew and never appended to; times such as %Y%m%dT%H%M%S in its name keep the others",
        ),
    ),
    flag(
        "output-file-size-limit",
        Is("`--rotate SIZE`", |plan, given| {
            plan.put(&given.shown(), RECORDING, &["--rotate", &whole_size(given)?]);
            Ok(())
        }),
    ),
    flag(
        "output-file-queue-limit",
        Form::None(
            "a recording's next file begins at a size or an age (--rotate), not at a number of requests",
        ),
    ),
    flag(
        "output-file-max-size-limit",
        Form::None(
            "a recording does not stop at a size; with --rotate, --keep SIZE deletes the oldest files",
        ),
    ),
    flag("output-file-flush-interval", Needless("what is recorded is written as it comes")),
    flag("output-file-buffer", Form::None("there is no S3, for which it is")),
    // Other outputs.
    switch(
        "output-stdout",
        Is("of files `inspect --body`", |plan, _| {
            plan.is_printed = true;
            Ok(())
        }),
    ),
    switch("output-null", Is("of files `inspect --stats`", |_, _| Ok(()))),
    flag("output-tcp", LINK),
    flag("output-tcp-workers", LINK),
    switch("output-tcp-sticky", LINK),
    switch("output-tcp-secure", LINK),
    switch("output-tcp-skip-verify", LINK),
    switch("output-tcp-stats", LINK),
    flag("output-ws", LINK),
    flag("output-ws-workers", LINK),
    switch("output-ws-sticky", LINK),
    switch("output-ws-skip-verify", LINK),
    switch("output-ws-stats", LINK),
    flag("output-kafka-host", KAFKA),
    flag("output-kafka-topic", KAFKA),
    switch("output-kafka-json-format", KAFKA),
    switch("output-kafka-use-sasl", KAFKA),
    flag("output-kafka-mechanism", KAFKA),
    flag("output-kafka-username", KAFKA),
    flag("output-kafka-password", KAFKA),
    flag("kafka-tls-ca-cert", KAFKA),
    flag("kafka-tls-client-cert", KAFKA),
    flag("kafka-tls-client-key", KAFKA),
    flag("output-binary", BINARY),
    flag("output-binary-workers", BINARY),
    flag("output-binary-timeout", BINARY),
    switch("output-binary-track-response", BINARY),
    switch("output-binary-debug", BINARY),
    flag("output-tcp-response-buffer", BINARY),
    // Routing.
    switch(
        "split-output",
        Form::None(
            "each target gets a copy, or a share of the connections (--to URL@50%), and two shares overlap",
        ),
    ),
    switch(
        "recognize-tcp-sessions",
        Needless(
            "requests of one connection go in order on a connection of their own (--order connection)",
        ),
    ),
    // Files.
    switch(
        "input-file-loop",
        Is("`--loop forever`", |plan, given| {
            plan.put(&given.shown(), &[Command::Replay], &["--loop", "forever"]);
            Ok(())
        }),
    ),
    flag("input-file-read-depth", Needless("files are read in order, and several by time")),
    flag(
        "input-file-max-wait",
        Is("`--max-gap TIME`", |plan, given| {
            if given.value.trim_start_matches('0').trim_end_matches(char::is_alphabetic).is_empty()
            {
                return Ok(());
            }
            plan.put(&given.shown(), &[Command::Replay], &["--max-gap", &time(&given.value)?]);
            Ok(())
        }),
    ),
    switch(
        "input-file-dry-run",
        Is("`inspect --stats FILE`", |plan, _| {
            plan.is_counted = true;
            Ok(())
        }),
    ),
    // The rest.
    flag(
        "copy-buffer-size",
        Is("`--max-body SIZE`", |plan, given| {
            plan.note("a body over --max-body is never cut and sent, but counted");
            plan.put(&given.shown(), ALL_BUT_INSPECT, &["--max-body", &whole_size(given)?]);
            Ok(())
        }),
    ),
    flag(
        "exit-after",
        Is("`--duration TIME`", |plan, given| {
            const RUNS: &[Command] = &[Command::Mirror, Command::Record, Command::Replay];
            plan.put(&given.shown(), RUNS, &["--duration", &time(&given.value)?]);
            Ok(())
        }),
    ),
    flag(
        "verbose",
        Is("`--log debug`, from 3 on `--log trace`", |plan, given| {
            const ALL: &[Command] = &[
                Command::Mirror,
                Command::Record,
                Command::Replay,
                Command::Convert,
                Command::Inspect,
            ];
            let level = given.value.parse::<u32>().map_err(|_| "it is no number")?;
            match level {
                0 => {}
                1 | 2 => plan.put(&given.shown(), ALL, &["--log", "debug"]),
                _ => plan.put(&given.shown(), ALL, &["--log", "trace"]),
            }
            Ok(())
        }),
    ),
    switch("stats", LEDGER),
    flag(
        "http-pprof",
        Form::None("there is no profiler within; `perf record` sees the program's functions"),
    ),
    flag(
        "cpuprofile",
        Form::None("there is no profiler within; `perf record` sees the program's functions"),
    ),
    flag("memprofile", Form::None("there is no profiler within")),
];
