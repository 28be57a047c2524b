//! Secrets out of a message: the values of fields that carry credentials, and what rules name.
//!
//! In: a whole message. Out: the same, with `shadowtap-secret-` and the beginning
//! of HMAC-SHA-256(key, value) in place of each value of Authorization, Proxy-Authorization, Cookie,
//! Set-Cookie and X-Api-Key, in the head and in the trailer section. Guaranteed: equal values give equal
//! hashes, in whichever of these fields they stand, so that the requests of a session still look like one
//! session and the Cookie like its Set-Cookie; order, names and everything else stay as they were, the body byte for
//! byte. Rules add fields, and look into the target, URLs in fields, and the body as well (see `message`).
//!
//! Fields are looked for line by line and not in [`Message::fields`]: what a lenient server may take for
//! such a field counts, though our own reader passes over it (white space before the name, no colon, more
//! fields than it keeps). Where it is in doubt whether something is a secret, it is one.

mod bodies;
mod cover;
mod leaf;
mod message;
mod multipart;
mod parameters;
mod patterns;
mod rules;

use std::fmt;
use std::ops::Range;

use hmac::digest::InvalidLength;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use self::cover::{Cover, MASK};
use self::parameters::Text;
use self::rules::Sorted;
pub use self::rules::{RedactRule, RedactWith};
use super::edits::Edit;
use super::lines::{is_tchar, next_line, trimmed};
use crate::model::{SECRET_DIGITS, SECRET_PREFIX, is_replaced_secret};

/// How the value of a field is made up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Carrier {
    /// A scheme and its credentials (RFC 9110 section 11.6.2).
    Authorization,
    /// Cookies: `name=value; name=value` (RFC 6265 section 4.2).
    Cookie,
    /// One cookie and its attributes (RFC 6265 section 4.1).
    SetCookie,
    /// Nothing but the secret.
    Whole,
    /// A URL, or several among other things, whose parameters may be secrets.
    Parameters(Text),
}

/// The fields that carry secrets.
const FIELDS: [(&str, Carrier); 5] = [
    ("authorization", Carrier::Authorization),
    ("proxy-authorization", Carrier::Authorization),
    ("cookie", Carrier::Cookie),
    ("set-cookie", Carrier::SetCookie),
    ("x-api-key", Carrier::Whole),
];

/// Fields that repeat a target, or name another: what rules name in queries may stand there too.
const URLS: [(&str, Text); 10] = [
    ("referer", Text::Url),
    ("location", Text::Url),
    ("content-location", Text::Url),
    ("destination", Text::Url),
    ("x-forwarded-uri", Text::Url),
    ("x-original-uri", Text::Url),
    ("x-original-url", Text::Url),
    ("x-rewrite-url", Text::Url),
    ("link", Text::Urls),
    ("refresh", Text::Urls),
];

/// Schemes that are kept: those of IANA's registry, and those in wide use. The first word of anything else
/// may be part of the secret.
const SCHEMES: [&str; 24] = [
    "ApiKey",
    "AWS4-HMAC-SHA256",
    "Basic",
    "Bearer",
    "Concealed",
    "Digest",
    "DPoP",
    "GNAP",
    "Hawk",
    "HOBA",
    "HMAC",
    "JWT",
    "Key",
    "MAC",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "PrivateToken",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "SharedKey",
    "Token",
    "vapid",
];

/// Attributes of a Set-Cookie that are kept with their values.
const ATTRIBUTES: [&str; 10] = [
    "Comment",
    "Domain",
    "Expires",
    "HttpOnly",
    "Max-Age",
    "Partitioned",
    "Path",
    "Priority",
    "SameSite",
    "Secure",
];

/// Finds where the trailer section begins in a chunked body as on the wire.
pub type FindTrailers = fn(&[u8]) -> Option<usize>;

/// A field that carries secrets.
#[derive(Clone)]
struct Named {
    name: String,
    carrier: Carrier,
    with: RedactWith,
}

