//! The files of a folder written by themselves, one by one and by different programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_core::{Layout, Manifest, NewFile, PendingFiles, Renamed, Source};

use super::{Checkpoint, inputs};
use crate::disk::{Disk, Existing};
use crate::error::{Action, Cause, Error};
use crate::model_folder::SideFiles;
use crate::source::FileSource;
use crate::write::stage::{Staged, Stager, make_folder, refuse_manifest, stage_text};

/// How much is compared at once.
const WINDOW: usize = 1 << 20;

/// A folder below the one that files are written to: for files that are not complete yet, and for
/// notes of those that are.
///
/// Several programs may use one at the same time, each for other files or for the same. What those
/// leave behind that are killed lies there, and goes with it.
#[derive(Clone, Debug)]
pub struct Workshop {
    out: PathBuf,
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Workshop {
    /// The workshop of this name below a folder; nothing is made yet.
    pub fn below(out: &Path, name: &str, disk: Arc<dyn Disk>) -> Workshop {
        let path = out.join(format!(".statedict-{name}"));
        Workshop { out: out.to_path_buf(), path, disk }
    }

    /// A name that no other workshop has.
    ///
    /// # Errors
    /// A system that gives no random bytes.
    pub fn new_name() -> io::Result<String> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Makes it, and the folder that it is in, unless they are there.
    ///
    /// # Errors
    /// What the system says.
    pub fn make(&self) -> Result<(), Error> {
        for folder in [&self.out, &self.path] {
            let made = make_folder(self.disk.as_ref(), folder);
            made.map_err(|cause| Error::new(Action::Write, folder, cause))?;
        }
        Ok(())
    }

    /// True if it is there.
    pub fn is_there(&self) -> bool {
        self.path.is_dir()
    }

    /// Notes that a file is complete, which is about to take its place.
    ///
    /// # Errors
    /// What the system says.
    pub fn note(&self, name: &str, text: String) -> Result<(), Error> {
        stage_text(text, &self.note_of(name), Existing::Replace, &self.disk)?.commit()
    }

    /// True if it was noted that a file is complete.
    pub fn has_noted(&self, name: &str) -> bool {
        self.note_of(name).is_file()
    }

    fn note_of(&self, name: &str) -> PathBuf {
        self.path.join(format!("{}.json", name.replace('%', "%25").replace('/', "%2F")))
    }

    /// Removes it with all that was left in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(self) -> Result<(), Error> {
        let failed = |error: io::Error| Error::new(Action::Write, &self.path, error);
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            self.disk.remove(&entry.map_err(failed)?.path()).map_err(failed)?;
        }
        self.disk.remove_folder(&self.path).map_err(failed)?;
        self.disk.sync_folder(&self.out).map_err(failed)
    }
}

impl Checkpoint {
    /// The SHA-256 of what is known of a new file before anything is read: its header.
    pub fn header_of(layout: &Layout) -> [u8; 32] {
        inputs::own_bytes(layout)
    }

    /// Refuses what cannot be written, as [`stage`](Checkpoint::stage) does for all files together.
    ///
    /// # Errors
    /// Elements that cannot be read one after another, or that are repeated beyond all proportion; a
    /// folder in which something would still lead to other files.
    pub fn refuse_unwritable(&self, pending: &PendingFiles, out: &Path) -> Result<(), Error> {
        if let Some(fault) = self.obstacle(pending) {
            return Err(Error::new(Action::Write, out, fault));
        }
        match pending {
            PendingFiles::Folder { manifest: None, .. } => refuse_manifest(out),
            _ => Ok(()),
        }
    }

    /// Writes one of several files for the folder `out`, complete and synced; until it is committed
    /// it lies in the workshop.
    ///
    /// # Errors
    /// As [`Checkpoint::stage`]; a file that is there is never replaced.
    pub fn stage_one(
        &self,
        file: &NewFile,
        out: &Path,
        workshop: &Workshop,
    ) -> Result<Staged, Error> {
        self.with_stager(out, Existing::Refuse, Some(workshop), |stager| stager.one(file, out))
    }

    /// Writes what leads to files that are in the folder `out`, and what lies beside them; what is
    /// there with the same bytes stays.
    ///
    /// # Errors
    /// As [`Checkpoint::stage`].
    pub fn stage_last(
        &self,
        manifest: Option<&dyn Manifest>,
        sides: &SideFiles,
        out: &Path,
        workshop: &Workshop,
    ) -> Result<Staged, Error> {
        let mut sides = sides.clone();
        sides.carried.retain(|name| !has_same(&sides.folder.join(name), &out.join(name)));
        let manifest = manifest.filter(|it| !has_bytes(&out.join(it.name()), &it.to_bytes()));
        self.with_stager(out, Existing::Refuse, Some(workshop), |stager| {
            let mut staged = stager.manifest(manifest, out)?;
            stager.carry(&sides, out, &mut staged)?;
            Ok(staged)
        })
    }

    /// Writes with the mode and, where permitted, the owner of this checkpoint's first file.
    pub(super) fn with_stager<T>(
        &self,
        out: &Path,
        existing: Existing,
        workshop: Option<&Workshop>,
        stage: impl FnOnce(&Stager<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let like = self.source.metadata().map_err(|error| Error::new(Action::Write, out, error))?;
        let (source, observer, disk) = (&self.source, self.observer.as_ref(), &self.disk);
        let revised = &|renamed: &Renamed| self.revised(renamed);
        let (like, beside) = (Some(&like), workshop.map(|it| it.path.as_path()));
        stage(&Stager { source, like, existing, disk, observer, revised, beside })
    }
}

/// True if there is a file with these bytes.
fn has_bytes(path: &Path, bytes: &[u8]) -> bool {
    fs::metadata(path).is_ok_and(|there| there.is_file() && there.len() == bytes.len() as u64)
        && fs::read(path).is_ok_and(|there| there == bytes)
}

/// True if both are files with the same bytes.
fn has_same(from: &Path, to: &Path) -> bool {
    let open = |path: &Path| -> Result<FileSource, Cause> { FileSource::whole(path) };
    let (Ok(from), Ok(to)) = (open(from), open(to)) else { return false };
    let windows = (0..from.len()).step_by(WINDOW);
    from.len() == to.len()
        && windows.into_iter().all(|at| {
            let range = at..from.len().min(at + WINDOW as u64);
            matches!((from.bytes(range.clone()), to.bytes(range)), (Ok(a), Ok(b)) if a == b)
        })
}
