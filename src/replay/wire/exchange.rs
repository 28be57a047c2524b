//! One request out and its answer in, on one connection.
//!
//! In: a stream, the bytes to send, two deadlines. Out: how it ended. Guaranteed: reading goes on while
//! writing does, so a v2 that answers before it has read everything blocks nobody; a failed write does not
//! lose an answer that is already there; nothing is kept beyond the buffer lent, unless the answer is to be
//! kept.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::answer::{AnswerReader, Progress};
use super::stream::Stream;
use crate::model::ledger::Failure;

use super::super::transport::Answer;

/// How it ended.
pub(super) enum Ended {
    /// With a whole answer.
    Answered { answer: Answer, keeps_alive: bool },
    /// The connection was closed, or of no use, before a byte went out.
    NothingSent,
    /// Without a whole answer.
    Failed(Failure),
}

/// How far the bytes are out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// So many.
    Sent(usize),
    /// All, but perhaps still within TLS.
    Flush,
    Done,
    /// v2 took none.
    Refused,
    /// v2 takes no more.
    Broken,
}

/// See the module's description.
pub(super) struct Exchange<'a> {
    stream: &'a mut Stream,
    /// What to send, one behind the other.
    out: [&'a [u8]; 2],
    writing: Writing,
    read: &'a mut [u8],
    reader: AnswerReader,
    /// Whether the stream has yet to be looked at: v2 may have closed it since its last answer.
    is_doubtful: bool,
}

impl<'a> Exchange<'a> {
    /// To send `out` on this stream, a request with this method, and to read the answer through `read`.
    /// The stream is new unless it is said to be kept.
    pub fn new(
        stream: &'a mut Stream,
        out: [&'a [u8]; 2],
        method: &[u8],
        read: &'a mut [u8],
    ) -> Self {
        let reader = AnswerReader::new(method);
        Self { stream, out, writing: Writing::Sent(0), read, reader, is_doubtful: false }
    }

    /// Whether the stream carried an exchange before.
    pub fn kept(self, is_kept: bool) -> Self {
        Self { is_doubtful: is_kept, ..self }
    }

    /// Keeps the answer, and so many bytes of its body, if it is wanted.
    pub fn keeping(mut self, limit: Option<usize>) -> Self {
        self.reader.keep(limit);
        self
    }

    /// Does it; the answer's head and the whole of it must be there by the deadlines. `time` is a timer of the
    /// exchanges before: to set one later is an atomic store, a new one takes the lock of all timers twice.
    pub async fn run(
        mut self,
        mut time: Pin<&mut Sleep>,
        head_deadline: Instant,
        deadline: Instant,
    ) -> Ended {
        time.as_mut().reset(head_deadline);
        let mut has_head = false;
        poll_fn(|cx| {
            if std::mem::take(&mut self.is_doubtful) && self.is_spent(cx) {
                return Poll::Ready(Ended::NothingSent);
            }
            self.write(cx);
            if let Some(ended) = self.read(cx) {
                return Poll::Ready(ended);
            }
            if self.reader.has_head() && !std::mem::replace(&mut has_head, true) {
                time.as_mut().reset(deadline);
            }
            time.as_mut().poll(cx).map(|()| Ended::Failed(Failure::Timeout))
        })
        .await
    }

    /// Whether v2 has closed, or said what nobody asked for, as far as the runtime was told: this needs no
    /// call of the kernel where nothing has come.
    fn is_spent(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut *self.stream).poll_read(cx, &mut ReadBuf::new(self.read)).is_ready()
    }

    /// Writes what v2 takes now.
    fn write(&mut self, cx: &mut Context<'_>) {
        let [first, second] = self.out;
        while let Writing::Sent(sent) = self.writing {
            let head = first.get(sent..).unwrap_or_default();
            let body = second.get(sent.saturating_sub(first.len())..).unwrap_or_default();
            let stream = Pin::new(&mut *self.stream);
            // send(2) costs less than writev(2).
            let written = match (head, body) {
                (one, []) | ([], one) => stream.poll_write(cx, one),
                _ => stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]),
            };
            self.writing = match written {
                Poll::Pending => return,
                Poll::Ready(Ok(0) | Err(_)) if sent == 0 => Writing::Refused,
                Poll::Ready(Ok(0) | Err(_)) => Writing::Broken,
                Poll::Ready(Ok(len)) if sent + len >= first.len() + second.len() => Writing::Flush,
                Poll::Ready(Ok(len)) => Writing::Sent(sent + len),
            };
        }
        if self.writing == Writing::Flush {
            self.writing = match Pin::new(&mut *self.stream).poll_flush(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => Writing::Done,
                Poll::Ready(Err(_)) => Writing::Broken,
            };
        }
    }

    /// Reads what is there; `None` while the end is open.
    fn read(&mut self, cx: &mut Context<'_>) -> Option<Ended> {
        loop {
            let mut buf = ReadBuf::new(self.read);
            match Pin::new(&mut *self.stream).poll_read(cx, &mut buf) {
                Poll::Pending if matches!(self.writing, Writing::Refused | Writing::Broken) => {
                    return Some(self.failed(Failure::Reset));
                }
                Poll::Pending => return None,
                Poll::Ready(Err(error)) => return Some(self.error(&error)),
                Poll::Ready(Ok(())) if buf.filled().is_empty() => return Some(self.end()),
                Poll::Ready(Ok(())) => match self.reader.feed(buf.filled()) {
                    Ok(Progress::More) => {}
                    Ok(Progress::Whole { is_clean }) => return Some(self.answered(is_clean)),
                    Err(failure) => return Some(Ended::Failed(failure)),
                },
            }
        }
    }

    fn answered(&mut self, is_clean: bool) -> Ended {
        // With part of the request still here, the connection is of no further use.
        let (status, kept) = (self.reader.status(), self.reader.take_kept());
        let answer = Answer { status, at: Instant::now(), kept };
        let keeps_alive = is_clean && self.reader.keeps_alive() && self.writing == Writing::Done;
        Ended::Answered { answer, keeps_alive }
    }

    /// v2 has closed.
    fn end(&mut self) -> Ended {
        match self.reader.end() {
            Ok(()) => self.answered(false),
            Err(failure) => self.failed(failure),
        }
    }

    fn error(&mut self, error: &io::Error) -> Ended {
        tracing::debug!(%error, "the connection broke");
        match error.kind() {
            // TLS without its closing message.
            io::ErrorKind::UnexpectedEof => self.end(),
            // In TLS 1.3 a server may refuse the client after the handshake, in place of an answer.
            _ if !self.reader.has_begun() && is_tls(error) => Ended::Failed(Failure::Tls),
            _ if self.reader.has_head() => Ended::Failed(Failure::BrokenAnswer),
            _ => self.failed(Failure::Reset),
        }
    }

    fn failed(&self, failure: Failure) -> Ended {
        match self.writing {
            Writing::Refused if !self.reader.has_begun() => Ended::NothingSent,
            _ => Ended::Failed(failure),
        }
    }
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
