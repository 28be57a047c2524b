#!/usr/bin/env python3
"""Compares what `shadowtap inspect --json --responses` and tshark find in a capture, message by message.

In: capture files. Out: a Markdown table with a row for each, and every difference with the rule that explains
it. A rule is a check of the messages at hand, never an allowance for a capture; a difference that no rule
explains makes the exit code 1. Compared are, for each direction of each connection, in order: method and
target or status and reason, version, every header as it was sent, and length and SHA-256 of the body without
its chunk framing, still compressed where it was.

    scripts/tshark/compare.py [--bin SHADOWTAP] [-p PORT,PORT] FILE...
"""
import argparse
import difflib
import hashlib
import json
import os
import re
import subprocess
import sys
import xml.parsers.expat
from collections import Counter, defaultdict

# tshark as it reads most: segments put in order, bodies as they were sent.
TSHARK = ["tshark", "-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-o", "http.decompress_body:FALSE"]
# A control character that XML cannot carry; tshark writes them as they come.
NOT_XML = bytes(c for c in range(32) if c not in (9, 10, 13))


class Message:
    """One message of either side; what both can tell."""

    def __init__(self, kind, client, server, start, headers, body_len, body, **more):
        self.kind, self.client, self.server = kind, client, server
        self.start, self.headers, self.body_len, self.body = start, headers, body_len, body
        self.complete = more.get("complete", True)
        self.anomalies = more.get("anomalies", ())
        self.request = more.get("request")
        self.headed = more.get("headed", True)
        self.frame, self.ended = more.get("frame"), more.get("ended", False)

    def flow(self):
        """One direction of one connection."""
        return self.kind, self.client, self.server

    def same(self, other):
        """Whether everything behind the start line agrees."""
        return (self.headers, self.body_len, self.body) == (other.headers, other.body_len, other.body)

    def header(self, name):
        """The values of all headers of this name, given in lower case."""
        return [v for n, v in self.headers if n.lower() == name]

    def __str__(self):
        return "%s %s>%s %s" % (self.kind, self.client, self.server, " ".join(map(str, self.start)).encode("unicode_escape").decode())


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
                      complete=m["complete"], anomalies=m["anomalies"], request=m.get("request_index"))


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
            elif self.http is not None and not name and attributes.get("show") in ("\\r\\n", "\\n"):
                self.http["empty line"].append(b"")
            elif self.http is not None and attributes.get("show") == "End of chunked encoding":
                self.http["ended"].append(b"")
            elif self.http is not None and attributes.get("show", "").startswith("Content-encoded entity body"):
                # Where a body is compressed and left so, tshark has no http.file_data.
                self.http["encoded"].append(bytes.fromhex(attributes.get("value", "")))
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
        body = (fields["http.file_data"] or fields["encoded"] or [b""])[0]
        self.found.append(Message(kind, client, server, start, [h for h in map(header, lines)], len(body),
                                  hashlib.sha256(body).hexdigest(), frame=self.frame, ended=bool(fields["ended"]), headed=bool(fields["empty line"])))


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


def words(message):
    """The start line without regard to how it is taken apart."""
    return tuple(" ".join(message.start).split())


