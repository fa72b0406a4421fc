//! New files beside their places, which they take in one step each or leave no trace.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use statedict_core::{Fault, Layout, Source};
use tempfile::{NamedTempFile, PersistError};

use crate::elements::Stop;
use crate::error::{Action, Cause, Error};
use crate::index::Index;
use crate::rewritten::{Files, NewFile, Rewritten};
use crate::source::check_regular;
use crate::write::write;

/// What to do with a file that stands where the new one is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail, also if it appears while the new one is written.
    Refuse,
    /// Replace it; a symbolic link is replaced itself, what it leads to stays.
    Replace,
}

/// Files that are written and synced and not yet in their places; dropped, they are gone.
#[must_use = "the files take their places only when they are committed"]
#[derive(Debug)]
pub struct Staged {
    /// In the order in which they take their places: what names others comes last.
    files: Vec<StagedFile>,
    /// Files that are not needed once all are in their places.
    obsolete: Vec<PathBuf>,
    /// A folder that was made for the files, and goes again if they do not come.
    made: Option<MadeFolder>,
}

#[derive(Debug)]
struct StagedFile {
    file: NamedTempFile,
    out: PathBuf,
    existing: Existing,
}

/// A new folder, taken away again when dropped, if nothing is in it.
#[derive(Debug)]
struct MadeFolder(PathBuf);

impl Drop for MadeFolder {
    fn drop(&mut self) {
        // A folder with files in it stays: those were committed.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Writes files beside their places, with the mode and, where permitted, the owner of `like`.
pub(crate) struct Stager<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) like: &'a Metadata,
    pub(crate) existing: Existing,
}

impl Stager<'_> {
    /// Stages everything that a checkpoint becomes; `folder` is where its own shards are.
    pub(crate) fn stage(
        &self,
        rewritten: &Rewritten,
        out: &Path,
        folder: Option<&Path>,
    ) -> Result<Staged, Error> {
        match &rewritten.0 {
            Files::One(layout) => {
                let files = [self.file(layout, out, self.existing)?].into();
                Ok(Staged { files, obsolete: Vec::new(), made: None })
            }
            Files::Folder(files) => self.folder(files, None, out),
            Files::Shards { files, index_name, index, gone } => {
                let target = if out.is_file() { out.parent() } else { Some(out) };
                match folder.filter(|folder| target.is_some_and(|out| is_same(folder, out))) {
                    Some(folder) => self.in_place(files, (index_name, index), gone, folder),
                    None => self.folder(files, Some((index_name, index)), out),
                }
            }
        }
    }

    /// Files under their own names in a folder that is another one.
    fn folder(
        &self,
        files: &[NewFile],
        index: Option<(&String, &Index)>,
        out: &Path,
    ) -> Result<Staged, Error> {
        let made = make_folder(out).map_err(|cause| Error::new(Action::Write, out, cause))?;
        let mut staged = Staged { files: Vec::new(), obsolete: Vec::new(), made };
        for file in files {
            let path = out.join(&file.name);
            if let Some(parent) = path.parent() {
                let failed = |error: io::Error| Error::new(Action::Write, parent, error);
                fs::create_dir_all(parent).map_err(failed)?;
            }
            staged.files.push(self.file(&file.layout, &path, self.existing)?);
        }
        if let Some((name, index)) = index {
            staged.files.push(self.index(index, &out.join(name), self.existing)?);
        }
        Ok(staged)
    }

    /// Changed files under new names, so that the index, which is replaced in one step, leads
    /// readers to the old files or to the new ones and never to some of each.
    fn in_place(
        &self,
        files: &[NewFile],
        (index_name, index): (&String, &Index),
        gone: &[String],
        folder: &Path,
    ) -> Result<Staged, Error> {
        let mut staged = Staged { files: Vec::new(), obsolete: Vec::new(), made: None };
        let mut index = index.clone();
        for file in files.iter().filter(|file| file.changed) {
            let name = fresh_name(folder, &file.name);
            let places = index.weight_map.0.values_mut();
            places.filter(|place| **place == file.name).for_each(|place| place.clone_from(&name));
            let path = folder.join(&name);
            staged.files.push(self.file(&file.layout, &path, Existing::Refuse)?);
            staged.obsolete.push(folder.join(&file.name));
        }
        staged.obsolete.extend(gone.iter().map(|name| folder.join(name)));
        let path = folder.join(index_name);
        staged.files.push(self.index(&index, &path, self.existing)?);
        Ok(staged)
    }

    fn index(&self, index: &Index, out: &Path, existing: Existing) -> Result<StagedFile, Error> {
        let mut layout = Layout::new();
        layout.bytes(index.to_json());
        self.file(&layout, out, existing)
    }

    fn file(&self, layout: &Layout, out: &Path, existing: Existing) -> Result<StagedFile, Error> {
        let failed = |cause: Cause| Error::new(Action::Write, out, cause);
        check_target(out, existing).map_err(failed)?;
        let mut file = beside(out).map_err(failed)?;
        fill(&mut file, self.source, layout).map_err(failed)?;
        adopt(file.as_file(), self.like).map_err(|error| failed(error.into()))?;
        file.as_file().sync_all().map_err(|error| failed(error.into()))?;
        Ok(StagedFile { file, out: out.to_path_buf(), existing })
    }
}

