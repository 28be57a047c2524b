//! A request whose framing may not fit its body any more, framed anew.
//!
//! In: the request as far as it could be read, and what its body is to be. Out: its bytes: the body as one chunk where its fields say
//! that it is chunked (and no Content-Length then), else behind the Content-Length that fits. Every other byte of the
//! head stays.

use super::rewrite::head::Head;
use crate::model::Message;

/// See the module's description; `None` for what is no request.
pub fn framed(request: &Message, body: &[u8]) -> Option<Vec<u8>> {
    const LENGTH: &str = "content-length";
    let mut head = Head::of(request)?;
    let is_chunked = request.has_token("transfer-encoding", "chunked");
    if is_chunked {
        head.remove(LENGTH, 0);
    } else if head.named(LENGTH).next().is_some() {
        head.remove(LENGTH, 1);
        head.set_length(body.len());
    } else if !body.is_empty() {
        head.add("Content-Length", body.len().to_string().as_bytes());
    }
    let mut raw = Vec::with_capacity(request.head_len + body.len() + 64);
    head.write(&mut raw);
    if !is_chunked {
        raw.extend_from_slice(body);
        return Some(raw);
    }
    if !body.is_empty() {
        raw.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        raw.extend_from_slice(body);
        raw.extend_from_slice(b"\r\n");
    }
    raw.extend_from_slice(b"0\r\n\r\n");
    Some(raw)
}
