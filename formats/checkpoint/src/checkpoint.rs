//! An opened checkpoint: what it holds, and the files that can be made from it.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use statedict_core::{
    Catalog, Container, Elements, Fault, Format, Growth, Headroom, Layout, Mentions, Part, Plan,
    Section, Source, Tensor, TensorSet, UnsupportedTensors, Value, objects::Objects,
};

use crate::disk::{Disk, PrependSupport, System};
use crate::elements;
use crate::elements::overflow::{self, Overflow};
use crate::error::{Action, Cause, Error};
use crate::identify::identify;
use crate::in_place::{Editor, Interrupted, Journals, Locked, Replaced, WriteMethod, restore};
use crate::model_folder::{
    Located, SideFiles, declared_dtype, locate, side_files, stem_in, strays,
};
use crate::observer::Observer;
use crate::registry::FORMATS;
use crate::shards::{Sharded, split};
use crate::source::FileSource;
use crate::write::BLOCK;
use crate::write::pending_files::{Files, Manner, PendingFiles, Renamed};
use crate::write::stage::{Existing, Staged, Stager};
use crate::write::target::{Protected, protection, protection_of_shard};

/// A checkpoint, opened for reading; no tensor byte is read before it is asked for.
pub struct Checkpoint {
    path: PathBuf,
    /// The folder that was opened, if it was one.
    model_folder: Option<PathBuf>,
    source: FileSource,
    form: Form,
    disk: Arc<dyn Disk>,
    observer: Arc<dyn Observer>,
    /// What it holds with a state dict that is joined from others, if one is.
    joined: Option<Catalog>,
    /// What keeps others from editing it, if it is opened to be replaced.
    locked: Option<Locked>,
    /// Which of the catalog's state dicts is meant where none is named.
    meant: OnceLock<Option<usize>>,
}

/// One file, or an index with the files it names.
enum Form {
    One { format: &'static dyn Format, container: Box<dyn Container> },
    Sharded(Box<Sharded>),
}

impl Checkpoint {
    /// Opens a file of any known format, whose bytes decide which, or a sharded checkpoint: its
    /// index, or the folder that holds it.
    ///
    /// # Errors
    /// What the system says, what is wrong with the file, or what it is if it is no checkpoint.
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

    /// The same with an observer from the first read of a file on; of shards, from their tensors on.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], and if the observer stops it.
    pub fn open_observed(
        path: &Path,
        disk: Arc<dyn Disk>,
        observer: Arc<dyn Observer>,
    ) -> Result<Checkpoint, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        match locate(path).map_err(failed)? {
            Located::Index(index) => {
                let (sharded, source) = Sharded::open(&index, disk.as_ref())?;
                let opened = (source, Form::Sharded(Box::new(sharded)));
                Ok(Checkpoint::new(path, path, opened, disk, None).observed_by(observer))
            }
            Located::File(file) => {
                let failed = |cause: Cause| Error::new(Action::Read, &file, cause);
                let source = FileSource::open(&file, disk.as_ref()).map_err(failed)?;
                let opened = Form::of(source.observed_by(observer.clone()), &file)?;
                Ok(Checkpoint::new(path, &file, opened, disk, None).observed_by(observer))
            }
        }
    }

