//! The ledger: where every packet, byte and request ended, and the proof that the buckets sum.
//!
//! Each thread owns its counts (plain numbers, no atomics) and publishes them whole at batch
//! borders. A [`Snapshot`] puts such sets together, reading downstream before upstream, so that what
//! is between two threads is the computed, never negative bucket `in_transit`.

use serde::Serialize;

use super::segment::{IGNORED, Ignored};
use super::stream::{CLOSE_REASONS, CloseReason};
use super::tally::{Tally, causes};

/// Frames: `received = decoded + ignored`. The drops stand beside, they were never received.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize)]
pub struct PacketCounts {
    /// Frames handed over by libpcap or read from the file.
    pub received: u64,
    /// Frames that became a TCP segment of a watched connection.
    pub decoded: u64,
    /// Frames that did not, by cause.
    pub ignored: Tally<Ignored, IGNORED>,
    /// Frames the kernel dropped because the ring was full (libpcap `ps_drop`).
    pub kernel_dropped: u64,
    /// Frames the interface or its driver dropped (libpcap `ps_ifdrop`).
    pub interface_dropped: u64,
}

/// TCP payload bytes: `received = delivered + duplicate + other_direction + refused + urgent +
/// buffered`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize)]
pub struct StreamCounts {
    /// Connections that had data or a handshake.
    pub flows: u64,
    /// Connections that are over, by reason.
    pub closed: Tally<CloseReason, CLOSE_REASONS>,
    /// Payload bytes captured in decoded segments.
    pub received: u64,
    /// Bytes handed to the HTTP reader, each once and in order.
    pub delivered: u64,
    /// Bytes that had been delivered or buffered before: retransmissions, second sightings.
    pub duplicate: u64,
    /// Bytes of the direction that is not read (responses, unless they were asked for).
    pub other_direction: u64,
    /// Bytes outside the window, after the end of the connection, or over a limit.
    pub refused: u64,
    /// Urgent bytes, which the receiving kernel takes out of the stream (RFC 9293 3.8.5).
    pub urgent: u64,
    /// Bytes waiting behind a hole now.
    pub buffered: u64,
    /// Bytes acknowledged by their receiver but never seen here, or skipped over to go on.
    pub unseen: u64,
    /// Holes given up.
    pub gaps: u64,
    /// Segments that had other bytes than those delivered.
    pub conflicts: u64,
}

/// Bytes handed to the HTTP reader: `delivered = messages + skipped + open`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize)]
pub struct HttpCounts {
    /// Bytes of messages, whole or not, heads and framing included.
    pub messages: u64,
    /// Bytes that belong to no message, by cause.
    pub skipped: Tally<Skipped, SKIPPED>,
    /// Bytes of messages not yet finished.
    pub open: u64,
    /// Responses finished, whole or not.
    pub responses: u64,
    /// Responses that are not whole.
    pub responses_incomplete: u64,
    /// Responses whose body is larger than the limit: seen whole, but not kept.
    pub responses_too_large: u64,
    /// Connections that turned out not to speak HTTP/1.x, by what they speak.
    pub other_protocol: Tally<Protocol, PROTOCOLS>,
}

causes!(
    /// Why delivered bytes belong to no message.
    Skipped, SKIPPED {
        /// Before the first sure message start of a connection that was already open.
        MidStream = "mid_stream",
        /// Between a hole (or broken framing) and the next sure message start.
        Resync = "resync",
        /// Of a connection that speaks something else.
        OtherProtocol = "other_protocol",
        /// After an upgrade or CONNECT: no longer HTTP.
        Upgraded = "upgraded",
        /// Empty lines between messages (RFC 9112 2.2).
        EmptyLines = "empty_lines",
    }
);

causes!(
    /// What a connection speaks, when it is not HTTP/1.x.
    Protocol, PROTOCOLS {
        /// TLS: a handshake record came first.
        Tls = "tls",
        /// HTTP/2 with prior knowledge: its preface came first.
        Http2 = "http2",
        /// HTTP/0.9: a request line without a version.
        Http09 = "http09",
        /// Something else.
        Unknown = "unknown",
    }
);

