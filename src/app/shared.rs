//! What the threads of a run share: counts published whole, and the wish to stop.
//!
//! A thread owns its counts as plain numbers and publishes copies at batch borders; nobody holds the
//! lock for longer than a copy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::v1_times::V1Report;
use crate::model::ledger::{
    HttpCounts, PacketCounts, RecordCounts, RecordsRead, RequestCounts, Snapshot, StreamCounts,
    TargetCounts,
};

/// What the capture thread counts.
#[derive(Clone, Copy, Default, Debug)]
pub struct CaptureCounts {
    /// Frames.
    pub packets: PacketCounts,
    /// TCP payload bytes.
    pub streams: StreamCounts,
    /// Bytes given to the HTTP reader.
    pub http: HttpCounts,
    /// Requests.
    pub requests: RequestCounts,
    /// Messages handed to the recorder.
    pub offered: u64,
    /// Requests given up by the recorder alone, because its share of the queue was full.
    pub requests_shed: u64,
    /// Responses given up because the queue was full.
    pub responses_shed: u64,
    /// Records, when recordings are read.
    pub records: RecordsRead,
    /// Parts of a recording that could not be read.
    pub damaged: u64,
}

/// Where the counts of a consumer can be read.
pub enum Consumer {
    /// A replayer.
    Target(Box<dyn Fn() -> TargetCounts + Send + Sync>),
    /// A recorder.
    Recording(Arc<Mutex<RecordCounts>>),
}

/// How far the files of a run have been read, in bytes as they lie on the disk.
#[derive(Clone, Default)]
pub struct Reading {
    read: Arc<AtomicU64>,
    size: Arc<AtomicU64>,
}

impl Reading {
    /// There is so much to read.
    pub fn add_size(&self, bytes: u64) {
        self.size.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So much more was read.
    pub fn add_read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The part that has been read; nothing where the size is not known.
    pub fn part(&self) -> Option<f64> {
        let size = self.size.load(Ordering::Relaxed);
        (size > 0).then(|| self.read.load(Ordering::Relaxed) as f64 / size as f64)
    }
}

/// Published counts of a run.
#[derive(Clone, Default)]
pub struct Shared {
    capture: Arc<Mutex<CaptureCounts>>,
    consumers: Arc<Vec<Consumer>>,
    stop: Arc<AtomicBool>,
    v1: V1Report,
}

impl Shared {
    /// For a run with these consumers.
    pub fn new(consumers: Vec<Consumer>) -> Self {
        Self { consumers: Arc::new(consumers), ..Self::default() }
    }

    /// Publishes the capture thread's counts. Must come before what they count as queued is sent,
    /// so that no consumer is ever ahead.
    pub fn publish(&self, counts: CaptureCounts) {
        *self.capture.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// How long v1 took.
    pub fn v1(&self) -> V1Report {
        self.v1.clone()
    }

    /// Asks the capture thread to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the capture thread was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The whole ledger now: consumers first, capture last.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for consumer in self.consumers.iter() {
            match consumer {
                Consumer::Target(counts) => snapshot.targets.push(counts()),
                Consumer::Recording(counts) => {
                    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    snapshot.recording = Some(counts);
                }
            }
        }
        let capture = *self.capture.lock().unwrap_or_else(PoisonError::into_inner);
        snapshot.packets = capture.packets;
        snapshot.streams = capture.streams;
        snapshot.http = capture.http;
        snapshot.requests = capture.requests;
        snapshot.records = capture.records;
        snapshot.damaged = capture.damaged;
        snapshot.v1 = self.v1.quantiles();
        if let Some(recording) = &mut snapshot.recording {
            recording.offered = capture.offered;
            recording.requests_shed = capture.requests_shed;
            recording.responses_shed = capture.responses_shed;
        }
        snapshot.settle();
        snapshot
    }
}
