"""A TCP client without manners against this kernel's TCP: what does read() deliver?

    kernel.py SEED CONNECTIONS DIRECTORY

Runs in a network namespace with the link v1 (10.9.0.1, where the server listens) to wire (no address):
the client 10.9.0.2 exists only here, so no kernel answers for it. Each connection sends its segments by
hand: overlapping, repeated, out of order, with other bytes each time, urgent, on SYN and FIN, beyond the
window. Writes DIRECTORY/frames.pcap, every frame of both directions in the order in which the server's
kernel had them, and DIRECTORY/read.jsonl, what read() delivered on each connection.
"""

import json
import logging
import random
import socket
import struct
import sys
import time

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, TCP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402

SERVER, CLIENT = "10.9.0.1", "10.9.0.2"
ETH_P_IP = 0x0800
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
PATIENCE = 10


def mac(interface):
    with open(f"/sys/class/net/{interface}/address") as file:
        return file.read().strip()


class Wire:
    """Sends and receives frames, and writes both down. Delivery over a veth is synchronous: when send
    returns, the server's kernel has dealt with the frame, and its answer can be read."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        # Our own frames must not be kept here as well: the kernel would not merge segments that are
        # still shared with a capture.
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.bind(("wire", ETH_P_IP))
        self.socket.setblocking(False)
        self.head = Ether(src=mac("wire"), dst=mac("v1"))
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        self.frames = 0

    def write(self, frame):
        self.frames += 1
        at = self.frames * 1000
        head = struct.pack("<IIII", 1000 + at // 10**9, at % 10**9, len(frame), len(frame))
        self.file.write(head + frame)

    def send(self, segment, data):
        frame = bytes(self.head / IP(src=CLIENT, dst=SERVER, id=0) / segment / data)
        self.socket.send(frame)
        self.write(frame)

    def receive(self):
        """What the server sent since the last call."""
        segments = []
        while True:
            try:
                frame = self.socket.recv(65535)
            except BlockingIOError:
                return segments
            self.write(frame)
            packet = Ether(frame)
            if TCP in packet:
                segments.append(packet[TCP])


class Client:
    """One connection."""

    def __init__(self, wire, port, to, isn):
        self.wire, self.port, self.to, self.isn = wire, port, to, isn
        self.ack, self.acked, self.window, self.trace, self.length = 0, isn, 0, [], 0

    def send(self, flags, offset, data=b"", urgent=None):
        """A segment whose first byte is the stream's byte number `offset`."""
        seq = (self.isn + 1 + offset) % 2**32
        segment = TCP(sport=self.port, dport=self.to, seq=seq, ack=self.ack, flags=flags)
        if urgent is not None:
            segment.flags |= 0x20
            segment.urgptr = urgent
        if "S" in flags:
            segment.seq, segment.ack = self.isn, 0
        self.trace.append([flags, offset, data.decode(), urgent])
        self.wire.send(segment, data)
        self.listen()

    def listen(self):
        for segment in self.wire.receive():
            if segment.dport != self.port:
                continue
            if segment.flags & 0x02:
                self.ack = (segment.seq + 1) % 2**32
            self.acked, self.window = segment.ack, segment.window

    def read_to(self):
        """The stream's byte that the server waits for."""
        return (self.acked - self.isn - 1) % 2**32

    def open(self, data=b""):
        self.send("S", 0, data)
        deadline = time.monotonic() + PATIENCE
        while self.ack == 0:
            assert time.monotonic() < deadline, "no answer to a SYN"
            self.listen()
        self.send("A", self.read_to())


def letters(rng, length):
    return bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyz") for _ in range(length))


def is_tie(segments, start):
    """Whether one segment ends where a new one would begin, and another covers that place or begins
    there, too. Linux may merge the first two or not, depending on the shape of its tree of waiting
    segments."""
    return any(
        end == start and any(first < other <= start <= last for other, last in segments)
        for first, end in segments
    )


