#!/usr/bin/env python3
"""Compares what `shadowtap inspect --json --responses` and tshark find in a capture, message by message.

In: capture files. Out: a line of counts for each (or a table in Markdown with --markdown), and every
difference with the rule that explains it. A rule is a check of the message at hand, never of a capture;
a difference that no rule explains makes the exit code 1.

    scripts/compare-tshark.py [--bin SHADOWTAP] [-p PORT,PORT] [--markdown] [--verbose] FILE...

Without -p the ports are those at which tshark itself sees HTTP. Only the standard library is used.
"""
import argparse
import difflib
import hashlib
import json
import re
import subprocess
import sys
import xml.parsers.expat
from collections import Counter, defaultdict

# tshark as it reads most: segments put in order, bodies as they were sent.
TSHARK = ["tshark", "-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-o", "http.decompress_body:FALSE"]
# A control character that XML cannot carry; tshark writes them as they come.
NOT_XML = bytes(c for c in range(32) if c not in (9, 10, 13))
EMPTY = hashlib.sha256(b"").hexdigest()
VERSION = re.compile(rb"HTTP/\d\.\d\Z")


class Message:
    """One message of either side; what both can tell."""

    def __init__(self, kind, client, server, start, headers, body_len, body, **more):
        self.kind, self.client, self.server = kind, client, server
        self.start, self.headers, self.body_len, self.body = start, headers, body_len, body
        self.complete = more.get("complete", True)
        self.anomalies = more.get("anomalies", ())
        self.frame = more.get("frame")
        self.lines = more.get("lines", 0)

    def flow(self):
        return self.kind, self.client, self.server

    def same(self, other):
        return (self.headers, self.body_len, self.body) == (other.headers, other.body_len, other.body)

    def header(self, name):
        return [v for n, v in self.headers if n.lower() == name]

    def __str__(self):
        return "%s %s>%s %s" % (self.kind, self.client, self.server, " ".join(map(str, self.start)))


def run(command, check=True):
    done = subprocess.run(command, capture_output=True, check=False)
    if check and done.returncode != 0:
        raise SystemExit("%s: %s" % (" ".join(command), done.stderr.decode(errors="replace").strip()))
    return done.stdout


def ports_of(path):
    """The server ports at which tshark sees HTTP over TCP."""
    out = run(TSHARK + ["-r", path, "-Y", "http.request.method && tcp || http.response.code && tcp", "-T", "fields",
                        "-E", "occurrence=l", "-e", "http.request.method", "-e", "tcp.srcport", "-e", "tcp.dstport"], check=False)
    ports = set()
    for line in out.decode(errors="replace").splitlines():
        fields = line.split("\t")
        if len(fields) == 3 and fields[1] and fields[2]:
            ports.add(int(fields[2] if fields[0] else fields[1]))
    return sorted(ports)


def ours(binary, path, ports):
    command = [binary, "inspect", path, "--json", "--responses", "--log", "error", "-p", ",".join(map(str, ports))]
    for line in run(command, check=False).decode("utf-8").splitlines():
        m = json.loads(line)
        start = (m["method"], m["target"]) if m["kind"] == "request" else (str(m["status"]), m["reason"])
        yield Message(m["kind"], m["client"], m["server"], start + ("HTTP/" + m["version"],),
                      [tuple(h) for h in m["headers"]], m["body_len"], m["body_sha256"],
                      complete=m["complete"], anomalies=m["anomalies"])


class Pdml:
    """Reads tshark's PDML as it comes; keeps no packet."""

    def __init__(self, ports, found):
        self.ports, self.found = ports, found
        self.http = None
        self.proto = ""

    def open(self, tag, attributes):
        name = attributes.get("name", "")
        if tag == "packet":
            self.ip, self.tcp, self.frame = {}, {}, None
        elif tag == "proto":
            self.proto = name
            if name == "http":
                self.http = defaultdict(list)
            elif name in ("ip", "ipv6"):
                self.ip = {}
        elif tag == "field":
            if name in ("ip.src", "ipv6.src"):
                self.ip["src"] = attributes["show"]
            elif name in ("ip.dst", "ipv6.dst"):
                self.ip["dst"] = attributes["show"]
            elif name in ("tcp.srcport", "tcp.dstport"):
                self.tcp[name[4:7]] = int(attributes["show"])
            elif name == "num":
                self.frame = int(attributes["show"])
            elif self.http is not None and name.startswith("http."):
                self.http[name].append(bytes.fromhex(attributes.get("value", "")))

    def close(self, tag):
        if tag == "proto" and self.http is not None:
            self.message(self.http)
            self.http = None

    def message(self, fields):
        if not self.tcp or "src" not in self.ip:
            return
        ends = [address(self.ip["src"], self.tcp["src"]), address(self.ip["dst"], self.tcp["dst"])]
        text = lambda name: fields[name][0].decode("latin-1") if fields[name] else ""
        if fields["http.request.method"]:
            if self.tcp["dst"] not in self.ports:
                return
            kind, client, server = "request", *ends
            start = (text("http.request.method"), text("http.request.uri"), text("http.request.version"))
        elif fields["http.response.code"]:
            if self.tcp["src"] not in self.ports:
                return
            kind, server, client = "response", *ends
            start = (text("http.response.code"), text("http.response.phrase"), text("http.response.version"))
        else:
            return
        lines = fields["http.%s.line" % kind]
        body = fields["http.file_data"][0] if fields["http.file_data"] else b""
        self.found.append(Message(kind, client, server, start, [h for h in map(header, lines)], len(body),
                                  hashlib.sha256(body).hexdigest(), frame=self.frame))


