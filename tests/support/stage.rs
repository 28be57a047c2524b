//! The whole scene: v1 (nginx), its client, shadowtap beside v1, and v2.
//!
//! Out: the pieces, and the comparison that matters most: what v2 received against v1's access log
//! and against the ledger. Sizes come from the environment where a larger show is wanted than
//! in a test run (`scripts/show-mirror.sh`).

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;
use super::ledger::Ledger;
use super::load::{Load, Sent};
use super::netns::{Place, Pod};
use super::nginx::{Logged, Nginx};
use super::request::{Request, exact};
use super::shadowtap::{Run, Shadowtap};
use super::v2::V2;

/// The loopback address.
pub const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// v1, v2, and where everybody is.
pub struct Stage {
    /// v1.
    pub v1: Nginx,
    /// v2.
    pub v2: V2,
    /// Where v1 and shadowtap run.
    pub here: Place,
    /// Where v1's client runs.
    pub client: Place,
    /// The interface that carries v1's traffic.
    pub interface: &'static str,
    /// An address reached through that interface.
    pub neighbour: IpAddr,
    _pod: Option<Pod>,
}

impl Stage {
    /// Everything on this host's loopback interface.
    #[track_caller]
    pub fn loopback() -> Self {
        super::require_root();
        Self {
            v1: Nginx::start(&Place::Host, &[LOCALHOST]),
            v2: V2::start(&Place::Host, LOCALHOST),
            here: Place::Host,
            client: Place::Host,
            interface: "lo",
            neighbour: LOCALHOST,
            _pod: None,
        }
    }

    /// v1 and shadowtap in a pod, client and v2 elsewhere.
    #[track_caller]
    pub fn veth() -> Self {
        let pod = Pod::new();
        Self {
            v1: Nginx::start(&pod.pod.place, &[pod.pod.ip.into()]),
            v2: V2::start(&pod.v2.place, pod.v2.ip.into()),
            here: pod.pod.place.clone(),
            client: pod.client.place.clone(),
            interface: "eth0",
            neighbour: pod.client.ip.into(),
            _pod: Some(pod),
        }
    }

    /// The client's load, to be adjusted.
    pub fn load(&self) -> Load {
        Load { place: self.client.clone(), ..Load::new(self.v1.addr()) }
    }

    /// The client's load, so large and so fast unless the environment says otherwise.
    pub fn sized_load(&self, count: usize, rate: usize) -> Load {
        let count = setting("SHADOWTAP_REQUESTS", count);
        let rate = u32::try_from(setting("SHADOWTAP_RATE", rate)).expect("a rate");
        Load { count, rate, connections: 32, ..self.load() }
    }

    /// `mirror` of v1's port at v2, beside v1; ledger as JSON.
    pub fn mirror(&self) -> Run {
        self.mirror_to(&self.v2.url())
    }

    /// The same at another v2.
    pub fn mirror_to(&self, to: &str) -> Run {
        let port = self.v1.port().to_string();
        let run = Run::new(["mirror", "-i", self.interface, "-p", &port, "--to", to, "--json"]);
        run.place(&self.here)
    }

    /// `replay` of a file at v2, as fast as it goes, every method; ledger as JSON.
    pub fn replay(&self, file: &str) -> Run {
        let port = self.v1.port().to_string();
        let to = self.v2.url();
        let run = Run::new(["replay", file, "-p", &port, "--to", &to, "--json"]);
        run.args(["--methods", "all", "--speed", "max"]).place(&self.here)
    }
}

/// Waits until a live command captures.
#[track_caller]
pub fn capturing(shadowtap: Shadowtap) -> Shadowtap {
    shadowtap.wait_stderr("ing port", PATIENCE);
    shadowtap
}

/// Sends these bytes over a connection of its own and gives what came back until its end.
#[track_caller]
pub fn converse(client: &Place, to: SocketAddr, request: &str) -> String {
    let mut stream = client.run(|| TcpStream::connect_timeout(&to, PATIENCE)).expect("v1 accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("v1 reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer and its end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Writes past the test harness, which would keep it to itself: the figures of a show.
pub fn report(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// A number from the environment, for shows larger than a test.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Panics unless client and v1 agree on what was asked: method and path of every request.
#[track_caller]
pub fn assert_logged(sent: &Sent, log: &[Logged]) {
    let without_body = |method: &str, target: &str| Request::new(method, target, b"");
    let said: Vec<_> = sent.requests.iter().map(|r| without_body(&r.method, &r.target)).collect();
    let logged: Vec<_> = log.iter().map(|l| without_body(&l.method, &l.target)).collect();
    exact(&said, &logged);
}

/// Panics unless every request was captured, queued and answered, nothing was lost, and all sums hold.
#[track_caller]
pub fn assert_all_answered(ledger: &Ledger, requests: usize) {
    let requests = requests as u64;
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/captured"), requests, "captured in {:#}", ledger.0);
    assert_eq!(ledger.count("/requests/queued"), requests, "queued in {:#}", ledger.0);
    assert_eq!(ledger.count("/targets/0/answered/2xx"), requests, "answered in {:#}", ledger.0);
    assert_eq!(ledger.total("/targets/0/in_flight"), 0);
    assert!(ledger.is_lossless(), "something was lost: {:#}", ledger.0);
}

/// Long enough for a replay or mirror of this many requests in a debug build.
pub fn patience_for(requests: usize) -> Duration {
    PATIENCE + Duration::from_millis(5) * u32::try_from(requests).unwrap_or(u32::MAX)
}
