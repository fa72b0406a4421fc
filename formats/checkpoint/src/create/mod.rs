//! New files of tensors that are in memory.

mod data;
mod joined;

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use statedict_core::{
    DType, Elements, Expression, Fault, Format, Omitted, Origination, PendingFiles, Renamed,
    TensorSet, UnsupportedTensors,
};

use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, Existing, System};
use crate::elements::stream;
use crate::error::{Action, Cause, Error};
use crate::observer::Observer;
use crate::reading::TensorRef;
use crate::registry::{FORMATS, format_named_by};
use crate::shards::split;
use crate::write::stage::{Staged, Stager};

use data::Bytes;
use joined::Joined;

pub use data::TensorData;

/// A file to be made of tensors in memory, and of tensors of other checkpoints.
///
/// Nothing is copied before the file is written, and then one piece after another.
///
/// ```
/// # use statedict_checkpoint::{Checkpoint, Existing, NewCheckpoint};
/// # use statedict_core::DType;
/// # use ndarray::array;
/// # let folder = tempfile::tempdir()?;
/// # let path = &folder.path().join("model.safetensors");
/// let weight = array![[1.0f32, 2.0], [3.0, 4.0]];
/// let steps = 7i64.to_le_bytes();
/// NewCheckpoint::new()
///     .tensor("fc.weight", &weight)
///     .bytes("fc.steps", DType::I64, &[1], &steps)
///     .metadata("license", "mit")
///     .save(path, Existing::Refuse)?;
/// assert_eq!(Checkpoint::open(path)?.array::<f32>("fc.weight")?, weight.into_dyn());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NewCheckpoint<'a> {
    tensors: Vec<(String, Item<'a>)>,
    metadata: Vec<(String, String)>,
    modules: Vec<(String, u64)>,
    disk: Arc<dyn Disk>,
    observer: Arc<dyn Observer>,
}

/// Where the elements of a new tensor are.
enum Item<'a> {
    Data(Box<dyn TensorData + 'a>),
    Stored(&'a Checkpoint, Elements),
    /// Those of the tensor of this key.
    Tied(String),
    /// What an expression makes of tensors that were added before.
    Made(Expression),
}

impl Default for NewCheckpoint<'_> {
    fn default() -> Self {
        NewCheckpoint {
            tensors: Vec::new(),
            metadata: Vec::new(),
            modules: Vec::new(),
            disk: Arc::new(System),
            observer: Arc::new(|_| ControlFlow::Continue(())),
        }
    }
}

