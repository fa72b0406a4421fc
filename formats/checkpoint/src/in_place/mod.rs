//! Editing a file in place, so that a kill at any point leaves the old file or the new one.
//!
//! Before the first write, the old bytes of what is written are in a [`journal`] beside the file.
//! From there on until the journal is gone, the file is the old one: who reads it reads through the
//! journal, and who writes to it restores it first. Who knows of no journal finds a [`guard`] in
//! front of a file that is neither the old nor the new, and refuses it.
//!
//! Several files are edited [`together`]: all of each is written but its first bytes, then the
//! manifest that leads to them is replaced, then they get those. The journals say which manifest it
//! is: until it is the new one the files are the old ones, and from there on the new ones.

mod edit;
mod interrupted;
mod journal;
mod lock;
mod recover;
mod sentinel;
mod together;
mod whole_view;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use statedict_core::{Edits, Layout, Source};

pub use interrupted::Interrupted;
pub(crate) use journal::Decision;
pub(crate) use lock::{Locked, keep_from_editors};
pub use recover::{Journals, recover, recover_on};
pub(crate) use recover::{digest, restore, restore_if_needed};
pub(crate) use whole_view::WholeView;

use crate::disk::temp_file::TempFile;
use crate::disk::{Access, Disk, Existing, PrependSupport, folder};
use crate::elements::StreamError;
use crate::error::Cause;
use edit::Patch;
use journal::Maker;
use recover::Pending;
pub(crate) use sentinel::GUARD;
pub(crate) use together::{Member, Together};
use whole_view::Age;

/// The most writes that one journal holds; a file that needs more is rewritten.
const MAX_WRITES: usize = 1 << 20;

/// What is said where neither the new file nor the old one could be had.
const IN_PART: &str = "it is edited in part, which the next command that writes to it undoes";

/// By which way a file became the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMethod {
    /// It was the new one already.
    Unchanged,
    /// Ranges of it were written in place.
    InPlace,
    /// The file system put blocks in front of its bytes; then as in place.
    Inserted,
    /// Another file that shares its blocks took its place.
    Shared,
    /// Another file took its place.
    Replaced,
}

/// What became of a file that was to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// By which way.
    pub way: WriteMethod,
    /// Bytes written to the disk for it, those of the journal included.
    pub written: u64,
    /// How many files it is, an index excepted.
    pub files: usize,
}

/// A locked file, and what its changes go through.
pub(crate) struct Editor<'a> {
    pub(crate) locked: &'a Locked,
    pub(crate) source: &'a dyn Source,
    pub(crate) disk: &'a Arc<dyn Disk>,
}

