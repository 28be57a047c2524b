//! Requests for load generators: a script for k6, targets for vegeta (one JSON object a line).
//!
//! In: whole requests. Out: one element or line each. Guaranteed: nothing captured is anything but data in the script;
//! method, URI, field values and body are those of the request. Both tools write HTTP by Go's library, which
//! frames bodies itself, sorts fields and has one spelling for each name: what that changes is counted. What that library
//! refuses to send is left out.

use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{Anomaly, Message, Version};

use super::export::{Exported, LeftOut, Lost, is_behind_another};
use super::uri;

/// What a script for k6 begins with.
pub const K6_BEGIN: &[u8] =
    br"// k6 run FILE: each request once, by 1 user; k6 run -e VUS=10 -e TO=http://v2:8080 FILE
import http from 'k6/http';
import exec from 'k6/execution';
import { b64decode } from 'k6/encoding';
import { SharedArray } from 'k6/data';

const requests = new SharedArray('requests', () => [
";

/// What it ends with. Each request has a cookie jar of its own: cookies are the captured ones.
pub const K6_END: &[u8] = br"]);

// k6 refuses more users than iterations, and neither may be none.
const iterations = Math.max(requests.length, 1);

export const options = {
  discardResponseBodies: true,
  maxRedirects: 0,
  scenarios: {
    captured: {
      executor: 'shared-iterations',
      vus: Math.min(Math.max(Math.floor(Number(__ENV.VUS)) || 1, 1), iterations),
      iterations,
      maxDuration: '24h',
    },
  },
};

export default function () {
  const request = requests[exec.scenario.iterationInTest];
  if (!request) return;
  const { method, origin, target, headers, body } = request;
  const url = (__ENV.TO || origin) + target;
  const jar = new http.CookieJar();
  http.request(method, url, body ? b64decode(body) : null, { headers: Object.fromEntries(headers), jar });
}
";

/// A load generator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tool {
    /// k6.
    K6,
    /// vegeta.
    Vegeta,
}

/// A request for k6. Pairs, since `__proto__` may be the name of a field.
#[derive(Serialize)]
struct Step<'a> {
    method: &'a str,
    origin: &'a str,
    target: &'a str,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
}

/// A request for vegeta.
#[derive(Serialize)]
struct Target<'a> {
    method: &'a str,
    url: &'a str,
    header: Map<String, Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
}

/// Appends a request; anything else is counted as left out.
pub fn message(tool: Tool, out: &mut Vec<u8>, message: &Message, counts: &mut Exported) {
    if !message.is_request() {
        counts.left_out.count(LeftOut::Response);
        return;
    }
    let mut url = Vec::new();
    uri::push_target_uri(&mut url, message);
    // Percent-encoded: nothing but ASCII.
    let url = String::from_utf8_lossy(&url).into_owned();
    let (Some((origin, path)), Some(method), Some(fields)) =
        (split(&url), method(message), Fields::of(message))
    else {
        counts.left_out.count(LeftOut::Inexpressible);
        return;
    };
    let body = STANDARD.encode(&message.body);
    for (is_lost, what) in lost(tool, message, &fields, path) {
        if is_lost {
            counts.lost.count(what);
        }
    }
    match tool {
        Tool::K6 => {
            let headers = fields.joined();
            let step = Step { method, origin, target: path, headers, body };
            // All values are text.
            let json = serde_json::to_string(&step).unwrap_or_default();
            // Line ends to JavaScript before ES2019, though not to JSON.
            let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
            // Writing to a vector does not fail.
            let _ = writeln!(out, "  {json},");
        }
        Tool::Vegeta => {
            let target = Target { method, url: &url, header: fields.lists(), body };
            let _ = serde_json::to_writer(&mut *out, &target);
            let _ = out.write_all(b"\n");
        }
    }
    counts.wrote(message);
}

/// The method, where Go sends it. Tunnels are no requests there.
fn method(message: &Message) -> Option<&str> {
    let method = std::str::from_utf8(message.method()).ok()?;
    (is_token(method) && method != "CONNECT").then_some(method)
}

/// Origin and the rest of a URL that Go takes: it speaks HTTP only, takes no escapes of ASCII in a host, and would make
/// credentials of what stands before an `@`.
fn split(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let is_sent = is_http && !authority.contains(['%', '@']);
    is_sent.then(|| url.split_at_checked(scheme.len() + 3 + end)).flatten()
}

/// Whether Go takes this for the name of a method or a field (RFC 9110 5.6.2).
fn is_token(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(is_part)
}

/// Whether Go takes this for a Host: the bytes of RFC 3986 3.2.2, no escapes.
fn is_host(value: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"!$&'()*+,-.:;=[]_~".contains(&b);
    value.bytes().all(is_part)
}

