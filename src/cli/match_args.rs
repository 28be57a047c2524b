//! Flags that choose among the requests to be sent.

use clap::Args;

/// Which requests are sent.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Match")]
pub struct MatchArgs {
    /// Send only requests for which this holds, such as 'header x-shadow == true' or 'path ~~ "/api/**" and not client in
    /// 10.0.0.0/8'. Given several times all must hold. The language is in docs/shaping.md.
    #[arg(long, env = "SHADOWTAP_ONLY", value_name = "EXPR")]
    pub only: Vec<String>,
    /// Never send requests for which this holds, such as 'header user-agent ^= kube-probe'. Given several times none may hold.
    #[arg(long, env = "SHADOWTAP_EXCEPT", value_name = "EXPR")]
    pub except: Vec<String>,
    /// Send only requests for this path: `*` stands for any characters but `/`, `**` for any, as in '/api/**'. The query does not
    /// count. Given several times one must fit.
    #[arg(long = "path", env = "SHADOWTAP_PATH", value_name = "GLOB")]
    pub paths: Vec<String>,
}
