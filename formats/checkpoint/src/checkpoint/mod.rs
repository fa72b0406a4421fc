//! An opened checkpoint: how it is opened, and what it holds.

mod editing;
mod inputs;
mod parts;
mod rewriting;
mod shards;
mod workshop;
mod writing;

pub use inputs::InputFile;
pub use parts::JoinedPart;
pub use shards::Shard;
pub use workshop::Workshop;
pub use writing::Unequal;

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use statedict_core::{
    Catalog, Elements, Fault, Folder, Format, LeftOut, Mentions, Opening, Plan, Section, Source,
    Tensor, Value, objects::Objects,
};

use crate::disk::{Disk, System};
use crate::elements;
use crate::error::{Action, Cause, Error};
use crate::folder::{InFolder, LocalFolder};
use crate::in_place::{Interrupted, Journals, Locked, restore};
use crate::model_folder::{
    Located, Several, SideFiles, declared_dtype, locate, side_files, stem_in, strays,
};
use crate::observer::Observer;
use crate::one_file::OneFile;
use crate::several::{Part, SeveralFolders};
use crate::source::FileSource;

/// A checkpoint, opened for reading; no tensor byte is read before it is asked for.
pub struct Checkpoint {
    path: PathBuf,
    /// The folder that was opened, if it was one.
    model_folder: Option<PathBuf>,
    /// The folder that its files are in, if they are several.
    folder: Option<PathBuf>,
    /// What led to its files, if they are several.
    manifests: Vec<PathBuf>,
    source: FileSource,
    files: Box<dyn Folder>,
    disk: Arc<dyn Disk>,
    observer: Arc<dyn Observer>,
    /// What it holds with a state dict that is joined from others, if one is.
    joined: Option<Catalog>,
    /// What keeps others from editing it, if it is opened to be replaced.
    locked: Option<Locked>,
    /// Which of the catalog's state dicts is meant where none is named.
    meant: OnceLock<Option<usize>>,
}

/// What was found at a path.
struct Found {
    path: PathBuf,
    folder: Option<PathBuf>,
    manifests: Vec<PathBuf>,
    source: FileSource,
    files: Box<dyn Folder>,
}

impl Checkpoint {
    /// Opens a file of any known format, whose bytes decide which, or a sharded checkpoint: its
    /// index, or the folder that holds it.
    ///
    /// # Errors
    /// What the system says, what is wrong with the file, or what it is if it is not a checkpoint.
    pub fn open(path: &Path) -> Result<Checkpoint, Error> {
        Checkpoint::open_on(path, Arc::new(System))
    }