/// What is odd about a head that Go writes anew.
const SPELLING: [Anomaly; 7] = [
    Anomaly::ObsFold,
    Anomaly::BareLf,
    Anomaly::SpaceBeforeColon,
    Anomaly::InvalidField,
    Anomaly::OddVersion,
    Anomaly::OddStartLine,
    Anomaly::LeadingEmptyLine,
];

/// What of this request the tool does not send.
fn lost(tool: Tool, message: &Message, fields: &Fields, path: &str) -> [(bool, Lost); 8] {
    let is_spelled = fields.0.iter().any(|field| field.spelled)
        || SPELLING.iter().any(|&odd| message.anomalies.contains(odd));
    [
        (true, Lost::Times),
        (is_behind_another(message), Lost::Connection),
        (message.chunked, Lost::Chunks),
        (message.version == Version::HTTP_10, Lost::Version),
        (path.as_bytes() != message.target(), Lost::Target),
        (fields.0.len() > 1, Lost::FieldOrder),
        (is_spelled, Lost::HeadSpelling),
        (tool == Tool::K6 && fields.0.iter().any(|f| f.values.len() > 1), Lost::Repeated),
    ]
}

/// The fields of a request by Go's names, in the order of their first.
struct Fields(Vec<Field>);

struct Field {
    name: String,
    values: Vec<String>,
    /// Whether the request spelled the name otherwise, or folded a value.
    spelled: bool,
}

/// Fields that say how the body is framed: both tools make their own.
const FRAMING: [&str; 3] = ["Content-Length", "Transfer-Encoding", "Trailer"];

impl Fields {
    /// `None` where one of them is no text, or one that Go refuses.
    fn of(message: &Message) -> Option<Self> {
        let mut places = std::collections::HashMap::new();
        let mut fields: Vec<Field> = Vec::new();
        for (name, value) in message.headers() {
            let (given, value) =
                (std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?);
            if !is_token(given) {
                return None;
            }
            let name = canonical(given);
            if FRAMING.contains(&&*name) {
                continue;
            }
            // A folded value goes on one line.
            let is_folded = value.contains(['\r', '\n']);
            let value = value.replace(['\r', '\n'], " ");
            let is_sent = !value.contains(|c: char| c.is_ascii_control() && c != '\t');
            let is_second = places.contains_key(&name);
            if !is_sent || (name == "Host" && (is_second || !is_host(&value))) {
                return None;
            }
            let place = *places.entry(name.clone()).or_insert(fields.len());
            let spelled = given != name || is_folded;
            match fields.get_mut(place) {
                Some(field) => {
                    field.values.push(value);
                    field.spelled |= spelled;
                }
                None => fields.push(Field { name, values: vec![value], spelled }),
            }
        }
        Some(Self(fields))
    }

    /// One value for each name (RFC 9110 5.3; RFC 6265 5.4 for cookies).
    fn joined(self) -> Vec<(String, String)> {
        let join = |Field { name, values, .. }| {
            let between = if name == "Cookie" { "; " } else { ", " };
            let value = values.join(between);
            (name, value)
        };
        self.0.into_iter().map(join).collect()
    }

    /// All values of each name.
    fn lists(self) -> Map<String, Value> {
        self.0.into_iter().map(|Field { name, values, .. }| (name, values.into())).collect()
    }
}

