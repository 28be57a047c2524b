//! Does a listener speak TLS? One connection, one ClientHello, the first bytes of the answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// What a listener answered to a TLS ClientHello.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A TLS record: a ServerHello or an alert.
    Tls,
    /// An HTTP/1.x status line, or a page.
    Http,
    /// Something else.
    Other,
    /// Nothing: it closed the connection.
    Closed,
    /// Nothing within the time.
    Silent,
}

/// Asks one listener.
pub fn ask(address: SocketAddr, timeout: Duration) -> io::Result<Answer> {
    let start = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_write_timeout(Some(timeout))?;
    let mut hello = client_hello()?;
    // An HTTP server that reads whole lines would wait for one.
    hello.extend(b"\r\n\r\n");
    stream.write_all(&hello)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 16];
    while answer.len() < 5 {
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(Answer::Silent);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => answer.extend(buffer.iter().take(n)),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(if answer.is_empty() { Answer::Silent } else { classify(&answer) });
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(classify(&answer))
}

/// By the first bytes: record type alert or handshake and major version 3 (RFC 8446 section 5.1).
fn classify(answer: &[u8]) -> Answer {
    match answer {
        [] => Answer::Closed,
        [0x15 | 0x16, 0x03, ..] => Answer::Tls,
        _ if answer.starts_with(b"HTTP/") => Answer::Http,
        // Some servers answer a line without a version as HTTP/0.9: with a page and no head.
        [b'<', ..] => Answer::Http,
        _ => Answer::Other,
    }
}

/// A ClientHello as any client sends it; nothing that comes back is trusted, or even read on.
fn client_hello() -> io::Result<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    Ok(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        assert_eq!(classify(&[0x16, 3, 3, 0, 90]), Answer::Tls);
        assert_eq!(classify(&[0x15, 3, 1, 0, 2]), Answer::Tls);
        assert_eq!(classify(b"HTTP/1.1 400"), Answer::Http);
        assert_eq!(classify(b"<!DOCTYPE HTML>"), Answer::Http);
        assert_eq!(classify(b"220 mail"), Answer::Other);
        assert_eq!(classify(b""), Answer::Closed);
    }

    #[test]
    fn the_hello_is_a_handshake_record() {
        let hello = client_hello().expect("hello");
        assert_eq!(hello.get(..3), Some(&[0x16, 3, 1][..]));
    }
}