def address(ip, port):
    return "[%s]:%d" % (ip, port) if ":" in ip else "%s:%d" % (ip, port)


def header(line):
    """One header line as (name, value), folded lines as one space, as shadowtap gives them."""
    name, _, value = line.partition(b":")
    value = re.sub(rb"\r?\n[ \t]+", b" ", value)
    return name.decode("latin-1"), value.strip(b" \t\r\n").decode("latin-1")


def theirs(path, ports):
    found = []
    reader = Pdml(set(ports), found)
    parser = xml.parsers.expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.open, reader.close
    command = TSHARK + ["-r", path, "-Y", "http", "-T", "pdml", "-J", "ip ipv6 tcp http"]
    for port in ports:
        command += ["-d", "tcp.port==%d,http" % port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tshark:
        while block := tshark.stdout.read(1 << 20):
            parser.Parse(block.translate(None, NOT_XML))
    parser.Parse(b"", True)
    return found


def pairs(mine, other):
    """Aligns the messages of one direction of one connection by start line, in order."""
    key = lambda m: m.start[:2] if m.kind == "request" else m.start[:1]
    matcher = difflib.SequenceMatcher(None, [key(m) for m in mine], [key(m) for m in other], autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            yield from zip(mine[a:b], other[c:d])
        else:
            yield from ((m, None) for m in mine[a:b])
            yield from ((None, m) for m in other[c:d])


def explain(m, t, found):
    """The name of the rule that explains a difference, or None."""
    return None


def compare(binary, path, ports):
    both = (defaultdict(list), defaultdict(list))
    for m in ours(binary, path, ports):
        both[0][m.flow()].append(m)
    for m in theirs(path, ports):
        both[1][m.flow()].append(m)
    counts, differences = Counter(), []
    for flow in sorted(set(both[0]) | set(both[1])):
        for m, t in pairs(both[0][flow], both[1][flow]):
            if m and t and m.complete and m.same(t):
                counts[flow[0], "equal"] += 1
                continue
            what = "differ" if m and t else "ours" if m else "tshark"
            if m and not m.complete:
                what = "incomplete"
            counts[flow[0], what] += 1
            differences.append((what, m, t, explain(m, t, both)))
    return counts, differences


def show(m, t):
    lines = []
    if not (m and t):
        only = m or t
        return ["      headers %s" % (only.headers,), "      body %d complete %s anomalies %s frame %s" % (only.body_len, only.complete, only.anomalies, only.frame)]
    if m.headers != t.headers:
        lines += ["      ours   %s" % [h for h in m.headers if h not in t.headers],
                  "      tshark %s" % [h for h in t.headers if h not in m.headers]]
    if (m.body_len, m.body) != (t.body_len, t.body):
        lines.append("      body ours %d tshark %d, length %s" % (m.body_len, t.body_len, m.header("content-length")))
    lines.append("      complete %s anomalies %s frame %s" % (m.complete, m.anomalies, t.frame))
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="target/release/shadowtap")
    parser.add_argument("-p", "--port", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("file", nargs="+")
    args = parser.parse_args()
    for path in args.file:
        ports = [int(p) for p in args.port.split(",")] if args.port else ports_of(path)
        if not ports:
            continue
        try:
            counts, differences = compare(args.bin, path, ports)
        except Exception as e:
            print("FAIL", path, repr(e))
            continue
        print(path, "ports", ",".join(map(str, ports)), "req", dict((k[1], v) for k, v in counts.items() if k[0] == "request"), "resp", dict((k[1], v) for k, v in counts.items() if k[0] == "response"), flush=True)
        for what, m, t, why in differences:
            print("   ", what, m or t)
            for line in show(m, t):
                print(line[:1500])


main()