    /// The same on another disk than the system's.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_on(path: &Path, disk: Arc<dyn Disk>) -> Result<Checkpoint, Error> {
        Checkpoint::open_observed(path, disk, Arc::new(|_| ControlFlow::Continue(())))
    }

    /// The same with as much looked up as is asked for, and with what is whole of a checkpoint that
    /// is not, if that is asked for.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_as(path: &Path, opening: &Opening) -> Result<Checkpoint, Error> {
        let observer = Arc::new(|_| ControlFlow::Continue(()));
        Checkpoint::opened(path, opening, Arc::new(System), observer)
    }

    /// The same with an observer from the first read of a file on.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], and if the observer stops it.
    pub fn open_observed(
        path: &Path,
        disk: Arc<dyn Disk>,
        observer: Arc<dyn Observer>,
    ) -> Result<Checkpoint, Error> {
        Checkpoint::opened(path, &Opening::default(), disk, observer)
    }

    /// Opens a checkpoint as it is asked for, with an observer from the first read on.
    ///
    /// # Errors
    /// As [`Checkpoint::open_observed`].
    pub fn opened(
        path: &Path,
        opening: &Opening,
        disk: Arc<dyn Disk>,
        observer: Arc<dyn Observer>,
    ) -> Result<Checkpoint, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        let opened = match locate(path).map_err(failed)? {
            Located::Folder(found) => {
                let store = LocalFolder::new(&found.folder, disk.as_ref());
                Found::folder(path, &found, store.observed_by(observer.clone()), opening)?
            }
            Located::Several(found) => Found::several(&found, disk.as_ref(), &observer, opening)?,
            Located::File(file) => {
                let source = FileSource::open(&file, disk.as_ref())
                    .map_err(|cause| Error::new(Action::Read, &file, cause))?;
                Found::file(file, source.observed_by(observer.clone()))?
            }
        };
        Ok(Checkpoint::new(path, opened, disk, None).observed_by(observer))
    }

    /// Opens a checkpoint to replace it: nobody else can until it is dropped, and an edit that was
    /// interrupted is undone first.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; if somebody else has the file open for some seconds, this program
    /// included, or it has a journal that is not its own.
    pub fn open_to_replace(path: &Path, disk: Arc<dyn Disk>) -> Result<Checkpoint, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        let (opened, locked) = match locate(path).map_err(failed)? {
            Located::Folder(found) => {
                let locked = Locked::new(&found.path(), disk.as_ref()).map_err(failed)?;
                let store = LocalFolder::new(&found.folder, disk.as_ref());
                let store = store.locked(&found.manifest, &locked.file);
                (Found::folder(path, &found, store, &Opening::default())?, locked)
            }
            Located::Several(_) => {
                let what = "it is a folder of several checkpoints; name one of them";
                return Err(failed(Fault::Unsupported(what.into()).into()));
            }
            Located::File(file) => {
                let failed = |cause: Cause| Error::new(Action::Read, &file, cause);
                let locked = Locked::new(&file, disk.as_ref()).map_err(failed)?;
                let restored = restore(&locked, disk.as_ref(), Journals::Own).map_err(failed)?;
                let source = FileSource::restored(&locked.file, restored).map_err(failed)?;
                (Found::file(file, source)?, locked)
            }
        };
        Ok(Checkpoint::new(path, opened, disk, Some(locked)))
    }

    fn new(named: &Path, opened: Found, disk: Arc<dyn Disk>, locked: Option<Locked>) -> Checkpoint {
        let Found { path, folder, manifests, source, files } = opened;
        let observer = Arc::new(|_| ControlFlow::Continue(()));
        let model_folder = named.is_dir().then(|| named.to_path_buf());
        let (meant, joined) = (OnceLock::new(), None);
        Checkpoint {
            path,
            model_folder,
            folder,
            manifests,
            source,
            files,
            disk,
            observer,
            joined,
            locked,
            meant,
        }
    }

    /// The same checkpoint, whose changes go through another disk.
    pub fn on_disk(self, disk: Arc<dyn Disk>) -> Checkpoint {
        Checkpoint { disk, ..self }
    }

    /// The same checkpoint, whose observer sees what is read and written, and can stop it.
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Checkpoint {
        let source = self.source.observed_by(observer.clone());
        Checkpoint { source, observer, ..self }
    }

    /// What was found of edits of its files that were interrupted.
    pub fn interrupted(&self) -> &[Interrupted] {
        self.source.interrupted()
    }

    /// The folder that was opened, if a folder was.
    pub fn model_folder(&self) -> Option<&Path> {
        self.model_folder.as_deref()
    }

    /// Weights in the folder that was opened which are not part of the checkpoint, by name.
    pub fn strays(&self) -> Vec<String> {
        match &self.model_folder {
            Some(folder) => {
                let store = LocalFolder::new(folder, self.disk.as_ref());
                strays(&store, |name| self.is_part(name))
            }
            None => Vec::new(),
        }
    }

    /// Everything else that is in the folder that was opened.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn side_files(&self) -> Result<SideFiles, Error> {
        let Some(folder) = &self.model_folder else { return Ok(SideFiles::default()) };
        let found = side_files(folder, |name| self.is_part(name));
        found.map_err(|cause| Error::new(Action::Read, folder, cause))
    }

    /// The type of numbers that the configuration beside the weights says they have, such as
    /// `float32`.
    pub fn declared_dtype(&self) -> Option<String> {
        declared_dtype(self.model_folder.as_deref()?)
    }

    /// True for the names of files of its folder that are read.
    fn is_part(&self, name: &str) -> bool {
        if self.is_sharded() {
            self.files.files().contains(&name)
        } else {
            self.path.file_name().is_some_and(|own| own == name)
        }
    }

    /// The file; for several, their folder or the one that leads to them, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What comes before the number and the extension in the names of the new files of a model.
    fn stem_in(&self, to: &dyn Format) -> Option<String> {
        let usual = to.facts().shard_names?.stem;
        let file = match self.files.files().first() {
            Some(first) => first.rsplit('/').next()?,
            None if self.model_folder.is_none() => return Some(usual.to_string()),
            None => self.path.file_name()?.to_str()?,
        };
        stem_in(file, self.format(), to)
    }

    /// The name of the one file of weights in a new model folder; `None` if the format has no usual
    /// ones.
    pub fn model_file_name(&self, to: &dyn Format) -> Option<String> {
        Some(format!("{}.{}", self.stem_in(to)?, to.facts().shard_names?.extension))
    }

    /// Which of the catalog's state dicts is clearly meant, if one is.
    pub(crate) fn meant(&self) -> Option<usize> {
        let catalog = self.catalog();
        *self.meant.get_or_init(|| {
            let selected = catalog.select(None).ok()?;
            let meant = *selected.first()?;
            catalog.state_dicts.iter().position(|it| std::ptr::eq(it, meant))
        })
    }

    pub(crate) fn source(&self) -> &FileSource {
        &self.source
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.source.len()
    }

    /// True if it has no bytes, which no file that could be opened has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most bytes that one of its files has.
    pub fn largest_file(&self) -> u64 {
        self.source.largest_file()
    }

    /// The name of its kind, as `ls --json` gives it.
    pub fn kind(&self) -> &'static str {
        self.files.opened().kind()
    }

    /// True if it is several files, of which one leads to the others.
    pub fn is_sharded(&self) -> bool {
        self.folder.is_some()
    }

    /// Tensors that were left out when it was opened, since they are not whole.
    pub fn left_out(&self) -> &[LeftOut] {
        self.files.left_out()
    }

    /// What none of its files says and the others lead to, in a sentence.
    pub fn inferred(&self) -> Option<&str> {
        self.files.inferred()
    }

    /// The format that reads it.
    pub fn format(&self) -> &'static dyn Format {
        self.files.format()
    }

    /// What it holds.
    pub fn catalog(&self) -> &Catalog {
        self.joined.as_ref().unwrap_or_else(|| self.files.opened().catalog())
    }

    /// Adds to what it holds the state dict that the mappings below a path make together, if they
    /// make one (see [`Catalog::join`]); it can be written to a new file.
    ///
    /// # Errors
    /// Two tensors that would have one key.
    pub fn join(&mut self, at: &str) -> Result<(), Error> {
        let joined = self.catalog().join(at).map_err(|twice| {
            let what = format!("the mappings below '{at}' cannot be joined: {twice}");
            Error::new(Action::Read, &self.path, Fault::Unsupported(what))
        })?;
        if let Some(joined) = joined {
            let mut catalog = self.catalog().clone();
            catalog.state_dicts.push(joined);
            self.joined = Some(catalog);
        }
        Ok(())
    }

    /// Text beside the tensors that other formats have a place for.
    pub fn metadata(&self) -> Vec<(String, String)> {
        self.files.opened().metadata()
    }

    /// The same under a renaming: names of keys in it that are known to follow have followed.
    pub fn metadata_after(&self, section: &Section) -> Vec<(String, String)> {
        self.files.opened().metadata_after(section)
    }

    /// The names of keys that a plan changes which the checkpoint holds outside its state dicts.
    ///
    /// # Errors
    /// What prevents the plan.
    pub fn mentions(&self, plan: &Plan) -> Result<Mentions, Error> {
        self.files
            .opened()
            .mentions(plan)
            .map_err(|fault| Error::new(Action::Read, &self.path, fault))
    }

    /// The kind that [`Checkpoint::rewrite`] writes.
    pub fn rewritten_as(&self) -> &'static str {
        self.files.opened().rewritten_as()
    }

    /// What the file holds beside its tensors; `None` where the format holds nothing else.
    ///
    /// # Errors
    /// Payload beyond the reader's limits.
    pub fn payload(&self) -> Result<Option<Value>, Error> {
        self.files.opened().payload().map_err(|fault| Error::new(Action::Read, &self.path, fault))
    }

    /// Everything the file builds, to be held against another file's; `None` where that is tensors
    /// alone, or spread over several files.
    ///
    /// # Errors
    /// What is beyond the reader's limits.
    pub fn objects(&self) -> Result<Option<Objects>, Error> {
        self.files.opened().objects().map_err(|fault| Error::new(Action::Read, &self.path, fault))
    }

    /// Lays the bytes of another checkpoint after this one's, so that a new file can be made of
    /// tensors of both; gives what the other holds, with its places there.
    pub fn append_sources(&mut self, other: Checkpoint) -> Catalog {
        let mut catalog = other.catalog().clone();
        let start = self.source.len();
        for row in &mut catalog.rows {
            row.tensor = row.tensor.moved(start);
        }
        self.source.append(other.source);
        catalog
    }

    /// The SHA-256 of a tensor's elements in row-major, little-endian order.
    ///
    /// `None` if it has no plain elements, or repeats a small storage beyond all proportion.
    ///
    /// # Errors
    /// What keeps the elements from being read.
    pub fn sha256(&self, tensor: &Tensor) -> Result<Option<[u8; 32]>, Error> {
        match Elements::new(tensor.clone(), None) {
            Ok(elements) if !elements::is_bomb(&elements) => {
                let hash = elements::sha256(&self.source, &elements);
                hash.map(Some).map_err(|fault| Error::new(Action::Read, &self.path, fault))
            }
            _ => Ok(None),
        }
    }
}

