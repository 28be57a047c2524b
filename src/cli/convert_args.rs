//! `convert`: from one format to another.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

use super::config_args::FileArgs;
use super::file_args::LogArgs;
use super::secret_args::{RedactArgs, SecretArgs};
use super::units;

/// Write what is in recordings or capture files in another format, and say what that cannot hold.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Where flags may come from.
    #[command(flatten)]
    pub file: FileArgs,
    /// What to read (pcap, pcapng, WARC, .gor, HAR, access logs; plain or compressed; `-` is standard input), and last the
    /// file to write: .warc, .warc.gz, .warc.zst, .gor, .gor.gz, .har, .curl or .sh, .k6.js, .vegeta; `-` is standard
    /// output, with --format.
    #[arg(value_name = "FILE", required = true, num_args = 2..)]
    pub files: Vec<String>,
    /// The format to write, whatever the file's name says.
    #[arg(long, env = "SHADOWTAP_FORMAT", value_name = "FORMAT")]
    pub format: Option<FormatArg>,
    /// Overwrite the file if it exists: what is in it is lost.
    #[arg(long, env = "SHADOWTAP_OVERWRITE", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub overwrite: bool,
    /// Server ports whose traffic counts, in a capture. Without it every connection that speaks HTTP.
    #[arg(
        short,
        long = "port",
        env = "SHADOWTAP_PORT", value_parser = units::port,
        value_delimiter = ',',
        value_name = "PORT"
    )]
    pub ports: Vec<u16>,
    /// Largest body that is written; a message with a larger one is counted and left out.
    #[arg(long, env = "SHADOWTAP_MAX_BODY", default_value = "64MiB", value_parser = units::size, value_name = "SIZE")]
    pub max_body: u64,
    /// What becomes of secrets.
    #[command(flatten)]
    pub secrets: SecretArgs,
    /// What else is redacted.
    #[command(flatten)]
    pub redact: RedactArgs,
    /// How access logs are read.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Print what was converted as one JSON object (on standard error, where the file goes to standard output).
    #[arg(long, env = "SHADOWTAP_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,
}

impl ConvertArgs {
    /// What to read, and the file to write.
    pub fn split(&self) -> (&[String], Option<PathBuf>) {
        match self.files.split_last() {
            Some((output, inputs)) => (inputs, Some(PathBuf::from(output))),
            None => (&[], None),
        }
    }
}

/// `--format`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum FormatArg {
    /// WARC/1.1.
    Warc,
    /// The same, a gzip member per record.
    #[value(name = "warc.gz")]
    WarcGz,
    /// The same, a zstd frame per record.
    #[value(name = "warc.zst")]
    WarcZst,
    /// GoReplay's.
    Gor,
    /// The same, compressed.
    #[value(name = "gor.gz")]
    GorGz,
    /// HAR 1.2.
    Har,
    /// A shell script of curl commands: requests alone.
    Curl,
    /// A script for k6: requests alone.
    K6,
    /// Targets for vegeta, one JSON object a line: requests alone.
    Vegeta,
}
