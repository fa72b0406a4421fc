//! A folder of the local disk, as formats read it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use statedict_core::{Fault, FolderFormat, Source, Store, StoreFile, sorting};

use crate::disk::{Disk, stays_inside};
use crate::error::{Action, Cause, Error};
use crate::in_place::{Interrupted, restore_if_needed};
use crate::observer::Observer;
use crate::open_files::OpenFiles;
use crate::source::FileSource;

/// A checkpoint in a folder, by the file that leads to the others.
#[derive(Clone)]
pub(crate) struct InFolder {
    pub(crate) folder: PathBuf,
    pub(crate) format: &'static dyn FolderFormat,
    /// The name of that file.
    pub(crate) manifest: String,
}

impl InFolder {
    /// The path of the file that leads to the others.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.manifest)
    }

    /// An error of reading it.
    pub(crate) fn error(&self, fault: Fault) -> Error {
        Error::in_folder(&self.folder, &self.manifest, fault)
    }

    /// The paths of the files that the manifest leads to.
    pub(crate) fn files(&self, disk: &dyn Disk) -> Result<Vec<String>, Error> {
        self.files_in(&LocalFolder::new(&self.folder, disk))
    }

    /// The same if the manifest is locked.
    pub(crate) fn files_of_locked(
        &self,
        manifest: &File,
        disk: &dyn Disk,
    ) -> Result<Vec<String>, Error> {
        self.files_in(&LocalFolder::new(&self.folder, disk).locked(&self.manifest, manifest))
    }

    fn files_in(&self, store: &LocalFolder<'_>) -> Result<Vec<String>, Error> {
        self.format.files(store, &self.manifest).map_err(|fault| self.error(fault))
    }
}

/// A folder whose files are opened one after another.
pub(crate) struct LocalFolder<'a> {
    path: &'a Path,
    disk: &'a dyn Disk,
    /// Who follows what is read of files that are opened.
    observer: Option<Arc<dyn Observer>>,
    /// The manifest, if it is locked: an edit of any file that was interrupted is undone, since its
    /// journal would outlast it.
    locked: Option<(&'a str, &'a File)>,
    opened: Mutex<Opened>,
    open: Arc<OpenFiles>,
}

/// What was opened so far, in the order of the address space.
#[derive(Default)]
struct Opened {
    sources: Vec<FileSource>,
    len: u64,
    restored: Vec<Interrupted>,
}

impl<'a> LocalFolder<'a> {
    /// A folder to read from.
    pub(crate) fn new(path: &'a Path, disk: &'a dyn Disk) -> LocalFolder<'a> {
        let (opened, open) = (Mutex::default(), Arc::default());
        LocalFolder { path, disk, observer: None, locked: None, opened, open }
    }

    /// The same with an observer of everything that is read of opened files.
    pub(crate) fn observed_by(self, observer: Arc<dyn Observer>) -> LocalFolder<'a> {
        LocalFolder { observer: Some(observer), ..self }
    }

    /// The same, to be replaced, with a manifest that is locked.
    pub(crate) fn locked(self, manifest: &'a str, file: &'a File) -> LocalFolder<'a> {
        LocalFolder { locked: Some((manifest, file)), ..self }
    }

    /// All files that were opened, laid end to end.
    pub(crate) fn into_source(self) -> FileSource {
        let opened = self.opened.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut source = FileSource::joined(opened.sources);
        source.note(opened.restored);
        source
    }

    /// The path of a file in the folder or below.
    fn path_of(&self, name: &str) -> Result<PathBuf, Fault> {
        if stays_inside(name) {
            Ok(self.path.join(name))
        } else {
            Err(Fault::broken("outside the folder").in_file(name))
        }
    }

    /// The names of what is in a folder below, of files or of folders.
    fn names(&self, folder: &str, is_wanted: fn(bool) -> bool) -> Result<Vec<String>, Fault> {
        let below = if folder.is_empty() { self.path.to_path_buf() } else { self.path_of(folder)? };
        let here = if below.as_os_str().is_empty() { Path::new(".") } else { below.as_path() };
        let failed = |error: io::Error| wrapped(here, error.into());
        let mut names = Vec::new();
        for entry in fs::read_dir(here).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Names that are not text are not those of checkpoints; links are followed, as hub
            // caches need. One that leads nowhere is a file that is missing, and no file less.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_folder = fs::metadata(entry.path()).is_ok_and(|there| there.is_dir());
            if is_wanted(is_folder) {
                names.push(name);
            }
        }
        sorting::sort(&mut names);
        Ok(names)
    }

    fn source(&self, name: &str, path: &Path) -> Result<FileSource, Cause> {
        match self.locked {
            Some((manifest, file)) if name == manifest => FileSource::restored(file, None),
            _ => FileSource::open(path, self.disk),
        }
    }
}

impl Store for LocalFolder<'_> {
    fn list_in(&self, folder: &str) -> Result<Vec<String>, Fault> {
        self.names(folder, |is_folder| !is_folder)
    }

    fn folders_in(&self, folder: &str) -> Result<Vec<String>, Fault> {
        self.names(folder, |is_folder| is_folder)
    }

    fn has(&self, name: &str) -> bool {
        // Whoever opens what cannot be looked at finds out why.
        self.path_of(name).is_ok_and(|path| match fs::metadata(path) {
            Ok(file) => !file.is_dir(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        })
    }

    fn leads_out(&self, name: &str, manifest: &str) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let Ok(path) = self.path_of(name) else { return true };
        // What is not there leads nowhere.
        let Some(file) = real(&path) else { return false };
        let is_below = |folder: Option<PathBuf>| folder.is_some_and(|it| file.starts_with(it));
        let here = if self.path.as_os_str().is_empty() { Path::new(".") } else { self.path };
        let manifest = real(&self.path.join(manifest));
        !is_below(real(here)) && !is_below(manifest.and_then(|it| Some(it.parent()?.into())))
    }

    fn length(&self, name: &str) -> Result<u64, Fault> {
        let path = self.path_of(name)?;
        Ok(fs::metadata(&path).map_err(|error| wrapped(&path, error.into()))?.len())
    }

    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        let path = self.path_of(name)?;
        let source = self.source(name, &path).map_err(|cause| wrapped(&path, cause))?;
        if source.len() > limit {
            let what = format!("it has {} bytes, over {limit}, the limit", source.len());
            return Err(Fault::TooLarge { at: None, what }.in_file(name));
        }
        source.bytes(0..source.len()).map_err(|fault| fault.in_file(name))
    }

    fn open(&self, name: &str) -> Result<StoreFile, Fault> {
        let path = self.path_of(name)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if self.locked.is_some() {
            let restored = restore_if_needed(&path, self.disk);
            opened.restored.extend(restored.map_err(|error| Fault::Unreadable(error.into()))?);
        }
        let source = match self.locked {
            Some((manifest, _)) if name == manifest => self.source(name, &path),
            _ => FileSource::open_among(&self.open, &path, self.disk),
        };
        let mut source = source.map_err(|cause| wrapped(&path, cause))?;
        if let Some(observer) = &self.observer {
            source = source.observed_by(observer.clone());
        }
        let start = opened.len;
        opened.len += source.len();
        opened.sources.push(source.clone());
        Ok(StoreFile { start, source: Box::new(source) })
    }
}

/// An error on its way through a format that cannot know it.
fn wrapped(path: &Path, cause: Cause) -> Fault {
    Fault::Unreadable(Error::new(Action::Read, path, cause).into())
}
