//! Why would nothing be seen? Each cause is a check with what was found and what to do.
//!
//! In: interface, port, v2's address. Out: a [`Check`] each; printing is left to the command.
//!
//! Guarantees: nothing is changed, and nothing is sent except by [`speaks_tls`] (one connection to a
//! listener of this host) and [`reachable`] (one connection, without a byte, to v2). Every check
//! ends within its timeout. All look at the network namespace of the calling thread.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, socket};
use serde::Serialize;

use super::fault::permission_advice;
use super::interfaces::{self, ANY, Interface};
use super::rights;

mod sockets;
mod tls;

pub use tls::Answer;

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// May be as it should be; read what it says.
    Warn,
    /// This alone is a reason to see nothing.
    Fail,
}

/// One cause looked into.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub what: String,
    /// What to do; `None` when there is nothing to do.
    pub fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, state: State::Ok, what: what.into(), fix: None }
    }

    fn warn(name: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Warn, what: what.into(), fix: Some(fix.into()) }
    }

    fn fail(name: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Fail, what: what.into(), fix: Some(fix.into()) }
    }
}

/// Whether this process may capture. Tries it, on a socket that receives nothing: in a user
/// namespace the capability alone says little.
pub fn right_to_capture() -> Check {
    const NAME: &str = "right to capture";
    let rights = rights::raise();
    // Protocol 0: the socket is in no list of receivers.
    match socket(AddressFamily::PACKET, SocketType::RAW, None) {
        Ok(_) => Check::ok(NAME, "CAP_NET_RAW is there"),
        Err(error) if rights.effective => Check::fail(
            NAME,
            format!("CAP_NET_RAW is there, but a packet socket is refused: {error}"),
            "the network belongs to another user namespace, or a seccomp profile forbids \
             AF_PACKET: allow it there",
        ),
        Err(error) => Check::fail(NAME, format!("no CAP_NET_RAW ({error})"), permission_advice()),
    }
}

/// Whether the interface exists and is up.
pub fn interface(name: &str) -> Check {
    const NAME: &str = "interface";
    let all = interfaces::list();
    let listed = || all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if name == ANY {
        return any(NAME, &all, &listed());
    }
    match all.iter().find(|i| i.name == name) {
        Some(found) if found.up => Check::ok(NAME, found.to_string()),
        Some(found) => {
            Check::fail(NAME, found.to_string(), format!("ip link set {name} up, or use `-i any`"))
        }
        None => Check::fail(
            NAME,
            format!("there is no {name:?}"),
            format!("these exist: any (all of them), {}", listed()),
        ),
    }
}

/// All interfaces at once. What passes two of them is seen twice and taken for one connection, but not
/// where its addresses were translated in between: nothing in the packets tells that.
fn any(name: &'static str, all: &[Interface], listed: &str) -> Check {
    let what = format!("any: {listed}");
    if all.iter().filter(|i| i.up && !i.loopback).count() < 2 {
        return Check::ok(name, what);
    }
    Check::warn(
        name,
        what,
        "where one of them translates addresses for another (Docker, kube-proxy), `any` sees a \
         request once on each side and takes it for two: give the one interface that v1 is behind",
    )
}

/// Whether something listens on the port, and where.
pub fn listening(port: u16) -> Check {
    const NAME: &str = "listener";
    let found = match sockets::listeners(port) {
        Ok(found) => found,
        Err(error) => {
            return Check::warn(
                NAME,
                format!("cannot tell who listens: {error}"),
                "mount /proc to let the doctor see listeners",
            );
        }
    };
    let text = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if found.is_empty() {
        return Check::fail(
            NAME,
            format!("nothing listens on port {port} in this network namespace"),
            "start the service, correct -p, or run in its pod or with its network; for traffic of \
             other hosts (a span port, a node) give --server any",
        );
    }
    if found.iter().all(|ip| ip.is_loopback()) {
        let what = format!("port {port}, on {text} only");
        return Check::warn(
            NAME,
            what,
            "capture on `lo` or `any`: other interfaces see none of it",
        );
    }
    Check::ok(NAME, format!("port {port}, on {text}"))
}

/// Whether the listener on the port speaks TLS, in which case its requests cannot be read.
///
/// `None` when nothing listens. A TLS ClientHello is sent to it, followed by an empty line: a TLS
/// server answers with a TLS record, an HTTP server with 400 or by closing, and neither hands
/// anything to the application behind it, as an HTTP request would be.
pub fn speaks_tls(port: u16, timeout: Duration) -> Option<Check> {
    const NAME: &str = "plain text";
    let listener = *sockets::listeners(port).ok()?.first()?;
    let address = SocketAddr::new(reach(listener), port);
    Some(match tls::ask(address, timeout) {
        Ok(Answer::Tls) => Check::fail(
            NAME,
            format!("{address} speaks TLS: what is inside cannot be read from the wire"),
            "watch the port behind TLS termination: the plain one between proxy and application, \
             often on `lo`",
        ),
        Ok(Answer::Http) => Check::ok(NAME, format!("{address} speaks plain HTTP")),
        Ok(Answer::Closed) => Check::ok(NAME, format!("{address} does not speak TLS")),
        Ok(Answer::Other) => Check::warn(
            NAME,
            format!("{address} speaks neither TLS nor HTTP/1.x"),
            "correct -p if this is not the HTTP port",
        ),
        Ok(Answer::Silent) | Err(_) => Check::warn(
            NAME,
            format!("{address} did not answer: it cannot be told whether it speaks TLS"),
            "look at the service's configuration",
        ),
    })
}

/// The address under which a listener is reached from this host.
fn reach(listener: IpAddr) -> IpAddr {
    match listener {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Whether v2 can be resolved and accepts a connection.
pub fn reachable(host: &str, port: u16, timeout: Duration) -> Check {
    const NAME: &str = "v2";
    let start = Instant::now();
    let addresses = match resolve(host, port, timeout) {
        Ok(addresses) => addresses,
        Err(error) => {
            return Check::fail(
                NAME,
                format!("{host:?} cannot be resolved: {error}"),
                "correct --to; in Kubernetes a service of another namespace is NAME.NAMESPACE",
            );
        }
    };
    let mut refused = Vec::new();
    for address in addresses {
        let left = timeout.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Check::ok(NAME, format!("{host}:{port} answers at {address}")),
            Err(error) => refused.push(format!("{address}: {error}")),
        }
    }
    Check::fail(
        NAME,
        format!("{host}:{port} does not accept a connection ({})", refused.join("; ")),
        "start v2, correct --to, or look for a network policy or firewall between the two",
    )
}

/// Resolves a name within the timeout. getaddrinfo has none of its own, so it is left behind on its
/// thread if it takes longer.
fn resolve(host: &str, port: u16, timeout: Duration) -> io::Result<BTreeSet<SocketAddr>> {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(BTreeSet::from([SocketAddr::new(ip, port)]));
    }
    let (answer_tx, answer_rx) = mpsc::channel();
    let name = host.to_owned();
    std::thread::Builder::new().name("resolve".into()).spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(|all| all.take(16).collect());
        // Nobody waits any more when the timeout has passed.
        let _ = answer_tx.send(found);
    })?;
    answer_rx.recv_timeout(timeout).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests;