/// See the module's description.
#[derive(Clone)]
pub struct Redactor {
    mac: Hmac<Sha256>,
    find_trailers: FindTrailers,
    fields: Vec<Named>,
    rules: Sorted,
    cover: Cover,
}

/// Without the key.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// One that hashes with this key; HMAC takes any length.
    pub fn new(key: &[u8], find_trailers: FindTrailers) -> Result<Self, InvalidLength> {
        let named = |(name, carrier): &(&str, Carrier)| Named {
            name: (*name).to_owned(),
            carrier: *carrier,
            with: RedactWith::Hash,
        };
        let fields = FIELDS.iter().map(named).collect();
        Ok(Self { fields, ..Self::bare(key, find_trailers)? })
    }

    /// One that replaces nothing unless rules say so.
    pub fn bare(key: &[u8], find_trailers: FindTrailers) -> Result<Self, InvalidLength> {
        let mac = Hmac::new_from_slice(key)?;
        let cover = Cover { mac: mac.clone(), with: RedactWith::Hash };
        Ok(Self { mac, find_trailers, fields: Vec::new(), rules: Sorted::default(), cover })
    }

    /// With these rules as well; of a field that is replaced anyway the rule says how.
    pub fn with_rules(mut self, rules: &[RedactRule], with: RedactWith) -> Result<Self, String> {
        self.rules = Sorted::new(rules)?;
        self.cover.with = with;
        for name in &self.rules.headers {
            self.fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
            let known = FIELDS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
            let carrier = known.map_or(Carrier::Whole, |(_, carrier)| *carrier);
            self.fields.push(Named { name: name.clone(), carrier, with });
        }
        if !self.rules.queries.is_empty() {
            for (name, kind) in URLS {
                // One that is named goes as a whole.
                if !self.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name)) {
                    let (name, carrier) = (name.to_owned(), Carrier::Parameters(kind));
                    self.fields.push(Named { name, carrier, with });
                }
            }
        }
        Ok(self)
    }

    /// Whether it looks into bodies.
    pub fn reads_bodies(&self) -> bool {
        self.rules.has_bodies()
    }

    /// What is to be replaced in the field lines from `start` on, in order.
    fn edits(&self, bytes: &[u8], start: usize) -> Vec<Edit> {
        let mut edits = Vec::new();
        if self.fields.is_empty() {
            return edits;
        }
        let mut at = start;
        while let Some(line) = next_line(bytes, at) {
            at = line.end + 1;
            self.line_edits(bytes, &line, &mut edits);
        }
        edits
    }

    fn line_edits(&self, bytes: &[u8], line: &Range<usize>, edits: &mut Vec<Edit>) {
        // What continues a line may be a field of its own to another reader.
        let mut hidden = line.start;
        for (n, start) in starts(bytes, line).enumerate() {
            if n == MAX_STARTS {
                let rest = trimmed(bytes, hidden.max(start)..line.end);
                let secret = bytes.get(rest.clone()).unwrap_or_default();
                if self.names_secret(secret) {
                    edits.push(Edit::new(rest, self.hash(secret)));
                }
                break;
            }
            let Some((field, value)) = self.secret_field(bytes, start..line.end) else { continue };
            if let Carrier::Parameters(kind) = field.carrier {
                let text = bytes.get(value.clone()).unwrap_or_default();
                let queries = &self.rules.queries;
                let found = parameters::edits(text, value.start, kind, queries, &self.cover);
                let mut found: Vec<_> =
                    found.into_iter().filter(|edit| edit.place.start >= hidden).collect();
                hidden = found.last().map_or(hidden, |edit| edit.place.end);
                edits.append(&mut found);
                continue;
            }
            // Only a line of its own can go as a whole.
            if field.with == RedactWith::Drop && n == 0 {
                edits.push(Edit::new(line.start..(line.end + 1).min(bytes.len()), []));
                break;
            }
            secrets(bytes, field.carrier, value, |place| {
                let secret = bytes.get(place.clone()).unwrap_or_default();
                let is_hidden = place.start < hidden;
                hidden = hidden.max(place.end);
                // Of a recording that is written anew: it stands for the secret already.
                if !is_hidden && !is_replaced_secret(secret) {
                    let value = match field.with {
                        RedactWith::Mask => MASK.to_owned(),
                        RedactWith::Hash | RedactWith::Drop => self.hash(secret),
                    };
                    edits.push(Edit::new(place, value));
                }
            });
        }
    }

    /// Whether the name of a field that carries secrets stands somewhere in these bytes.
    fn names_secret(&self, bytes: &[u8]) -> bool {
        let lower = bytes.to_ascii_lowercase();
        self.fields.iter().any(|field| {
            memchr::memmem::find(&lower, field.name.to_ascii_lowercase().as_bytes()).is_some()
        })
    }

    /// What kind of secret a line carries, and where its value lies.
    fn secret_field(&self, bytes: &[u8], line: Range<usize>) -> Option<(&Named, Range<usize>)> {
        let text = bytes.get(line.clone())?;
        let lead = text.iter().position(is_tchar)?;
        let named = text.get(lead..)?;
        let len = named.iter().position(|b| !is_tchar(b)).unwrap_or(named.len());
        let (name, rest) = named.split_at_checked(len)?;
        let is_it = |field: &&Named| name.eq_ignore_ascii_case(field.name.as_bytes());
        let field = self.fields.iter().find(is_it)?;
        // A colon ends the name where nothing stands before it that could be a value.
        let colon = memchr::memchr(b':', rest)
            .filter(|&colon| !rest.get(..colon).unwrap_or_default().iter().any(is_tchar));
        let start = line.start + lead + len + colon.map_or(0, |colon| colon + 1);
        Some((field, trimmed(bytes, start..line.end)))
    }

    fn hash(&self, secret: &[u8]) -> String {
        use fmt::Write as _;
        let digest = self.mac.clone().chain_update(secret).finalize().into_bytes();
        let mut value = String::with_capacity(VALUE_LEN);
        value.push_str(SECRET_PREFIX);
        for byte in digest.iter().take(SECRET_DIGITS / 2) {
            // Writing to a string does not fail.
            let _ = write!(value, "{byte:02x}");
        }
        value
    }
}

