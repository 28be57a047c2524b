//! What the flags mean: settings validated and put into the rooms' own types.
//!
//! In: [`crate::cli`]'s arguments, as typed. Out: configurations of the rooms. Names are resolved here
//! (v2's addresses); nothing is opened.

use std::collections::HashSet;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::capture::interfaces;
use crate::capture::live::LiveConfig;
use crate::cli::capture_args::{CaptureArgs, LimitArgs};
use crate::cli::carry_args::CarryArgs;
use crate::cli::file_args::LogArgs;
use crate::cli::filter_args::FilterArgs;
use crate::cli::match_args::MatchArgs;
use crate::cli::recording_args::RecordingArgs;
use crate::cli::rewrite_args::SafetyArgs;
use crate::cli::sample_args::SampleArgs;
use crate::cli::target_args::{AmbiguousArg, OnBreakArg, OrderArg, TargetArgs};
use crate::cli::units::{Full, Kept};
use crate::http;
use crate::model::{Endpoint, MARKER_FIELD, OwnConnections, Servers, Watch};
use crate::reassemble;
use crate::record::LogFormat;
use crate::record::access_log::LogOptions;
use crate::record::{Compression, Existing, Keep, Plan, Rotate};
use crate::replay::{Client, HostHeader, OnBreak, Order, Proxy, ReplayConfig, Target, Trust};
use crate::shape::expr::Expr;
use crate::shape::{
    Admission, CarryRules, Filter, Methods, Pattern, RateCap, Rules, SampleKey, Sampler,
};

/// The live capture's settings.
pub fn live(args: &CaptureArgs, responses: bool) -> anyhow::Result<LiveConfig> {
    if args.ports.contains(&0) {
        bail!("port 0 is no port; give those that v1 listens on, such as -p 8080");
    }
    Ok(LiveConfig {
        interfaces: args.interfaces.clone(),
        ring_bytes: usize::try_from(args.ring).context("--ring is too large")?,
        ports: args.ports.clone(),
        responses,
        extra_filter: args.filter.clone(),
    })
}

/// Which connections of a live interface count. Those to v2 never do: see [`excluded`].
pub fn watch_live(args: &CaptureArgs) -> anyhow::Result<Watch> {
    let servers = match args.servers.as_slice() {
        [] => Servers::Local(interfaces::local_addresses()),
        [any] if any == "any" => Servers::Any,
        list => Servers::Only(list.iter().map(|text| server(text)).collect::<Result<_, _>>()?),
    };
    Ok(Watch {
        ports: args.ports.clone(),
        servers,
        excluded: HashSet::new(),
        own: OwnConnections::default(),
    })
}

fn server(text: &str) -> anyhow::Result<IpAddr> {
    text.parse().with_context(|| format!("--server `{text}` is neither an IP address nor `any`"))
}

/// Which connections of a file count: all, or those to these ports.
pub fn watch_file(ports: &[u16]) -> Watch {
    Watch { ports: ports.to_vec(), ..Watch::everything() }
}

/// Where copies go, as far as names can be resolved now: connections to there are not v1's. Nor are those to a
/// proxy, unless it listens where v1 does, as one in front of v1 would: there only the marker protects.
pub fn excluded(targets: &[Target], proxy: Option<&Proxy>, watch: &Watch) -> HashSet<Endpoint> {
    let targets = targets.iter().flat_map(|target| endpoints_of(target.host(), target.port()));
    let proxies = proxy.into_iter().flat_map(|proxy| endpoints_of(proxy.host(), proxy.port()));
    targets.chain(proxies.filter(|&proxy| !watch.is_server(proxy))).collect()
}

fn endpoints_of(host: &str, port: u16) -> HashSet<Endpoint> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.map(Endpoint::from).collect(),
        Err(error) => {
            tracing::warn!(
                "{host} cannot be resolved now ({error}); copies are told by their marker"
            );
            HashSet::new()
        }
    }
}

