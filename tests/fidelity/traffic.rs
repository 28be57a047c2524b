//! Random conversations: what was said, and the packets that carried it.

use shadowtap::model::Flags;

use super::Packet;
use super::testing::Random;

/// A message as it was said.
#[derive(Clone, Debug)]
pub struct Said {
    pub is_request: bool,
    pub raw: Vec<u8>,
    pub body: Vec<u8>,
    /// The request that a response answers (the number of its exchange).
    pub exchange: u32,
    /// Where it lies in its side's stream.
    pub start: usize,
    /// Bytes of the head.
    pub head_len: usize,
    /// How the body may have a hole and still be followed to its end: the places of data.
    pub data: Vec<(usize, usize)>,
    /// Whether it ends with the connection.
    pub until_close: bool,
}

impl Said {
    pub fn end(&self) -> usize {
        self.start + self.raw.len()
    }
}

/// A conversation: both streams, the messages in them, and who sends how much in which order.
#[derive(Debug, Default)]
pub struct Conversation {
    /// Client's stream, server's stream.
    pub streams: [Vec<u8>; 2],
    pub messages: Vec<Said>,
    /// Sends in causal order: (side, bytes). What a side sends acknowledges all before it.
    pub sends: Vec<(usize, usize)>,
    /// Whether the client sends requests without waiting for answers.
    pub is_pipelined: bool,
    pub ends_by_server: bool,
}

const WORDS: [&str; 8] = ["alpha", "x", "Bravo-7", "c%20c", "d,e;f=g", "\"h\"", "0\r\n\t0", "é"];

fn letters(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| *random.pick(b"abcdefgh012 {}:,.\r\n")).collect()
}

fn fields(random: &mut Random) -> String {
    let mut text = String::new();
    for n in 0..random.below(5) {
        // Folded values are lenient: not in what must be a sure start.
        let value = random.pick(&WORDS[..6]);
        text += &format!("X-Field-{n}: {value}\r\n");
    }
    text
}

/// A body with its framing fields and its bytes on the wire; places of data within the latter.
struct Framed {
    field: String,
    wire: Vec<u8>,
    body: Vec<u8>,
    data: Vec<(usize, usize)>,
}

fn frame(random: &mut Random, chunked: bool) -> Framed {
    let len = if random.one_in(6) { random.below(9000) } else { random.below(300) };
    let body = letters(random, len);
    if !chunked {
        let data = vec![(0, body.len())];
        let field = format!("Content-Length: {len}\r\n");
        return Framed { field, wire: body.clone(), body, data };
    }
    let (mut wire, mut data, mut at) = (Vec::new(), Vec::new(), 0);
    while at < body.len() {
        let size = (1 + random.below(700)).min(body.len() - at);
        let extension = if random.one_in(5) { ";a=\"b\"" } else { "" };
        wire.extend(format!("{size:X}{extension}\r\n").bytes());
        data.push((wire.len(), wire.len() + size));
        wire.extend(&body[at..at + size]);
        wire.extend(b"\r\n");
        at += size;
    }
    wire.extend(b"0\r\n");
    if random.one_in(3) {
        wire.extend(b"X-Trailer: yes\r\n");
    }
    wire.extend(b"\r\n");
    Framed { field: "Transfer-Encoding: chunked\r\n".into(), wire, body, data }
}

impl Conversation {
    pub fn new(random: &mut Random) -> Self {
        let mut talk = Self { is_pipelined: random.one_in(3), ..Self::default() };
        let exchanges = 1 + random.below(8) as u32;
        let mut exchange = 0;
        while exchange < exchanges {
            let batch = if talk.is_pipelined { 1 + random.below(4) as u32 } else { 1 };
            let batch = batch.min(exchanges - exchange);
            let methods: Vec<_> =
                (exchange..exchange + batch).map(|n| talk.request(random, n)).collect();
            talk.flush(0);
            for (n, method) in methods.iter().enumerate() {
                let is_last = exchange + n as u32 + 1 == exchanges;
                talk.response(random, exchange + n as u32, method, is_last);
                // A server may answer each in a packet of its own, or all in one.
                if random.one_in(2) {
                    talk.flush(1);
                }
            }
            talk.flush(1);
            exchange += batch;
        }
        talk.ends_by_server |= random.one_in(2);
        talk
    }

    /// Notes that a side sends what was added to its stream.
    fn flush(&mut self, side: usize) {
        let sent: usize = self.sends.iter().filter(|(s, _)| *s == side).map(|(_, len)| len).sum();
        let len = self.streams[side].len() - sent;
        if len > 0 {
            self.sends.push((side, len));
        }
    }

    fn add(&mut self, side: usize, exchange: u32, head: &str, framed: Framed, until_close: bool) {
        let start = self.streams[side].len();
        let mut raw = head.as_bytes().to_vec();
        let head_len = raw.len();
        raw.extend(&framed.wire);
        self.streams[side].extend(&raw);
        let shift = |(from, to): &(usize, usize)| (start + head_len + from, start + head_len + to);
        let data = framed.data.iter().map(shift).collect();
        let (is_request, body) = (side == 0, framed.body);
        self.messages.push(Said {
            is_request,
            raw,
            body,
            exchange,
            start,
            head_len,
            data,
            until_close,
        });
    }