causes!(
    /// Where a captured request ended that was not queued.
    Refused, REFUSED {
        /// Carries the marker header: a copy of ours, not v1's traffic.
        Marker = "refused_marker",
        /// Its method is not among those that may be sent (`--methods`).
        MethodHeldBack = "method_held_back",
        /// Its body is larger than `--max-body`.
        BodyTooLarge = "body_too_large",
        /// Not seen whole: cut off, or with a hole.
        Incomplete = "incomplete",
        /// Left out by `--only`, `--except` or `--path`.
        Filtered = "filtered",
        /// A rule asks for v1's status, and v1 did not answer in time.
        NoV1Answer = "no_v1_answer",
        /// Its framing can be read in two ways.
        Ambiguous = "ambiguous",
        /// CONNECT or Upgrade: cannot be replayed as a request.
        NotReplayable = "not_replayable",
        /// Before `--from` or behind `--until`.
        OutOfRange = "out_of_range",
        /// Not among the share that `--percent` lets on.
        SampledOut = "sampled_out",
        /// More in a second than `--max-rate` lets on.
        OverRate = "shed_over_rate",
        /// The queue was full (live only; a file waits).
        QueueFull = "shed_queue_full",
    }
);

causes!(
    /// Why a record of a recording gave no message.
    Passed, PASSED {
        /// Of another kind: `warcinfo`, `metadata`, ...
        NoMessage = "no_message",
        /// A request or response that is no HTTP/1.x message.
        NotHttp = "not_http",
        /// Its server's port is not among those asked for.
        OtherPort = "other_port",
        /// An answer that a replay got, not v1's (.gor, type 3).
        Replayed = "replayed",
        /// A request with a body, of which an access log tells nothing.
        BodyNotLogged = "body_not_logged",
    }
);

causes!(
    /// What a reader had to change in a message to make it HTTP/1.1, since the file holds something else.
    Changed, CHANGED {
        /// Pseudo header fields of HTTP/2 or HTTP/3, left out.
        PseudoHeaders = "pseudo_headers",
        /// A version other than HTTP/1.0 and HTTP/1.1.
        HttpVersion = "http_version",
        /// A Host field that was not there, made of the URI.
        HostMade = "host_made",
        /// Content-Length made right for the body that is there, Transfer-Encoding left out.
        Framing = "framing",
        /// Content-Encoding left out, since the body is stored decoded.
        ContentEncoding = "content_encoding",
        /// Header fields that HTTP/1.1 cannot hold, left out or with line ends made spaces.
        InvalidHeader = "invalid_header",
    }
);

/// Records of the recordings read: `read = messages + passed`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize)]
pub struct RecordsRead {
    /// Whole records.
    pub read: u64,
    /// Those that gave a message.
    pub messages: u64,
    /// Those passed over, by cause.
    pub passed: Tally<Passed, PASSED>,
    /// Of the messages, those that were changed in reading, by what was. Beside the sum.
    pub changed: Tally<Changed, CHANGED>,
}

/// Requests at the capture side: `captured = queued + refused`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests of which at least the start line was seen.
    pub captured: u64,
    /// Requests handed on: to the replayer, the recorder, or the listing.
    pub queued: u64,
    /// Requests that were not, by cause.
    pub refused: Tally<Refused, REFUSED>,
    /// Of those handed on, the ones that carry a secret which their recording has replaced by its hash.
    /// Beside the sum.
    pub secrets_replaced: u64,
}

causes!(
    /// Status class of an answer.
    StatusClass, STATUS_CLASSES {
        /// 100 to 199.
        Informational = "1xx",
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 to 599.
        ServerError = "5xx",
        /// Anything else.
        Other = "other",
    }
);