/// How access logs are read.
pub fn logs(args: &LogArgs) -> anyhow::Result<LogOptions> {
    let format = args.log_format.as_deref().map(LogFormat::parse).transpose();
    let format = format.map_err(|wrong| anyhow::anyhow!("--log-format {wrong}"))?;
    if let Some(host) = args.log_host.as_ref().filter(|host| !is_authority(host)) {
        bail!("--log-host `{host}` is no name; give one such as shop.example:8080");
    }
    Ok(LogOptions { format, host: args.log_host.clone() })
}

/// The HTTP reader's settings.
pub fn http(limits: &LimitArgs, responses: bool) -> http::Config {
    http::Config {
        max_body: Some(limits.max_body),
        read_responses: responses,
        emit_responses: responses,
        ..http::Config::default()
    }
}

/// The limits of reassembly.
pub fn reassembly(limits: &LimitArgs) -> anyhow::Result<reassemble::Limits> {
    let memory = usize::try_from(limits.max_memory).context("--max-memory is too large")?;
    let default = reassemble::Limits::default();
    Ok(reassemble::Limits { memory, flow_memory: default.flow_memory.min(memory), ..default })
}

/// Which requests may be sent.
pub fn admission(
    args: &TargetArgs,
    matching: &MatchArgs,
    share: &SampleArgs,
) -> anyhow::Result<Admission> {
    Ok(Admission {
        marker: MARKER_FIELD,
        methods: args.methods.parse::<Methods>().context("--methods")?,
        is_replay: true,
        holds_ambiguous: args.ambiguous == AmbiguousArg::Hold,
        rules: rules(matching)?,
        sampler: sampler(share)?,
        cap: share.max_rate.map(RateCap::new),
    })
}

/// Which of them are sent.
fn rules(args: &MatchArgs) -> anyhow::Result<Rules> {
    let parse = |flag: &'static str| {
        move |text: &String| Expr::parse(text).with_context(|| format!("--{flag}"))
    };
    let only = args.only.iter().map(parse("only"));
    let mut only: Vec<_> = only.collect::<anyhow::Result<_>>()?;
    let except = args.except.iter().map(parse("except")).collect::<anyhow::Result<_>>()?;
    if !args.paths.is_empty() {
        only.push(Expr::paths(&args.paths).context("--path")?);
    }
    Ok(Rules::new(only, except))
}

/// Which share of them, if not all.
fn sampler(args: &SampleArgs) -> anyhow::Result<Option<Sampler>> {
    let key = args.sample_by.as_deref().map(str::parse::<SampleKey>).transpose();
    let key = key.context("--sample-by")?.unwrap_or_default();
    Ok(args.percent.map(|percent| Sampler::new(percent, args.seed, key)))
}

/// Which values of v2's answers go into later requests; nothing where no rule is given.
pub fn carry(args: &CarryArgs) -> anyhow::Result<Option<CarryRules>> {
    let rules: Vec<_> = args.carry.iter().filter(|rule| !rule.trim().is_empty()).collect();
    if rules.is_empty() {
        return Ok(None);
    }
    CarryRules::parse(&rules).map(Some).map_err(|wrong| anyhow::anyhow!("--carry: {wrong}"))
}

/// Which requests may be recorded: all but our own copies.
pub fn recording() -> Admission {
    Admission {
        marker: MARKER_FIELD,
        methods: Methods::All,
        is_replay: false,
        holds_ambiguous: false,
        rules: Rules::default(),
        sampler: None,
        cap: None,
    }
}

