//! Places to run things in: this host, or network namespaces wired up like a pod.
//!
//! ```text
//!   client eth0 ──┐
//!   pod    eth0 ──┼── bridge in namespace "node"      the pod's one interface carries v1's traffic
//!   v2     eth0 ──┘                                   and the copies to v2, as in a cluster
//! ```
//!
//! Guarantees: names are unique to the process and the pod; the namespaces, and the links with
//! them, are removed when the `Pod` is dropped.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where a process or a thread has its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The network of the test itself.
    Host,
    /// A named network namespace.
    Namespace(String),
}

impl Place {
    /// A command that will run there.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self {
            Self::Host => Command::new(program),
            Self::Namespace(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
        };
        // Servers and `ip` live in sbin, which a user's PATH may lack.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin")).stdin(Stdio::null());
        command
    }

    /// Moves the calling thread there; sockets it opens from now on belong to that network.
    #[track_caller]
    pub fn enter(&self) {
        let Self::Namespace(name) = self else { return };
        let file = std::fs::File::open(format!("/run/netns/{name}")).expect("namespace exists");
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("root may enter a network namespace");
    }

    /// Runs the closure on a thread there and returns what it returns.
    #[track_caller]
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                f()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A TCP port that is free there on this address now.
    #[track_caller]
    pub fn free_port(&self, ip: IpAddr) -> u16 {
        let bind = || TcpListener::bind((ip, 0)).and_then(|l| l.local_addr());
        self.run(bind).expect("an address to listen on").port()
    }

    /// Whether a TCP connection from there to this address succeeds.
    pub fn connects(&self, to: SocketAddr) -> bool {
        let patience = std::time::Duration::from_secs(1);
        self.run(|| std::net::TcpStream::connect_timeout(&to, patience).is_ok())
    }
}

/// One machine of the pod network: its namespace and its addresses. Its interface is `eth0`.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where its processes run.
    pub place: Place,
    /// Its IPv4 address.
    pub ip: Ipv4Addr,
    /// Its IPv6 address.
    pub ip6: Ipv6Addr,
}

/// A pod with v1 and shadowtap, a client that calls v1, and a v2 elsewhere.
pub struct Pod {
    /// Where v1 and shadowtap run.
    pub pod: Machine,
    /// Where v1's client runs.
    pub client: Machine,
    /// Where v2 runs.
    pub v2: Machine,
    names: Vec<String>,
}

static PODS: AtomicU32 = AtomicU32::new(0);

impl Pod {
    /// Makes the namespaces, the bridge and the links, all up and addressed.
    #[track_caller]
    pub fn new() -> Self {
        super::require_root();
        let id = format!("st{}-{}", std::process::id(), PODS.fetch_add(1, Ordering::Relaxed));
        let mut pod = Self {
            pod: machine(&id, "pod", 1),
            client: machine(&id, "client", 2),
            v2: machine(&id, "v2", 3),
            names: Vec::new(),
        };
        let node = format!("{id}-node");
        pod.add_namespace(&node);
        ip(&node, &["link", "add", "br0", "type", "bridge", "mcast_snooping", "0"]);
        ip(&node, &["link", "set", "br0", "up"]);
        for machine in [pod.pod.clone(), pod.client.clone(), pod.v2.clone()] {
            pod.add_machine(&node, &machine);
        }
        pod
    }

    /// Adds a link `span0` to `span0` between client and pod, like the cable to a monitor port: frames
    /// injected at the client's end arrive at the pod's, whatever their addresses. (The bridge would learn
    /// these, and keep frames for hosts it believes behind the injecting port.) Returns the address of the
    /// client's end.
    #[track_caller]
    pub fn add_span(&self) -> Ipv4Addr {
        let (Place::Namespace(client), Place::Namespace(pod)) =
            (&self.client.place, &self.pod.place)
        else {
            unreachable!("a pod's machines are namespaces")
        };
        ip(
            client,
            &["link", "add", "span0", "type", "veth", "peer", "name", "span0", "netns", pod],
        );
        for (name, addr) in [(pod, "10.77.1.1/24"), (client, "10.77.1.2/24")] {
            ip(name, &["addr", "add", addr, "dev", "span0"]);
            ip(name, &["link", "set", "span0", "mtu", "65535", "up"]);
        }
        Ipv4Addr::new(10, 77, 1, 2)
    }

    fn add_namespace(&mut self, name: &str) {
        run(Command::new("ip").args(["netns", "add", name]));
        self.names.push(name.to_owned());
        ip(name, &["link", "set", "lo", "up"]);
    }

    fn add_machine(&mut self, node: &str, machine: &Machine) {
        let Place::Namespace(name) = &machine.place else { return };
        self.add_namespace(name);
        let port = format!("port{}", machine.ip.octets()[3]);
        let veth = ["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", name];
        ip(node, &veth);
        ip(node, &["link", "set", &port, "master", "br0", "up"]);
        ip(name, &["addr", "add", &format!("{}/24", machine.ip), "dev", "eth0"]);
        // nodad: the address is usable at once, without a second of duplicate address detection.
        ip(name, &["addr", "add", &format!("{}/64", machine.ip6), "dev", "eth0", "nodad"]);
        ip(name, &["link", "set", "eth0", "up"]);
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for name in &self.names {
            // Best effort: a failing test must not fail again while it cleans up.
            Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status().ok();
        }
    }
}

fn machine(id: &str, role: &str, number: u8) -> Machine {
    Machine {
        place: Place::Namespace(format!("{id}-{role}")),
        ip: Ipv4Addr::new(10, 77, 0, number),
        ip6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number.into()),
    }
}

/// `ip -n NAMESPACE ...`: for what a test wants beyond a plain pod (VLANs, routes, small MTUs).
#[track_caller]
pub fn ip(namespace: &str, args: &[&str]) {
    run(Command::new("ip").args(["-n", namespace]).args(args));
}

#[track_caller]
fn run(command: &mut Command) {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .output()
        .unwrap_or_else(|err| panic!("{command:?}: {err}"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {message}");
}
