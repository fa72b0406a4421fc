//! New files beside their places, which they take in one step each or leave no trace.

use std::fs::{self, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use statedict_core::{Fault, Layout, Manifest, NewFile, PendingFiles, Renamed, Source};

use crate::disk::temp_file::{TempFile, TempName, settle};
use crate::disk::{Access, Disk, Existing, folder};
use crate::elements::StreamError;
use crate::elements::losses::Lossy;
use crate::error::{Action, Cause, Error};
use crate::model_folder::{SideFiles, led_by};
use crate::observer::{Observer, is_stopped, report};
use crate::source::{Backed, FileSource};
use crate::write::target::check_target;
use crate::write::{CloneLayouts, Writing};

/// Files that are written and synced and not yet in their places; dropped, they are gone.
#[must_use = "the files take their places only when they are committed"]
#[derive(Debug)]
pub struct Staged {
    /// In the order in which they take their places: what names others comes last.
    files: Vec<StagedFile>,
    /// Files that are not needed once all are in their places.
    obsolete: Vec<PathBuf>,
    /// Folders that were made for the files, and go again if they do not come.
    made: MadeFolders,
    /// Elements that lost something.
    lossy: Vec<Lossy>,
    disk: Arc<dyn Disk>,
}

#[derive(Debug)]
struct StagedFile {
    beside: TempName,
    out: PathBuf,
    existing: Existing,
    lossy: Vec<Lossy>,
}

/// New folders, the outer before the inner, taken away again when dropped, if nothing is in them.
#[derive(Debug)]
struct MadeFolders {
    disk: Arc<dyn Disk>,
    paths: Vec<PathBuf>,
}

impl MadeFolders {
    /// Makes a folder and those above it, so far as they are not there.
    fn make(&mut self, below: &Path) -> io::Result<()> {
        if below.as_os_str().is_empty() || below.is_dir() {
            return Ok(());
        }
        if let Some(above) = below.parent() {
            self.make(above)?;
        }
        match self.disk.create_folder(below) {
            // Another program that writes other files here has just made it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && below.is_dir() => Ok(()),
            made => {
                made?;
                self.paths.push(below.to_path_buf());
                self.disk.sync_folder(folder(below))
            }
        }
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        // A folder with files in it stays: those were committed.
        while let Some(path) = self.paths.pop() {
            let _ = self.disk.remove_folder(&path);
        }
    }
}

/// Writes files beside their places, with the mode and, where permitted, the owner of `like`, or the
/// usual ones.
pub(crate) struct Stager<'a> {
    pub(crate) source: &'a dyn Backed,
    pub(crate) like: Option<&'a Metadata>,
    pub(crate) existing: Existing,
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) observer: &'a dyn Observer,
    /// Layouts of a renamed file to prefer where the file system can clone.
    pub(crate) revised: &'a dyn Fn(&Renamed) -> Vec<Layout>,
    /// The folder in which files are until they take their places, if not the one of those.
    pub(crate) beside: Option<&'a Path>,
}

/// Stages a text of one's own, such as a plan, with the mode that new files have.
///
/// # Errors
/// Whatever keeps it from being written; then nothing is left of it.
pub fn stage_text(
    text: String,
    out: &Path,
    existing: Existing,
    disk: &Arc<dyn Disk>,
) -> Result<Staged, Error> {
    stage_bytes(text.into_bytes(), None, out, existing, disk)
}

/// The same for bytes, with the mode of another file, if there is one.
pub(crate) fn stage_bytes(
    bytes: Vec<u8>,
    like: Option<&Metadata>,
    out: &Path,
    existing: Existing,
    disk: &Arc<dyn Disk>,
) -> Result<Staged, Error> {
    let mut layout = Layout::new();
    layout.bytes(bytes);
    let source = &FileSource::joined(Vec::new());
    let (observer, revised) = (&|_| ControlFlow::Continue(()), &|_: &Renamed| Vec::new());
    let stager = Stager { source, like, existing, disk, observer, revised, beside: None };
    stager.stage(&layout.into(), out, None)
}