/// Which messages are shown.
pub fn filter(args: &FilterArgs) -> anyhow::Result<Filter> {
    let field = |text: &String| {
        let (name, value) = text.split_once(':').map_or((text.as_str(), None), |(name, value)| {
            (name, Some(Pattern::new(value.trim())))
        });
        if !is_token(name) {
            bail!(
                "--header `{text}` has no field name; write NAME or NAME:VALUE, such as Accept:*json*"
            );
        }
        Ok((name.to_owned(), value))
    };
    let mut filter = Filter::default();
    filter.methods.clone_from(&args.methods);
    filter.paths = args.paths.iter().map(|path| Pattern::new(path)).collect();
    filter.statuses.clone_from(&args.statuses);
    filter.fields = args.headers.iter().map(field).collect::<anyhow::Result<_>>()?;
    filter.connections.clone_from(&args.connections);
    Ok(filter)
}

/// How a recording is to be written.
pub fn plan(output: &Path, args: &RecordingArgs) -> anyhow::Result<Plan> {
    let name = output.display();
    let Some(compression) = Compression::of_name(output) else {
        bail!(
            "a recording is a WARC file, which {name} does not look like; name it .warc, .warc.gz or .warc.zst"
        );
    };
    let mut rotate = Rotate::default();
    for &full in &args.rotate {
        let was_set = match full {
            Full::Bytes(bytes) => rotate.bytes.replace(bytes).is_some(),
            Full::Age(age) => rotate.age.replace(age).is_some(),
        };
        if was_set {
            bail!("--rotate has two sizes or two times; give one of each at most");
        }
    }
    let keep = args.keep.map(|kept| match kept {
        Kept::Files(files) => Keep::Files(files),
        Kept::Bytes(bytes) => Keep::Bytes(bytes),
    });
    let existing = if args.overwrite { Existing::Overwrite } else { Existing::Refuse };
    if args.zstd_dictionary.is_some() && compression != Compression::Zstd {
        bail!(
            "--zstd-dictionary is for zstd, and {name} is not to be packed with it; name it .warc.zst"
        );
    }
    // Reading it is not done here.
    let (output, dictionary) = (output.to_owned(), None);
    let plan = Plan { output, compression, dictionary, existing, rotate, keep };
    if rotate.is_on() && !plan.series()?.can_go_on() {
        bail!(
            "{name}: its directory is not this user's to write, and the right to write there all the same is \
             given up when the capture is open; choose a directory of this user for --rotate"
        );
    }
    Ok(plan)
}

/// Whether a Host field may hold this (RFC 9110 section 7.2, RFC 3986 section 3.2.2): nothing that ends
/// or begins another part of a URI, no white space.
fn is_authority(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_graphic() && !b"/?#@\\\"<>^`{|}".contains(&b);
    !name.is_empty() && name.bytes().all(is_part)
}

/// Half of the descriptors that this process may have. Their soft limit is raised to the hard one first:
/// each captured connection has one of its own to v2.
fn default_max_idle() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // None is no limit.
    let allowed = allowed.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    (allowed / 2).clamp(1, 10_000)
}

/// Whether this is a field name (RFC 9110 section 5.1).
fn is_token(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(is_part)
}

/// A target and its share of the connections: `http://v2:8080@25%`.
fn target_and_share(text: &str) -> anyhow::Result<(Target, f64)> {
    // Without what stands before the share: a user's name and password may be part of it.
    let wrong = || {
        let share = text.rsplit('@').next().unwrap_or_default();
        format!("--to: the share `@{share}` is no percentage over 0, such as @25%")
    };
    let (url, share) = match text.strip_suffix('%').and_then(|text| text.rsplit_once('@')) {
        Some((url, percent)) => (url, percent.parse::<f64>().with_context(wrong)? / 100.0),
        None => (text, 1.0),
    };
    if !(share > 0.0 && share <= 1.0) {
        bail!(wrong());
    }
    Ok((Target::parse(url).context("--to")?, share))
}

/// The replayers' settings, one for each target.
pub fn replays(args: &TargetArgs, run: &str) -> anyhow::Result<Vec<ReplayConfig>> {
    let mut configs = Vec::new();
    for to in &args.to {
        let (target, share) = target_and_share(to)?;
        let config = replay(args, target, run)?;
        let max_idle = (config.max_idle / args.to.len()).max(1);
        configs.push(ReplayConfig { share, max_idle, ..config });
    }
    Ok(configs)
}

