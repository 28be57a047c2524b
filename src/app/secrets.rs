//! What becomes of secrets in a recording: the flags' meaning, the key, what is said about it.
//!
//! In: the flags. Out: what is done to each message on the record thread, and words for the start line and
//! for the file. Guaranteed: neither the key nor a secret is ever printed; a key that cannot be had, or is too
//! short to resist guessing, is an error before anything is captured.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, anyhow, bail};

use crate::cli::secret_args::{RedactArgs, RedactWithArg, SecretArgs};
use crate::http::trailers_at;
use crate::record::Prepare;
use crate::shape::{RedactRule, RedactWith, Redactor};

/// A shorter key can be guessed.
const MIN_KEY: usize = 16;
/// A longer one is a mistake: the wrong file, or one without an end.
const MAX_KEY: u64 = 64 << 10;
/// Length of a random key: as long as the hash (RFC 2104 section 3).
const RANDOM_KEY: usize = 32;

/// The key of the hashes.
pub struct Key {
    bytes: Vec<u8>,
    /// Whether it is the user's.
    is_given: bool,
}

impl Key {
    /// Whether it is said where it is, and not the key itself; nothing is looked at there.
    pub fn check(place: Option<&String>) -> anyhow::Result<()> {
        place.map_or(Ok(()), |place| Place::of(place).map(drop))
    }

    /// From where the user says it is, or a random one.
    pub fn new(place: Option<&String>) -> anyhow::Result<Self> {
        if let Some(place) = place {
            return Ok(Self { bytes: key_from(place)?, is_given: true });
        }
        let mut key = [0; RANDOM_KEY];
        getrandom::fill(&mut key)
            .map_err(|error| anyhow!("cannot make a key: no random numbers: {error}"))?;
        Ok(Self { bytes: key.into(), is_given: false })
    }
}

/// What `--redact` names.
#[derive(Default)]
pub struct Redaction {
    rules: Vec<RedactRule>,
    with: RedactWith,
}

impl Redaction {
    /// As the flags say.
    pub fn new(args: &RedactArgs) -> anyhow::Result<Self> {
        let rule =
            |text: &String| RedactRule::parse(text).map_err(|wrong| anyhow!("--redact: {wrong}"));
        let texts = args.redact.iter().filter(|text| !text.trim().is_empty());
        Ok(Self {
            rules: texts.map(rule).collect::<anyhow::Result<_>>()?,
            with: match args.redact_with {
                RedactWithArg::Hash => RedactWith::Hash,
                RedactWithArg::Mask => RedactWith::Mask,
                RedactWithArg::Drop => RedactWith::Drop,
            },
        })
    }

    /// Whether the rules go together; no key is needed for that.
    pub fn check(args: &RedactArgs) -> anyhow::Result<()> {
        Self::new(args)?.only(&Key { bytes: Vec::new(), is_given: false }).map(drop)
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What replaces what is named and nothing else; `None` where nothing is.
    pub fn only(&self, key: &Key) -> anyhow::Result<Option<Redactor>> {
        if self.is_empty() {
            return Ok(None);
        }
        let redactor = Redactor::bare(&key.bytes, trailers_at).context("--redact-key")?;
        self.added_to(redactor).map(Some)
    }

    fn added_to(&self, redactor: Redactor) -> anyhow::Result<Redactor> {
        redactor.with_rules(&self.rules, self.with).map_err(|wrong| anyhow!("--redact: {wrong}"))
    }
}

/// What becomes of secrets.
pub enum Secrets {
    /// They are stored as captured.
    Kept,
    /// They are stored as captured, but for what rules name.
    KeptBut(Redactor),
    /// They are replaced, with a key that this recording alone has.
    Replaced(Redactor),
    /// They are replaced, with the user's key.
    ReplacedByKey(Redactor),
}

impl Secrets {
    /// As the flags say, with this key, and what rules name as well.
    pub fn new(args: &SecretArgs, key: &Key, rules: &Redaction) -> anyhow::Result<Self> {
        if args.keep_secrets {
            return Ok(rules.only(key)?.map_or(Self::Kept, Self::KeptBut));
        }
        let redactor = Redactor::new(&key.bytes, trailers_at).context("--redact-key")?;
        let redactor = rules.added_to(redactor)?;
        Ok(match key.is_given {
            true => Self::ReplacedByKey(redactor),
            false => Self::Replaced(redactor),
        })
    }

