//! The commands and their own flags.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Subcommand};

use super::capture_args::{CaptureArgs, LimitArgs};
use super::carry_args::CarryArgs;
use super::config_args::{ConfigArgs, FileArgs};
use super::convert_args::ConvertArgs;
use super::file_args::LogArgs;
use super::filter_args::FilterArgs;
use super::match_args::MatchArgs;
use super::middleware_args::MiddlewareArgs;
use super::recording_args::RecordingArgs;
use super::rewrite_args::{RewriteArgs, SafetyArgs};
use super::sample_args::SampleArgs;
use super::secret_args::{KeyArgs, RedactArgs};
use super::target_args::TargetArgs;
use super::units;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sniff live traffic and send a copy of each request to v2.
    Mirror(MirrorArgs),
    /// Sniff live traffic into a file.
    Record(RecordArgs),
    /// Send what is in recordings or capture files to v2.
    Replay(ReplayArgs),
    /// Show the HTTP messages in recordings or capture files.
    Inspect(InspectArgs),
    /// Write recordings or capture files in another format, and say what that cannot hold.
    Convert(ConvertArgs),
    /// Print the shadowtap command for a command line of GoReplay.
    FromGoreplay(FromGoreplayArgs),
    /// Check a config file, or show what is in force and where it comes from.
    Config(ConfigArgs),
    /// Say why nothing would be seen, and what to do about it.
    Doctor(DoctorArgs),
    /// Show all of it on this machine: a service, its shadow, a client, the mirror.
    Demo(DemoArgs),
}

/// Sniff live traffic and send a copy of each request to v2.
#[derive(Debug, Args)]
pub struct MirrorArgs {
    /// Where flags may come from.
    #[command(flatten)]
    pub file: FileArgs,
    /// What to capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// Where the copies go.
    #[command(flatten)]
    pub target: TargetArgs,
    /// What is changed in the copies.
    #[command(flatten)]
    pub rewrite: RewriteArgs,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactArgs,
    /// What keeps it harmless.
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// Mirror although --to is v1's own address: copies then reach v1 itself.
    #[arg(long, env = "SHADOWTAP_SAME_TARGET_OK", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new(), help_heading = "Safety")]
    pub same_target_ok: bool,
    /// Which requests are sent.
    #[command(flatten)]
    pub matching: MatchArgs,
    /// Which share of them goes there.
    #[command(flatten)]
    pub sample: SampleArgs,
    /// Which values of v2's answers go into later requests.
    #[command(flatten)]
    pub carry: CarryArgs,
    /// Which program is asked about each.
    #[command(flatten)]
    pub middleware: MiddlewareArgs,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Capture v1's responses whole too, to frame and pair them with their requests.
    #[arg(long, env = "SHADOWTAP_RESPONSES", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub responses: bool,
    /// The priority of everything but capture and recording: `idle` leaves v1 the CPU first, or `normal`.
    #[arg(long, env = "SHADOWTAP_PRIORITY", default_value = "idle", value_name = "WHAT")]
    pub priority: PriorityArg,
    /// Record what is seen to this file as well, responses included; see `record --output`.
    #[arg(long, env = "SHADOWTAP_RECORD", value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// How the file is written.
    #[command(flatten)]
    pub recording: RecordingArgs,
    /// Print the ledger as one JSON object.
    #[arg(long, env = "SHADOWTAP_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,
}

/// Sniff live traffic into a file.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Where flags may come from.
    #[command(flatten)]
    pub file: FileArgs,
    /// What to capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// The file to write: WARC/1.1, by its name compressed (.warc.gz, .warc.zst). It must not exist yet. Times
    /// such as %Y%m%dT%H%M%S (UTC) are filled in; until it is whole its name ends with .partial.
    #[arg(short, long, env = "SHADOWTAP_OUTPUT", value_name = "FILE")]
    pub output: PathBuf,
    /// How the file is written.
    #[command(flatten)]
    pub recording: RecordingArgs,
    /// What else is redacted.
    #[command(flatten)]
    pub redact: RedactArgs,
    /// Print the ledger as one JSON object.
    #[arg(long, env = "SHADOWTAP_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,
}

