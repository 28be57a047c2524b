//! A file that is read while somebody writes it.
//!
//! In: its name. Out: its bytes, as they come. Guaranteed: one that is not there yet is waited for; it ends when what was
//! opened no longer has that name and was read to its end (a recording that got its own name, a capture that was rotated
//! away), when it became shorter or is written anew, as far as that can be seen, or soon after somebody says stop; never
//! before. A recording may be named as it will be when it is finished.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::terminal;
use crate::record::names::partial;

/// How often it is looked whether there is more, and whether somebody says stop: a signal handler can wake nobody.
const EVERY: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(20);

/// So many bytes before the place that was read to are compared with what was read there: all that shows when a file was
/// cut and has grown past that place since.
const COMPARED: usize = 64;

/// Says that a file is not to be followed any further.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// What is there is the end.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// SIGINT and SIGTERM say so; a second one ends the process.
    pub fn on_signals(&self) -> io::Result<()> {
        for (signal, code) in
            [(signal_hook::consts::SIGINT, 130), (signal_hook::consts::SIGTERM, 143)]
        {
            signal_hook::flag::register_conditional_shutdown(signal, code, self.0.clone())?;
            signal_hook::flag::register(signal, self.0.clone())?;
        }
        Ok(())
    }

    fn is_said(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Waits so long, or until it is said.
    fn wait(&self, most: Duration) {
        let until = Instant::now() + most;
        while !self.is_said() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

/// See the module's description.
#[derive(Debug)]
pub struct Following {
    file: File,
    path: PathBuf,
    id: (u64, u64),
    read: u64,
    /// The last of it.
    last: Vec<u8>,
    /// Whether it is another file by now, though it has name and number of the first.
    is_another: bool,
    stop: Stop,
}

impl Following {
    /// Opens a regular file by what it is called in the making, or else by its name: an older one may have that still.
    /// Waits for it where its directory is there.
    pub fn open(path: &str, stop: Stop) -> io::Result<Self> {
        let (file, path) = wait_for(Path::new(path), &stop)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other(
                "only a file can be followed; a pipe is read as it comes anyway",
            ));
        }
        let id = (meta.dev(), meta.ino());
        Ok(Self { file, path, id, read: 0, last: Vec::new(), is_another: false, stop })
    }

    /// Whether nothing will come behind what is there now.
    fn is_over(&self) -> bool {
        let is_gone = match fs::metadata(&self.path) {
            Ok(meta) => (meta.dev(), meta.ino()) != self.id,
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            // Only a right that is given up by now let its directory be searched: then the file tells whether it has any name.
            Err(_) => self.file.metadata().is_ok_and(|meta| meta.nlink() == 0),
        };
        self.stop.is_said() || is_gone
    }

    /// Whether what was read is no longer there: said once.
    fn has_changed(&mut self) -> io::Result<bool> {
        if self.is_another {
            return Ok(true);
        }
        let how = if self.file.metadata()?.len() < self.read {
            "became shorter"
        } else if self.is_written_anew()? {
            "was cut and written anew"
        } else {
            return Ok(false);
        };
        tracing::warn!("{} {how}; it is followed no further", self.path.display());
        self.is_another = true;
        Ok(true)
    }

    fn is_written_anew(&self) -> io::Result<bool> {
        let mut now = [0; COMPARED];
        let Some(now) = now.get_mut(..self.last.len()) else { return Ok(false) };
        match self.file.read_exact_at(now, self.read.saturating_sub(self.last.len() as u64)) {
            Ok(()) => Ok(*now != *self.last),
            // It became shorter this moment.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.read += bytes.len() as u64;
        let tail = bytes.get(bytes.len().saturating_sub(COMPARED)..).unwrap_or_default();
        let too_much = (self.last.len() + tail.len()).saturating_sub(COMPARED);
        self.last.drain(..too_much.min(self.last.len()));
        self.last.extend_from_slice(tail);
    }
}

/// Opens the file in the making or the finished one, as soon as there is one.
fn wait_for(path: &Path, stop: &Stop) -> io::Result<(File, PathBuf)> {
    let making = partial(path);
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut is_said = false;
    loop {
        let mut missing = io::Error::from(ErrorKind::NotFound);
        // Looked at in this order, so that one that gets its name in between is found.
        for name in [making.as_path(), path] {
            match File::open(name) {
                Ok(file) => return Ok((file, name.to_owned())),
                Err(error) if error.kind() == ErrorKind::NotFound => missing = error,
                Err(error) => return Err(error),
            }
        }
        if stop.is_said() || !fs::metadata(dir).is_ok_and(|meta| meta.is_dir()) {
            return Err(missing);
        }
        if !is_said {
            terminal::say(&format!(
                "waiting for {} or {}; neither is there yet",
                path.display(),
                making.display()
            ));
            is_said = true;
        }
        stop.wait(EVERY);
    }
}

impl Read for Following {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Asked first: what was written before it was over is read all the same.
            let is_over = self.is_over();
            if self.has_changed()? {
                return Ok(0);
            }
            let len = self.file.read(buffer)?;
            self.note(buffer.get(..len).unwrap_or_default());
            if len > 0 || is_over || buffer.is_empty() {
                return Ok(len);
            }
            self.stop.wait(EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn it_ends_when_the_file_has_its_name_and_not_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = dir.path().join("a.warc");
        let making = partial(&name);
        let mut file = File::create(&making).expect("own directory");
        file.write_all(b"one ").expect("written");
        let name_text = name.to_str().expect("UTF-8").to_owned();
        let mut following = Following::open(&name_text, Stop::default()).expect("the partial file");
        let mut seen = [0; 4];
        following.read_exact(&mut seen).expect("what is there");
        assert_eq!(&seen, b"one ");
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            following.read_to_string(&mut rest).map(|_| rest)
        });
        for part in ["two ", "three"] {
            file.write_all(part.as_bytes()).expect("written");
            assert!(!rest.is_finished());
        }
        fs::rename(&making, &name).expect("own directory");
        assert_eq!(rest.join().expect("no panic").expect("read"), "two three");
    }

    #[test]
    fn the_one_in_the_making_is_followed_though_an_older_one_has_the_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = dir.path().join("a.warc");
        fs::write(&name, "yesterday").expect("own directory");
        fs::write(partial(&name), "today").expect("own directory");
        let stop = Stop::default();
        stop.stop();
        let mut all = String::new();
        let name = name.to_str().expect("UTF-8");
        Following::open(name, stop).expect("it").read_to_string(&mut all).expect("read");
        assert_eq!(all, "today");
    }

    #[test]
    fn a_name_that_cannot_be_looked_at_does_not_end_it_while_the_file_has_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = dir.path().join("a.pcap");
        fs::write(&name, "all").expect("own directory");
        let mut following =
            Following::open(name.to_str().expect("UTF-8"), Stop::default()).expect("it");
        // As a directory that may not be searched: an error that is not the lack of the name.
        following.path = name.join("below");
        assert!(fs::metadata(&following.path).is_err_and(|e| e.kind() != ErrorKind::NotFound));
        assert!(!following.is_over());
        fs::remove_file(&name).expect("own directory");
        following.path = PathBuf::from("a\0b");
        assert!(following.is_over());
    }

    #[test]
    fn a_stop_ends_it_behind_what_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = dir.path().join("a.pcap");
        fs::write(&name, "all").expect("own directory");
        let stop = Stop::default();
        let name = name.to_str().expect("UTF-8");
        let mut following = Following::open(name, stop.clone()).expect("it");
        stop.stop();
        let mut all = String::new();
        following.read_to_string(&mut all).expect("read");
        assert_eq!(all, "all");
        assert!(Following::open("/dev/null", stop).is_err());
    }

    #[test]
    fn a_file_that_became_shorter_is_followed_no_further() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = dir.path().join("a.pcap");
        fs::write(&name, "much").expect("own directory");
        let mut following =
            Following::open(name.to_str().expect("UTF-8"), Stop::default()).expect("it");
        let mut seen = [0; 4];
        following.read_exact(&mut seen).expect("what is there");
        File::create(&name).expect("cut to nothing");
        assert_eq!(following.read(&mut seen).expect("an end"), 0);
    }

    #[test]
    fn a_file_that_was_cut_and_has_grown_past_its_place_is_followed_no_further() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = dir.path().join("a.log");
        // As it is written anew, what was read is longer or shorter than what is compared.
        for (before, after) in [(10, 11), (100, 1000), (COMPARED, COMPARED + 1)] {
            fs::write(&name, "a".repeat(before)).expect("own directory");
            let mut following =
                Following::open(name.to_str().expect("UTF-8"), Stop::default()).expect("it");
            let mut seen = vec![0; before];
            following.read_exact(&mut seen).expect("what is there");
            fs::write(&name, "b".repeat(after)).expect("own directory");
            for _ in 0..2 {
                assert_eq!(following.read(&mut seen).expect("an end"), 0, "{before} {after}");
            }
        }
    }

    #[test]
    fn what_is_read_in_small_parts_is_compared_as_a_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = dir.path().join("a.log");
        let text: String = (0..50).map(|n| format!("line {n}\n")).collect();
        fs::write(&name, &text).expect("own directory");
        let stop = Stop::default();
        stop.stop();
        let mut following = Following::open(name.to_str().expect("UTF-8"), stop).expect("it");
        let (mut read, mut part) = (Vec::new(), [0; 7]);
        loop {
            match following.read(&mut part).expect("a part") {
                0 => break,
                len => read.extend_from_slice(&part[..len]),
            }
            assert!(text.as_bytes()[..read.len()].ends_with(&following.last));
            assert_eq!(following.last.len(), read.len().min(COMPARED));
        }
        assert_eq!(read, text.as_bytes());
    }
}