    fn request(&mut self, random: &mut Random, exchange: u32) -> &'static str {
        let method = *random.pick(&["GET", "GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"]);
        let has_body = matches!(method, "POST" | "PUT") || random.one_in(10);
        let none = Framed { field: String::new(), wire: vec![], body: vec![], data: vec![] };
        let chunked = random.one_in(3);
        let framed = if has_body { frame(random, chunked) } else { none };
        let target = if random.one_in(8) { "x".repeat(random.below(3000)) } else { "a?b=c".into() };
        let head = format!(
            "{method} /{target} HTTP/1.1\r\nHost: a\r\nX-Id: {exchange}\r\n{}{}\r\n",
            fields(random),
            framed.field
        );
        self.add(0, exchange, &head, framed, false);
        method
    }

    fn response(&mut self, random: &mut Random, exchange: u32, method: &str, is_last: bool) {
        let none = || Framed { field: String::new(), wire: vec![], body: vec![], data: vec![] };
        if random.one_in(8) {
            let head = format!("HTTP/1.1 103 Early Hints\r\nX-Id: {exchange}\r\n\r\n");
            self.add(1, exchange, &head, none(), false);
        }
        let chunked = random.one_in(2);
        let mut framed = frame(random, chunked);
        let mut status = *random.pick(&["200 OK", "404 Not Found", "599 ", "204 No", "304 Not"]);
        let mut until_close = false;
        if method == "HEAD" || status.starts_with("204") || status.starts_with("304") {
            let field = if random.one_in(2) { framed.field } else { String::new() };
            framed = Framed { field, ..none() };
        } else if is_last && random.one_in(3) {
            let body = letters(random, 400);
            framed = Framed { field: String::new(), wire: body.clone(), data: vec![], body };
            (status, until_close) = ("200 OK", true);
            self.ends_by_server = true;
        }
        let head = format!(
            "HTTP/1.1 {status}\r\nX-Id: {exchange}\r\n{}{}\r\n",
            fields(random),
            framed.field
        );
        self.add(1, exchange, &head, framed, until_close);
    }

    /// The packets of the conversation in order, first sequence numbers as given. With each the
    /// range of its side's stream.
    pub fn packets(&self, random: &mut Random, first: [u32; 2]) -> Vec<Packet> {
        let syn = Flags { syn: true, ..Flags::default() };
        let isn = first.map(|first| first.wrapping_sub(1));
        let mut packets = vec![
            Packet { is_client: true, seq: isn[0], flags: syn, ..Packet::default() },
            Packet { flags: syn, ..Packet::new(false, isn[1], first[0], b"") },
            Packet::new(true, first[0], first[1], b""),
        ];
        let mut sent = [0usize, 0];
        let at = |side: usize, sent: [usize; 2]| first[side].wrapping_add(sent[side] as u32);
        for &(side, len) in &self.sends {
            let end = sent[side] + len;
            let max = 1 + random.below(1460);
            while sent[side] < end {
                let size = if random.one_in(2) { max } else { 1 + random.below(max) };
                let to = (sent[side] + size).min(end);
                let bytes = &self.streams[side][sent[side]..to];
                packets.push(Packet::new(side == 0, at(side, sent), at(1 - side, sent), bytes));
                sent[side] = to;
            }
            // Its receiver acknowledges.
            packets.push(Packet::new(side != 0, at(1 - side, sent), at(side, sent), b""));
        }
        let last = if self.ends_by_server { [1, 0] } else { [0, 1] };
        let mut fins = [0u32, 0];
        for side in last {
            let seq = at(side, sent);
            let ack = at(1 - side, sent).wrapping_add(fins[1 - side]);
            let fin = Flags { fin: true, ..Flags::default() };
            packets.push(Packet { flags: fin, ..Packet::new(side == 0, seq, ack, b"") });
            fins[side] = 1;
        }
        let seq = at(last[0], sent).wrapping_add(1);
        let ack = at(last[1], sent).wrapping_add(1);
        packets.push(Packet::new(last[0] == 0, seq, ack, b""));
        packets
    }
}

/// Puts packets behind the handshake a few places off, and repeats some; with `overlap` also other cuts
/// of the same bytes.
pub fn disturb(
    packets: Vec<Packet>,
    streams: &[Vec<u8>; 2],
    first: [u32; 2],
    overlap: bool,
    random: &mut Random,
) -> Vec<Packet> {
    let mut order: Vec<(usize, Packet)> = Vec::new();
    for (place, packet) in packets.into_iter().enumerate() {
        if place < 3 {
            order.push((0, packet));
            continue;
        }
        let place = place * 4;
        if random.one_in(6) {
            order.push((place + random.below(40), packet.clone()));
        }
        if overlap && !packet.bytes.is_empty() && random.one_in(4) {
            let side = usize::from(!packet.is_client);
            let at = packet.seq.wrapping_sub(first[side]) as usize;
            let from = at.saturating_sub(random.below(500));
            let to = (at + random.below(500)).min(at + packet.bytes.len()).max(from);
            let again = Packet {
                seq: first[side].wrapping_add(from as u32),
                bytes: streams[side][from..to].to_vec(),
                ..packet.clone()
            };
            order.push((place + random.below(40), again));
        }
        let late = if random.one_in(3) { random.below(24) } else { 0 };
        order.push((place + late, packet));
    }
    order.sort_by_key(|(place, _)| *place);
    order.into_iter().map(|(_, packet)| packet).collect()
}