/// Send what is in recordings or capture files to v2.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Where flags may come from.
    #[command(flatten)]
    pub file: FileArgs,
    /// Captures (pcap, pcapng) or recordings (WARC, .gor, HAR, access logs), plain or compressed; `-` is standard input. Several
    /// captures are read in this order as one (a connection may go on in the next), several recordings by time.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// Server ports whose traffic counts, in a capture. Without it every connection that speaks HTTP.
    #[arg(
        short,
        long = "port",
        env = "SHADOWTAP_PORT", value_parser = units::port,
        value_delimiter = ',',
        value_name = "PORT"
    )]
    pub ports: Vec<u16>,
    /// How access logs are read.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Where the copies go.
    #[command(flatten)]
    pub target: TargetArgs,
    /// What is changed in the copies.
    #[command(flatten)]
    pub rewrite: RewriteArgs,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactArgs,
    /// What keeps it harmless.
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// The key of what is redacted.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Which requests are sent.
    #[command(flatten)]
    pub matching: MatchArgs,
    /// Which share of them goes there.
    #[command(flatten)]
    pub sample: SampleArgs,
    /// Which values of v2's answers go into later requests.
    #[command(flatten)]
    pub carry: CarryArgs,
    /// Which program is asked about each.
    #[command(flatten)]
    pub middleware: MiddlewareArgs,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Go on with the last file as it grows, until it is finished (a recording gets its name) or Ctrl-C.
    #[arg(long, env = "SHADOWTAP_FOLLOW", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new(), conflicts_with = "rounds")]
    pub follow: bool,
    /// The pace: a factor of the captured one, such as 1x, 0.5x, 10x, or `max`.
    #[arg(long, env = "SHADOWTAP_SPEED", default_value = "1x", value_parser = units::speed, value_name = "FACTOR")]
    pub speed: units::Speed,
    /// A rate of its own instead of the captured pace: 500/s, 30/m, or 100/s..2000/s for a ramp. Nothing is
    /// left out to reach it.
    #[arg(long, env = "SHADOWTAP_RATE", value_parser = units::rates, value_name = "RATE", conflicts_with_all = ["speed", "max_rate"])]
    pub rate: Option<units::Rates>,
    /// How long a ramp of --rate takes.
    #[arg(long, env = "SHADOWTAP_OVER", value_parser = units::duration, value_name = "TIME", requires = "rate")]
    pub over: Option<std::time::Duration>,
    /// Cut gaps between requests to this much captured time.
    #[arg(long, env = "SHADOWTAP_MAX_GAP", value_parser = units::duration, value_name = "TIME", conflicts_with = "rate")]
    pub max_gap: Option<std::time::Duration>,
    /// Read the files so many times, or `forever`, each round behind the one before. Not with a pipe.
    #[arg(long = "loop", env = "SHADOWTAP_LOOP", value_parser = units::rounds, value_name = "N")]
    pub rounds: Option<units::Rounds>,
    /// Pass over requests before this time (RFC 3339), or before so long after the first, such as 5m.
    #[arg(long, env = "SHADOWTAP_FROM", value_parser = units::moment, value_name = "TIME")]
    pub from: Option<units::Moment>,
    /// Pass over requests behind this time, or behind so long after the first.
    #[arg(long, env = "SHADOWTAP_UNTIL", value_parser = units::moment, value_name = "TIME")]
    pub until: Option<units::Moment>,
    /// Stop after this long.
    #[arg(long, env = "SHADOWTAP_DURATION", value_parser = units::duration, value_name = "TIME")]
    pub duration: Option<std::time::Duration>,
    /// Stop after this many requests.
    #[arg(long, env = "SHADOWTAP_LIMIT", value_name = "N")]
    pub limit: Option<u64>,
    /// Print the ledger as one JSON object.
    #[arg(long, env = "SHADOWTAP_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,
}