    /// Opens a checkpoint to replace it: nobody else can until it is dropped, and an edit that was
    /// cut short is undone first.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; if somebody else has the file open for some seconds, this program
    /// included, or it has a journal that is not its own.
    pub fn open_to_replace(path: &Path, disk: Arc<dyn Disk>) -> Result<Checkpoint, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        match locate(path).map_err(failed)? {
            Located::Index(index) => {
                let locked = Locked::new(&index, disk.as_ref()).map_err(failed)?;
                let (sharded, source) = Sharded::open_locked(&index, &locked.file, disk.as_ref())?;
                let opened = (source, Form::Sharded(Box::new(sharded)));
                Ok(Checkpoint::new(path, path, opened, disk, Some(locked)))
            }
            Located::File(file) => {
                let failed = |cause: Cause| Error::new(Action::Read, &file, cause);
                let locked = Locked::new(&file, disk.as_ref()).map_err(failed)?;
                let restored = restore(&locked, disk.as_ref(), Journals::Own).map_err(failed)?;
                let source = FileSource::restored(&locked.file, restored).map_err(failed)?;
                let opened = Form::of(source, &file)?;
                Ok(Checkpoint::new(path, &file, opened, disk, Some(locked)))
            }
        }
    }

    fn new(
        named: &Path,
        path: &Path,
        (source, form): (FileSource, Form),
        disk: Arc<dyn Disk>,
        locked: Option<Locked>,
    ) -> Checkpoint {
        let (path, observer) = (path.to_path_buf(), Arc::new(|_| ControlFlow::Continue(())));
        let model_folder = named.is_dir().then(|| named.to_path_buf());
        let (meant, joined) = (OnceLock::new(), None);
        Checkpoint { path, model_folder, source, form, disk, observer, joined, locked, meant }
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

    /// What was found of edits of its files that were cut short.
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
            Some(folder) => strays(folder, |name| self.is_part(name)),
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
        match &self.form {
            Form::One { .. } => self.path.file_name().is_some_and(|own| own == name),
            Form::Sharded(sharded) => sharded.files().any(|own| own == name),
        }
    }

    /// The file; for shards, the index or the folder, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What comes before the number and the extension in the names of the new files of a model.
    fn stem_in(&self, to: &dyn Format) -> Option<String> {
        let usual = to.shard_names()?.stem;
        let file = match &self.form {
            Form::One { .. } if self.model_folder.is_none() => return Some(usual.to_string()),
            Form::One { .. } => self.path.file_name()?.to_str(),
            Form::Sharded(sharded) => sharded.files().next()?.rsplit('/').next(),
        };
        stem_in(file?, self.format(), to)
    }

    /// The name of the one file of weights in a new model folder; `None` if the format has no usual
    /// ones.
    pub fn model_file_name(&self, to: &dyn Format) -> Option<String> {
        Some(format!("{}.{}", self.stem_in(to)?, to.shard_names()?.extension))
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
        match &self.form {
            Form::One { .. } => self.len(),
            Form::Sharded(sharded) => sharded.largest_file(),
        }
    }

    /// The name of its kind, as `ls --json` gives it.
    pub fn kind(&self) -> &'static str {
        match &self.form {
            Form::One { container, .. } => container.kind(),
            Form::Sharded(sharded) => sharded.kind(),
        }
    }

    /// True if it is an index with the files it names.
    pub fn is_sharded(&self) -> bool {
        matches!(self.form, Form::Sharded(_))
    }

    /// The format that reads it.
    pub fn format(&self) -> &'static dyn Format {
        match &self.form {
            Form::One { format, .. } => *format,
            Form::Sharded(sharded) => sharded.format(),
        }
    }

    /// What it holds.
    pub fn catalog(&self) -> &Catalog {
        match (&self.joined, &self.form) {
            (Some(joined), _) => joined,
            (None, Form::One { container, .. }) => container.catalog(),
            (None, Form::Sharded(sharded)) => sharded.catalog(),
        }
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
        match &self.form {
            Form::One { container, .. } => container.metadata(),
            Form::Sharded(sharded) => sharded.metadata(),
        }
    }

    /// The same under a renaming: names of keys in it that are known to follow have followed.
    pub fn metadata_after(&self, section: &Section) -> Vec<(String, String)> {
        match &self.form {
            Form::One { container, .. } => container.metadata_after(section),
            Form::Sharded(sharded) => sharded.metadata_after(section),
        }
    }

    /// The same checkpoint with other keys, and room for longer ones.
    ///
    /// Where the file system can clone files, a new one shares the tensors with this one, and may
    /// differ from what is written elsewhere in padding and in bytes that nothing refers to.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<PendingFiles, Error> {
        self.rewritten(plan, Manner::Kept(reserve))
    }

    /// Layouts of one of the files with other keys that leave its tensors where they stand.
    fn revised(&self, renamed: &Renamed) -> Vec<Layout> {
        let container = match &self.form {
            Form::One { container, .. } => Some(container.as_ref()),
            Form::Sharded(sharded) => sharded.container_at(renamed.start),
        };
        let growths = [Growth::Within, Growth::Insert { block: BLOCK }];
        // What stands in the way of these stands in the way of nothing but them.
        let rewrite_in_place = |growth| container?.rewrite_in_place(&renamed.plan, growth).ok()?;
        let mut layouts: Vec<Layout> = growths.into_iter().filter_map(rewrite_in_place).collect();
        layouts.iter_mut().for_each(|layout| layout.shift(renamed.start));
        layouts
    }

    /// The same, spelled so that loaders read it by default: pickles in protocol 2.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn rewrite_plainly(&self, plan: &Plan, reserve: Headroom) -> Result<PendingFiles, Error> {
        self.rewritten(plan, Manner::Plain(reserve))
    }

    fn rewritten(&self, plan: &Plan, manner: Manner) -> Result<PendingFiles, Error> {
        if plan.computes() {
            let what = "a plan that computes tensors; they are encoded anew".to_string();
            return Err(Error::new(Action::Rewrite, &self.path, Fault::Unsupported(what)));
        }
        if plan.casts() && !self.format().casts_in_files() {
            let name = self.format().name();
            let what = format!("tensors of a {name} file are cast by encoding them anew");
            return Err(Error::new(Action::Rewrite, &self.path, Fault::Unsupported(what)));
        }
        let rewritten = match &self.form {
            Form::One { container, .. } => manner
                .rewrite(container.as_ref(), 0, plan.clone())
                .map(|(layout, renamed)| PendingFiles(Files::One { layout, renamed })),
            Form::Sharded(sharded) => sharded.rewrite(plan, manner),
        };
        rewritten.map_err(|fault| Error::new(Action::Rewrite, &self.path, fault))
    }

    /// The names of keys that a plan changes which the checkpoint holds outside its state dicts.
    ///
    /// # Errors
    /// What stands in the way of the plan.
    pub fn mentions(&self, plan: &Plan) -> Result<Mentions, Error> {
        let mentions = match &self.form {
            Form::One { container, .. } => container.mentions(plan),
            Form::Sharded(sharded) => sharded.mentions(plan),
        };
        mentions.map_err(|fault| Error::new(Action::Read, &self.path, fault))
    }

    /// The kind that [`Checkpoint::rewrite`] writes.
    pub fn rewritten_as(&self) -> &'static str {
        match &self.form {
            Form::One { container, .. } => container.rewritten_as(),
            Form::Sharded(sharded) => sharded.kind(),
        }
    }

    /// What the file holds beside its tensors; `None` where the format holds nothing else.
    ///
    /// # Errors
    /// Payload beyond the reader's limits.
    pub fn payload(&self) -> Result<Option<Value>, Error> {
        match &self.form {
            Form::One { container, .. } => {
                container.payload().map_err(|fault| Error::new(Action::Read, &self.path, fault))
            }
            Form::Sharded(_) => Ok(None),
        }
    }

    /// Everything the file builds, to be held against another file's; `None` where that is tensors
    /// alone, or spread over several files.
    ///
    /// # Errors
    /// What is beyond the reader's limits.
    pub fn objects(&self) -> Result<Option<Objects>, Error> {
        match &self.form {
            Form::One { container, .. } => {
                container.objects().map_err(|fault| Error::new(Action::Read, &self.path, fault))
            }
            Form::Sharded(_) => Ok(None),
        }
    }

    /// A new file of a format, from tensors of this one.
    ///
    /// # Errors
    /// Every tensor that cannot be written, or that the format cannot hold.
    pub fn encode(
        &self,
        format: &dyn Format,
        contents: &TensorSet,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        refuse_obstacles(contents)?;
        format.encode(contents).map(PendingFiles::from)
    }

    /// New files of at most `limit` bytes of elements, with an index, from tensors of this one.
    ///
    /// # Errors
    /// Every tensor that cannot be written, or that the format cannot hold.
    pub fn encode_shards(
        &self,
        format: &dyn Format,
        contents: TensorSet,
        limit: u64,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        refuse_obstacles(&contents)?;
        let stem = self.stem_in(format).unwrap_or_default();
        let rewritten = split(format, contents, limit, &stem)?;
        Ok(match &self.form {
            Form::One { .. } => rewritten,
            Form::Sharded(sharded) => sharded.replaced_by(rewritten),
        })
    }

    /// The same checkpoint with its tensors written anew, in as many files as it has.
    ///
    /// `section` says which key each tensor has now.
    ///
    /// # Errors
    /// Every tensor that cannot be written, or that the format cannot hold.
    pub fn encode_alike(
        &self,
        contents: TensorSet,
        section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        refuse_obstacles(&contents)?;
        match &self.form {
            Form::One { format, .. } => format.encode(&contents).map(PendingFiles::from),
            Form::Sharded(sharded) => sharded.encode(contents, section),
        }
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

    /// Writes what this checkpoint becomes beside `out`, complete and synced, with this file's mode.
    ///
    /// `out` may be this checkpoint itself. For files in a folder, `out` is that folder (made if it
    /// is not there) or, to replace a sharded checkpoint, its index.
    ///
    /// # Errors
    /// Whatever keeps it from being written; then nothing is left of it.
    pub fn stage(
        &self,
        rewritten: &PendingFiles,
        out: &Path,
        existing: Existing,
    ) -> Result<Staged, Error> {
        let failed = |cause: Cause| Error::new(Action::Write, out, cause);
        for part in rewritten.layouts().flat_map(Layout::parts) {
            if let Part::Elements(elements) = part
                && let Some(fault) = elements::obstacle(elements)
            {
                return Err(failed(fault.into()));
            }
        }
        if let Some(fault) = elements::repetition(self.len(), rewritten) {
            return Err(failed(fault.into()));
        }
        let like = self.source.metadata().map_err(|error| failed(error.into()))?;
        let (source, observer) = (&self.source, self.observer.as_ref());
        let revised = &|renamed: &Renamed| self.revised(renamed);
        let stager =
            Stager { source, like: Some(&like), existing, disk: &self.disk, observer, revised };
        stager.stage(rewritten, out, self.folder().as_deref())
    }

    /// Stages files for the folder `out`, with those that belong to the model: they take their
    /// places before an index does.
    ///
    /// # Errors
    /// As [`Checkpoint::stage`].
    pub fn stage_model(
        &self,
        rewritten: &PendingFiles,
        sides: &SideFiles,
        out: &Path,
        existing: Existing,
    ) -> Result<Staged, Error> {
        let mut staged = self.stage(rewritten, out, existing)?;
        let (source, observer) = (&self.source, self.observer.as_ref());
        let (disk, revised) = (&self.disk, &|_: &Renamed| Vec::new());
        let stager = Stager { source, like: None, existing, disk, observer, revised };
        stager.carry(sides, out, &mut staged)?;
        Ok(staged)
    }

    /// The files that an edit in place would change although their mode, or a link, speaks against
    /// it; whoever edits nonetheless should have been asked to.
    pub fn protected(&self) -> Vec<Protected> {
        match &self.form {
            Form::One { .. } => protection(&self.path).into_iter().collect(),
            Form::Sharded(sharded) => {
                let folder = self.folder().unwrap_or_default();
                let files = sharded.files().map(|name| folder.join(name));
                files.filter_map(|file| protection_of_shard(&file)).collect()
            }
        }
    }

    /// Gives this checkpoint, which was opened to be replaced, other keys by the cheapest way there
    /// is: its tensors are not written where the format and the file system allow that.
    ///
    /// A symbolic link stays and leads to the new file. What is edited where it stands stays the
    /// same file, under all its names; otherwise a new file takes its place, with room for longer
    /// keys.
    ///
    /// # Errors
    /// Whatever keeps it from being done; then the file is as it was.
    pub fn rename(&self, plan: &Plan, reserve: Headroom) -> Result<Replaced, Error> {
        if let (Some(locked), Form::One { container, .. }) = (&self.locked, &self.form)
            && !plan.casts()
            && let Some(replaced) = self.edit(container.as_ref(), plan, locked)?
        {
            return Ok(replaced);
        }
        self.replace(&self.rewrite(plan, reserve)?)
    }

    /// Puts what this checkpoint, which was opened to be replaced, becomes in its place.
    ///
    /// A symbolic link stays and leads to the new file.
    ///
    /// # Errors
    /// Whatever keeps it from being done; then the file is as it was.
    pub fn replace(&self, rewritten: &PendingFiles) -> Result<Replaced, Error> {
        self.stage_in_place(rewritten)?.commit()?;
        Ok(Replaced {
            way: WriteMethod::Replaced,
            written: rewritten.len(),
            files: rewritten.files(),
        })
    }

    /// Writes what this checkpoint, which was opened to be replaced, becomes beside it.
    ///
    /// # Errors
    /// Whatever keeps it from being written; then the file is as it was.
    pub fn stage_in_place(&self, rewritten: &PendingFiles) -> Result<Staged, Error> {
        if let Some(locked) = &self.locked {
            let shared = locked.share();
            shared.map_err(|cause| Error::new(Action::Write, &self.path, cause))?;
        }
        let out = match &self.locked {
            Some(locked) if !self.is_sharded() => &locked.path,
            _ => &self.path,
        };
        self.stage(rewritten, out, Existing::Replace)
    }

    /// The tensors of a plan that has been staged of which a cast made finite numbers infinite.
    ///
    /// # Errors
    /// What keeps elements from being read.
    pub fn overflows(&self, staged: &Staged, plan: &Plan) -> Result<Vec<Overflow>, Error> {
        let found = overflow::overflows(&self.source, self.catalog(), staged.overflowed(), plan);
        found.map_err(|fault| Error::new(Action::Read, &self.path, fault))
    }

    /// Edits the one file where it stands, if that can be.
    fn edit(
        &self,
        container: &dyn Container,
        plan: &Plan,
        locked: &Locked,
    ) -> Result<Option<Replaced>, Error> {
        let failed = |cause: Cause| Error::new(Action::Write, &self.path, cause);
        let editor = Editor { locked, source: &self.source, disk: &self.disk };
        let block = match self.disk.front(&locked.file) {
            PrependSupport::Insert { block } | PrependSupport::Share { block } => {
                Some(Growth::Insert { block })
            }
            PrependSupport::Copy => None,
        };
        for growth in [Some(Growth::Within), block].into_iter().flatten() {
            let layout = container.rewrite_in_place(plan, growth);
            let layout = layout.map_err(|fault| Error::new(Action::Rewrite, &self.path, fault))?;
            let Some(layout) = layout else { continue };
            if let Some(replaced) = editor.edit(&layout).map_err(failed)? {
                return Ok(Some(replaced));
            }
        }
        Ok(None)
    }

    /// The folder of a sharded checkpoint.
    fn folder(&self) -> Option<PathBuf> {
        let folder = match self.path.is_dir() {
            true => self.path.clone(),
            false => self.path.parent()?.to_path_buf(),
        };
        self.is_sharded().then_some(folder)
    }
}

impl Form {
    /// What a file is by its bytes; the path only helps to name what is no checkpoint.
    fn of(source: FileSource, path: &Path) -> Result<(FileSource, Form), Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        for format in FORMATS {
            let container = format.open(&source).map_err(|fault| failed(fault.into()))?;
            if let Some(container) = container {
                return Ok((source, Form::One { format, container }));
            }
        }
        Err(failed(match identify(&source, path) {
            Ok(what) => Cause::Foreign(what),
            Err(fault) => fault.into(),
        }))
    }
}

/// Refuses tensors whose elements cannot be written, all of them.
fn refuse_obstacles(contents: &TensorSet) -> Result<(), UnsupportedTensors> {
    let obstacles = contents.tensors.iter().filter_map(|(key, elements)| {
        Some((key.clone(), elements::obstacle(elements)?.to_string()))
    });
    match obstacles.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        entries => Err(UnsupportedTensors { entries }),
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({}, {})", self.kind(), self.path.display())
    }
}
