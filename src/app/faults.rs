//! What ended files before their end.
//!
//! In: errors, each about one file. Out: one error behind the last file, which says how many there were. Guaranteed:
//! one file's fault is no other's, and none is silent.

use anyhow::bail;

/// See the module's description.
#[derive(Default)]
pub struct Faults {
    count: usize,
    last: Option<anyhow::Error>,
}

impl Faults {
    /// This one; where files are left it is said at once, as another may take its place.
    pub fn note(&mut self, fault: anyhow::Error, files_left: bool) {
        if files_left {
            tracing::error!("{fault:#}; going on with the other files");
        }
        self.count += 1;
        self.last = Some(fault);
    }

    /// Whether all files were read to their end.
    pub fn result(self) -> anyhow::Result<()> {
        match (self.count, self.last) {
            (_, None) => Ok(()),
            (1, Some(fault)) => Err(fault),
            (count, Some(fault)) => {
                bail!("{count} files could not be read to their end; the last: {fault:#}")
            }
        }
    }
}