/// Show the HTTP messages in recordings or capture files.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Where flags may come from.
    #[command(flatten)]
    pub file: FileArgs,
    /// Captures (pcap, pcapng) or recordings (WARC, .gor, HAR, access logs), plain or compressed; `-` is standard input. Several
    /// captures are read in this order as one (a connection may go on in the next), several recordings by time.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// Server ports whose traffic counts, in a capture. Without it every connection that speaks HTTP.
    #[arg(
        short,
        long = "port",
        env = "SHADOWTAP_PORT", value_parser = units::port,
        value_delimiter = ',',
        value_name = "PORT"
    )]
    pub ports: Vec<u16>,
    /// How access logs are read.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Go on with the last file as it grows, until it is finished (a recording gets its name) or Ctrl-C.
    #[arg(long, env = "SHADOWTAP_FOLLOW", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub follow: bool,
    /// Show responses too.
    #[arg(long, env = "SHADOWTAP_RESPONSES", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub responses: bool,
    /// Only count: no listing, no hashing.
    #[arg(long, env = "SHADOWTAP_STATS", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub stats: bool,
    /// Print bodies, as on the wire but for the framing of chunks: text as it is, everything else as a hex dump.
    #[arg(long, env = "SHADOWTAP_BODY", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new(), conflicts_with = "stats")]
    pub body: bool,
    /// So much of each body at most.
    #[arg(long, env = "SHADOWTAP_MAX_BODY_PRINT", default_value = "4KiB", value_parser = units::size, value_name = "SIZE")]
    pub max_body_print: u64,
    /// Which messages are shown or counted.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactArgs,
    /// The key of what is redacted.
    #[command(flatten)]
    pub key: KeyArgs,
    /// One JSON object a message (with --stats: one in all).
    #[arg(long, env = "SHADOWTAP_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,
}

/// Print the shadowtap command for a command line of GoReplay. What has no form is named, with the reason (exit code 1).
#[derive(Debug, Args)]
pub struct FromGoreplayArgs {
    /// The command line in quotes, such as 'gor --input-raw :8080 --output-http http://v2'; or its words.
    #[arg(
        value_name = "COMMAND LINE",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub line: Vec<String>,
}

/// Say why nothing would be seen, and what to do about it.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// TCP ports that v1 listens on.
    #[arg(
        short,
        long = "port",
        env = "SHADOWTAP_PORT", value_parser = units::port,
        value_delimiter = ',',
        value_name = "PORT"
    )]
    pub ports: Vec<u16>,
    /// Interface to sniff on.
    #[arg(
        short,
        long = "interface",
        env = "SHADOWTAP_INTERFACE",
        value_delimiter = ',',
        default_value = "any",
        value_name = "NAME"
    )]
    pub interfaces: Vec<String>,
    /// The v2 service, to see whether it can be reached.
    #[arg(long, env = "SHADOWTAP_TO", value_name = "URL")]
    pub to: Option<String>,
    /// One JSON array.
    #[arg(long, env = "SHADOWTAP_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,
}

/// Show all of it on this machine: a service, its shadow, a client, the mirror.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Requests that the client sends.
    #[arg(long, env = "SHADOWTAP_REQUESTS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    pub requests: u32,
    /// Port of v1 on the loopback interface; 0 takes a free one.
    #[arg(long, env = "SHADOWTAP_V1_PORT", default_value_t = 0, value_name = "PORT")]
    pub v1_port: u16,
    /// Write v1's own log to this file, one JSON object a request.
    #[arg(long, env = "SHADOWTAP_V1_LOG", value_name = "FILE")]
    pub v1_log: Option<PathBuf>,
    /// Print the ledger as one JSON object.
    #[arg(long, env = "SHADOWTAP_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,
}

/// `--priority`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum PriorityArg {
    /// SCHED_IDLE: what v1 and the capture leave.
    Idle,
    /// As any other process.
    Normal,
}