/// A name as Go spells it: a capital at its start and behind each hyphen.
fn canonical(name: &str) -> String {
    let mut at_start = true;
    let spell = |c: char| {
        let c = if at_start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        at_start = c == '-';
        c
    };
    name.chars().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::export::{Exporter, Format};
    use crate::record::tests::{info, request, response};

    fn written(format: Format, messages: &[Message]) -> (String, Exported) {
        let (mut out, mut exporter) = (Vec::new(), Exporter::new(format, info()));
        exporter.begin(&mut out, "name");
        messages.iter().for_each(|message| exporter.message(&mut out, message));
        exporter.finish(&mut out);
        assert!(exporter.counts().is_balanced());
        (String::from_utf8(out).expect("text"), *exporter.counts())
    }

    fn post() -> Message {
        request(
            b"POST /a?b=c HTTP/1.1\r\nhost: v1:81\r\nX-B: 1\r\nCookie: a=b\r\nCookie: c=d\r\n__proto__: x\r\n\
              x-b: \"2\"\r\nContent-Length: 3\r\n\r\n\xff\x00a",
        )
    }

    #[test]
    fn vegeta_gets_an_object_for_each_request() {
        let (text, counts) = written(Format::Vegeta, &[post(), request(b"GET / HTTP/1.1\r\n\r\n")]);
        let lines: Vec<&str> = text.lines().collect();
        let want = r#"{"method":"POST","url":"http://v1:81/a?b=c","header":{"Host":["v1:81"],"X-B":["1","\"2\""],"Cookie":["a=b","c=d"],"__proto__":["x"]},"body":"/wBh"}"#;
        let [want, got] =
            [want, lines[0]].map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
        assert_eq!(got, want);
        assert_eq!(lines.len(), 2);
        assert!(!lines[1].contains("body"), "{text}");
        let lost = |what| counts.lost.get(what);
        assert_eq!((counts.requests, lost(Lost::Times), lost(Lost::FieldOrder)), (2, 2, 1));
        assert_eq!((lost(Lost::HeadSpelling), lost(Lost::Repeated), lost(Lost::Target)), (1, 0, 0));
    }

    #[test]
    fn k6_gets_a_script_in_which_a_request_is_data() {
        let mut hostile =
            request(b"GET /'+alert(1)//` HTTP/1.0\r\nHost: h\r\nA: '](`${x}`)</script>\r\n\r\n");
        hostile.version = Version::HTTP_10;
        let (text, counts) = written(Format::K6, &[post(), hostile]);
        let steps: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("  {\"method\"")?.strip_suffix(','))
            .map(|rest| serde_json::from_str(&format!("{{\"method\"{rest}")).expect("JSON"))
            .collect();
        assert_eq!(steps.len(), 2, "{text}");
        let cookies = &steps[0]["headers"][2];
        assert_eq!(cookies, &serde_json::json!(["Cookie", "a=b; c=d"]));
        assert_eq!(
            (&steps[0]["origin"], &steps[0]["target"]),
            (&"http://v1:81".into(), &"/a?b=c".into())
        );
        assert_eq!(steps[1]["headers"][1][1], "'](`${x}`)</script>");
        let lost = |what| counts.lost.get(what);
        assert_eq!((lost(Lost::Repeated), lost(Lost::Version), lost(Lost::Target)), (1, 1, 1));
    }

    #[test]
    fn what_gos_library_refuses_is_left_out() {
        let refused = [
            "G@T / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\u{1}c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\u{7f}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nA(: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:b:c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: \u{e4}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        let sent = [
            "g!t /%zz?%zz#\u{e4}\"{ HTTP/1.1\r\nHost: h:81\r\nA: \tb\tc \u{e4}\u{80}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET HTTPS://a:81/ HTTP/1.1\r\nHost: a_b.c\r\n\r\n",
        ];
        for format in [Format::K6, Format::Vegeta] {
            for (texts, is_sent) in [(&refused[..], false), (&sent, true)] {
                for text in texts {
                    let (_, counts) = written(format, &[request(text.as_bytes())]);
                    assert_eq!(counts.requests == 1, is_sent, "{text:?}");
                    assert_eq!(counts.left_out.get(LeftOut::Inexpressible) == 0, is_sent);
                }
            }
        }
    }

    #[test]
    fn a_folded_value_goes_on_one_line_and_is_counted() {
        for format in [Format::K6, Format::Vegeta] {
            let mut folded = request(b"GET / HTTP/1.1\r\nHost: h\r\nA: b## c\r\n\r\n");
            let raw = String::from_utf8(folded.raw.to_vec()).expect("text");
            folded.raw = raw.replace("##", "\r\n").into();
            let (text, counts) = written(format, &[folded]);
            assert!(text.contains("\"b   c\""), "{text}");
            assert_eq!(counts.lost.get(Lost::HeadSpelling), 1);
            let plain = request(b"GET / HTTP/1.1\r\nHost: h\r\nA: b c\r\n\r\n");
            assert_eq!(written(format, &[plain]).1.lost.get(Lost::HeadSpelling), 0);
        }
    }

    #[test]
    fn line_ends_of_javascript_are_escaped() {
        let value = "a\u{2028}b\u{2029}c";
        let odd = request(format!("GET / HTTP/1.1\r\nHost: h\r\nA: {value}\r\n\r\n").as_bytes());
        let (text, _) = written(Format::K6, &[odd]);
        assert!(!text.contains(['\u{2028}', '\u{2029}']), "{text}");
        let step =
            text.lines().find_map(|line| line.strip_prefix("  {\"method\"")?.strip_suffix(','));
        let step: Value =
            serde_json::from_str(&format!("{{\"method\"{}", step.expect("a step"))).expect("JSON");
        assert_eq!(step["headers"][1][1], value);
    }

    #[test]
    fn what_they_cannot_send_is_left_out() {
        let no_text = request(b"GET / HTTP/1.1\r\nA: \xff\r\n\r\n");
        let tunnel = request(b"CONNECT a:1 HTTP/1.1\r\n\r\n");
        let answer = response(b"HTTP/1.1 200 OK\r\n\r\n", Some(0));
        for format in [Format::K6, Format::Vegeta] {
            let (_, counts) = written(format, &[no_text.clone(), tunnel.clone(), answer.clone()]);
            assert_eq!(counts.left_out.get(LeftOut::Inexpressible), 2);
            assert_eq!(counts.left_out.get(LeftOut::Response), 1);
        }
    }
}