def pairs(mine, other):
    """Aligns the messages of one direction of one connection by start line, in order."""
    key = lambda m: words(m) if m.kind == "request" else m.start[0]
    matcher = difflib.SequenceMatcher(None, [key(m) for m in mine], [key(m) for m in other], autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            yield from zip(mine[a:b], other[c:d])
        else:
            yield from ((m, None) for m in mine[a:b])
            yield from ((None, m) for m in other[c:d])


def not_whole(m, t, _):
    """tshark shows a message whose end never came like any other; shadowtap says that it is incomplete."""
    if not m or m.complete or (t and m.headers != t.headers):
        return False
    seen = t.body_len if t else m.body_len
    length = m.header("content-length")
    if m.header("transfer-encoding"):
        return not (t and t.ended)
    return seen < int(length[0]) if length else m.kind == "response"


def half_a_head(m, t, _):
    """tshark shows a head of which only the beginning is in the capture; shadowtap never calls it complete."""
    return bool(t) and not t.headed and not (m and m.complete)


def space_in_target(m, t, _):
    """tshark ends a target at its first space, and takes a second space before it for its beginning."""
    return bool(m and t) and m.complete and m.start != t.start and words(m) == words(t) and m.same(t)


def request_unseen(m, t, _):
    """A response to a request that was lost may answer HEAD: shadowtap does not call one with a body complete."""
    return (bool(m and t) and m.kind == "response" and not m.complete and m.request is None
            and "gap" in m.anomalies and m.body_len > 0 and m.start == t.start and m.same(t))


def behind_a_hole(m, t, before):
    """tshark gives a direction up at its first hole; shadowtap finds its next message."""
    return bool(m) and not t and m.complete and any("gap" in b.anomalies for b in before)


RULES = (not_whole, half_a_head, space_in_target, behind_a_hole, request_unseen)


def explain(m, t, before):
    """The name of the rule that explains a difference, or None."""
    return next((rule.__name__.replace("_", "-") for rule in RULES if rule(m, t, before)), None)


def compare(binary, path, ports):
    """Counts by kind and outcome, and the differences as (outcome, ours, tshark's, rule)."""
    mine, other = defaultdict(list), defaultdict(list)
    for m in ours(binary, path, ports):
        mine[m.flow()].append(m)
    for t in theirs(path, ports):
        other[t.flow()].append(t)
    counts, differences = Counter(), []
    for flow in sorted(set(mine) | set(other)):
        before = []
        for m, t in pairs(mine[flow], other[flow]):
            if m and t and m.complete and m.start == t.start and m.same(t):
                outcome = "equal"
            else:
                outcome = "ours" if not t else "tshark" if not m else "differ"
                differences.append((outcome, m, t, explain(m, t, before)))
            counts[flow[0], outcome] += 1
            before += [m] if m else []
    return counts, differences


def show(outcome, m, t, rule):
    """What a person needs to judge a difference."""
    lines = ["%s: %s (%s)" % (outcome, m or t, rule or "UNEXPLAINED")]
    for name, one in (("ours", m), ("tshark", t)):
        if one:
            length = (one.header("content-length") or one.header("transfer-encoding") or ["none"])[0]
            lines.append("    %-6s body %d of %s, complete %s, anomalies %s, frame %s, %d headers" % (
                name, one.body_len, length, one.complete, list(one.anomalies), one.frame, len(one.headers)))
    if m and t and m.headers != t.headers:
        lines.append("    headers only ours: %s" % [h for h in m.headers if h not in t.headers])
        lines.append("    headers only tshark's: %s" % [h for h in t.headers if h not in m.headers])
    return lines


OUTCOMES = ("equal", "differ", "ours", "tshark")


def row(name, counts):
    cells = ["%d" % counts[kind, outcome] for kind in ("request", "response") for outcome in OUTCOMES]
    return "| %s | %s |" % (name, " | ".join(cells))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", default="target/release/shadowtap", help="the program to compare")
    parser.add_argument("-p", "--port", default="", help="server ports; else those where tshark sees HTTP")
    parser.add_argument("--at-least", type=int, default=0, help="equal requests each file must have")
    parser.add_argument("--skip-empty", action="store_true", help="leave out files without any HTTP")
    parser.add_argument("file", nargs="+")
    return parser.parse_args()


def main():
    args = arguments()
    total, listed, wrong = Counter(), [], 0
    heads = ["%s %s" % (kind, outcome) for kind in ("requests", "responses") for outcome in OUTCOMES]
    print("| capture | %s |\n|---|%s" % (" | ".join(heads), "--:|" * len(heads)))
    for path in args.file:
        ports = [int(p) for p in args.port.split(",")] if args.port else ports_of(path)
        counts, differences = compare(args.bin, path, ports) if ports else (Counter(), [])
        total.update(counts)
        if counts or not args.skip_empty:
            print(row(os.path.basename(path), counts), flush=True)
        if counts["request", "equal"] < args.at_least:
            listed.append("%s: fewer than %d equal requests" % (path, args.at_least))
            wrong += 1
        for difference in differences:
            listed += ["%s: %s" % (path, line) for line in show(*difference)]
            wrong += difference[3] is None
    print(row("all", total))
    print("\n".join([""] + listed))
    print("%d unexplained" % wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