    /// One word for the file's own description.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::KeptBut(_) => "kept but for rules",
            Self::Replaced(_) | Self::ReplacedByKey(_) => "replaced",
        }
    }

    /// What the start line says, in so many words.
    pub fn notice(&self) -> &'static str {
        match self {
            Self::KeptBut(_) => {
                "--keep-secrets: secrets are stored as captured but for what --redact names (mode 0600, readable by \
                 its owner only)"
            }
            Self::Kept => {
                "--keep-secrets: secrets are stored as captured: passwords, cookies, tokens and API keys \
                 stand in the file in plain (mode 0600, readable by its owner only)"
            }
            Self::Replaced(_) => {
                "secrets in Authorization, Proxy-Authorization, Cookie, Set-Cookie and X-Api-Key are replaced \
                 by hashes with a random key (--keep-secrets stores them); targets, bodies and other fields \
                 are stored as captured, but for what --redact names"
            }
            Self::ReplacedByKey(_) => {
                "secrets in Authorization, Proxy-Authorization, Cookie, Set-Cookie and X-Api-Key are replaced \
                 by hashes with the key of --redact-key (--keep-secrets stores them); targets, bodies and other \
                 fields are stored as captured, but for what --redact names"
            }
        }
    }

    /// What is done to each message before it is stored.
    pub fn prepare(self) -> Prepare {
        match self {
            Self::Kept => Box::new(|message| message),
            Self::KeptBut(redactor) | Self::Replaced(redactor) | Self::ReplacedByKey(redactor) => {
                Box::new(move |message| redactor.redact(message))
            }
        }
    }
}

/// Where the key is.
enum Place<'a> {
    Env(&'a str),
    File(&'a str),
}

impl<'a> Place<'a> {
    fn of(text: &'a str) -> anyhow::Result<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            if name.is_empty() || name.contains(['=', '\0']) {
                bail!("--redact-key env:NAME needs the name of an environment variable");
            }
            return Ok(Self::Env(name));
        }
        match text.strip_prefix("file:") {
            Some(path) => Ok(Self::File(path)),
            // What was typed may be the key itself.
            None => bail!(
                "--redact-key takes no key, which everybody could read in the process list, but its place: \
                 env:NAME or file:PATH"
            ),
        }
    }

    fn read(&self) -> anyhow::Result<Vec<u8>> {
        match *self {
            Self::Env(name) => match std::env::var_os(name) {
                Some(value) => Ok(std::os::unix::ffi::OsStringExt::into_vec(value)),
                None => bail!("--redact-key: there is no environment variable {name}"),
            },
            Self::File(path) => {
                let read = || {
                    let mut key = Vec::new();
                    File::open(path)?.take(MAX_KEY + 1).read_to_end(&mut key)?;
                    std::io::Result::Ok(key)
                };
                let mut key =
                    read().with_context(|| format!("--redact-key: cannot read {path}"))?;
                if key.len() as u64 > MAX_KEY {
                    bail!(
                        "--redact-key: {path} has more than {MAX_KEY} bytes; is it the right file?"
                    );
                }
                // Editors and `echo` end the line.
                if key.ends_with(b"\n") {
                    key.pop();
                    key.pop_if(|byte| *byte == b'\r');
                }
                Ok(key)
            }
        }
    }
}

