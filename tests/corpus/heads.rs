//! Heads: methods, targets, versions, fields. `NAME` stands for the case's name.

use super::Case;

/// Name and request.
pub const HEADS: &[(&str, &[u8])] = &[
    // Methods.
    ("plain", b"GET /NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("lower-method", b"get /NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("mixed-method", b"Post /NAME HTTP/1.1\r\nHost: v1\r\nContent-Length: 2\r\n\r\nok"),
    ("head", b"HEAD /NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("options", b"OPTIONS /NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("trace", b"TRACE /NAME HTTP/1.1\r\nHost: v1\r\nMax-Forwards: 0\r\n\r\n"),
    ("patch", b"PATCH /NAME HTTP/1.1\r\nHost: v1\r\nContent-Length: 2\r\n\r\n{}"),
    ("m-search", b"M-SEARCH /NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("every-tchar", b"!#$%&'*+-.^_`|~09azAZ /NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("delete-body", b"DELETE /NAME HTTP/1.1\r\nHost: v1\r\nContent-Length: 4\r\n\r\nbody"),
    ("get-body", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nContent-Length: 4\r\n\r\nbody"),
    // Targets.
    ("dot-segments", b"GET /a/../b/./NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("above-the-root", b"GET /../../NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("two-slashes", b"GET //NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("slashes-within", b"GET /NAME///b//?c=//d HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("escaped-slash", b"GET /NAME%2fb%2F%2e%2E%00 HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("bad-escape", b"GET /NAME%zz%4 HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("pipe-braces", b"GET /NAME|{}[]^`\\\"<> HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("utf8-target", b"GET /NAME/\xc3\xbc\xe2\x82\xac HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("latin1-target", b"GET /NAME/\xfc\xe4?\xf6=\xdf HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("space-in-target", b"GET /NAME a b HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("tab-in-target", b"GET /NAME\ta HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("absolute", b"GET http://v1:80/NAME?q HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("absolute-upper", b"GET HTTP://V1/../NAME HTTP/1.1\r\nHost: other\r\n\r\n"),
    ("absolute-no-path", b"GET http://NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: v1\r\nX: NAME\r\n\r\n"),
    ("no-slash", b"GET NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("empty-query", b"GET /NAME? HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("question-marks", b"GET /NAME??a?b=?&&=&? HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("only-query", b"GET ?NAME HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("fragment", b"GET /NAME#part?x HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("semicolons", b"GET /NAME;a=b;c,d:e@f!$&'()*+~ HTTP/1.1\r\nHost: v1\r\n\r\n"),
    // Start lines and versions.
    ("http10", b"GET /NAME HTTP/1.0\r\n\r\n"),
    ("http10-keep-alive", b"GET /NAME HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
    ("http10-post", b"POST /NAME HTTP/1.0\r\nContent-Length: 2\r\n\r\nab"),
    (
        "http10-chunked",
        b"POST /NAME HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ),
    ("http12", b"GET /NAME HTTP/1.2\r\nHost: v1\r\n\r\n"),
    ("two-spaces", b"GET  /NAME  HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ("space-at-line-end", b"GET /NAME HTTP/1.1 \r\nHost: v1\r\n\r\n"),
    ("bare-lf", b"GET /NAME HTTP/1.1\nHost: v1\nA: b\n\n"),
    ("mixed-endings", b"GET /NAME HTTP/1.1\r\nHost: v1\nA: b\r\n\n"),
    ("crlf-behind-lf", b"GET /NAME HTTP/1.1\nHost: v1\n\r\n"),
    ("no-fields", b"GET /NAME HTTP/1.1\r\n\r\n"),
    // Fields.
    ("case", b"GET /NAME HTTP/1.1\r\nhOST: v1\r\nx-lower: 1\r\nX-UPPER: 2\r\nX-mIxEd: 3\r\n\r\n"),
    ("host-last", b"GET /NAME HTTP/1.1\r\nB: 1\r\nA: 2\r\nC: 3\r\nHost: v1\r\n\r\n"),
    ("duplicates", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nA: 1\r\nB: x\r\na: 2\r\nA: 1\r\n\r\n"),
    ("two-hosts", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nHost: other\r\n\r\n"),
    ("empty-host", b"GET /NAME HTTP/1.1\r\nHost:\r\n\r\n"),
    ("cookies", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nCookie: a=1; b=\"2\"\r\nCookie: c=3,4\r\n\r\n"),
    ("folded", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nA: one\r\n two\r\n\t  three\r\nB: 1\r\n\r\n"),
    ("folded-empty", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nA:\r\n x\r\nB: y\r\n \r\n\r\n"),
    ("folded-first", b"GET /NAME HTTP/1.1\r\n A: odd\r\nHost: v1\r\n\r\n"),
    ("underscores", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nX_A_b: 1\r\n_: 2\r\n\r\n"),
    (
        "odd-names",
        b"GET /NAME HTTP/1.1\r\nHost: v1\r\nA@b(c): 1\r\nd e: 2\r\n\xfc: 3\r\n: 4\r\n\r\n",
    ),
    ("odd-values", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nA: \xfc\xc3\xbc\x01\x7f\x00\"\\\r\n\r\n"),
    ("cr-in-value", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nA: a\rb\r\n\r\n"),
    ("no-colon", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nno colon here\r\nA: 1\r\n\r\n"),
    ("space-before-colon", b"GET /NAME HTTP/1.1\r\nHost : v1\r\nA\t: 1\r\n\r\n"),
    ("no-space", b"GET /NAME HTTP/1.1\r\nHost:v1\r\nA:1\r\nB:a:b\r\n\r\n"),
    ("white-space", b"GET /NAME HTTP/1.1\r\nHost: v1  \r\nA:  \t x \t\r\nB:\t\r\nC:   \r\n\r\n"),
    ("empty-values", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nA:\r\nB: \r\nC:\r\n\r\n"),
    // Fields between two neighbours, which a proxy would take off or act upon.
    (
        "hop-by-hop",
        b"GET /NAME HTTP/1.1\r\nHost: v1\r\nConnection: keep-alive, X-Hop\r\n\
        X-Hop: 1\r\nKeep-Alive: timeout=5, max=9\r\nProxy-Connection: keep-alive\r\n\
        Proxy-Authorization: Basic eA==\r\n\r\n",
    ),
    (
        "te",
        b"GET /NAME HTTP/1.1\r\nHost: v1\r\nTE: trailers, deflate;q=0.5\r\n\
        Connection: TE\r\n\r\n",
    ),
    ("close", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nConnection: close\r\n\r\n"),
    ("close-odd", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nconnection:x ,CLOSE\r\n\r\n"),
    ("connection-upgrade", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nConnection: upgrade\r\n\r\n"),
    ("expect-no-body", b"GET /NAME HTTP/1.1\r\nHost: v1\r\nExpect: 100-continue\r\n\r\n"),
    (
        "accept-encoding",
        b"GET /NAME HTTP/1.1\r\nHost: v1\r\nAccept-Encoding: br;q=1.0, *;q=0\r\n\
        Range: bytes=0-1\r\nIf-None-Match: \"x\"\r\nForwarded: for=a\r\nVia: 1.1 p\r\n\r\n",
    ),
];

/// Those too long to be written out.
pub fn long() -> impl Iterator<Item = Case> {
    let get = |name, target: &str, fields: &str| {
        let text = format!("GET /{name}{target} HTTP/1.1\r\nHost: v1\r\n{fields}\r\n");
        Case::new(name, text.into_bytes())
    };
    let fields: String = (0..200).map(|n| format!("X-Field-{n}: {n}\r\n")).collect();
    let method = format!("{} /long-method HTTP/1.1\r\nHost: v1\r\n\r\n", "M".repeat(300));
    [
        get("long-target", &"/segment".repeat(1_000), ""),
        get("very-long-target", &format!("?{}", "q=%20&".repeat(10_000)), ""),
        get("many-fields", "", &fields),
        get("large-field", "", &format!("X-Large: {}\r\n", "v".repeat(60_000))),
        get("long-field-name", "", &format!("X-{}: 1\r\n", "n".repeat(2_000))),
        get("many-folds", "", &format!("A: 0\r\n{}", " next\r\n".repeat(300))),
        Case::new("long-method", method.into_bytes()),
    ]
    .into_iter()
}