impl StatusClass {
    /// The class of a status code.
    pub fn of(status: u16) -> Self {
        match status / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

causes!(
    /// Why v2 gave no answer to a request.
    Failure, FAILURES {
        /// v2's name could not be resolved.
        Resolve = "resolve",
        /// The connection was refused.
        Refused = "refused",
        /// No connection for another reason: unreachable, reset while connecting.
        Connect = "connect",
        /// The TLS handshake failed.
        Tls = "tls",
        /// No whole answer within `--timeout`.
        Timeout = "timeout",
        /// v2 closed or reset the connection before it had answered.
        Reset = "reset",
        /// v2 said that it ends the HTTP/2 connection in good order, and has not taken this request up.
        GoAway = "goaway",
        /// v2 closed or reset the connection within its answer.
        BrokenAnswer = "broken_answer",
        /// v2's answer is not HTTP.
        InvalidAnswer = "invalid_answer",
        /// The request cannot be expressed by the transport.
        Unsendable = "unsendable",
        /// Anything else.
        Other = "other",
    }
);

causes!(
    /// Why a queued request was given up before v2 could answer it.
    ShedLater, SHED_LATER {
        /// Printed instead (`--dry-run`).
        DryRun = "dry_run",
        /// What the rewrite rules would make of it is no request.
        RewriteInvalid = "rewrite_invalid",
        /// Its body could not be looked into for what `--redact` names.
        Unredacted = "unredacted",
        /// The middleware said that it is not to be sent.
        MiddlewareDropped = "middleware_dropped",
        /// The middleware had not said within `--middleware-timeout` what becomes of it.
        MiddlewareTimeout = "middleware_timeout",
        /// The middleware ended with it, or was not there.
        MiddlewareDied = "middleware_died",
        /// What the middleware made of it is no request.
        MiddlewareInvalid = "middleware_invalid",
        /// Not among the share of connections that this target gets.
        SampledOut = "sampled_out",
        /// This target's share of the queue was full when others took it.
        QueueFull = "queue_full",
        /// Later than `--max-lag` when its turn came, or while it waited for its turn.
        Lag = "lag",
        /// Behind a request of its connection that failed, with `--on-break stop`.
        PredecessorFailed = "predecessor_failed",
        /// v2 was taken for dead: it refused connections.
        Breaker = "breaker",
        /// Still waiting when the time to drain was over.
        DrainDeadline = "drain_deadline",
        /// Under way when the time to drain was over: v2 may have seen it.
        CutOff = "cut_off",
    }
);

/// One target: `queued = answered + failed + shed + in_flight + in_transit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TargetCounts {
    /// Where the copies go.
    pub target: String,
    /// Copies with a whole answer, by status class.
    pub answered: Tally<StatusClass, STATUS_CLASSES>,
    /// Copies without one, by cause.
    pub failed: Tally<Failure, FAILURES>,
    /// Copies given up, by cause.
    pub shed: Tally<ShedLater, SHED_LATER>,
    /// Copies waiting their turn or under way.
    pub in_flight: u64,
    /// Of all, those given to the transport whose framing can be read in two ways. Beside the sum.
    pub ambiguous_sent: u64,
    /// Of all, those given to the transport whose bodies rewrite rules for JSON could not read. Beside the sum.
    pub rules_passed_over: u64,
    /// Of those given to the transport, the ones with a value that v2 gave in place of v1's (`--carry`). Beside the sum.
    pub carried: u64,
    /// The ones with a value for which v2 has given none. Beside the sum.
    pub carry_missing: u64,
    /// Answers of v1 or v2 whose body could not be looked at for values.
    pub carry_unread: u64,
    /// Values given up since their table was full.
    pub carry_evicted: u64,
    /// Of all, those that the middleware changed. Beside the sum, as the following.
    pub middleware_changed: u64,
    /// How often the middleware was started again.
    pub middleware_restarts: u64,
    /// Lines of the middleware that were too long or could not be read.
    pub middleware_bad_lines: u64,
    /// Lines of the middleware for which no request waited: too late, twice, or made up.
    pub middleware_late: u64,
    /// Answers of v1 or v2 that the middleware was not told, since it did not keep up.
    pub middleware_untold: u64,
    /// Queued but not yet taken over by the replayer: computed, see [`Snapshot::settle`].
    pub in_transit: u64,
    /// How long things took.
    pub timing: Timing,
}

/// How long the requests to one target took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// How late requests had their turn against the moment they were due; of those with a due time.
    pub send_lag: Quantiles,
    /// From its turn, connecting included, to the last byte of the answer; of those answered.
    pub service: Quantiles,
    /// From the moment a request was due to the last byte of its answer: what a client would have
    /// seen that keeps its times whatever v2 does. Of those answered that had a due time.
    pub latency: Quantiles,
    /// Service times by status class, of the classes that occurred.
    pub by_class: Vec<(&'static str, Quantiles)>,
}

/// Quantiles of a set of times, each in microseconds, with three significant digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many there were.
    pub count: u64,
    /// The median.
    pub p50_us: u64,
    /// 90 in 100 are not longer.
    pub p90_us: u64,
    /// 99 in 100.
    pub p99_us: u64,
    /// 999 in 1,000.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Quantiles {
    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl TargetCounts {
    /// Copies the replayer has taken over.
    pub fn taken(&self) -> u64 {
        self.answered.total() + self.failed.total() + self.shed.total() + self.in_flight
    }
}

/// A recording: `offered = written + failed + in_transit`, for requests and responses together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordCounts {
    /// The file.
    pub file: String,
    /// Messages handed over by the capture side: requests queued, and responses.
    pub offered: u64,
    /// Requests written.
    pub requests: u64,
    /// Responses written.
    pub responses: u64,
    /// Messages that could not be written, or whose file somebody removed before it was finished.
    pub failed: u64,
    /// Handed over but not yet taken by the writer: computed.
    pub in_transit: u64,
    /// Requests given up because the recording's share of the queue was full, when they are sent as well.
    /// (When they are only recorded: `requests.refused`.)
    pub requests_shed: u64,
    /// Responses given up because the queue was full.
    pub responses_shed: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Files finished.
    pub files: u64,
    /// Of these, those deleted again because there were too many.
    pub deleted_files: u64,
    /// Of the messages written, those in deleted files.
    pub deleted: u64,
    /// Messages taken to be written in which secrets were replaced. Beside the sum.
    pub redacted: u64,
    /// Messages taken to be written that are not whole. Beside the sum.
    pub truncated: u64,
}

