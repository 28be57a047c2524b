"""A shop as services are: login by a form, a session cookie that it signs, CSRF tokens, ids of its own, an API with
bearer tokens. Each instance has its own secrets and ids, so that nothing of one is good for another.

    shop.py serve PORT FIRST_ID LOG     one instance; its log has a line "METHOD ROUTE STATUS" for each request
    shop.py visit PORT USERS            so many users at once, each a whole session; any surprise is an error
"""

import base64
import http.client
import http.cookiejar
import itertools
import json
import re
import secrets
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

PASSWORD = "correct horse"
PAGE = """<!doctype html><title>Shop</title>
<form method=post><input type="hidden" name="csrf" value="{{ session.csrf }}"><input name="item"></form>
"""


def serve(port, first_id, log_file):
    from flask import Flask, abort, g, jsonify, redirect, render_template_string, request, session
    from werkzeug.serving import WSGIRequestHandler

    app = Flask("shop")
    app.secret_key = secrets.token_bytes(32)
    ids, orders, tokens = itertools.count(first_id), {}, {}
    lock, log = threading.Lock(), open(log_file, "a", buffering=1)

    def new_csrf():
        # Base64 of the kind that forms must encode.
        session["csrf"] = base64.b64encode(b"\xfb\xff" + secrets.token_bytes(18)).decode()

    def check_csrf():
        given = request.form.get("csrf", "")
        if not secrets.compare_digest(given, session.get("csrf", "nothing")):
            abort(403)

    def need_login():
        if "user" not in session:
            abort(401)

    def need_token():
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or token not in tokens:
            abort(401)
        g.user = tokens[token]

    @app.get("/login")
    def login_page():
        new_csrf()
        return render_template_string(PAGE)

    @app.post("/login")
    def login():
        check_csrf()
        if request.form["password"] != PASSWORD:
            abort(401)
        session["user"] = request.form["user"]
        new_csrf()
        return redirect("/", 303)

    @app.get("/")
    def home():
        need_login()
        return render_template_string(PAGE)

    @app.post("/orders")
    def order():
        need_login()
        check_csrf()
        with lock:
            number = next(ids)
        orders[number] = {"user": session["user"], "item": request.form["item"]}
        return jsonify(id=number, **orders[number]), 201

    def order_of(number, user):
        if orders.get(number, {}).get("user") != user:
            abort(404)
        return orders[number]

    @app.get("/orders/<int:number>")
    def show(number):
        need_login()
        return jsonify(id=number, **order_of(number, session["user"]))

    @app.post("/logout")
    def logout():
        need_login()
        check_csrf()
        session.clear()
        return "", 204

    @app.post("/api/token")
    def token():
        if request.json["password"] != PASSWORD:
            abort(401)
        token = secrets.token_urlsafe(24)
        tokens[token] = request.json["user"]
        return jsonify(token=token)

    @app.get("/api/orders")
    def after():
        need_token()
        order_of(int(request.args["after"]), g.user)
        return jsonify(orders=[n for n in orders if n > int(request.args["after"])])

    @app.put("/api/orders/<int:number>")
    def note(number):
        need_token()
        order_of(number, g.user)
        if request.json["id"] != number:
            abort(409)
        return jsonify(id=number, note=request.json["note"])

    @app.after_request
    def write(response):
        log.write(f"{request.method} {request.url_rule} {response.status_code}\n")
        return response

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_):
            pass

    app.run("127.0.0.1", port, threaded=True, request_handler=Handler)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def visit(port, user):
    """A browser, a connection for each request, and an API client that keeps its own."""
    jar = http.cookiejar.CookieJar()
    cookies = urllib.request.HTTPCookieProcessor(jar)
    browser = urllib.request.build_opener(cookies, NoRedirects)

    def ask(path, want, form=None):
        data = None if form is None else urllib.parse.urlencode(form).encode()
        try:
            answer = browser.open(f"http://127.0.0.1:{port}{path}", data, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read().decode()
        assert answer.status == want, f"{path}: {answer.status}, not {want}"
        return body

    def csrf(page):
        return re.search('name="csrf" value="([^"]+)"', page)[1].replace("&#43;", "+")

    first = csrf(ask("/login", 200))
    ask("/login", 303, {"user": user, "password": PASSWORD, "csrf": first})
    page = csrf(ask("/", 200))
    made = [
        json.loads(ask("/orders", 201, {"item": item, "csrf": page}))["id"]
        for item in ("bread & butter", "tea")
    ]
    for number in made:
        assert json.loads(ask(f"/orders/{number}", 200))["id"] == number

    api = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def call(method, path, body=None, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        api.request(method, path, body, headers)
        answer = api.getresponse()
        text = answer.read()
        assert answer.status == 200, f"{path}: {answer.status}"
        return json.loads(text)

    token = call("POST", "/api/token", {"user": user, "password": PASSWORD})["token"]
    call("GET", f"/api/orders?after={made[0]}&x=1", token=token)
    call("PUT", f"/api/orders/{made[1]}", {"id": made[1], "note": "soon"}, token)
    api.close()
    ask("/logout", 204, {"csrf": page})


def visits(port, users):
    failed = []

    def one(user):
        try:
            visit(port, user)
        except BaseException as error:
            failed.append(f"{user}: {error!r}")

    threads = [threading.Thread(target=one, args=(f"user{n}",)) for n in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        visits(int(sys.argv[2]), int(sys.argv[3]))