impl Stager<'_> {
    /// Stages everything that a checkpoint becomes; `folder` is where its own shards are.
    pub(crate) fn stage(
        &self,
        rewritten: &PendingFiles,
        out: &Path,
        folder: Option<&Path>,
    ) -> Result<Staged, Error> {
        match rewritten {
            PendingFiles::File { layout, renamed } => {
                let mut staged = self.nothing();
                staged.add(self.file(layout, renamed.as_ref(), out, self.existing)?);
                Ok(staged)
            }
            PendingFiles::Folder { manifest: None, .. }
                if folder.is_some_and(|folder| is_same(folder, out)) =>
            {
                let what = "its index would still lead to the old files; expected another folder";
                let fault = Fault::Unsupported(what.into());
                Err(Error::new(Action::Write, out, Cause::from(fault)))
            }
            PendingFiles::Folder { files, manifest: None, .. } => {
                refuse_manifest(out)?;
                self.folder(files, out)
            }
            PendingFiles::Folder { files, manifest: Some(manifest), gone } => {
                let target = if out.is_file() { out.parent() } else { Some(out) };
                let own = folder.filter(|folder| target.is_some_and(|out| is_same(folder, out)));
                match own {
                    Some(folder) => {
                        let changed = files.iter().filter(|file| file.changed);
                        self.led(changed, manifest.as_ref(), gone, folder)
                    }
                    None => self.led(files, manifest.as_ref(), &[], out),
                }
            }
        }
    }

    fn nothing(&self) -> Staged {
        let disk = self.disk.clone();
        let lossy = Vec::new();
        let made = MadeFolders { disk: disk.clone(), paths: Vec::new() };
        Staged { files: Vec::new(), obsolete: Vec::new(), made, lossy, disk }
    }

    /// Nothing yet, for a folder, which is made if it is not there.
    fn in_folder(&self, out: &Path) -> Result<Staged, Error> {
        let mut staged = self.nothing();
        let made = make_folder(self.disk.as_ref(), out);
        if made.map_err(|cause| Error::new(Action::Write, out, cause))? == MadeFolder::New {
            staged.made.paths.push(out.to_path_buf());
        }
        Ok(staged)
    }

    /// One of several files of a folder, under its own name.
    pub(crate) fn one(&self, file: &NewFile, folder: &Path) -> Result<Staged, Error> {
        let mut staged = self.nothing();
        let path = folder.join(&file.name);
        let failed = |cause: Cause| Error::new(Action::Write, &path, cause);
        check_below(folder, &file.name).map_err(failed)?;
        if let Some(parent) = path.parent() {
            staged.made.make(parent).map_err(|error| Error::new(Action::Write, parent, error))?;
        }
        // Where the file system can clone, another layout might be written, which nobody knows of who
        // writes the other files.
        staged.add(self.file(&file.layout, None, &path, self.existing)?);
        Ok(staged)
    }

    /// What leads to files that are there.
    pub(crate) fn manifest(
        &self,
        manifest: Option<&dyn Manifest>,
        folder: &Path,
    ) -> Result<Staged, Error> {
        let mut staged = self.nothing();
        if let Some(manifest) = manifest {
            let mut layout = Layout::new();
            layout.bytes(manifest.to_bytes());
            staged.add(self.file(&layout, None, &folder.join(manifest.name()), self.existing)?);
        }
        Ok(staged)
    }

    /// Files under their own names.
    fn folder(&self, files: &[NewFile], out: &Path) -> Result<Staged, Error> {
        let mut staged = self.in_folder(out)?;
        for file in files {
            let path = out.join(&file.name);
            let renamed = file.renamed.as_ref();
            staged.add(self.file(&file.layout, renamed, &path, self.existing)?);
        }
        Ok(staged)
    }

    /// Files under names that are free, so that the manifest, which is put in place last and in one
    /// step, leads readers to the old files or to the new ones and never to some of each.
    fn led<'f>(
        &self,
        files: impl IntoIterator<Item = &'f NewFile>,
        manifest: &dyn Manifest,
        gone: &[String],
        folder: &Path,
    ) -> Result<Staged, Error> {
        let mut staged = self.in_folder(folder)?;
        let mut manifest = manifest.boxed();
        let failed = |path: &Path, cause: Cause| Error::new(Action::Write, path, cause);
        for name in gone {
            check_below(folder, name).map_err(|cause| failed(folder, cause))?;
        }
        for file in files {
            let path = folder.join(&file.name);
            check_below(folder, &file.name).map_err(|cause| failed(&path, cause))?;
            let path = match self.existing {
                Existing::Replace if fs::symlink_metadata(&path).is_ok() => {
                    check_target(&path, self.existing).map_err(|cause| failed(&path, cause))?;
                    let name = fresh_name(folder, &file.name);
                    manifest.rename_file(&file.name, &name);
                    staged.obsolete.push(path);
                    folder.join(&name)
                }
                _ => path,
            };
            if let Some(parent) = path.parent() {
                staged
                    .made
                    .make(parent)
                    .map_err(|error| Error::new(Action::Write, parent, error))?;
            }
            let renamed = file.renamed.as_ref();
            staged.add(self.file(&file.layout, renamed, &path, Existing::Refuse)?);
        }
        staged.obsolete.extend(gone.iter().map(|name| folder.join(name)));
        let last = self.manifest(Some(manifest.as_ref()), folder)?;
        staged.files.extend(last.files);
        Ok(staged)
    }

    fn file(
        &self,
        layout: &Layout,
        renamed: Option<&Renamed>,
        out: &Path,
        existing: Existing,
    ) -> Result<StagedFile, Error> {
        let failed = |cause: Cause| Error::new(Action::Write, out, cause);
        check_target(out, existing).map_err(failed)?;
        let access = if self.like.is_some() { Access::Private } else { Access::Usual };
        let near = self.beside.map_or_else(|| out.to_path_buf(), |folder| folder.join("part"));
        let beside = TempFile::new(self.disk, &near, access).map_err(failed)?;
        let (disk, file) = (self.disk.as_ref(), &beside.file);
        let (source, observer, lossy) = (self.source, self.observer, Mutex::default());
        let path = beside.name.path();
        let writing = Writing { source, layout, file, path, disk, observer, lossy: &lossy };
        let layouts = || renamed.map(self.revised).unwrap_or_default();
        let instead = renamed.map(|it| CloneLayouts { start: it.start, layouts: &layouts });
        fill(&writing, instead).map_err(failed)?;
        let adopted = self.like.map_or(Ok(()), |like| disk.adopt(file, like));
        let finished = adopted.and_then(|()| disk.sync(file));
        finished.map_err(|error| failed(error.into()))?;
        report(self.observer, 0).map_err(|_| failed(Cause::Stopped))?;
        let lossy = lossy.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Of many files, not all can be open at once.
        let TempFile { name: beside, .. } = beside;
        Ok(StagedFile { beside, out: out.to_path_buf(), existing, lossy })
    }

    /// Copies files that belong to the checkpoint into the folder of what is staged, where they
    /// take their places before it.
    pub(crate) fn carry(
        &self,
        sides: &SideFiles,
        out: &Path,
        staged: &mut Staged,
    ) -> Result<(), Error> {
        let mut files = Vec::new();
        for name in &sides.carried {
            let (from, to) = (sides.folder.join(name), out.join(name));
            check_below(out, name).map_err(|cause| Error::new(Action::Write, &to, cause))?;
            if let Some(parent) = to.parent() {
                staged
                    .made
                    .make(parent)
                    .map_err(|error| Error::new(Action::Write, parent, error))?;
            }
            let unreadable = |cause: Cause| Error::new(Action::Read, &from, cause);
            let source = FileSource::whole(&from).map_err(unreadable)?;
            let like = source.metadata().map_err(|error| unreadable(error.into()))?;
            let mut layout = Layout::new();
            layout.copy(0..source.len());
            let stager = Stager { source: &source, like: Some(&like), ..*self };
            files.push(stager.file(&layout, None, &to, self.existing)?);
        }
        staged.files.splice(0..0, files);
        Ok(())
    }
}

