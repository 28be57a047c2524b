//! New connections to v2.
//!
//! In: the target. Out: a connected stream, after the TLS handshake where there is one; or the cause of
//! failure. Guaranteed: beside a live capture, the connection's endpoints are in the capture's set of own
//! connections before the first SYN leaves, and stay there as long as the connection lives.
//!
//! A name is looked up again every [`LOOKUP_LIVES`], after a failure every [`FAILURE_LIVES`]; its addresses take turns, and where one does not answer
//! the next is tried, all within the time to connect.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::RETRY_PAUSE;
use super::stream::Stream;
use crate::model::ledger::Failure;
use crate::model::{Endpoint, OwnConnections};

use super::super::{ReplayConfig, ReplayError, Target, tls};

/// How long a name lookup is believed.
const LOOKUP_LIVES: Duration = Duration::from_secs(10);
/// How long a name that could not be resolved is taken for one that cannot.
pub(in crate::replay) const FAILURE_LIVES: Duration = Duration::from_secs(1);
/// How often another local port is tried when one turns out to be taken.
const PORT_TRIES: usize = 8;

/// See the module's description.
pub(in crate::replay) struct Connector {
    target: Target,
    /// How to speak TLS, and to whom.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
    /// How often connecting is tried again.
    retries: u32,
    own: Option<OwnConnections>,
    /// The last lookup, and when it was made; no addresses if it failed.
    found: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
    /// Whose turn it is among several addresses.
    turn: AtomicUsize,
}

/// No connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::replay) struct Refusal {
    pub failure: Failure,
    /// Whether this process or host has no descriptor or no port left for it.
    pub lacks_sockets: bool,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, lacks_sockets: false }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        refusal.failure
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        let failure = match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused,
            _ => Failure::Connect,
        };
        let errno = Errno::from_io_error(&error);
        // Of a port that is asked for by `bind`, EADDRINUSE says that none is free.
        let lacks = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::ADDRINUSE];
        Self { failure, lacks_sockets: errno.is_some_and(|errno| lacks.contains(&errno)) }
    }
}

/// What connecting gives.
type Connected = Result<(Stream, Option<Registered>), Refusal>;

/// Keeps a connection among the own ones.
pub(in crate::replay) struct Registered {
    local: Endpoint,
    remote: Endpoint,
    own: OwnConnections,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.own.remove(self.local, self.remote, std::time::Instant::now());
    }
}

impl Connector {
    /// Loads certificates; connects to nothing. `protocol` is asked for by ALPN.
    pub fn new(config: &ReplayConfig, protocol: &[u8]) -> Result<Self, ReplayError> {
        let target = config.target.clone();
        let tls = if target.is_tls() {
            let name = ServerName::try_from(target.host().to_owned())
                .map_err(|err| ReplayError::Client(err.to_string()))?;
            let client = Arc::new(tls::client_config(true, &config.trust, protocol)?);
            Some((TlsConnector::from(client), name))
        } else {
            None
        };
        Ok(Self {
            target,
            tls,
            connect_timeout: config.connect_timeout,
            retries: config.connect_retries,
            own: config.own.clone(),
            found: Mutex::default(),
            turn: AtomicUsize::new(0),
        })
    }

    /// A new connection, tried again as often as is wanted.
    pub async fn connect_until(&self, deadline: Instant) -> Connected {
        let connect = async {
            let mut pause = RETRY_PAUSE;
            for _ in 0..self.retries {
                match self.connect().await {
                    Ok(connected) => return Ok(connected),
                    Err(_) => tokio::time::sleep(pause).await,
                }
                pause *= 2;
            }
            self.connect().await
        };
        timeout_at(deadline, connect).await.unwrap_or(Err(Failure::Timeout.into()))
    }

