//! Flags that say which share of the requests goes to v2, and how many in a second.

use clap::Args;

use super::units;

/// Which share of the requests that may be sent is.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Sample")]
pub struct SampleArgs {
    /// Send this share of the requests, from 0 to 100; fractions are fine. The same ones in every run, and
    /// among those of a larger share.
    #[arg(long, env = "SHADOWTAP_PERCENT", value_parser = percent, value_name = "N")]
    pub percent: Option<f64>,

    /// Another number gives another choice of the same share.
    #[arg(
        long,
        env = "SHADOWTAP_SEED",
        default_value_t = 0,
        value_name = "N",
        requires = "percent"
    )]
    pub seed: u64,

    /// Take or leave together what has the same value: header:NAME, cookie:NAME, query:NAME, `client` (its address) or
    /// `connection`. A request without it is chosen for itself, as all are without this flag.
    #[arg(long, env = "SHADOWTAP_SAMPLE_BY", value_name = "KEY", requires = "percent")]
    pub sample_by: Option<String>,

    /// Send no more than this, such as 200/s or 30/m; what is over is shed and counted. A second's worth may
    /// come at once. In `replay` a second of sending, at whatever --speed.
    #[arg(long, env = "SHADOWTAP_MAX_RATE", value_parser = rate, value_name = "RATE")]
    pub max_rate: Option<f64>,
}

/// `10`, `0.5`, `10%`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
    number.ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| {
        format!("`{text}` is no share; write a number from 0 to 100, such as 10 or 0.5")
    })
}

/// `200/s`, `30/m`, in requests a second.
fn rate(text: &str) -> Result<f64, String> {
    let one = units::rates(text).ok().filter(|_| !text.contains(".."));
    one.map(|rates| rates.from)
        .ok_or_else(|| format!("`{text}` is not a rate; write 200/s, 30/m or 1000/h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_rates_are_read_and_nonsense_is_answered_with_an_example() {
        assert_eq!((percent("10"), percent("0.5%")), (Ok(10.0), Ok(0.5)));
        assert_eq!((percent("0"), percent(" 100 % ")), (Ok(0.0), Ok(100.0)));
        for bad in ["", "-1", "100.1", "nan", "inf", "ten"] {
            assert!(percent(bad).is_err_and(|e| e.contains("such as 10 or 0.5")), "{bad}");
        }
        assert_eq!((rate("200/s"), rate("30/m")), (Ok(200.0), Ok(0.5)));
        for bad in ["200", "0/s", "1/s..2/s", "1/s..1/s", "-1/s"] {
            assert!(rate(bad).is_err_and(|e| e.contains("200/s")), "{bad}");
        }
    }
}
