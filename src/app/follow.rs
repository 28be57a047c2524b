//! A file that is read while somebody writes it.
//!
//! In: its name. Out: its bytes, as they come. Guaranteed: it ends when what was opened no longer has that name and was
//! read to its end (a recording that got its own name, a capture that was rotated away), when it became shorter, or
//! when somebody says stop; never before. A recording may be named as it will be when it is finished.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::record::names::partial;

/// How often it is looked whether there is more.
const EVERY: Duration = Duration::from_millis(100);

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
}

/// See the module's description.
#[derive(Debug)]
pub struct Following {
    file: File,
    path: PathBuf,
    id: (u64, u64),
    read: u64,
    stop: Stop,
}

impl Following {
    /// Opens a regular file by what it is called in the making, or else by its name: an older one may have that still.
    pub fn open(path: &str, stop: Stop) -> io::Result<Self> {
        let path = Path::new(path);
        let making = partial(path);
        let (file, path) = match File::open(&making) {
            Err(error) if error.kind() == ErrorKind::NotFound => (File::open(path)?, path.into()),
            file => (file?, making),
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other(
                "only a file can be followed; a pipe is read as it comes anyway",
            ));
        }
        Ok(Self { file, path, id: (meta.dev(), meta.ino()), read: 0, stop })
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
}

impl Read for Following {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Asked first: what was written before it was over is read all the same.
            let is_over = self.is_over();
            let len = self.file.read(buffer)?;
            self.read += len as u64;
            if len > 0 || is_over || buffer.is_empty() {
                return Ok(len);
            }
            if self.file.metadata()?.len() < self.read {
                tracing::warn!("{} became shorter; it is followed no further", self.path.display());
                return Ok(0);
            }
            std::thread::sleep(EVERY);
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
}
