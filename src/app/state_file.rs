//! What is in force in a running process, for `config show --pid`: a small file that others of this user can read.
//!
//! In: a JSON object without secrets. Out: `PID.json` in `$XDG_RUNTIME_DIR/shadowtap`, `/tmp/shadowtap-UID` or
//! `/dev/shm/shadowtap-UID` (where the root is read-only), whichever can be written. Guaranteed: only in a directory that is this user's alone;
//! always whole (replaced by rename); gone when the process ends in order, and known as stale when it did not, since it says
//! when its process started.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, open, openat, renameat, unlinkat};
use serde_json::Value;

/// Nobody's settings are longer.
const MAX_FILE: u64 = 1 << 20;

/// Files of processes that are no more, looked for at the start of another.
const MAX_STALE: usize = 256;

/// The file of this process; removed when dropped.
pub struct StateFile {
    dir: OwnedFd,
    name: String,
}

impl StateFile {
    /// Writes it.
    pub fn create(object: &Value) -> anyhow::Result<Self> {
        let name = format!("{}.json", std::process::id());
        let mut result = Err(anyhow::anyhow!("there is no directory for it"));
        for path in own_dirs() {
            result = own_dir(&path).and_then(|dir| {
                let file = Self { dir, name: name.clone() };
                file.replace(object).map(|()| file)
            });
            if result.is_ok() {
                remove_stale(&path);
                break;
            }
        }
        result
    }

    /// Writes it anew.
    pub fn replace(&self, object: &Value) -> anyhow::Result<()> {
        let mut object = object.clone();
        let pid = std::process::id();
        object["pid"] = pid.into();
        object["started"] = started(pid)?.into();
        let temporary = format!("{}.new", self.name);
        // What is left of a process with this number.
        let _ = unlinkat(&self.dir, &temporary, AtFlags::empty());
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.dir, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
        let written = File::from(file).write_all(object.to_string().as_bytes());
        let renamed = written
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(renameat(&self.dir, &temporary, &self.dir, &self.name)?));
        if renamed.is_err() {
            let _ = unlinkat(&self.dir, &temporary, AtFlags::empty());
        }
        renamed
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        // Whoever removed it before did what was to be done.
        let _ = unlinkat(&self.dir, &self.name, AtFlags::empty());
    }
}

fn own_dirs() -> Vec<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    dirs(uid, std::env::var_os("XDG_RUNTIME_DIR"))
}

fn dirs(uid: u32, runtime: Option<OsString>) -> Vec<PathBuf> {
    let runtime = runtime.map(PathBuf::from).filter(|path| path.is_absolute());
    let runtime = runtime.map(|path| path.join("shadowtap"));
    let others = ["/tmp", "/dev/shm"].map(|dir| PathBuf::from(format!("{dir}/shadowtap-{uid}")));
    runtime.into_iter().chain(others).collect()
}

/// Opens the directory, made if need be, if it is this user's alone: others may have made it.
fn own_dir(path: &Path) -> anyhow::Result<OwnedFd> {
    let wrong = || format!("{}", path.display());
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(wrong);
        }
        _ => {}
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = open(path, flags, Mode::empty()).with_context(wrong)?;
    let stat = fstat(&dir).with_context(wrong)?;
    let is_own = stat.st_uid == rustix::process::geteuid().as_raw();
    ensure!(is_own && stat.st_mode & 0o077 == 0, "{} is not this user's alone", path.display());
    Ok(dir)
}

fn remove_stale(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.take(MAX_STALE).filter_map(Result::ok) {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// What the process left for others to see.
pub fn read(pid: u32) -> anyhow::Result<Value> {
    let Some(uid) = user_of(pid) else {
        bail!("there is no process {pid} here");
    };
    let mut dirs = dirs(uid, std::env::var_os("XDG_RUNTIME_DIR"));
    dirs.push(PathBuf::from(format!("/run/user/{uid}/shadowtap")));
    let objects = dirs.iter().filter_map(|dir| read_file(&dir.join(format!("{pid}.json")), uid));
    let now = started(pid)?;
    let Some(mut object) = objects.into_iter().find(|object| object["started"] == now) else {
        bail!(
            "process {pid} (user {uid}) has left nothing to show; it is no running mirror, record or replay, or it is \
             in another container: ask as the same user, and beside it"
        );
    };
    if let Some(object) = object.as_object_mut() {
        object.remove("started");
    }
    Ok(object)
}

/// The object in a file of that user.
fn read_file(path: &Path, uid: u32) -> Option<Value> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).ok()?;
    let stat = fstat(&file).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file || stat.st_uid != uid {
        return None;
    }
    let mut text = String::new();
    File::from(file).take(MAX_FILE).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// The effective user of a process.
fn user_of(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// When a process started, in the kernel's own ticks: its number alone may be another's later.
fn started(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("/proc")?;
    // Behind the command's name, which may hold anything: starttime is field 22.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let field = fields.split_whitespace().nth(19).context("/proc/PID/stat has no starttime")?;
    Ok(field.parse()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_directory_of_others_is_not_used() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().expect("a directory");
        let open = dir.path().join("open");
        std::fs::create_dir(&open).expect("own directory");
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("own");
        assert!(own_dir(&open).is_err());
        let link = dir.path().join("link");
        symlink(dir.path(), &link).expect("own directory");
        assert!(own_dir(&link).is_err());
        assert!(own_dir(&dir.path().join("new")).is_ok());
    }

    #[test]
    fn what_is_written_is_read_replaced_and_removed() {
        let pid = std::process::id();
        let file = StateFile::create(&json!({ "command": "mirror" })).expect("written");
        assert_eq!(read(pid).expect("read"), json!({ "command": "mirror", "pid": pid }));
        file.replace(&json!({ "command": "replay" })).expect("written");
        assert_eq!(read(pid).expect("read")["command"], "replay");
        drop(file);
        assert!(read(pid).is_err_and(|error| error.to_string().contains("nothing to show")));
    }

    #[test]
    fn a_process_with_a_number_used_before_is_another() {
        let own = own_dirs().into_iter().find_map(|dir| Some((own_dir(&dir).ok()?, dir)));
        let (_, dir) = own.expect("a directory");
        // A process that lives as long as this test and wrote no file: this one's parent.
        let parent = std::os::unix::process::parent_id();
        let path = dir.join(format!("{parent}.json"));
        std::fs::write(&path, json!({ "command": "mirror", "started": 1 }).to_string())
            .expect("own");
        let read = read(parent);
        std::fs::remove_file(&path).expect("own");
        assert!(read.is_err());
    }
}
