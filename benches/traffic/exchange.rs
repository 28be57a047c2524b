//! Connections that carry HTTP exchanges, or only bytes, side by side.

use super::Rng;
use super::packet::{ACK, FIN, Packet, SYN};

/// Payload of a full Ethernet segment with the time stamp option.
const MSS: usize = 1448;
/// Length of a request's head.
const HEAD: usize = 500;

/// What the requests are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// GET with a head of 500 bytes.
    Get,
    /// POST of 1 KB with such a head.
    Post,
    /// The same in four chunks.
    Chunked,
}

/// What the capture heard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// What the client sent when it had something to say.
    Requests,
    /// Each exchange as four packets: request, acknowledgment, response, acknowledgment.
    Both,
}

/// Where both sides of a connection are in sequence space.
#[derive(Clone, Copy)]
struct Place {
    client: u32,
    server: u32,
}

/// Writes packets down.
struct Trace {
    packets: Vec<Packet>,
    places: Vec<Place>,
    heard: Heard,
}

impl Trace {
    fn new(connections: usize, heard: Heard, rng: &mut Rng) -> Self {
        let place = |_| Place { client: rng.next() as u32, server: rng.next() as u32 };
        Self { packets: Vec::new(), places: (0..connections).map(place).collect(), heard }
    }

    /// Something that the client sends; moves it on.
    fn client(&mut self, conn: usize, bits: u8, payload: Vec<u8>) {
        let Place { client: seq, server: ack } = self.places[conn];
        self.places[conn].client = seq.wrapping_add(taken(bits, &payload));
        self.packets.push(Packet { conn, from_client: true, seq, ack, bits, payload });
    }

    /// Something that the server sends; moves it on, heard or not.
    fn server(&mut self, conn: usize, bits: u8, payload: Vec<u8>) {
        let Place { client: ack, server: seq } = self.places[conn];
        self.places[conn].server = seq.wrapping_add(taken(bits, &payload));
        if self.heard == Heard::Both {
            self.packets.push(Packet { conn, from_client: false, seq, ack, bits, payload });
        }
    }

    fn open(&mut self, conn: usize) {
        self.client(conn, SYN, Vec::new());
        self.server(conn, SYN | ACK, Vec::new());
        self.client(conn, ACK, Vec::new());
    }

    fn close(&mut self, conn: usize) {
        self.client(conn, FIN | ACK, Vec::new());
        self.server(conn, FIN | ACK, Vec::new());
    }
}

/// Sequence numbers that a segment takes.
fn taken(bits: u8, payload: &[u8]) -> u32 {
    payload.len() as u32 + u32::from(bits & (SYN | FIN) > 0)
}

/// Connections that are all open at once, with `rounds` exchanges each; within a round they come in
/// a new order.
pub fn exchanges(kind: Kind, heard: Heard, connections: usize, rounds: usize) -> Vec<Packet> {
    let mut rng = Rng(42);
    let mut trace = Trace::new(connections, heard, &mut rng);
    let mut order: Vec<usize> = (0..connections).collect();
    order.iter().for_each(|&conn| trace.open(conn));
    for round in 0..rounds {
        rng.shuffle(&mut order);
        for &conn in &order {
            let number = round * connections + conn;
            for segment in request(kind, number, &mut rng).chunks(MSS) {
                trace.client(conn, ACK, segment.to_vec());
            }
            trace.server(conn, ACK, Vec::new());
            trace.server(conn, ACK, response(number));
            if heard == Heard::Both {
                trace.client(conn, ACK, Vec::new());
            }
        }
    }
    order.iter().for_each(|&conn| trace.close(conn));
    trace.packets
}

/// Connections whose clients send `segments` full segments each, one after the other in turn, every
/// second one acknowledged.
pub fn uploads(connections: usize, segments: usize) -> Vec<Packet> {
    let mut rng = Rng(43);
    let mut trace = Trace::new(connections, Heard::Both, &mut rng);
    (0..connections).for_each(|conn| trace.open(conn));
    for number in 0..segments {
        for conn in 0..connections {
            trace.client(conn, ACK, vec![b'a' + (number % 26) as u8; MSS]);
            if number % 2 == 1 {
                trace.server(conn, ACK, Vec::new());
            }
        }
    }
    (0..connections).for_each(|conn| trace.close(conn));
    trace.packets
}

/// A request.
pub fn request(kind: Kind, number: usize, rng: &mut Rng) -> Vec<u8> {
    let method = if kind == Kind::Get { "GET" } else { "POST" };
    let framing = match kind {
        Kind::Get => "",
        Kind::Post => "Content-Type: application/json\r\nContent-Length: 1024\r\n",
        Kind::Chunked => "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
    };
    let mut text = format!(
        "{method} /api/v1/orders/{number:08}?expand=items HTTP/1.1\r\n\
         Host: shop.example\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
         Accept-Encoding: gzip, deflate, br\r\n\
         X-Request-Id: {:016x}\r\n{framing}Cookie: session=",
        rng.next()
    );
    while text.len() < HEAD - 4 {
        text.push(char::from(b'a' + (rng.next() % 26) as u8));
    }
    text.push_str("\r\n\r\n");
    let mut bytes = text.into_bytes();
    match kind {
        Kind::Get => {}
        Kind::Post => bytes.resize(bytes.len() + 1024, b'p'),
        Kind::Chunked => {
            for _ in 0..4 {
                bytes.extend_from_slice(b"100\r\n");
                bytes.resize(bytes.len() + 256, b'c');
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    bytes
}

/// A response as nginx writes it.
fn response(number: usize) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
                Content-Type: application/json\r\nContent-Length: 200\r\nConnection: keep-alive\r\n\r\n";
    format!("{head}{number:0200}").into_bytes()
}
