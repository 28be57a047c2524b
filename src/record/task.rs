//! The thread around a [`Recorder`]: takes batches of messages, writes them, publishes its counts.
//!
//! In come batches from the capture side over a bounded channel, each message with a guard that
//! gives its share of the queue back when it is dropped: here, as soon as the message is in the
//! writer's buffer. Guaranteed: what was taken is in the file within [`FLUSH_EVERY`], or counted
//! as failed; when the senders are gone, everything is written and on the disk before
//! [`RecordTask::run`] returns. Starting the thread, and at what priority, is left to `app`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::model::Message;
use crate::model::ledger::RecordCounts;

use super::files::{Files, Series};
use super::trouble::RecordError;
use super::writer::Recorder;

/// The longest time for which a message is in memory only.
pub const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What is done to a message before it is stored: on the record thread, since the capture has no time for it.
pub type Prepare = Box<dyn FnMut(Message) -> Message + Send>;

/// Writes a recording from a channel.
///
/// capture thread --batches of messages--> record thread
pub struct RecordTask<G, F: Files = Series> {
    recorder: Recorder<F>,
    batches_rx: Receiver<Vec<(Message, G)>>,
    prepare: Prepare,
    published: Arc<Mutex<RecordCounts>>,
    /// Whether the last write failed, so that its cause is logged once and not each second.
    failing: bool,
    /// Messages that had failed when it began.
    failed_before: u64,
}

impl<G, F: Files> RecordTask<G, F> {
    /// A task that writes what arrives on this channel, prepared.
    pub fn new(
        recorder: Recorder<F>,
        batches_rx: Receiver<Vec<(Message, G)>>,
        prepare: Prepare,
    ) -> Self {
        let published = Arc::new(Mutex::new(recorder.counts().clone()));
        Self { recorder, batches_rx, prepare, published, failing: false, failed_before: 0 }
    }

    /// Where the counts are published at batch borders. `offered` and `responses_shed` stay 0:
    /// the capture side knows them.
    pub fn counts(&self) -> Arc<Mutex<RecordCounts>> {
        Arc::clone(&self.published)
    }

    /// Writes until every sender is gone, then finishes the file.
    pub fn run(mut self) -> (RecordCounts, Result<(), RecordError>) {
        let mut flush_at = Instant::now() + FLUSH_EVERY;
        loop {
            // With nothing in the buffer only a file that grows old, or has no name, is something to wake up for.
            let mut wake_at = self.recorder.due_at();
            if self.recorder.has_pending() {
                wake_at = Some(wake_at.map_or(flush_at, |at| at.min(flush_at)));
            } else {
                flush_at = Instant::now() + FLUSH_EVERY;
            }
            let received = match wake_at {
                Some(at) => self.batches_rx.recv_deadline(at),
                None => self.batches_rx.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(batch) => self.write(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
            let now = Instant::now();
            if now >= flush_at {
                self.recorder.flush();
                flush_at = now + FLUSH_EVERY;
            }
            self.recorder.keep_up();
            self.publish();
        }
    }

    fn write(&mut self, batch: Vec<(Message, G)>) {
        for (message, guard) in batch {
            let message = (self.prepare)(message);
            self.recorder.record(&message);
            drop((message, guard));
        }
    }

    fn publish(&mut self) {
        let counts = self.recorder.counts();
        publish_into(&self.published, counts);
        match self.recorder.trouble() {
            Some(trouble) if !self.failing => {
                tracing::error!("recording paused: {trouble}");
            }
            None if self.failing => {
                let failed = counts.failed.saturating_sub(self.failed_before);
                tracing::warn!("recording goes on; {failed} messages were not written meanwhile");
            }
            Some(_) => {}
            None => self.failed_before = counts.failed,
        }
        self.failing = self.recorder.trouble().is_some();
    }

    fn finish(self) -> (RecordCounts, Result<(), RecordError>) {
        let (counts, result) = self.recorder.finish();
        publish_into(&self.published, &counts);
        (counts, result)
    }
}

fn publish_into(published: &Mutex<RecordCounts>, counts: &RecordCounts) {
    // Counts are plain numbers: a panic elsewhere cannot have left them half written.
    published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(counts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Plan;
    use crate::record::names::partial;
    use crate::record::tests::{info, read_all, request};

    /// Waits until the condition holds, for at most ten seconds.
    #[track_caller]
    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "not within 10 s: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_is_sent_is_flushed_within_its_time_and_finished_at_the_end() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.warc");
        let recorder = Recorder::create(&Plan::one(&path), &info()).expect("create");
        let (batches_tx, batches_rx) = crossbeam_channel::bounded(4);
        let task = RecordTask::new(recorder, batches_rx, Box::new(|message| message));
        let counts = task.counts();
        let thread = std::thread::spawn(move || task.run());

        let guard = Arc::new(());
        let message = request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let batch = |n: usize| vec![(message.clone(), Arc::clone(&guard)); n];
        batches_tx.send(batch(3)).expect("send");
        wait_until("flushed without an end", || counts.lock().expect("lock").requests == 3);
        wait_until("guards dropped", || Arc::strong_count(&guard) == 1);
        let making = std::fs::read(partial(&path)).expect("in the making");
        assert_eq!(read_all(&making).0.len(), 3);

        batches_tx.send(batch(2)).expect("send");
        drop(batches_tx);
        let (last, result) = thread.join().expect("thread");
        result.expect("finish");
        assert_eq!((last.requests, &last), (5, &*counts.lock().expect("lock")));
        assert_eq!(read_all(&std::fs::read(&path).expect("read")).0.len(), 5);
    }
}