/// The whole ledger at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Frames.
    pub packets: PacketCounts,
    /// TCP payload bytes.
    pub streams: StreamCounts,
    /// Bytes given to the HTTP reader.
    pub http: HttpCounts,
    /// Requests at the capture side.
    pub requests: RequestCounts,
    /// Records, when recordings are read.
    pub records: RecordsRead,
    /// Parts of a recording that could not be read; what was in them is unknown.
    pub damaged: u64,
    /// How long v1 took for the requests queued, from a request's last byte to its response's, where files have
    /// both; in packet time.
    #[serde(skip_serializing_if = "Quantiles::is_empty")]
    pub v1: Quantiles,
    /// What became of them, one for each target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetCounts>,
    /// What was written, when recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordCounts>,
}

impl Snapshot {
    /// Computes what is between the threads. `requests` must have been read after the targets and
    /// the recording, so that no consumer is ahead of what was queued.
    pub fn settle(&mut self) {
        for target in &mut self.targets {
            target.in_transit = self.requests.queued.saturating_sub(target.taken());
        }
        if let Some(record) = &mut self.recording {
            let done = record.requests + record.responses + record.failed;
            record.in_transit = record.offered.saturating_sub(done);
        }
    }

    /// Every sum that does not hold, in words; empty when the ledger is true.
    pub fn contradictions(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |name: &str, whole: u64, parts: u64| {
            if whole != parts {
                wrong.push(format!("{name}: {whole} is not the sum of its buckets, {parts}"));
            }
        };
        let p = &self.packets;
        check("packets.received", p.received, p.decoded + p.ignored.total());
        let s = &self.streams;
        let fates =
            s.delivered + s.duplicate + s.other_direction + s.refused + s.urgent + s.buffered;
        check("streams.received", s.received, fates);
        let h = &self.http;
        check("streams.delivered", s.delivered, h.messages + h.skipped.total() + h.open);
        let w = &self.records;
        check("records.read", w.read, w.messages + w.passed.total());
        let r = &self.requests;
        check("requests.captured", r.captured, r.queued + r.refused.total());
        for target in &self.targets {
            check(&target.target, r.queued, target.taken() + target.in_transit);
        }
        if let Some(rec) = &self.recording {
            let done = rec.requests + rec.responses + rec.failed + rec.in_transit;
            check(&rec.file, rec.offered, done);
        }
        wrong
    }

    /// Whether nothing at all was lost between the wire and this process. "0 lost" may be said
    /// only then.
    pub fn is_lossless(&self) -> bool {
        self.packets.kernel_dropped == 0
            && self.packets.interface_dropped == 0
            && self.streams.unseen == 0
            && self.damaged == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consistent() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.packets.received = 5;
        snapshot.packets.decoded = 4;
        snapshot.packets.ignored.count(Ignored::NotTcp);
        snapshot.requests.captured = 3;
        snapshot.requests.queued = 2;
        snapshot.requests.refused.count(Refused::MethodHeldBack);
        let mut target = TargetCounts { target: "v2".into(), ..TargetCounts::default() };
        target.answered.count(StatusClass::of(204));
        snapshot.targets.push(target);
        snapshot.settle();
        snapshot
    }

    #[test]
    fn what_is_between_the_threads_is_computed() {
        let snapshot = consistent();
        assert_eq!(snapshot.targets[0].in_transit, 1);
        assert_eq!(snapshot.contradictions(), Vec::<String>::new());
    }

    #[test]
    fn a_missing_request_is_found() {
        let mut snapshot = consistent();
        snapshot.requests.captured += 1;
        assert_eq!(
            snapshot.contradictions(),
            ["requests.captured: 4 is not the sum of its buckets, 3"]
        );
    }

    #[test]
    fn unseen_bytes_forbid_saying_that_nothing_was_lost() {
        let mut snapshot = consistent();
        assert!(snapshot.is_lossless());
        snapshot.streams.unseen = 1;
        assert!(!snapshot.is_lossless());
    }
}
