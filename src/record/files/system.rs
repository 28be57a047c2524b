//! What is asked of the system about files: to make them, to rename them without replacing anything.
//!
//! In and out: paths and files. Nothing is remembered here. What a file system cannot do is done by other means, as far
//! as there are any.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Opens what is there, or makes it; nothing is cut off.
pub(super) fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether this user may make and rename files there by its own standing, as its mode says: the rights of root
/// over other people's directories are given up when the capture is open.
pub(super) fn may_write(dir: &Path) -> bool {
    let Ok(meta) = fs::metadata(dir) else { return true };
    let user = rustix::process::geteuid().as_raw();
    let in_group = || {
        let others = rustix::process::getgroups().unwrap_or_default();
        rustix::process::getegid().as_raw() == meta.gid()
            || others.iter().any(|group| group.as_raw() == meta.gid())
    };
    let shift = if user == meta.uid() {
        6
    } else if in_group() {
        3
    } else {
        0
    };
    let write_and_search = 0o3;
    (meta.mode() >> shift) & write_and_search == write_and_search
}

/// Whether this is the name of the file with this number on this device.
pub(super) fn is_ours(path: &Path, id: (u64, u64)) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| (meta.dev(), meta.ino()) == id)
}

/// Renames, and fails where the new name exists.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can (NFS); a link replaces nothing either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        result => return result,
    }
    match rustix::fs::link(from, to) {
        Ok(()) => {}
        // Nor can every one link (FAT, some of FUSE).
        Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP | Errno::INVAL | Errno::MLINK) => {
            return rename_over_own(from, to);
        }
        Err(error) => return Err(error),
    }
    if let Err(error) = rustix::fs::unlink(from) {
        tracing::warn!("{} is now {} too: {error}", from.display(), to.display());
    }
    Ok(())
}

/// Renames where the system can neither refuse to replace nor link: takes the name with an empty file, which nobody
/// else can have made, and replaces that. Between the two steps the name stands for an empty file.
pub(super) fn rename_over_own(from: &Path, to: &Path) -> Result<(), Errno> {
    let failed = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    drop(create_new(to).map_err(failed)?);
    fs::rename(from, to).map_err(|error| {
        let _ = fs::remove_file(to);
        failed(error)
    })
}