impl Staged {
    fn add(&mut self, mut file: StagedFile) {
        self.lossy.append(&mut file.lossy);
        self.files.push(file);
    }

    /// These files and others, which take their places together; both were written through one disk.
    pub fn with(mut self, mut other: Staged) -> Staged {
        self.files.append(&mut other.files);
        self.obsolete.append(&mut other.obsolete);
        self.made.paths.append(&mut other.made.paths);
        self.lossy.append(&mut other.lossy);
        self
    }

    /// The elements that lost something.
    pub(crate) fn lossy(&self) -> &[Lossy] {
        &self.lossy
    }

    /// Puts the files in their places, each in one step that survives a crash.
    ///
    /// # Errors
    /// What the system says; then files that are new go again, and those that others name are as
    /// they were. Only if the last file is in its place and its folder cannot be synced, all stay.
    pub fn commit(self) -> Result<(), Error> {
        let Staged { files, obsolete, made, disk, .. } = self;
        let (mut placed, mut left) = (Vec::new(), files.len());
        for StagedFile { beside, out, existing, .. } in files {
            left -= 1;
            let failed = |cause| Error::new(Action::Write, &out, cause);
            let take_back = |placed: &[PathBuf]| placed.iter().for_each(|p| drop(disk.remove(p)));
            beside.rename(&out, existing).map_err(failed).inspect_err(|_| take_back(&placed))?;
            // Only what was not there before may be taken away again.
            placed.extend((existing == Existing::Refuse).then(|| out.clone()));
            // The last one leads to the others, so they are needed from here on.
            let settled = settle(disk.as_ref(), &out).map_err(failed);
            settled.inspect_err(|_| {
                if left > 0 {
                    take_back(&placed)
                }
            })?;
        }
        // Nothing leads to these any more; one that cannot be removed does no harm.
        obsolete.iter().for_each(|path| drop(disk.remove(path)));
        drop(made);
        Ok(())
    }
}

