//! Flags of every command that writes a recording.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use super::secret_args::SecretArgs;
use super::units;

/// How a recording is written.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Recording")]
pub struct RecordingArgs {
    /// Overwrite the file if it exists: what is in it is lost.
    #[arg(long, env = "SHADOWTAP_OVERWRITE", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new(), conflicts_with = "rotate")]
    pub overwrite: bool,

    /// Begin the next file at this size (256MiB), at this age (10m), or both, whichever comes first (256MiB,10m).
    #[arg(long, env = "SHADOWTAP_ROTATE", value_parser = units::full, value_delimiter = ',', value_name = "SIZE|TIME")]
    pub rotate: Vec<units::Full>,

    /// Delete this run's oldest finished files beyond so many (20) or so many bytes (10GiB).
    #[arg(long, env = "SHADOWTAP_KEEP", value_parser = units::kept, value_name = "N|SIZE", requires = "rotate")]
    pub keep: Option<units::Kept>,

    /// Pack the records of a .warc.zst with this dictionary, made by `zstd --train`. Each file begins with it.
    #[arg(long, env = "SHADOWTAP_ZSTD_DICTIONARY", value_name = "FILE")]
    pub zstd_dictionary: Option<PathBuf>,

    /// What becomes of secrets.
    #[command(flatten)]
    pub secrets: SecretArgs,
}