/// Length of a replaced value.
const VALUE_LEN: usize = SECRET_PREFIX.len() + SECRET_DIGITS;

/// Lines of one folded field that are each looked at as a field of their own, since another reader may: looking costs
/// the length of what is left. Of a field with more lines all that follows is one secret, if it names one anywhere.
const MAX_STARTS: usize = 64;

/// Where a line begins, and behind each line break in it, a lone CR too.
fn starts(bytes: &[u8], line: &Range<usize>) -> impl Iterator<Item = usize> {
    let text = bytes.get(line.clone()).unwrap_or_default();
    let first = line.start;
    let breaks = memchr::memchr2_iter(b'\r', b'\n', text).map(move |at| first + at + 1);
    std::iter::once(first).chain(breaks)
}

/// Gives the places of the secrets in a field's value, in order; empty ones hide nothing.
fn secrets(
    bytes: &[u8],
    carrier: Carrier,
    value: Range<usize>,
    mut found: impl FnMut(Range<usize>),
) {
    let mut found = |place: Range<usize>| {
        if !place.is_empty() {
            found(place);
        }
    };
    match carrier {
        Carrier::Parameters(_) => {}
        Carrier::Whole => found(value),
        Carrier::Authorization => found(credentials(bytes, value)),
        Carrier::Cookie => pieces(bytes, value).for_each(|piece| found(cookie_value(bytes, piece))),
        Carrier::SetCookie => {
            let mut pieces = pieces(bytes, value);
            pieces.next().into_iter().for_each(|cookie| found(cookie_value(bytes, cookie)));
            for attribute in pieces.filter(|piece| !is_plain_attribute(bytes, piece.clone())) {
                found(cookie_value(bytes, attribute));
            }
        }
    }
}