/// Whether a folder was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeFolder {
    New,
    There,
}

/// Makes the folder of new files, unless it is there.
pub(crate) fn make_folder(disk: &dyn Disk, out: &Path) -> Result<MadeFolder, Cause> {
    if out.as_os_str().is_empty() || out.is_dir() {
        return Ok(MadeFolder::There);
    }
    // The folder it is to be in is one that the user meant to be there.
    match disk.create_folder(out) {
        Ok(()) => {
            disk.sync_folder(folder(out)).inspect_err(|_| drop(disk.remove_folder(out)))?;
            Ok(MadeFolder::New)
        }
        // Another program that writes other files here has just made it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && out.is_dir() => {
            Ok(MadeFolder::There)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Fault::Unsupported("several files are written, and this is not a folder".into())
                .into())
        }
        Err(error) => Err(Cause::Io { doing: Some("the folder cannot be made".into()), error }),
    }
}

/// Refuses a folder in which something would still lead to other files than the new one.
pub(crate) fn refuse_manifest(out: &Path) -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(out) else { return Ok(()) };
    let mut names = entries.flatten().map(|entry| entry.path());
    let manifest = names.find(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| led_by(name).is_some())
    });
    match manifest {
        None => Ok(()),
        Some(index) => {
            let what = "it would still lead to the old files; expected another folder";
            Err(Error::new(Action::Write, &index, Cause::from(Fault::Unsupported(what.into()))))
        }
    }
}

/// `model-00001-of-00002.r1.safetensors`: the name with a number that no file has yet.
fn fresh_name(folder: &Path, name: &str) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let base = match stem.rsplit_once(".r") {
        Some((base, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => stem,
    };
    (1..)
        .map(|number| format!("{base}.r{number}.{extension}"))
        .find(|name| fs::symlink_metadata(folder.join(name)).is_err())
        .expect("numbers do not run out")
}

/// True if both paths lead to one folder.
fn is_same(a: &Path, b: &Path) -> bool {
    let here = |path: &Path| {
        if path.as_os_str().is_empty() { fs::canonicalize(".") } else { fs::canonicalize(path) }
    };
    matches!((here(a), here(b)), (Ok(a), Ok(b)) if a == b)
}

/// Refuses the name of a file to be written or removed if a link below the folder would lead out of
/// it: names come from an index, which someone else may have written.
fn check_below(folder: &Path, name: impl AsRef<Path>) -> Result<(), Cause> {
    let below = name.as_ref().parent().unwrap_or(Path::new(""));
    let mut path = folder.to_path_buf();
    for part in below.components() {
        path.push(part);
        if path.is_symlink() {
            let what =
                format!("'{}' is a link, which would lead out of the folder", path.display());
            return Err(Fault::Unsupported(what).into());
        }
    }
    Ok(())
}

/// Writes the layout into the new file, which is empty.
fn fill(writing: &Writing<'_>, instead: Option<CloneLayouts<'_>>) -> Result<(), Cause> {
    writing.run(instead).map_err(|stop| match stop {
        StreamError::Read(fault) => fault.into(),
        StreamError::Sink(error) if is_stopped(&error) => Cause::Stopped,
        StreamError::Sink(error) => {
            let doing = Some(format!("the file needs {} bytes", writing.layout.len()));
            Cause::Io { doing, error }
        }
    })
}
