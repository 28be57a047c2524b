//! What is refused at the start: a target that is v1 itself, or none of those that are allowed.
//!
//! In: the targets, and what is watched. Out: an error that says what to do. A name that cannot be resolved now cannot be
//! compared with v1's addresses; a rule of the kernel (DNAT) that leads back to v1 cannot be seen from here.

use std::collections::HashSet;
use std::net::IpAddr;

use anyhow::bail;

use crate::capture::interfaces;
use crate::model::{Endpoint, Servers, Watch};
use crate::replay::Target;

/// Refuses targets that `--allow-target` does not name.
pub fn allowed(targets: &[Target], allow: &[String]) -> anyhow::Result<()> {
    if allow.is_empty() {
        return Ok(());
    }
    for target in targets {
        if !allow.iter().any(|name| is_allowed(target, name.trim())) {
            bail!(
                "--to {target} is none of the allowed targets ({}); correct it, or add it to --allow-target",
                allow.join(", ")
            );
        }
    }
    Ok(())
}

fn is_allowed(target: &Target, name: &str) -> bool {
    if let Some(socket) = target.socket() {
        return name.strip_prefix("unix:").is_some_and(|path| socket.as_os_str() == path);
    }
    let (host, port) = host_and_port(name);
    target.host().eq_ignore_ascii_case(host) && port.is_none_or(|port| port == Some(target.port()))
}

/// `host`, `host:port`, `[::1]`, `[::1]:port`, or an IPv6 address alone. A port that is no number fits none.
fn host_and_port(name: &str) -> (&str, Option<Option<u16>>) {
    if let Some((host, rest)) = name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').map(|port| port.parse().ok()));
    }
    match name.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port.parse().ok())),
        _ => (name, None),
    }
}

/// Refuses a target at one of v1's own addresses: a watched port of a watched server. `endpoints` are where the targets
/// listen.
pub fn not_v1(endpoints: &HashSet<Endpoint>, watch: &Watch) -> anyhow::Result<()> {
    let local = match &watch.servers {
        // Whose servers those are, nobody said: this host's own are what copies must not reach.
        Servers::Any => interfaces::local_addresses(),
        Servers::Local(_) | Servers::Only(_) => HashSet::new(),
    };
    for endpoint in endpoints {
        let ip = endpoint.ip.to_canonical();
        // To connect there is to connect to this host.
        let ip = if ip.is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { ip };
        let is_v1s = match &watch.servers {
            Servers::Any => ip.is_loopback() || local.contains(&ip),
            Servers::Local(_) | Servers::Only(_) => watch.servers.include(ip),
        };
        if is_v1s && watch.ports.contains(&endpoint.port) {
            bail!(
                "--to leads to {ip} port {}, which is v1's own: every copy would reach v1 again; name v2's address, or \
                 give --same-target-ok if this is what you want",
                endpoint.port
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OwnConnections;

    #[test]
    fn only_what_is_allowed_is_a_target() {
        let ok = |to: &str, allow: &[&str]| {
            let allow: Vec<_> = allow.iter().map(|name| (*name).to_owned()).collect();
            allowed(&[Target::parse(to).expect(to)], &allow).is_ok()
        };
        for (to, allow, want) in [
            ("http://v2:81", &[][..], true),
            ("http://v2:81", &["v2"], true),
            ("http://V2:81/x", &["other", "v2:81"], true),
            ("http://v2:81", &["v2:82"], false),
            ("http://v2", &["v2:80"], true),
            ("http://v2.evil", &["v2"], false),
            ("http://v2:81", &["v2:x"], false),
            ("http://[::1]:81", &["[::1]:81"], true),
            ("http://[::1]:81", &["::1"], true),
            ("http://[::1]:81", &["[::1]:8"], false),
            ("unix:/run/v2", &["unix:/run/v2"], true),
            ("unix:/run/v2", &["localhost"], false),
        ] {
            assert_eq!(ok(to, allow), want, "{to} {allow:?}");
        }
    }

    #[test]
    fn v1s_own_address_is_no_target() {
        let end = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().expect(text));
        let own = IpAddr::from([10, 0, 0, 1]);
        let refuses = |servers: Servers, to: &str| {
            let excluded = HashSet::new();
            let watch =
                Watch { ports: vec![80], servers, excluded, own: OwnConnections::default() };
            not_v1(&HashSet::from([end(to)]), &watch).is_err()
        };
        let local = || Servers::Local(HashSet::from([own]));
        let only = || Servers::Only(HashSet::from([IpAddr::from([10, 0, 0, 9])]));
        for (servers, to, want) in [
            (local(), "10.0.0.1:80", true),
            (local(), "127.0.0.1:80", true),
            (local(), "127.0.0.5:80", true),
            (local(), "0.0.0.0:80", true),
            (local(), "[::]:80", true),
            (local(), "[::ffff:10.0.0.1]:80", true),
            (local(), "10.0.0.1:81", false),
            (local(), "10.0.0.2:80", false),
            (only(), "10.0.0.9:80", true),
            (only(), "10.0.0.1:80", false),
            (Servers::Any, "127.0.0.1:80", true),
            (Servers::Any, "192.0.2.7:80", false),
        ] {
            assert_eq!(refuses(servers, to), want, "{to}");
        }
    }
}