def unruly(client, rng):
    """Random segments with random bytes, then whatever is missing, then or before it the FIN."""
    length = rng.randrange(4, 80)
    kind = rng.choice(["plain", "plain", "plain", "urgent", "syn", "probe"])
    client.open(letters(rng, rng.randrange(1, 12)) if kind == "syn" else b"")
    missing = set(range(client.read_to(), length))
    segments = rng.randrange(3, 18)
    marked = rng.randrange(segments) if kind == "urgent" else None
    is_fin_early, sent = rng.random() < 0.3, []
    for number in range(segments):
        start = rng.randrange(-2, length)
        # Often next to another, which a kernel may merge with it.
        size = rng.choice([1, 2, 3, 4, 4, 4, 8, rng.randrange(1, 30)])
        if rng.random() < 0.4:
            start -= start % 4
        end = min(start + size, length)
        if end <= start or is_tie(sent, start):
            continue
        sent.append((start, end))
        urgent = rng.randrange(0, end - start + 3) if number == marked else None
        flags = "PA" if rng.random() < 0.3 else "A"
        if end == length and is_fin_early:
            # Its FIN takes a number, too: it covers whatever ends at the same byte.
            flags = "FA"
        repeats = 2 if rng.random() < 0.1 else 1
        data = letters(rng, end - start)
        for _ in range(1 if is_tie(sent, start) else repeats):
            client.send(flags, start, data, urgent)
        missing -= set(range(start, end))
        if kind == "probe" and rng.random() < 0.5:
            # A keep-alive probe: one number before the next, with nothing or with a byte of garbage.
            client.send("A", client.read_to() - 1, rng.choice([b"", b"?"]))
    while missing:
        start = rng.choice([byte for byte in missing if byte - 1 not in missing])
        end = start
        while end in missing and end - start < 9:
            missing.remove(end)
            end += 1
        client.send("A", start, letters(rng, end - start))
    client.send("FA", length)
    client.length = length
    return kind


def zero_window(client, rng, server):
    """A server that does not read: what its buffer cannot hold is refused, probed for, and sent again."""
    client.open()
    stream = letters(rng, 3 * client.window + 1000)
    conn = server.accept()[0]
    conn.setblocking(False)
    got, was_full, stalled = b"", False, 0
    deadline = time.monotonic() + PATIENCE
    while (here := client.read_to()) < len(stream):
        assert time.monotonic() < deadline, "the window does not open"
        client.send("A", here, stream[here:][: rng.randrange(1, 400)])
        # An acknowledgment may be late: sent again, the bytes are acknowledged at once.
        stalled = stalled + 1 if client.read_to() == here else 0
        if client.window == 0 or stalled > 2:
            was_full = True
            # A zero-window probe.
            client.send("A", client.read_to(), stream[client.read_to() :][:1])
            try:
                got += conn.recv(1 << 20)
            except BlockingIOError:
                pass
    assert was_full, "everything fitted"
    client.send("FA", len(stream))
    client.length = len(stream)
    return conn, got


def finish(client, conn, got):
    """What read() delivers until the end."""
    conn.settimeout(PATIENCE)
    while data := conn.recv(1 << 20):
        got += data
    client.listen()
    client.send("RA", client.read_to())
    conn.close()
    return got


def main():
    seed, connections, directory = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    wire = Wire(f"{directory}/frames.pcap")
    server = socket.create_server((SERVER, 80), backlog=16)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    small.bind((SERVER, 81))
    small.listen(16)
    with open(f"{directory}/read.jsonl", "w") as out:
        for number in range(connections):
            rng = random.Random(seed * 1_000_000 + number)
            isn = rng.choice([rng.randrange(2**32), 2**32 - rng.randrange(1, 60)])
            is_zero = number % 50 == 49
            client = Client(wire, 10_000 + number, 81 if is_zero else 80, isn)
            if is_zero:
                kind = "zero_window"
                conn, got = zero_window(client, rng, small)
            else:
                kind, got = unruly(client, rng), b""
                conn = server.accept()[0]
            got = finish(client, conn, got)
            left_out = client.length - len(got)
            trace = client.trace if kind != "zero_window" else []
            row = {"port": client.port, "kind": kind, "left_out": left_out, "read": got.decode(), "trace": trace}
            print(json.dumps(row), file=out)
    wire.file.close()


main()