/// What follows a scheme; without one all of it.
fn credentials(bytes: &[u8], value: Range<usize>) -> Range<usize> {
    let text = bytes.get(value.clone()).unwrap_or_default();
    let len = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    let word = text.get(..len).unwrap_or_default();
    let is_scheme = SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()));
    if is_scheme { trimmed(bytes, value.start + len..value.end) } else { value }
}

/// The parts between semicolons, without white space around them.
fn pieces(bytes: &[u8], value: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let text = bytes.get(value.clone()).unwrap_or_default();
    let mut start = value.start;
    text.split(|&b| b == b';').map(move |piece| {
        let range = start..start + piece.len();
        start = range.end + 1;
        trimmed(bytes, range)
    })
}

/// The value of `name=value`. Without a name all of it: also where nothing but the padding of base64
/// follows the sign. A single one may as well end a name without a value: then what stands before it tells.
fn cookie_value(bytes: &[u8], piece: Range<usize>) -> Range<usize> {
    let text = bytes.get(piece.clone()).unwrap_or_default();
    match memchr::memchr(b'=', text) {
        Some(sign) if text.len() > sign + 1 && is_padding(text, sign) => piece,
        Some(sign) if text.len() == sign + 1 && is_like_token(text.get(..sign)) => piece,
        Some(sign) => trimmed(bytes, piece.start + sign + 1..piece.end),
        None => piece,
    }
}

fn is_padding(text: &[u8], sign: usize) -> bool {
    text.get(sign..).unwrap_or_default().iter().all(|&b| b == b'=')
}

/// A shorter name than this is hardly a secret: 16 digits of base64 are 96 bits.
const SHORTEST_TOKEN: usize = 16;

/// Whether what stands where a cookie has its name looks like base64 rather than words: digits of base64 (either
/// alphabet) and nothing else, and not all letters of one case with nothing but `_` and `-` between them, as names
/// are written. Of tokens of 16 random digits one in 277,000 passes for words.
fn is_like_token(name: Option<&[u8]>) -> bool {
    let name = name.unwrap_or_default();
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || b"+/-_".contains(b);
    let is_words =
        |is_letter: fn(&u8) -> bool| name.iter().all(|b| is_letter(b) || matches!(b, b'-' | b'_'));
    name.len() >= SHORTEST_TOKEN
        && name.iter().all(is_digit)
        && !is_words(u8::is_ascii_lowercase)
        && !is_words(u8::is_ascii_uppercase)
}