impl Editor<'_> {
    /// Makes the file the one that is laid out, around its copied bytes where they are; `None`
    /// where that cannot be.
    pub(crate) fn edit(&self, layout: &Layout) -> Result<Option<Replaced>, Cause> {
        let front = self.disk.front(&self.locked.file);
        let Some(patch) = self.patch(layout, front)? else { return Ok(None) };
        if patch.edit.is_nothing() {
            return Ok(Some(Replaced { way: WriteMethod::Unchanged, written: 0, files: 1 }));
        }
        if !self.can_apply(&patch) {
            return Ok(None);
        }
        let inserts = patch.edit.inserted > 0;
        let (way, written) = match front {
            PrependSupport::Share { .. } if inserts => (WriteMethod::Shared, self.share(&patch)?),
            _ if inserts => (WriteMethod::Inserted, self.apply(&patch)?),
            _ => (WriteMethod::InPlace, self.apply(&patch)?),
        };
        Ok(written.map(|written| Replaced { way, written, files: 1 }))
    }

    /// What is to be written in place; `None` if the layout or the file system does not allow that.
    fn patch<'l>(
        &self,
        layout: &'l Layout,
        front: PrependSupport,
    ) -> Result<Option<Patch<'l>>, Cause> {
        let Some(Edits { inserted, writes }) = layout.edits() else { return Ok(None) };
        if inserted > 0 && front == PrependSupport::Copy {
            return Ok(None);
        }
        Ok(Some(Patch::new(self.source, layout.len(), inserted, &writes)?))
    }

    fn can_apply(&self, patch: &Patch<'_>) -> bool {
        let is_free = self.locked.is_writable && self.locked.is_locked;
        is_free && patch.edit.is_sound() && patch.bytes.len() <= MAX_WRITES
    }

    /// Edits the file; `None` if its file system cannot insert blocks or the journal cannot be
    /// distinguished from a stranger's, and the file is as it was.
    fn apply(&self, patch: &Patch<'_>) -> Result<Option<u64>, Cause> {
        let Some(saved) = self.save(patch, None)? else { return Ok(None) };
        let journal = journal::path_for(&self.locked.path);
        let edited = self.write(&self.locked.file, patch).and_then(|()| self.disk.remove(&journal));
        match edited {
            Ok(()) => {
                let synced = self.disk.sync_folder(folder(&journal));
                let doing = "the file is edited, but its folder cannot be synced";
                synced.map_err(|error| Cause::Io { doing: Some(doing.into()), error })?;
                Ok(Some(saved + patch.len()))
            }
            Err(error) => match restore(self.locked, self.disk.as_ref(), Journals::Own) {
                Ok(_) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
                Ok(_) => Err(error.into()),
                Err(_) => Err(Cause::Io { doing: Some(IN_PART.into()), error }),
            },
        }
    }

    /// Puts the journal beside the file, for good, and gives its length; `None` if it could not be
    /// distinguished from a stranger's.
    fn save(&self, patch: &Patch<'_>, decision: Option<&Decision>) -> Result<Option<u64>, Cause> {
        let Some(secret) = self.disk.make_secret() else { return Ok(None) };
        let maker = Maker { secret, identity: self.disk.identity(&self.locked.file)? };
        let path = &journal::path_for(&self.locked.path);
        let doing = |error| {
            let doing = Some(format!("the journal '{}' cannot be written", path.display()));
            Cause::Io { doing, error }
        };
        let journal = self.disk.create(path, Access::Private).map_err(doing)?;
        let like = self.locked.file.metadata()?;
        let disk = self.disk.as_ref();
        let adopted = disk.adopt(&journal, &like).map_err(StreamError::Sink);
        let written = adopted
            .and_then(|()| {
                let name = &self.locked.path;
                journal::write(disk, &journal, name, self.source, patch, &maker, decision)
            })
            .and_then(|len| {
                disk.sync_folder(folder(path)).map_err(StreamError::Sink).map(|()| len)
            });
        written.map(Some).map_err(|stop| {
            let _ = disk.remove(path);
            match stop {
                StreamError::Read(fault) => fault.into(),
                StreamError::Sink(error) => doing(error),
            }
        })
    }

    /// Makes the old bytes in a file the new ones, and waits until they are on the disk.
    fn write(&self, file: &File, patch: &Patch<'_>) -> io::Result<()> {
        if !patch.edit.is_guarded() {
            return self.fill(file, patch);
        }
        let front = self.write_behind_guard(file, patch)?;
        front.into_iter().try_for_each(|(at, bytes)| self.disk.write_at(file, at, bytes))?;
        self.disk.sync(file)
    }

    /// The same for all but the first bytes, which it gives.
    fn write_behind_guard<'p>(
        &self,
        file: &File,
        patch: &'p Patch<'_>,
    ) -> io::Result<Vec<(u64, &'p [u8])>> {
        let (edit, disk) = (&patch.edit, self.disk.as_ref());
        if sentinel::is_covered(edit.overwritten().iter()) {
            disk.write_at(file, sentinel::PLACE.start, &GUARD)?;
            disk.sync(file)?;
        }
        if edit.inserted > 0 {
            // Then zeros are in front, which no checkpoint begins with either.
            disk.insert(file, 0, edit.inserted)?;
            disk.sync(file)?;
        }
        let [front, rest] = patch.parted();
        rest.into_iter().try_for_each(|(at, bytes)| disk.write_at(file, at, bytes))?;
        if edit.new_len < edit.old_len {
            disk.set_len(file, edit.new_len)?;
        }
        disk.sync(file)?;
        Ok(front)
    }

    /// Writes the bytes in order, and waits until they are on the disk.
    fn fill(&self, file: &File, patch: &Patch<'_>) -> io::Result<()> {
        for (write, bytes) in patch.edit.writes.iter().zip(&patch.bytes) {
            self.disk.write_at(file, write.start, bytes)?;
        }
        self.disk.sync(file)
    }

    /// Makes a file beside this one that shares its blocks further back, and puts it in its place.
    fn share(&self, patch: &Patch<'_>) -> Result<Option<u64>, Cause> {
        let (locked, old_len) = (self.locked, patch.edit.old_len);
        let beside = TempFile::new(self.disk, &locked.path, Access::Private)?;
        let mut at = 0;
        while at < old_len {
            let to = at + patch.edit.inserted;
            match self.disk.copy(&locked.file, at..old_len, &beside.file, to) {
                Ok(0) => return Ok(None),
                Ok(copied) => at += copied,
                Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        self.disk.adopt(&beside.file, &locked.file.metadata()?)?;
        self.fill(&beside.file, patch)?;
        beside.name.place(&locked.path, Existing::Replace)?;
        Ok(Some(patch.len()))
    }
}

/// What a file was, if an edit of it was interrupted, and what there is to say of that.
///
/// Nobody edits it as long as it is open.
pub(crate) fn look(
    path: &Path,
    file: &File,
    disk: &dyn Disk,
) -> Result<(Option<Box<WholeView>>, Option<Interrupted>), Cause> {
    keep_from_editors(file)?;
    let at = lock::resolved(path)?;
    if !journal::is_there(&at) {
        return Ok((None, None));
    }
    let journal = || journal::path_for(&at);
    Ok(match recover::find(&at, file, disk)? {
        Pending::Nothing | Pending::Torn => (None, None),
        Pending::Whole(view) => {
            let file = path.into();
            let found = match view.age() {
                Age::Old => Interrupted::Pending { file },
                Age::New => Interrupted::Decided { file },
            };
            (Some(view), Some(found))
        }
        Pending::Untrusted(_, why) => {
            (None, Some(Interrupted::Untrusted { journal: journal(), why: why.into() }))
        }
        Pending::Foreign(why) => (None, Some(Interrupted::Ignored { journal: journal(), why })),
    })
}
