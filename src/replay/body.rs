//! The body of a request that was captured in chunks.
//!
//! In: its bytes, without chunk framing. Out: a body that is framed in chunks again, also when it
//! is empty: to the client library an ordinary empty body is no body at all, and it would take the
//! Transfer-Encoding field away. Not mine: the sizes of the captured chunks, and trailer fields.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Sends its bytes as one chunk.
pub(super) struct ChunkedBody {
    /// What is still to be sent.
    rest: Option<Bytes>,
}

impl ChunkedBody {
    /// The body without chunk framing.
    pub fn new(body: Bytes) -> Self {
        Self { rest: Some(body) }
    }
}

impl Body for ChunkedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.rest.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
    }

    /// Known, so that a v2 which turns out to speak HTTP/1.0 only gets a Content-Length instead.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
