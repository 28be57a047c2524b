#!/usr/bin/env python3
"""Makes a recording of many gigabytes, and shows that it is read in constant memory, with the right counts.

    run.py PROGRAM BASE.warc DIR SIZE

BASE is a recording of SHADOWTAP_BIN's; its messages are repeated, each copy later by as much as BASE lasts, until SIZE
bytes are written. Says for each reading its seconds, CPU seconds, MB/s and most memory; fails where one takes over 64 MB or counts
wrong.
"""

import asyncio
import calendar
import json
import os
import re
import subprocess
import sys
import threading
import time

LIMIT_MB = 64
COPIES_IN_RANGE = 20
program, base_path, directory, size = *sys.argv[1:4], int(sys.argv[4])


def say(text):
    print(text, flush=True)


# ---- the recording ----

DATE = re.compile(
    rb"(?:(?<=\r\nWARC-Date: )|(?<=\r\nShadowtap-Last-Byte: ))(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"
)


def seconds(text):
    return calendar.timegm(time.strptime(text.decode(), "%Y-%m-%dT%H:%M:%S"))


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)).encode()


base = open(base_path, "rb").read()
info_end = base.index(b"WARC/1.1\r\n", 1)
info, records = base[:info_end], base[info_end:]
requests = records.count(b"\r\nWARC-Type: request\r\n")
responses = records.count(b"\r\nWARC-Type: response\r\n")
times = [seconds(date) for date in set(DATE.findall(records))]
first, span = min(times), max(times) - min(times) + 1
copies = max(size // len(records), 3 * COPIES_IN_RANGE)
path = os.path.join(directory, "large.warc")
# All between two dates stays as it is: no digest covers the fields of a record.
parts = DATE.split(records)
rest, dates = parts[::2], [seconds(date) for date in parts[1::2]]
started = time.time()
with open(path, "wb", buffering=1 << 20) as file:
    file.write(info)
    for copy in range(copies):
        moved = {at: stamp(at + copy * span) for at in set(dates)}
        file.write(rest[0] + b"".join(moved[at] + text for at, text in zip(dates, rest[1:])))
bytes_made = os.path.getsize(path)
say(
    f"{bytes_made / 1e9:.1f} GB made in {time.time() - started:.0f} s: {copies} times {requests} requests and"
    f" {responses} responses, over {copies * span} s"
)


# ---- v2 ----

received = 0


async def serve(reader, writer):
    global received
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"\r\ncontent-length: *(\d+)", head)
            if length:
                await reader.readexactly(int(length[1]))
            elif b"\r\ntransfer-encoding:" in head:
                while chunk := int((await reader.readline()).split(b";")[0], 16):
                    await reader.readexactly(chunk + 2)
                while await reader.readline() != b"\r\n":
                    pass
            received += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def start_v2():
    ready = threading.Event()
    place = []

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        place.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    ready.wait()
    return f"http://127.0.0.1:{place[0]}"


# ---- reading ----

failed = []


def check(what, got, want):
    if got != want:
        failed.append(f"{what}: {got}, expected {want}")
        say(f"  WRONG: {failed[-1]}")


def run(name, *args):
    """Runs the program; what it printed."""
    out_path = os.path.join(directory, "out")
    started = time.time()
    with open(out_path, "wb") as out, open(os.path.join(directory, "err"), "wb") as err:
        child = subprocess.Popen([program, *args], stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    took, most_mb = time.time() - started, usage.ru_maxrss * 1024 / 1e6
    cpu = usage.ru_utime + usage.ru_stime
    speed = bytes_made / took / 1e6
    say(f"{name}: {took:.1f} s ({cpu:.1f} s of CPU), {speed:.0f} MB/s, {most_mb:.1f} MB at most")
    check(f"{name}: exit code", child.returncode, 0)
    check(f"{name}: over {LIMIT_MB} MB", most_mb > LIMIT_MB, False)
    return open(out_path, "rb").read()


def moment(copy):
    return stamp(first + copy * span).decode() + "Z"


middle = copies // 2
within = ["--from", moment(middle), "--until", stamp(first + (middle + COPIES_IN_RANGE) * span - 1).decode() + ".999999999Z"]

stats = json.loads(run("inspect --stats", "inspect", "--stats", "--json", path))
check("requests", stats["requests"], copies * requests)
check("responses", stats["responses"], copies * responses)

stats = json.loads(run("inspect --stats of a range", "inspect", "--stats", "--json", path, *within))
check("requests", stats["requests"], COPIES_IN_RANGE * requests)
check("responses", stats["responses"], COPIES_IN_RANGE * responses)

listed = run("inspect --json of a range", "inspect", "--json", "--responses", path, *within).splitlines()
kinds = [json.loads(line)["kind"] for line in listed]
check("requests", kinds.count("request"), COPIES_IN_RANGE * requests)
check("responses", kinds.count("response"), COPIES_IN_RANGE * responses)

v2 = start_v2()
flags = ["--to", v2, "--methods", "all", "--speed", "max", "--json"]
ledger = json.loads(run("replay of a range", "replay", path, *within, *flags))
check("requests read", ledger["requests"]["captured"], copies * requests)
check("out of range", ledger["requests"]["refused"]["out_of_range"], (copies - COPIES_IN_RANGE) * requests)
check("damaged", ledger["damaged"], 0)
check("received by v2", received, COPIES_IN_RANGE * requests)

sys.exit("\n".join(failed) if failed else 0)