/// Whether it is an attribute as RFC 6265 knows them, and nothing else: a further cookie behind a comma,
/// as RFC 2109 had them, is none.
fn is_plain_attribute(bytes: &[u8], piece: Range<usize>) -> bool {
    let text = bytes.get(piece).unwrap_or_default();
    let (name, value) = match memchr::memchr(b'=', text).and_then(|at| text.split_at_checked(at)) {
        Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
        None => (text, &[][..]),
    };
    let name = name.trim_ascii();
    let is_known = ATTRIBUTES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let is_one_line = !text.iter().any(|b| matches!(b, b'\r' | b'\n'));
    is_known && is_one_line && !(value.contains(&b',') && value.contains(&b'='))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::edits::push_edited;
    use super::*;

    fn redactor(key: &[u8]) -> Redactor {
        Redactor::new(key, |_| None).unwrap()
    }

    /// Field lines with every hash written as `#` and what it is of.
    fn shown(lines: &str) -> String {
        let redactor = redactor(b"0123456789abcdef");
        let mut out = Vec::new();
        let mut edits = redactor.edits(lines.as_bytes(), 0);
        for edit in &mut edits {
            let secret = &lines[edit.place.clone()];
            assert_eq!(edit.value, redactor.hash(secret.as_bytes()).as_bytes());
            edit.value = format!("#{secret}#").into_bytes();
        }
        push_edited(&mut out, lines.as_bytes(), &edits);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_continues_a_line_may_hide_a_field() {
        for (lines, want) in [
            ("Host: x\r\n Cookie: sid=s1\r\n", "Host: x\r\n Cookie: sid=#s1#\r\n"),
            ("Host: x\r\n y\r\n\tX-Api-Key: k1\r\n", "Host: x\r\n y\r\n\tX-Api-Key: #k1#\r\n"),
            ("A: b\rCookie: s=s2\r\n", "A: b\rCookie: s=#s2#\r\n"),
            (
                "Set-Cookie: a=b; Path=/\r\n X-Api-Key: k2; w=z\r\n",
                "Set-Cookie: a=#b#; Path=#/\r\n X-Api-Key: k2#; w=#z#\r\n",
            ),
            ("X-Api-Key: k3\r\n Cookie: a=b\r\n", "X-Api-Key: #k3\r\n Cookie: a=b#\r\n"),
        ] {
            assert_eq!(shown(lines), want);
        }
    }

    #[test]
    fn of_a_field_of_very_many_lines_the_rest_is_one_secret_if_it_may_hold_one() {
        let many = |last: &str| format!("A: b\r\n{}{last}\r\nB: c\r\n", " x\r\n".repeat(100));
        assert_eq!(shown(&many(" y")), many(" y"));
        let redactor = redactor(b"0123456789abcdef");
        let lines = many(" cOOkie: s=t; u");
        let edits = redactor.edits(lines.as_bytes(), 0);
        let places: Vec<&str> = edits.iter().map(|edit| &lines[edit.place.clone()]).collect();
        let [place] = places[..] else { unreachable!("one secret: {places:?}") };
        assert!(place.ends_with("x\r\n cOOkie: s=t; u"), "{place}");
        // As many bytes as a head may have: looked at a few times, not once for each line.
        let lines = format!("A: b\r\n{}B: c\r\n", " Cookie:\r\n".repeat(26_000));
        let edits = redactor.edits(lines.as_bytes(), 0);
        assert!(edits.len() < MAX_STARTS && edits.iter().any(|edit| edit.place.len() > 200_000));
    }

    #[test]
    fn the_hash_is_the_beginning_of_hmac_sha_256() {
        // printf %s s3cret | openssl dgst -sha256 -hmac 0123456789abcdef
        let want = "shadowtap-secret-8448ea517196bc2b722bf76a91835e18";
        let got = redactor(b"0123456789abcdef").hash(b"s3cret");
        assert_eq!((got.as_str(), got.len()), (want, VALUE_LEN));
        assert_ne!(redactor(b"0123456789abcdeg").hash(b"s3cret"), got);
    }

    #[test]
    fn each_kind_of_value_loses_its_secrets_and_nothing_else() {
        let cases = [
            ("Host: a\r\nAccept: b\r\n\r\n", "Host: a\r\nAccept: b\r\n\r\n"),
            ("Authorization: Bearer abc\r\n", "Authorization: Bearer #abc#\r\n"),
            ("AUTHORIZATION:basic  YTpi \r\n", "AUTHORIZATION:basic  #YTpi# \r\n"),
            ("authorization: abc\n", "authorization: #abc#\n"),
            ("Authorization: Strange abc\r\n", "Authorization: #Strange abc#\r\n"),
            ("Authorization: Digest a=\"b\", c=d\r\n", "Authorization: Digest #a=\"b\", c=d#\r\n"),
            ("Authorization: Negotiate\r\n", "Authorization: Negotiate\r\n"),
            ("Authorization:\r\nA: b\r\n", "Authorization:\r\nA: b\r\n"),
            ("Proxy-Authorization: Basic x\r\n", "Proxy-Authorization: Basic #x#\r\n"),
            ("X-Api-Key: a b=c; d\r\n", "X-Api-Key: #a b=c; d#\r\n"),
            ("Cookie: a=b; c=d=; e=;f;=g\r\n", "Cookie: a=#b#; c=#d=#; e=;#f#;=#g#\r\n"),
            ("Cookie: YWJjZA==; a=\"b\"\r\n", "Cookie: #YWJjZA==#; a=#\"b\"#\r\n"),
            // Nameless base64 with a single sign of padding, and names without a value.
            ("Cookie: Zm9vYmFyYmF6cXV4MTI=; a=b\r\n", "Cookie: #Zm9vYmFyYmF6cXV4MTI=#; a=#b#\r\n"),
            (
                "Cookie: a=b; 0123456789abcde+/_-= \r\n",
                "Cookie: a=#b#; #0123456789abcde+/_-=# \r\n",
            ),
            ("Set-Cookie: Zm9vYmFyYmF6cXV4MTI=\r\n", "Set-Cookie: #Zm9vYmFyYmF6cXV4MTI=#\r\n"),
            ("Cookie: Zm9vYmFyYmF6cXU=\r\n", "Cookie: Zm9vYmFyYmF6cXU=\r\n"),
            ("Cookie: JSESSIONID=; theme2=\r\n", "Cookie: JSESSIONID=; theme2=\r\n"),
            ("Cookie: wordpress_logged_in=\r\n", "Cookie: wordpress_logged_in=\r\n"),
            ("Cookie: REMEMBER-ME-TOKEN-ID=\r\n", "Cookie: REMEMBER-ME-TOKEN-ID=\r\n"),
            ("Cookie: a.name.with.Dots.2026=\r\n", "Cookie: a.name.with.Dots.2026=\r\n"),
            ("Set-Cookie: a=b; Path=/x; HttpOnly\r\n", "Set-Cookie: a=#b#; Path=/x; HttpOnly\r\n"),
            (
                "Set-Cookie: a=b; expires=Wed, 21 Oct 2015 07:28:00 GMT\r\n",
                "Set-Cookie: a=#b#; expires=Wed, 21 Oct 2015 07:28:00 GMT\r\n",
            ),
            // Two cookies in one field, and attributes that are none.
            ("Set-Cookie: a=b; Path=/, c=d; e\r\n", "Set-Cookie: a=#b#; Path=#/, c=d#; #e#\r\n"),
            ("Set-Cookie: a=b; Secure, c=d\r\n", "Set-Cookie: a=#b#; Secure, c=#d#\r\n"),
            // Folded lines.
            (
                "Cookie: a=b;\r\n c=d\r\n\te\r\nA: f\r\n",
                "Cookie: a=#b#;\r\n c=#d\r\n\te#\r\nA: f\r\n",
            ),
            ("Authorization:\r\n Basic\r\n x\r\n", "Authorization:\r\n Basic\r\n #x#\r\n"),
            ("Cookie:\r\n\r\n", "Cookie:\r\n\r\n"),
            // What only a lenient server takes for such a field.
            (" Cookie : a=b\r\n", " Cookie : a=#b#\r\n"),
            ("Authorization Bearer abc:d\r\n", "Authorization Bearer #abc:d#\r\n"),
            ("Cookie\x01: a=b\r\n", "Cookie\x01: a=#b#\r\n"),
            // What no server takes for one.
            ("X-Cookie: a=b\r\nCookies: a=b\r\n", "X-Cookie: a=b\r\nCookies: a=b\r\n"),
            ("A: Cookie: a=b", "A: Cookie: a=b"),
            ("Cookie: a=b", "Cookie: a=#b#"),
        ];
        for (lines, want) in cases {
            assert_eq!(shown(lines), want, "{lines:?}");
        }
    }
}
