//! Bodies: lengths, chunks, codings, sizes; and lengths that two servers may read differently.

use super::{Case, How, named};
use crate::support::load::Random;

/// Name, fields, and what stands behind the head.
const BODIES: &[(&str, &[u8], &[u8])] = &[
    ("length-0", b"Content-Length: 0\r\n", b""),
    ("post-no-length", b"", b""),
    ("length-no-space", b"Content-Length:5\r\n", b"hello"),
    ("length-zeros", b"content-length: 0005\r\n", b"hello"),
    ("length-twice", b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    ("length-list", b"Content-Length: 5, 5\r\n", b"hello"),
    ("body-like-a-request", b"Content-Length: 34\r\n", b"GET /inner HTTP/1.1\r\nHost: v1\r\n\r\nx"),
    ("body-all-breaks", b"Content-Length: 8\r\n", b"\r\n\r\n\n\n\r\r"),
    (
        "multipart",
        b"Content-Type: multipart/form-data; boundary=--x\r\nContent-Length: 61\r\n",
        b"----x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n----x--\r\n",
    ),
    (
        "gzip",
        b"Content-Encoding: gzip\r\nContent-Length: 25\r\n",
        b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0",
    ),
    (
        "form",
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n",
        b"a=1&b=%20",
    ),
    // Chunks.
    ("chunk-lower", b"Transfer-Encoding: chunked\r\n", b"a\r\n0123456789\r\n0\r\n\r\n"),
    ("chunk-upper", b"Transfer-Encoding: chunked\r\n", b"A\r\n0123456789\r\n0\r\n\r\n"),
    ("chunk-zeros", b"Transfer-Encoding: chunked\r\n", b"0000005\r\nhello\r\n0000\r\n\r\n"),
    (
        "chunk-extensions",
        b"Transfer-Encoding: chunked\r\n",
        b"5;a=b;c=\"d;e\"\r\nhello\r\n1 ; f\r\nx\r\n0;last\r\n\r\n",
    ),
    ("chunk-white-space", b"Transfer-Encoding: chunked\r\n", b"5 \t\r\nhello\r\n0 \r\n\r\n"),
    ("chunk-bare-lf", b"Transfer-Encoding: chunked\r\n", b"5\nhello\n0\n\n"),
    ("chunk-none", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    (
        "trailers",
        b"TE: trailers\r\nTrailer: X-Sum, X-b\r\nTransfer-Encoding: chunked\r\n",
        b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-B :2\r\n\r\n",
    ),
    (
        "trailers-odd",
        b"Transfer-Encoding: chunked\r\n",
        b"1\r\nx\r\n0\r\nA: b\r\n folded\r\nno colon\r\nHost: other\n\r\n",
    ),
    ("coding-case", b"transfer-encoding:\tChunKed \r\n", b"1\r\nx\r\n0\r\n\r\n"),
    ("coding-list", b"Transfer-Encoding: gzip, chunked\r\n", b"3\r\n\x1f\x8b\x08\r\n0\r\n\r\n"),
    (
        "coding-two-fields",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        b"3\r\n\x1f\x8b\x08\r\n0\r\n\r\n",
    ),
    ("coding-folded", b"Transfer-Encoding:\r\n chunked\r\n", b"1\r\nx\r\n0\r\n\r\n"),
    ("coding-identity", b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n", b"x"),
    // What two servers may read differently; v1 and shadowtap read it alike.
    (
        "both-lengths",
        b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n",
        b"1\r\nx\r\n0\r\n\r\n",
    ),
    ("several-lengths", b"Content-Length: 5\r\nContent-Length: 7\r\n", b"hello"),
    ("invalid-length", b"Content-Length: five\r\n", b""),
    ("chunked-not-last", b"Transfer-Encoding: chunked, gzip\r\nContent-Length: 2\r\n", b"ok"),
];

/// Binary data that is the same each time.
pub fn binary(len: usize) -> Vec<u8> {
    let mut random = Random(len as u64);
    let mut bytes: Vec<u8> =
        (0..len.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

/// In chunks of so many bytes.
pub fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let chunk = |data: &[u8]| [format!("{:X}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    let mut out: Vec<u8> = body.chunks(size).flat_map(chunk).collect();
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn post(name: &str, fields: &[u8], body: &[u8]) -> Vec<u8> {
    let head = named(name, b"POST /NAME HTTP/1.1\r\nHost: v1\r\n");
    [&head, fields, b"\r\n", body].concat()
}

pub fn cases() -> impl Iterator<Item = Case> {
    let written =
        BODIES.iter().map(|(name, fields, body)| Case::new(name, post(name, fields, body)));
    let sized = |name, len: usize| {
        let field = format!("Content-Length: {len}\r\n");
        Case::new(name, post(name, field.as_bytes(), &binary(len)))
    };
    let in_chunks = |name, len, size| {
        let body = chunked(&binary(len), size);
        Case::new(name, post(name, b"Transfer-Encoding: chunked\r\n", &body))
    };
    let mut expecting = sized("expect", 3_000);
    let field = b"Expect: 100-continue\r\n\r\n";
    let end = memchr::memmem::find(&expecting.requests[0], b"\r\n\r\n").expect("a head") + 2;
    expecting.requests[0].splice(end..end + 2, field.iter().copied());
    written.chain([
        sized("binary", 256),
        sized("exactly-4k", 4 << 10),
        sized("over-4k", (4 << 10) + 1),
        sized("3mb", 3 << 20),
        sized("7mb", 7 << 20),
        in_chunks("3mb-chunked", 3 << 20, 8 << 10),
        in_chunks("7mb-chunked", 7 << 20, 1 << 20),
        in_chunks("tiny-chunks", 20_000, 1),
        in_chunks("odd-chunks", 100_000, 997),
        expecting.how(How::Continue),
    ])
}
