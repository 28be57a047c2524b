#!/usr/bin/env python3
"""Middleware on the `gor` package (https://pypi.org/project/gor/), as written for GoReplay:

    shadowtap mirror -p 8080 --to http://v2:8080 --methods all \\
        --middleware 'python3 session_token.py' --middleware-protocol gor --middleware-sees all

v1 and v2 give tokens of their own. What v1 gave (response) and what v2 gave for the same request (replay)
make a pair; a later request that bears v1's token leaves with v2's.
"""

import json

from gor.middleware import AsyncioGor

given = {}  # By identifier of the request: what v1 or v2 gave, whichever came first.
tokens = {}  # By v1's token: v2's.


def token(gor, message):
    try:
        return json.loads(gor.http_body(message.http)).get("token")
    except (ValueError, AttributeError):
        return None


def pair(gor, message):
    new = token(gor, message)
    if new is None:
        return
    first = given.pop(message.id, None)
    if first is None:
        given[message.id] = new
    elif message.type == "3":
        tokens[first] = new
    else:
        tokens[new] = first


def request(gor, message):
    found = gor.http_header(message.http, "Authorization")
    if found is None:
        return
    kind, _, old = found["value"].partition(" ")
    if old in tokens:
        message.http = gor.set_http_header(message.http, "Authorization", f"{kind} {tokens[old]}")
        return message


gor = AsyncioGor()
gor.on("request", request)
gor.on("response", pair)
gor.on("replay", pair)
gor.run()