impl Found {
    /// A file of any format.
    fn file(path: PathBuf, source: FileSource) -> Result<Found, Error> {
        let files = Box::new(OneFile::open(&source, &path)?);
        Ok(Found { path, folder: None, manifests: Vec::new(), source, files })
    }

    /// Several files, which the store opens.
    fn folder(
        named: &Path,
        found: &InFolder,
        store: LocalFolder<'_>,
        opening: &Opening,
    ) -> Result<Found, Error> {
        let files = found.format.open(&store, &found.manifest, opening);
        let files = files.map_err(|fault| found.error(fault))?;
        // A folder below the one that was named is what is opened.
        let is_below = named.is_dir() && found.folder != named;
        let path = if is_below { found.folder.clone() } else { named.to_path_buf() };
        let folder = Some(found.folder.clone());
        let manifests = [found.path()].into();
        Ok(Found { path, folder, manifests, source: store.into_source(), files })
    }

    /// Several checkpoints, each of several files.
    fn several(
        found: &Several,
        disk: &dyn Disk,
        observer: &Arc<dyn Observer>,
        opening: &Opening,
    ) -> Result<Found, Error> {
        let (mut source, mut parts) = (FileSource::joined(Vec::new()), Vec::new());
        let mut manifests = Vec::new();
        for (title, part) in &found.parts {
            let store = LocalFolder::new(&part.folder, disk).observed_by(observer.clone());
            let opened = Found::folder(&part.folder, part, store, opening)?;
            let start = source.len();
            manifests.extend(opened.manifests);
            source.append(opened.source);
            let prefix = title.clone();
            parts.push(Part { prefix, start, folder: opened.files, catalog: None });
        }
        let (path, folder) = (found.folder.clone(), Some(found.folder.clone()));
        let files = Box::new(SeveralFolders::new(parts));
        Ok(Found { path, folder, manifests, source, files })
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({}, {})", self.kind(), self.path.display())
    }
}