    async fn connect(&self) -> Connected {
        if let Some(path) = self.target.socket() {
            let connected = timeout(self.connect_timeout, UnixStream::connect(path)).await;
            let stream = connected.map_err(|_| Failure::Connect)?;
            return Ok((Stream::Unix(stream?), None));
        }
        let addrs = self.addresses().await?;
        let deadline = Instant::now() + self.connect_timeout;
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut refusal = Refusal::from(Failure::Resolve);
        for n in 0..addrs.len() {
            let Some(&addr) = addrs.get((first.wrapping_add(n)) % addrs.len()) else { break };
            // The others must have a chance too.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addrs.len() - n).unwrap_or(u32::MAX);
            match timeout_at(Instant::now() + share, self.connect_to(addr)).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(cause)) => refusal = cause,
                Err(_) => refusal = Failure::Connect.into(),
            }
        }
        Err(refusal)
    }

    /// The target's addresses, from the last lookup or a new one.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(ip) = self.target.host().parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.target.port())]);
        }
        // Held over the lookup: those who come meanwhile wait for its result.
        let mut found = self.found.lock().await;
        match &*found {
            Some((at, addrs)) if addrs.is_empty() && at.elapsed() < FAILURE_LIVES => {
                return Err(Failure::Resolve);
            }
            Some((at, addrs)) if !addrs.is_empty() && at.elapsed() < LOOKUP_LIVES => {
                return Ok(addrs.clone());
            }
            _ => {}
        }
        let host = (self.target.host(), self.target.port());
        let addrs: Vec<SocketAddr> = match tokio::net::lookup_host(host).await {
            Ok(addrs) => addrs.collect(),
            Err(error) => {
                tracing::debug!(host = self.target.host(), %error, "cannot resolve");
                Vec::new()
            }
        };
        *found = Some((Instant::now(), addrs.clone()));
        if addrs.is_empty() { Err(Failure::Resolve) } else { Ok(addrs) }
    }

    async fn connect_to(&self, addr: SocketAddr) -> Connected {
        let (stream, registered) = self.tcp(addr).await.inspect_err(|error| {
            tracing::debug!(%addr, %error, "cannot connect");
        })?;
        // Requests are written whole; an idle one must not wait for an acknowledgment.
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let Some((connector, name)) = &self.tls else {
            return Ok((Stream::Plain(stream), registered));
        };
        match connector.connect(name.clone(), stream).await {
            Ok(stream) => Ok((Stream::Tls(Box::new(stream)), registered)),
            Err(error) => {
                tracing::debug!(%addr, %error, "no TLS");
                Err(Failure::Tls.into())
            }
        }
    }

    /// A TCP connection; beside a capture, one from a port that is known before it connects.
    async fn tcp(&self, addr: SocketAddr) -> io::Result<(TcpStream, Option<Registered>)> {
        let Some(own) = &self.own else {
            return Ok((TcpStream::connect(addr).await?, None));
        };
        let (local, peer) = route(addr)?;
        let mut tries = PORT_TRIES;
        loop {
            let socket = match addr {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            // Ports whose last connection is in TIME_WAIT may be taken again.
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::new(local, 0))?;
            let port = socket.local_addr()?.port();
            // Of those from one port only one would be known.
            if own.is_busy(port) && tries > 1 {
                tries -= 1;
                continue;
            }
            let (local, remote) = (Endpoint::new(local, port), Endpoint::new(peer, addr.port()));
            own.add(local, remote, std::time::Instant::now());
            let registered = Registered { local, remote, own: own.clone() };
            match socket.connect(addr).await {
                Ok(stream) => return Ok((stream, Some(registered))),
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable && tries > 1 => {
                    tries -= 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The address from which this host reaches another, and that one as it will be on the wire (0.0.0.0 is this host
/// itself): asked of the routing table, nothing is sent.
fn route(to: SocketAddr) -> io::Result<(IpAddr, IpAddr)> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(to)?;
    Ok((socket.local_addr()?.ip(), socket.peer_addr()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_is_not_looked_up_for_each_request() {
        // RFC 6761 section 6.4: no name below `invalid` exists.
        let target = Target::parse("http://v2.invalid:80").expect("a target");
        let connector = Connector::new(&ReplayConfig::new(target, "test"), b"http/1.1");
        let connector = connector.expect("settings");
        let looked_up = async || {
            assert_eq!(connector.addresses().await, Err(Failure::Resolve));
            let found = connector.found.lock().await;
            found.as_ref().map(|(at, _)| *at).expect("remembered")
        };
        let first = looked_up().await;
        assert_eq!(looked_up().await, first, "remembered");
        *connector.found.lock().await = Some((first - FAILURE_LIVES, Vec::new()));
        assert!(looked_up().await >= first, "looked up again");
    }

    #[test]
    fn no_descriptor_and_no_port_are_told_from_other_failures() {
        let refusal = |errno: Errno| Refusal::from(io::Error::from(errno));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::ADDRINUSE] {
            let (failure, lacks_sockets) = (Failure::Connect, true);
            assert_eq!(refusal(errno), Refusal { failure, lacks_sockets }, "{errno}");
        }
        assert_eq!(refusal(Errno::CONNREFUSED), Failure::Refused.into());
        assert_eq!(refusal(Errno::HOSTUNREACH), Failure::Connect.into());
    }
}