fn replay(args: &TargetArgs, target: Target, run: &str) -> anyhow::Result<ReplayConfig> {
    let host = match args.host.as_str() {
        "original" => HostHeader::Original,
        "target" => HostHeader::Target,
        name if is_authority(name) => HostHeader::Named(name.to_owned()),
        name => bail!(
            "--host `{name}` is no name; give `original`, `target`, or one such as v2.example:8080"
        ),
    };
    let trust = match (&args.ca, args.insecure) {
        (Some(file), _) => Trust::Authorities(file.clone()),
        (None, true) => Trust::Anything,
        (None, false) => Trust::System,
    };
    if args.concurrency == 0 {
        bail!("--concurrency 0 would send nothing; give at least 1");
    }
    if args.max_idle == Some(0) {
        bail!("--max-idle 0 would keep no connection; give at least 1");
    }
    if let Some(name) = args.realip_header.as_ref().filter(|name| !is_token(name)) {
        bail!("--realip-header `{name}` is no field name; give one such as X-Real-IP");
    }
    let proxy = args.proxy.as_deref().map(Proxy::parse).transpose().context("--proxy")?;
    let client = match (args.http2, &proxy) {
        (true, _) => Client::Http2,
        (false, Some(_)) => Client::Reqwest,
        (false, None) => Client::Wire,
    };
    if target.socket().is_some() && client != Client::Wire {
        let flag = if args.http2 { "--http2" } else { "--proxy" };
        bail!("{flag} does not go with {target}; give --to http://host:port or https://host:port");
    }
    Ok(ReplayConfig {
        client,
        proxy,
        host,
        trust,
        order: match args.order {
            OrderArg::Connection => Order::Connection,
            OrderArg::None => Order::None,
        },
        on_break: match args.on_break {
            OnBreakArg::Continue => OnBreak::Continue,
            OnBreakArg::Stop => OnBreak::Stop,
        },
        max_lag: Some(args.max_lag),
        head_timeout: args.response_timeout.unwrap_or(args.timeout),
        max_idle: args.max_idle.unwrap_or_else(default_max_idle),
        connect_retries: args.retry_connect,
        breaker: (args.breaker > 0).then_some(args.breaker),
        realip: args.realip_header.clone(),
        timeout: args.timeout,
        connect_timeout: args.connect_timeout,
        concurrency: args.concurrency,
        ..ReplayConfig::new(target, run)
    })
}

/// Sends nothing, if so asked.
pub fn dry(replays: &mut [ReplayConfig], safety: &SafetyArgs) {
    if safety.dry_run {
        replays.iter_mut().for_each(|replay| replay.client = Client::DryRun);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_to_a_proxy_are_not_v1s_unless_it_listens_where_v1_does() {
        let end = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().expect(text));
        let servers = Servers::Only(HashSet::from([IpAddr::from([10, 0, 0, 1])]));
        let watch = Watch { ports: vec![80], servers, ..Watch::everything() };
        let targets = [Target::parse("http://10.0.0.9:80").expect("a target")];
        let excluded = |proxy: &str| {
            let proxy = Proxy::parse(proxy).expect("a proxy");
            excluded(&targets, Some(&proxy), &watch)
        };
        let v2 = end("10.0.0.9:80");
        for (proxy, at) in [
            ("http://10.0.0.1:3128", "10.0.0.1:3128"),
            ("http://10.0.0.7", "10.0.0.7:80"),
            ("https://user:secret@[::1]", "[::1]:443"),
        ] {
            assert_eq!(excluded(proxy), HashSet::from([v2, end(at)]), "{proxy}");
        }
        assert_eq!(excluded("http://10.0.0.1:80"), HashSet::from([v2]), "v1's own");
    }
}