impl<'a> NewCheckpoint<'a> {
    /// A file of nothing yet.
    pub fn new() -> NewCheckpoint<'a> {
        NewCheckpoint::default()
    }

    /// Adds a tensor: an array of `ndarray`, a view of one, or what else is [`TensorData`].
    pub fn tensor(&mut self, key: impl Into<String>, data: impl TensorData + 'a) -> &mut Self {
        self.tensors.push((key.into(), Item::Data(Box::new(data))));
        self
    }

    /// Adds a tensor of any type by its bytes: row-major, little-endian, side by side.
    pub fn bytes(
        &mut self,
        key: impl Into<String>,
        dtype: DType,
        shape: &[u64],
        bytes: &'a [u8],
    ) -> &mut Self {
        self.tensor(key, Bytes { dtype, shape: shape.to_vec(), bytes })
    }

    /// Adds a tensor of a checkpoint, or a part of one, whose elements stay in its file until they
    /// are written.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn copy<'t>(
        &mut self,
        key: impl Into<String>,
        from: &'a Checkpoint,
        tensor: impl Into<TensorRef<'t>>,
    ) -> Result<&mut Self, Error> {
        let elements = from.elements(tensor.into(), None)?;
        self.tensors.push((key.into(), Item::Stored(from, elements)));
        Ok(self)
    }

    /// Adds a tensor that is the same as one that was added before, under another key; a format that
    /// can keeps them one.
    pub fn tied(&mut self, key: impl Into<String>, same_as: impl Into<String>) -> &mut Self {
        self.tensors.push((key.into(), Item::Tied(same_as.into())));
        self
    }

    /// Adds a tensor that is made of others which were added before, or drawn.
    pub fn made(&mut self, key: impl Into<String>, of: Expression) -> &mut Self {
        self.tensors.push((key.into(), Item::Made(of)));
        self
    }

    /// Adds the version of a module, which PyTorch's files have in `_metadata`, and other formats
    /// have no place for.
    pub fn module(&mut self, path: impl Into<String>, version: u64) -> &mut Self {
        self.modules.push((path.into(), version));
        self
    }

    /// Adds text beside the tensors, which npz cannot store.
    pub fn metadata(&mut self, key: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Writes to another disk than the system's.
    pub fn on_disk(&mut self, disk: Arc<dyn Disk>) -> &mut Self {
        self.disk = disk;
        self
    }

    /// Lets an observer see what is written, and stop it.
    pub fn observed_by(&mut self, observer: Arc<dyn Observer>) -> &mut Self {
        self.observer = observer;
        self
    }

    /// Writes the file in the format that its extension names, and puts it in its place in one step.
    ///
    /// # Errors
    /// As [`stage`](NewCheckpoint::stage), and what keeps the file from its place.
    pub fn save(&self, path: &Path, existing: Existing) -> Result<(), Error> {
        self.stage(path, existing)?.commit()
    }

    /// Writes the file beside `path`, complete and synced, in the format that its extension names.
    ///
    /// # Errors
    /// As [`stage_as`](NewCheckpoint::stage_as), and an extension that no format has.
    pub fn stage(&self, path: &Path, existing: Existing) -> Result<Staged, Error> {
        match format_named_by(path) {
            Some(format) => self.stage_as(format, path, existing),
            None => Err(Error::new(Action::Write, path, unknown_extension())),
        }
    }

    /// The same in this format, whatever the file's name.
    ///
    /// # Errors
    /// Every tensor that the format cannot hold, or whose bytes are not as many as its shape asks
    /// for; metadata, if the format cannot store it; whatever keeps the file from being written.
    pub fn stage_as(
        &self,
        format: &dyn Format,
        path: &Path,
        existing: Existing,
    ) -> Result<Staged, Error> {
        self.staged(format, path, existing, |contents| format.encode(&contents))
    }

    /// Writes files of at most `limit` bytes of elements into a folder, with an index, all synced;
    /// their names begin with `stem`, and so does that of one file where one will do.
    ///
    /// # Errors
    /// As [`stage_as`](NewCheckpoint::stage_as), and a format that has no names for shards.
    pub fn stage_shards(
        &self,
        format: &dyn Format,
        stem: &str,
        limit: u64,
        folder: &Path,
        existing: Existing,
    ) -> Result<Staged, Error> {
        self.staged(format, folder, existing, |contents| split(format, contents, limit, stem))
    }

    fn staged(
        &self,
        format: &dyn Format,
        path: &Path,
        existing: Existing,
        lay_out: impl FnOnce(TensorSet) -> Result<PendingFiles, UnsupportedTensors>,
    ) -> Result<Staged, Error> {
        let failed = |cause: Cause| Error::new(Action::Write, path, cause);
        let (source, contents) = self.contents(format).map_err(failed)?;
        let pending = lay_out(contents);
        let pending =
            pending.map_err(|unsupported| failed(Cause::UnsupportedTensors(unsupported)))?;
        let (observer, revised) = (self.observer.as_ref(), &|_: &Renamed| Vec::new());
        let stager = Stager {
            source: &source,
            like: None,
            existing,
            disk: &self.disk,
            observer,
            revised,
            beside: None,
        };
        stager.stage(&pending, path, None)
    }

    /// The type, the shape and the elements that a tensor would have in the file: row-major,
    /// little-endian, side by side.
    ///
    /// # Errors
    /// There is no such tensor, or its elements cannot be had.
    pub fn read(&self, key: &str) -> Result<(DType, Vec<u64>, Vec<u8>), Error> {
        let failed = |cause: Cause| Error::new(Action::Read, Path::new("memory"), cause);
        let (source, contents) = self.placed().map_err(failed)?;
        let elements = contents.tensors.iter().find(|(own, _)| own == key);
        let (_, elements) = elements
            .ok_or_else(|| failed(Cause::NoTensor(format!("no tensor '{key}' was added"))))?;
        let mut all = Vec::new();
        let len = usize::try_from(elements.byte_len()).unwrap_or(usize::MAX);
        all.try_reserve_exact(len).map_err(|_| {
            let what = format!("cannot allocate its {len} bytes");
            failed(Fault::TooLarge { at: None, what }.into())
        })?;
        stream(&source, elements, &mut |bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        })
        .map_err(|error| failed(error.into()))?;
        Ok((elements.dtype().clone(), elements.shape().to_vec(), all))
    }

    /// What the file is to hold in a format, and the address space that its elements are in.
    fn contents(&self, format: &dyn Format) -> Result<(Joined<'_>, TensorSet), Cause> {
        let (source, mut contents) = self.placed()?;
        let mut left = Omitted::default();
        contents.fit_into(format, &mut left);
        if left.metadata.is_empty() {
            return Ok((source, contents));
        }
        let (keys, format) = (left.metadata.join("', '"), format.name());
        let what = format!("{format} cannot store metadata: '{keys}'");
        Err(Fault::Unsupported(what).into())
    }

    /// All tensors, and the address space that their elements are in.
    fn placed(&self) -> Result<(Joined<'_>, TensorSet), Cause> {
        let mut source = Joined::default();
        let (metadata, modules) = (self.metadata.clone(), self.modules.clone());
        let mut contents = TensorSet { metadata, modules, ..TensorSet::default() };
        let (mut places, mut entries) = (HashMap::<&str, usize>::new(), Vec::new());
        for (key, item) in &self.tensors {
            let placed = match item {
                _ if places.contains_key(key.as_str()) => Err("duplicate key".to_string()),
                Item::Tied(same_as) => match places.get(same_as.as_str()) {
                    Some(place) => Ok(contents.tensors[*place].1.clone()),
                    None => Err(format!("no tensor '{same_as}' was added before")),
                },
                Item::Made(of) => of.evaluate(&|origin, key| {
                    let place = places.get(key).filter(|_| origin == Origination::Source)?;
                    contents.tensors[*place].1.tensor()
                }),
                Item::Data(data) => source.place(key, data.as_ref()),
                Item::Stored(from, elements) => source.place_stored(from, elements),
            };
            match placed {
                Ok(elements) => {
                    places.insert(key, contents.tensors.len());
                    contents.tensors.push((key.clone(), elements));
                }
                Err(why) => entries.push((key.clone(), why)),
            }
        }
        if entries.is_empty() {
            return Ok((source, contents));
        }
        Err(Cause::UnsupportedTensors(UnsupportedTensors { entries }))
    }
}

impl fmt::Debug for NewCheckpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewCheckpoint({} tensors)", self.tensors.len())
    }
}

fn unknown_extension() -> Fault {
    let known = FORMATS.iter().flat_map(|format| format.facts().extensions);
    let known: Vec<String> = known.map(|extension| format!(".{extension}")).collect();
    Fault::Unsupported(format!("unknown file extension; expected one of {}", known.join(", ")))
}
