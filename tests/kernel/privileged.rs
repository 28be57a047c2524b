//! The client is `tests/scripts/kernel.py`, with scapy; the server is this machine's Linux.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use shadowtap::capture::file::CaptureFile;
use shadowtap::decode::Decoder;
use shadowtap::model::{
    Anomaly, CloseReason, FlowInfo, Gap, Piece, Side, StreamHandler, Timestamp, Watch,
};
use shadowtap::reassemble::{Limits, Reassembler};

use crate::support::netns::{Place, ip};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/kernel.sh");

/// Connections of one run, some with a receive buffer that fills.
const CONNECTIONS: usize = 300;

/// A namespace with the server's link, `v1`, and its other end, `wire`, which has no address: the
/// client's kernel, which would refuse what it knows nothing of, does not exist. Removed when dropped.
struct Network(String);

impl Network {
    fn new() -> Self {
        crate::support::require_root();
        let name = format!("st{}-kernel", std::process::id());
        let run = |args: &[&str]| {
            let done = Command::new("ip").args(args).status().expect("ip");
            assert!(done.success(), "ip {args:?}");
        };
        run(&["netns", "add", &name]);
        let network = Self(name);
        let ns = &network.0;
        network.place().run(|| {
            // Without IPv6 addresses the kernel sends nothing of its own accord.
            std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").expect("sysctl");
        });
        ip(ns, &["link", "add", "v1", "type", "veth", "peer", "name", "wire"]);
        ip(ns, &["link", "set", "wire", "address", "02:00:00:00:00:02"]);
        ip(ns, &["addr", "add", "10.9.0.1/24", "dev", "v1"]);
        ip(ns, &["link", "set", "v1", "up"]);
        ip(ns, &["link", "set", "wire", "up"]);
        ip(ns, &["neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v1"]);
        network
    }

    fn place(&self) -> Place {
        Place::Namespace(self.0.clone())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Best effort: a failing test must not fail again while it cleans up.
        Command::new("ip").args(["netns", "del", &self.0]).status().ok();
    }
}

/// What the client's side of a connection was told to have sent.
#[derive(Default, Debug)]
struct Stream {
    bytes: Vec<u8>,
    gaps: u64,
    is_urgent: bool,
    is_finished: bool,
}

/// Keeps everything, by the client's port.
#[derive(Default)]
struct Keeper(BTreeMap<u16, Stream>);

impl Keeper {
    fn client(&mut self, info: &FlowInfo, side: Side) -> Option<&mut Stream> {
        let is_client = info.client == Some(side);
        is_client.then(|| self.0.entry(info.end(side).port).or_default())
    }
}

impl StreamHandler for Keeper {
    type Flow = ();
    fn opened(&mut self, info: &FlowInfo) {
        assert!(info.from_start && info.client.is_some(), "{info:?}");
    }
    fn data(&mut self, info: &FlowInfo, (): &mut (), side: Side, piece: Piece<'_>) {
        let Some(stream) = self.client(info, side) else { return };
        stream.bytes.extend_from_slice(piece.bytes);
        stream.is_urgent |= piece.anomalies.contains(Anomaly::UrgentData);
    }
    fn gap(&mut self, info: &FlowInfo, (): &mut (), side: Side, _: Gap) {
        if let Some(stream) = self.client(info, side) {
            stream.gaps += 1;
        }
    }
    fn conflict(&mut self, _: &FlowInfo, (): &mut (), _: Side) {}
    fn finished(&mut self, info: &FlowInfo, (): &mut (), side: Side, _: Timestamp) {
        if let Some(stream) = self.client(info, side) {
            stream.is_finished = true;
        }
    }
    fn closed(&mut self, _: &FlowInfo, (): (), _: Timestamp, _: CloseReason) {}
    fn held(&self, (): &()) -> usize {
        0
    }
}

/// What the reassembler makes of the frames.
fn reassembled(file: &Path) -> BTreeMap<u16, Stream> {
    let mut frames = CaptureFile::open(file.to_str().expect("UTF-8")).expect("capture");
    let watch = Watch { ports: vec![80, 81], ..Watch::everything() };
    let mut decoder = Decoder::default();
    let mut reassembler = Reassembler::new(Keeper::default(), watch, true, Limits::default());
    while let Some(frame) = frames.next_frame().expect("whole") {
        let segment = decoder.decode(&frame).expect("TCP");
        reassembler.push(&segment).expect("watched");
    }
    reassembler.finish();
    let counts = reassembler.counts();
    assert_eq!(counts.unseen, 0, "nothing was lost: {counts:?}");
    std::mem::take(&mut reassembler.handler().0)
}

#[test]
fn what_read_delivers_is_what_the_reassembler_delivers() {
    let installed = Command::new(SCRIPT).arg("install").output().expect("kernel.sh runs");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let network = Network::new();
    let dir = tempfile::tempdir().expect("temp dir");
    let seed = std::env::var("SHADOWTAP_SEED").unwrap_or_else(|_| "1".to_owned());
    let mut command = network.place().command(SCRIPT);
    let done = command.args([&seed, &CONNECTIONS.to_string()]).arg(dir.path()).output();
    let done = done.expect("kernel.sh runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let streams = reassembled(&dir.path().join("frames.pcap"));
    let rows = std::fs::read_to_string(dir.path().join("read.jsonl")).expect("what was read");
    let rows: Vec<Value> =
        rows.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    assert_eq!((rows.len(), streams.len()), (CONNECTIONS, CONNECTIONS));
    let mut kinds = BTreeMap::<&str, usize>::new();
    let mut wrong = Vec::new();
    for row in &rows {
        let port = row["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        let stream = &streams[&port];
        let read = row["read"].as_str().expect("text").as_bytes();
        let is_left_out = row["left_out"].as_u64().expect("a number") > 0;
        *kinds.entry(row["kind"].as_str().expect("text")).or_default() += 1;
        if stream.bytes != read || !stream.is_finished || stream.is_urgent != is_left_out {
            let ours = String::from_utf8_lossy(&stream.bytes).into_owned();
            wrong.push(format!("seed {seed}: {ours} {stream:?}\n{row}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    for kind in ["plain", "urgent", "syn", "probe", "zero_window"] {
        assert!(kinds.get(kind).is_some_and(|&count| count >= 5), "{kinds:?}");
    }
    assert!(streams.values().any(|stream| stream.is_urgent), "some urgent byte was left out");
}