impl Staged {
    /// Puts the files in their places, each in one step that survives a crash.
    ///
    /// # Errors
    /// What the system says; then files that are new go again, and those that others name are as
    /// they were.
    pub fn commit(self) -> Result<(), Error> {
        let Staged { files, obsolete, made } = self;
        let mut placed: Vec<PathBuf> = Vec::new();
        for file in files {
            let (out, existing) = (file.out.clone(), file.existing);
            if let Err(error) = file.commit() {
                // Only what was not there before may be taken away again.
                placed.iter().for_each(|path| drop(fs::remove_file(path)));
                return Err(error);
            }
            placed.extend((existing == Existing::Refuse).then_some(out));
        }
        // Nothing leads to these any more; one that cannot be removed does no harm.
        obsolete.iter().for_each(|path| drop(fs::remove_file(path)));
        drop(made);
        Ok(())
    }
}

impl StagedFile {
    fn commit(self) -> Result<(), Error> {
        let StagedFile { file, out, existing } = self;
        let failed = |cause: Cause| Error::new(Action::Write, &out, cause);
        let persisted = match existing {
            Existing::Replace => file.persist(&out),
            Existing::Refuse => file.persist_noclobber(&out),
        };
        persisted.map_err(|PersistError { error, .. }| match error.kind() {
            io::ErrorKind::AlreadyExists => failed(Cause::AlreadyExists),
            _ => failed(error.into()),
        })?;
        sync_folder(folder(&out)).map_err(|error| {
            let doing =
                Some("the file is in its place, but its folder cannot be synced".to_string());
            failed(Cause::Io { doing, error })
        })
    }
}

/// Makes the folder of new files, unless it is there.
fn make_folder(out: &Path) -> Result<Option<MadeFolder>, Cause> {
    if out.is_dir() {
        return Ok(None);
    }
    match fs::create_dir(out) {
        Ok(()) => Ok(Some(MadeFolder(out.to_path_buf()))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Fault::Unsupported("several files are written, and this is no folder".into())
                .into())
        }
        Err(error) => Err(Cause::Io { doing: Some("the folder cannot be made".into()), error }),
    }
}

/// `model-00001-of-00002.r1.safetensors`: the name with a number that no file has yet.
fn fresh_name(folder: &Path, name: &str) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let base = match stem.rsplit_once(".r") {
        Some((base, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => stem,
    };
    let numbered = |number: u64| format!("{base}.r{number}.{extension}");
    let free = |name: &String| fs::symlink_metadata(folder.join(name)).is_err();
    (1..).map(numbered).find(free).expect("numbers do not run out")
}

/// True if both paths lead to one folder.
fn is_same(a: &Path, b: &Path) -> bool {
    let here = |path: &Path| match path.as_os_str().is_empty() {
        true => fs::canonicalize("."),
        false => fs::canonicalize(path),
    };
    matches!((here(a), here(b)), (Ok(a), Ok(b)) if a == b)
}

/// Refuses a target that exists, unless it is a file or a link and may be replaced.
fn check_target(out: &Path, existing: Existing) -> Result<(), Cause> {
    if out.file_name().is_none() {
        return Err(Cause::NotAFile("a folder"));
    }
    match fs::symlink_metadata(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(there) => {
            if !there.is_symlink() {
                check_regular(there.file_type())?;
            }
            match existing {
                Existing::Refuse => Err(Cause::AlreadyExists),
                Existing::Replace => Ok(()),
            }
        }
    }
}

/// An empty file in the folder of `out`, so that a rename can put it in its place.
fn beside(out: &Path) -> Result<NamedTempFile, Cause> {
    let folder = folder(out);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".statedict-").suffix(".tmp").tempfile_in(folder).map_err(|error| {
        // The random name that was tried is of no use to anyone: only the kind of error is told.
        let error = io::Error::from(error.kind());
        let doing = Some(format!("no file can be made in the folder '{}'", folder.display()));
        Cause::Io { doing, error }
    })
}

fn folder(out: &Path) -> &Path {
    match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn fill(file: &mut NamedTempFile, source: &dyn Source, layout: &Layout) -> Result<(), Cause> {
    match write(source, layout, file.as_file_mut()) {
        Ok(written) if written == layout.len() => Ok(()),
        Ok(written) => {
            let expected = layout.len();
            let what = format!("{written} bytes were written, expected {expected}");
            Err(Fault::broken(what).into())
        }
        Err(Stop::Read(fault)) => Err(fault.into()),
        Err(Stop::Sink(error)) => {
            let doing = Some(format!("the file needs {} bytes", layout.len()));
            Err(Cause::Io { doing, error })
        }
    }
}

/// Gives the file the mode of another, and its owner where that is permitted.
#[cfg(unix)]
fn adopt(file: &File, like: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (like.uid(), like.gid()) {
        // Only root may give files away; for everyone else the new file is their own.
        let _ = fchown(file, Some(like.uid()), Some(like.gid()));
    }
    file.set_permissions(like.permissions())
}

#[cfg(not(unix))]
fn adopt(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems cannot sync folders, and keep renames in order without it.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
