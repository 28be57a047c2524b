#!/usr/bin/env python3
"""Middleware for `shadowtap --middleware 'python3 shape.py'` (JSON, version 1).

Drops what asks for /health, marks the rest with a field of its own, and puts test data in place of the
`email` in JSON bodies. Standard library only; runs until its stdin is closed.
"""

import base64
import json
import sys


def field(message, name):
    for key, value in message["headers"]:
        if key.lower() == name:
            return value
    return ""


def answer(message):
    if message["target"].startswith("/health"):
        return {"type": "drop"}
    said = {"type": "request", "headers": message["headers"] + [["X-Shaped-By", "python"]]}
    if field(message, "content-type").startswith("application/json"):
        try:
            document = json.loads(base64.b64decode(message["body"]))
        except ValueError:
            return said
        if isinstance(document, dict) and "email" in document:
            document["email"] = "test@example.org"
            said["body"] = base64.b64encode(json.dumps(document).encode()).decode()
    return said


for line in sys.stdin:
    message = json.loads(line)
    # What is new in a later version, and answers, need no word of ours.
    if message["type"] == "request":
        print(json.dumps({"v": 1, "id": message["id"], **answer(message)}), flush=True)
