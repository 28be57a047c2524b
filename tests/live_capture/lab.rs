//! A small network of its own for each test: two namespaces, `pod` and `peer`, joined by a veth pair
//! that is called `eth0` on both ends; and a capture that collects what it sees.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use shadowtap::capture::live::{LiveCapture, LiveConfig};
use shadowtap::model::Frame;

/// Long enough for a loaded machine; nothing waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Addresses of the two ends.
pub const POD: [u8; 4] = [10, 77, 0, 1];
pub const PEER: [u8; 4] = [10, 77, 0, 2];

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Two joined namespaces; removed, with everything in them, when dropped.
pub struct Lab {
    pub pod: String,
    pub peer: String,
}

impl Lab {
    /// Makes the network, or says why the test is skipped.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            report("skipped: network namespaces need root");
            return None;
        }
        let tag = format!("st{}n{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let lab = Self { pod: format!("{tag}pod"), peer: format!("{tag}peer") };
        let (pod, peer) = (&lab.pod, &lab.peer);
        ip(&format!("netns add {pod}"));
        ip(&format!("netns add {peer}"));
        ip(&format!("-n {pod} link add eth0 type veth peer name eth0 netns {peer}"));
        for (ns, last) in [(pod, 1), (peer, 2)] {
            // Without IPv6 addresses the kernel sends nothing of its own accord.
            within(ns, || std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"))
                .expect("sysctl");
            ip(&format!("-n {ns} link set lo up"));
            ip(&format!("-n {ns} addr add 10.77.0.{last}/24 dev eth0"));
            ip(&format!("-n {ns} link set eth0 up"));
        }
        Some(lab)
    }

    /// Runs `ip` with arguments in the pod and the peer; `{n}` becomes 1 and 2.
    pub fn ip_both(&self, arguments: &str) {
        for (ns, n) in [(&self.pod, "1"), (&self.peer, "2")] {
            ip(&format!("-n {ns} {}", arguments.replace("{n}", n)));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for ns in [&self.pod, &self.peer] {
            let _ = Command::new("ip").args(["netns", "del", ns]).status();
        }
    }
}

/// Writes past the test harness, which would keep it to itself.
fn report(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs `ip`, which must succeed.
#[track_caller]
pub fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split_whitespace()).output().expect("ip");
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Runs `work` on a thread inside a namespace, and gives back its result.
pub fn within<T: Send>(ns: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let file = File::open(format!("/var/run/netns/{ns}")).expect("namespace");
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&file),
                    Some(LinkNameSpaceType::Network),
                )
                .expect("setns");
                work()
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Requests on `ports` at `interfaces`, with a small ring.
pub fn config(interfaces: &[&str], ports: &[u16]) -> LiveConfig {
    LiveConfig {
        interfaces: interfaces.iter().map(|s| (*s).to_owned()).collect(),
        ring_bytes: 4 << 20,
        ports: ports.to_vec(),
        responses: false,
        extra_filter: None,
    }
}

/// Opens a capture in the pod.
pub fn open(lab: &Lab, config: &LiveConfig) -> LiveCapture {
    within(&lab.pod, || LiveCapture::open(config)).expect("open")
}

/// A frame, kept.
#[derive(Clone, Debug)]
pub struct Seen {
    pub link: u32,
    pub bytes: Vec<u8>,
    pub wire_len: u32,
    pub time: u64,
}

impl Seen {
    pub fn contains(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|w| w == text.as_bytes())
    }
}

/// Collects frames until one contains `last`, and then what arrives within 50 ms more.
#[track_caller]
pub fn collect(capture: &mut LiveCapture, last: &str) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    let start = Instant::now();
    while !seen.iter().any(|s| s.contains(last)) {
        assert!(start.elapsed() < DEADLINE, "{last:?} is not among {} frames", seen.len());
        step(capture, &mut seen);
    }
    while step(capture, &mut seen) > 0 {}
    seen
}

/// One poll of at most 50 ms.
#[track_caller]
pub fn step(capture: &mut LiveCapture, seen: &mut Vec<Seen>) -> usize {
    let mut keep = |frame: &Frame<'_>| {
        seen.push(Seen {
            link: frame.link.0,
            bytes: frame.bytes.to_vec(),
            wire_len: frame.wire_len,
            time: frame.time.as_nanos(),
        });
    };
    capture.poll(Duration::from_millis(50), &mut keep).expect("poll")
}

/// Listens. A process just being started by another test may hold the last listener a moment longer.
#[track_caller]
fn listen(address: SocketAddr) -> TcpListener {
    let start = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(e) => assert!(start.elapsed() < DEADLINE, "{address}: {e}"),
        }
        std::thread::yield_now();
    }
}

/// One request and its answer, over a connection of its own, from `from` to a server in the pod.
/// The request ends with `text`, the answer with `answer to ` and `text`, after 3000 bytes.
#[track_caller]
pub fn exchange(lab: &Lab, from: &str, server: impl Into<IpAddr>, port: u16, text: &str) {
    let address = SocketAddr::new(server.into(), port);
    let listener = within(&lab.pod, || listen(address));
    let mut client =
        within(from, || TcpStream::connect_timeout(&address, DEADLINE).expect("connect"));
    let (mut served, _) = listener.accept().expect("accept");
    served.set_read_timeout(Some(DEADLINE)).expect("timeout");
    client.set_read_timeout(Some(DEADLINE)).expect("timeout");
    let request = format!("{}{text}", "r".repeat(1000));
    client.write_all(request.as_bytes()).expect("request");
    let mut got = vec![0; request.len()];
    served.read_exact(&mut got).expect("request");
    served.write_all(format!("{}answer to {text}", "a".repeat(3000)).as_bytes()).expect("answer");
    drop(served);
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("answer");
    assert!(answer.ends_with(text));
}
