//! tcpdump: the other witness. Writes a capture file while a test's traffic flows.
//!
//! Guarantees: when `start` returns it captures, and when `stop` returns the file holds every packet
//! sent before: tcpdump may lose what the kernel has not yet handed over when it is interrupted, so a
//! datagram is sent behind the traffic and waited for.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::netns::Place;
use super::process::{Process, contains};
use super::{PATIENCE, wait_until};

/// How the datagram begins that closes a capture; it goes to the discard port. Its file's name follows: others may
/// close theirs on the same interface.
const LAST: &str = "shadowtap test: end of capture ";

/// The whole of it.
fn last(file: &Path) -> Vec<u8> {
    [LAST.as_bytes(), file.as_os_str().as_encoded_bytes()].concat()
}

/// A running tcpdump.
pub struct Tcpdump {
    /// The file it writes.
    pub file: PathBuf,
    process: Process,
    place: Place,
    last_to: IpAddr,
    _dir: TempDir,
}

/// A finished capture. The file goes when this is dropped.
pub struct Capture {
    /// The file.
    pub file: PathBuf,
    /// What tcpdump said at its end.
    pub summary: String,
    _dir: TempDir,
}

impl Tcpdump {
    /// Captures `filter` on this interface of this place. `reachable` is an address that is reached
    /// through it: the loopback address for `lo` and `any`, a neighbour's for others.
    #[track_caller]
    pub fn start(place: &Place, interface: &str, filter: &str, reachable: IpAddr) -> Self {
        super::require_root();
        let dir =
            tempfile::Builder::new().prefix("shadowtap-tcpdump-").tempdir().expect("temp dir");
        let file = dir.path().join("capture.pcap");
        let mut command = place.command("tcpdump");
        // -Z root: otherwise it becomes another user before it opens the file. -U: whole packets
        // reach the file as they come.
        command.args(["-n", "-U", "-s", "0", "-B", "65536", "-Z", "root", "-i", interface, "-w"]);
        // Ours first: the keyword `vlan` moves the offsets of everything behind it.
        command.arg(&file).arg(format!("udp dst port 9 or ({filter})"));
        let process = Process::start(command);
        process.wait_stderr("listening on", PATIENCE);
        Self { file, process, place: place.clone(), last_to: reachable, _dir: dir }
    }

    /// Ends the capture once everything before this call is in the file; fails if packets were dropped.
    #[track_caller]
    pub fn stop(self) -> Capture {
        let to = SocketAddr::new(self.last_to, 9);
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let bind = || UdpSocket::bind((any, 0));
        let socket = self.place.run(bind).expect("a UDP socket");
        let (mut seen, last) = (0, last(&self.file));
        wait_until("the last datagram in the capture file", PATIENCE, || {
            // Refused at the other end, or lost to a full ring: it is sent until it is seen.
            socket.send_to(&last, to).ok();
            std::thread::sleep(Duration::from_millis(50));
            let (found, next) = appears_after(&self.file, &last, seen);
            seen = next;
            found
        });
        self.process.signal(Signal::INT);
        let finished = self.process.finish(PATIENCE).expect_code(0);
        let summary = finished.stderr;
        assert!(summary.contains("\n0 packets dropped by kernel"), "tcpdump lost some: {summary}");
        Capture { file: self.file, summary, _dir: self._dir }
    }
}

impl Capture {
    /// How many frames it holds, without the datagram that closed it.
    #[track_caller]
    pub fn frames(&self) -> usize {
        let mut file = pcap::Capture::from_file(&self.file).expect("the capture");
        let mut count = 0;
        while let Ok(packet) = file.next_packet() {
            count += usize::from(!contains(packet.data, LAST.as_bytes()));
        }
        count
    }
}

/// Whether the last datagram is in the file at or after this offset, and from where to look next.
fn appears_after(file: &Path, last: &[u8], offset: u64) -> (bool, u64) {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file).and_then(|mut f| {
        f.seek(SeekFrom::Start(offset))?;
        f.read_to_end(&mut bytes)
    });
    let read = read.unwrap_or(0) as u64;
    (contains(&bytes, last), (offset + read).saturating_sub(last.len() as u64))
}