/// The key from where the user says it is.
fn key_from(place: &str) -> anyhow::Result<Vec<u8>> {
    let key = Place::of(place)?.read()?;
    match key.len() {
        0 => bail!("--redact-key: {place} is empty"),
        len if len < MIN_KEY => bail!(
            "--redact-key: the key in {place} has {len} bytes, and at least {MIN_KEY} are needed; \
             `openssl rand -hex 32` makes one"
        ),
        _ => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::app::tests::message;
    use crate::http::Role;
    use crate::model::testing::{Random, seeds};
    use crate::model::{Start, replaced_secrets};

    fn of(args: SecretArgs) -> anyhow::Result<Secrets> {
        Secrets::new(&args, &Key::new(args.redact_key.as_ref())?, &Redaction::default())
    }

    fn redactor(key: &[u8]) -> Redactor {
        Redactor::new(key, trailers_at).expect("any key")
    }

    /// A message made at random, and the secrets in it.
    struct Made {
        raw: Vec<u8>,
        role: Role,
        secrets: Vec<Vec<u8>>,
    }

    /// A value that occurs nowhere else: no byte of it stands in names, schemes or attributes.
    fn secret(random: &mut Random) -> Vec<u8> {
        const LETTERS: &[u8] = b"QZJX0123456789~+\xe9";
        let len = 4 + random.below(40);
        let mut value: Vec<u8> = (0..len).map(|_| *random.pick(LETTERS)).collect();
        // Never by chance within the digits of a hash.
        value[0] = *random.pick(b"QZJX~");
        // Inner bytes that other parts of a value are made of.
        if random.one_in(4) {
            value[1] = *random.pick(b"= \",");
        }
        value
    }

    fn one_field(random: &mut Random, role: Role, secrets: &mut Vec<Vec<u8>>) -> Vec<u8> {
        let mut new = |random: &mut Random| {
            // Often one that stood somewhere before.
            let again = !secrets.is_empty() && random.one_in(3);
            let value = if again { random.pick(secrets).clone() } else { secret(random) };
            secrets.push(value.clone());
            value
        };
        let colon = *random.pick(&[&b": "[..], b":", b" :\t", b":\r\n ", b":  "]);
        let end = *random.pick(&[&b"\r\n"[..], b"\r\n", b" \r\n", b"\n"]);
        let value = match random.below(6) {
            0 => [*random.pick(&[&b"Bearer "[..], b"basic\t", b"Digest ", b""]), &new(random)]
                .concat(),
            1 if role == Role::Client => {
                let mut value = Vec::new();
                for n in 0..1 + random.below(5) {
                    let gap = *random.pick(&[&b"; "[..], b";", b";\r\n\t"]);
                    value.extend_from_slice(if n == 0 { b"" } else { gap });
                    value.extend_from_slice(format!("c{n}=").as_bytes());
                    if !random.one_in(5) {
                        value.extend_from_slice(&new(random));
                    }
                }
                value
            }
            1 => {
                let attributes = *random.pick(&[&b"; Path=/; Secure"[..], b";Max-Age=3", b""]);
                [b"sid=", &new(random)[..], attributes].concat()
            }
            2 => new(random),
            3 => Vec::new(),
            _ => b"plain; a=b, c".to_vec(),
        };
        let name = match (random.below(6), value.as_slice()) {
            (_, []) => *random.pick(&["Cookie", "Set-Cookie", "X-Api-Key", "Authorization"]),
            (_, b"plain; a=b, c") => *random.pick(&["Accept", "X-Cookie", "Cookies"]),
            (_, value) if value.starts_with(b"c0=") => *random.pick(&["Cookie", "cOOKIE"]),
            (_, value) if value.starts_with(b"sid=") => *random.pick(&["Set-Cookie", "set-cookie"]),
            (n, value)
                if n < 3
                    || value.starts_with(b"B")
                    || value.starts_with(b"b")
                    || value.starts_with(b"D") =>
            {
                *random.pick(&["Authorization", "proxy-authorization"])
            }
            _ => *random.pick(&["X-Api-Key", "x-api-key"]),
        };
        [name.as_bytes(), colon, &value, end].concat()
    }

    fn made(random: &mut Random) -> Made {
        let role = *random.pick(&[Role::Client, Role::Server]);
        let mut secrets = Vec::new();
        let mut raw = match role {
            Role::Client => b"POST /x HTTP/1.1\r\n".to_vec(),
            Role::Server => b"HTTP/1.1 200 OK\r\n".to_vec(),
        };
        for _ in 0..random.below(8) {
            raw.extend_from_slice(&one_field(random, role, &mut secrets));
        }
        // A body may hold what looks like a secret's field, and stays as it is.
        let body = b"Cookie: a=bbbb\r\n\r\n0\r\nX-Api-Key: cccc\r\n\r\n";
        if random.one_in(2) {
            raw.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            raw.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            raw.extend_from_slice(body);
            raw.extend_from_slice(b"\r\n0;x\r\n");
            for _ in 0..random.below(3) {
                raw.extend_from_slice(&one_field(random, role, &mut secrets));
            }
            raw.extend_from_slice(b"\r\n");
        } else {
            raw.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            raw.extend_from_slice(body);
        }
        Made { raw, role, secrets }
    }

    /// Every replaced value in these bytes, in order.
    fn hashes(bytes: &[u8]) -> Vec<Vec<u8>> {
        let prefix = crate::model::SECRET_PREFIX.as_bytes();
        let len = prefix.len() + crate::model::SECRET_DIGITS;
        memchr::memmem::find_iter(bytes, prefix).map(|at| bytes[at..at + len].to_vec()).collect()
    }

    #[test]
    fn no_secret_is_left_and_everything_else_is_as_it_was() {
        for seed in seeds(3000) {
            let Made { raw, role, secrets } = made(&mut Random::new(seed));
            let before = message(&raw, role);
            let after = redactor(b"the key of this test").redact(before.clone());
            let text = after.raw.escape_ascii().to_string();
            let why = format!("seed {seed}: {}\n{text}", raw.escape_ascii());
            for secret in &secrets {
                assert_eq!(memchr::memmem::find(&after.raw, secret), None, "{why}");
            }
            assert_eq!(after.redacted as usize, secrets.len(), "{why}");
            assert_eq!(replaced_secrets(&after.raw) as usize, secrets.len(), "{why}");
            // Equal where and only where the secrets are.
            let hashes = hashes(&after.raw);
            for (one, first) in secrets.iter().zip(&hashes) {
                for (other, second) in secrets.iter().zip(&hashes) {
                    assert_eq!(one == other, first == second, "{why}");
                }
            }
            // What the changed message says of itself is what a reader finds in its bytes.
            let read = message(&after.raw, role);
            assert_eq!((&read.fields, read.start), (&after.fields, after.start), "{why}");
            assert_eq!((read.head_len, &read.body), (after.head_len, &after.body), "{why}");
            assert_eq!(
                (read.completion, read.anomalies),
                (before.completion, before.anomalies),
                "{why}"
            );
            assert_eq!((&read.body, read.chunked), (&before.body, before.chunked), "{why}");
            // The same names in order, and the same values but for the secrets.
            assert_eq!(read.fields.len(), before.fields.len(), "{why}");
            for ((name, value), (old_name, old)) in read.headers().zip(before.headers()) {
                assert_eq!(name, old_name, "{why}");
                if replaced_secrets(value) == 0 {
                    assert_eq!(value, old, "{why}");
                }
            }
        }
    }

    #[test]
    fn another_key_gives_other_hashes_and_no_secret_changes_nothing() {
        for seed in seeds(300) {
            let Made { raw, role, secrets } = made(&mut Random::new(seed));
            let message = message(&raw, role);
            let one = redactor(b"one key of sixteen").redact(message.clone());
            let two = redactor(b"two keys of sixteen").redact(message.clone());
            let all: BTreeSet<_> = hashes(&one.raw).into_iter().collect();
            assert!(hashes(&two.raw).iter().all(|hash| !all.contains(hash)), "seed {seed}");
            if secrets.is_empty() {
                assert_eq!((one.raw, one.redacted), (message.raw, 0), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_field_beyond_those_that_are_kept_loses_its_secret_too() {
        let raw = format!("GET / HTTP/1.1\r\n{}Cookie: a=bcde\r\n\r\n", "A: b\r\n".repeat(5000));
        let after = redactor(b"a key").redact(message(raw.as_bytes(), Role::Client));
        assert_eq!((after.redacted, after.raw.ends_with(b"bcde\r\n\r\n")), (1, false));
    }

    #[test]
    fn a_session_links_up() {
        let redact = |raw: &[u8], role| redactor(b"a key").redact(message(raw, role));
        let set =
            redact(b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=\"a b\"; Path=/\r\n\r\n", Role::Server);
        let sent = redact(b"GET / HTTP/1.1\r\nCookie: x=y; sid=\"a b\"\r\n\r\n", Role::Client);
        assert!(matches!(sent.start, Start::Request { .. }));
        assert_eq!(hashes(&set.raw)[0], hashes(&sent.raw)[1]);
        assert_ne!(hashes(&set.raw)[0], hashes(&sent.raw)[0]);
    }

    fn secrets(place: &str) -> anyhow::Result<Secrets> {
        of(SecretArgs { keep_secrets: false, redact_key: Some(place.into()) })
    }

    #[test]
    fn a_key_that_cannot_be_used_is_an_error_that_does_not_repeat_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("own directory");
            format!("file:{}", path.display())
        };
        let long = vec![b'x'; MAX_KEY as usize + 1];
        let cases = [
            ("0123456789abcdef".to_owned(), "env:NAME or file:PATH"),
            ("env:".to_owned(), "needs the name"),
            ("env:SHADOWTAP_NO_SUCH_KEY".to_owned(), "no environment variable"),
            ("file:/nonexistent/key".to_owned(), "cannot read /nonexistent/key"),
            (format!("file:{}", dir.path().display()), "cannot read"),
            (file("empty", b"\r\n"), "is empty"),
            (file("short", b"0123456789abcde\n"), "15 bytes"),
            (file("long", &long), "the right file"),
        ];
        for (place, want) in cases {
            let error = format!("{:#}", secrets(&place).err().expect(&place));
            assert!(error.contains(want), "{place}: {error}");
            assert!(!error.contains("0123456789abcde"), "{error}");
        }
        for key in [&b"0123456789abcdef"[..], b"0123456789abcdef\r\n", b"0123456789abcdef\n"] {
            let secrets = secrets(&file("key", key)).expect("long enough");
            let Secrets::ReplacedByKey(redactor_of_file) = secrets else { panic!("not replaced") };
            let raw = b"GET / HTTP/1.1\r\nX-Api-Key: k\r\n\r\n";
            let redact = |redactor: &Redactor| redactor.redact(message(raw, Role::Client)).raw;
            assert_eq!(redact(&redactor_of_file), redact(&redactor(b"0123456789abcdef")));
        }
    }

    #[test]
    fn by_default_every_recording_has_a_key_of_its_own() {
        let message = || message(b"GET / HTTP/1.1\r\nX-Api-Key: k\r\n\r\n", Role::Client);
        let new = |keep_secrets| of(SecretArgs { keep_secrets, redact_key: None });
        let stored = |keep| new(keep).expect("random numbers").prepare()(message());
        let (one, two) = (stored(false), stored(false));
        assert!(one.redacted == 1 && two.redacted == 1 && one.raw != two.raw);
        assert_eq!(stored(true).raw, message().raw);
        assert_eq!(new(true).expect("no key").name(), "kept");
    }
}
