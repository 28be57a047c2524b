//! Values of rules from the environment and from files.
//!
//! In: where a value comes from. Out: the value, which follows its file: looked at once a second at most, while requests
//! leave, and read again when it changed. A file that cannot be read any more, or holds what no field may have, leaves the
//! old value in force and is warned of once. Guaranteed: a value is never printed; one that cannot be had at the start is
//! an error then.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::shape::rewrite::{Source, Value};

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A longer one is a mistake: the wrong file, or one without an end.
const LONGEST: u64 = 64 << 10;

/// What tells that a file changed.
type Stamp = (u64, u64, i64, i64, u64);

struct Watched {
    path: String,
    value: Value,
    stamp: Option<Stamp>,
    is_failing: bool,
}

/// See the module's description.
#[derive(Default)]
pub struct Values {
    files: Vec<Watched>,
    /// Whether nothing is read: only what is typed is looked at.
    is_check: bool,
}

/// The files, while the values are in use.
pub struct Following(Mutex<(Instant, Vec<Watched>)>);

impl Values {
    /// Values of which nothing is read, to see whether they are written right.
    pub fn unread() -> Self {
        Self { is_check: true, ..Self::default() }
    }

    /// The value from there.
    pub fn get(&mut self, source: Source) -> Result<Value, String> {
        match source {
            Source::Literal(text) => Value::new(text.as_bytes()).map_err(String::from),
            Source::Env(name) => {
                if name.is_empty() || name.contains(['=', '\0']) {
                    return Err("env:NAME needs the name of an environment variable".into());
                }
                if self.is_check {
                    return Value::new(b"").map_err(String::from);
                }
                let value = std::env::var_os(&name)
                    .ok_or_else(|| format!("there is no environment variable {name}"))?;
                let value = std::os::unix::ffi::OsStringExt::into_vec(value);
                Value::new(&value).map_err(|wrong| format!("env:{name}: {wrong}"))
            }
            Source::File(_) if self.is_check => Value::new(b"").map_err(String::from),
            Source::File(path) => {
                let (bytes, stamp) =
                    read(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
                let value = Value::new(&bytes).map_err(|wrong| format!("file:{path}: {wrong}"))?;
                let stamp = Some(stamp);
                self.files.push(Watched { path, value: value.clone(), stamp, is_failing: false });
                Ok(value)
            }
        }
    }

    /// From now on the files are followed; nothing where there are none.
    pub fn followed(self) -> Option<Following> {
        let next = Instant::now() + EVERY;
        (!self.files.is_empty()).then(|| Following(Mutex::new((next, self.files))))
    }
}

impl Following {
    /// Reads what has changed, if it is time to look.
    pub fn look(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, files) = &mut *state;
        if now < *next {
            return;
        }
        *next = now + EVERY;
        for file in files {
            match file.refreshed() {
                Ok(()) => file.is_failing = false,
                Err(why) if !file.is_failing => {
                    file.is_failing = true;
                    tracing::warn!("{}: {why}; its last value stays in force", file.path);
                }
                Err(_) => {}
            }
        }
    }
}

impl Watched {
    fn refreshed(&mut self) -> Result<(), String> {
        let meta = fs::metadata(&self.path).map_err(|error| error.to_string())?;
        if self.stamp == Some(stamp(&meta)) && !self.is_failing {
            return Ok(());
        }
        let (bytes, stamp) = read(&self.path).map_err(|error| error.to_string())?;
        self.stamp = Some(stamp);
        self.value.set(&bytes).map_err(String::from)
    }
}

fn stamp(meta: &fs::Metadata) -> Stamp {
    (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.len())
}

/// What is in a file, without the line break that editors end it with.
fn read(path: &str) -> io::Result<(Vec<u8>, Stamp)> {
    let file = File::open(path)?;
    let stamp = stamp(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        let why = format!("it has more than {LONGEST} bytes; is it the right file?");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        bytes.pop_if(|byte| *byte == b'\r');
    }
    Ok((bytes, stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changes_and_its_last_value_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let write = |text: &str| {
            // As Kubernetes does: another file in its place.
            let new = dir.path().join("new");
            fs::write(&new, text).expect("own directory");
            fs::rename(&new, &path).expect("own directory");
        };
        write("one\n");
        let mut values = Values::default();
        let source = Source::File(path.to_str().expect("UTF-8").to_owned());
        let value = values.get(source).expect("it is there");
        let files = values.followed().expect("a file");
        let mut now = Instant::now();
        let mut after = |passes: Duration| {
            now += passes;
            files.look(now);
            String::from_utf8(value.get().to_vec()).expect("UTF-8")
        };
        assert_eq!(after(Duration::ZERO), "one");
        write("two\r\n");
        assert_eq!(after(Duration::from_millis(500)), "one", "once a second");
        assert_eq!(after(EVERY), "two");
        write("a\r\nX-Evil: b");
        assert_eq!(after(EVERY), "two", "no value");
        fs::remove_file(&path).expect("own directory");
        assert_eq!(after(EVERY), "two", "gone");
        write("three");
        assert_eq!(after(EVERY), "three");
    }

    #[test]
    fn a_value_that_cannot_be_had_is_an_error_that_does_not_repeat_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let bad = dir.path().join("bad");
        fs::write(&bad, "secret\nX-Evil: 1\n").expect("own directory");
        for (source, want) in [
            (Source::Env(String::new()), "needs the name"),
            (Source::Env("SHADOWTAP_NO_SUCH".into()), "no environment variable SHADOWTAP_NO_SUCH"),
            (Source::File("/nonexistent/x".into()), "cannot read /nonexistent/x"),
            (Source::File("/dev/zero".into()), "the right file"),
            (Source::File(bad.to_str().expect("UTF-8").into()), "line break"),
            (Source::Literal("a\rsecret".into()), "line break"),
        ] {
            let error = Values::default().get(source).expect_err(want);
            assert!(error.contains(want) && !error.contains("secret"), "{error}");
        }
    }
}
