//! An opened checkpoint: what it holds, and the files that can be made from it.

use std::fmt;
use std::path::{Path, PathBuf};

use statedict_core::{
    Catalog, Container, Contents, Elements, Format, Layout, Part, Plan, Source, Tensor, Unholdable,
    Value,
};

use crate::elements;
use crate::error::{Action, Cause, Error};
use crate::identify::identify;
use crate::registry::FORMATS;
use crate::source::FileSource;
use crate::stage::{Existing, Staged, stage};

/// A checkpoint file, opened for reading; no tensor byte is read before it is asked for.
pub struct Checkpoint {
    path: PathBuf,
    source: FileSource,
    format: &'static dyn Format,
    container: Box<dyn Container>,
}

impl Checkpoint {
    /// Opens a file of any known format; its bytes decide which.
    ///
    /// # Errors
    /// What the system says, what is wrong with the file, or what it is if it is no checkpoint.
    pub fn open(path: &Path) -> Result<Checkpoint, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        let source = FileSource::open(path).map_err(failed)?;
        for format in FORMATS {
            let container = format.open(&source).map_err(|fault| failed(fault.into()))?;
            if let Some(container) = container {
                return Ok(Checkpoint { path: path.to_path_buf(), source, format, container });
            }
        }
        Err(failed(match identify(&source, path) {
            Ok(what) => Cause::Foreign(what),
            Err(fault) => fault.into(),
        }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// The name of its kind, as `ls --json` gives it.
    pub fn kind(&self) -> &'static str {
        self.container.kind()
    }

    /// The format that reads it.
    pub fn format(&self) -> &'static dyn Format {
        self.format
    }

    /// What it holds.
    pub fn catalog(&self) -> &Catalog {
        self.container.catalog()
    }

    /// Text beside the tensors that other formats have a place for.
    pub fn metadata(&self) -> Vec<(String, String)> {
        self.container.metadata()
    }

    /// The same file with other keys.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn rewrite(&self, plan: &Plan) -> Result<Layout, Error> {
        let layout = self.container.rewrite(plan);
        layout.map_err(|fault| Error::new(Action::Rewrite, &self.path, fault))
    }

    /// The same, spelled so that loaders read it by default: pickles in protocol 2.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn rewrite_plainly(&self, plan: &Plan) -> Result<Layout, Error> {
        let layout = self.container.rewrite_plainly(plan);
        layout.map_err(|fault| Error::new(Action::Rewrite, &self.path, fault))
    }

    /// The kind that [`Checkpoint::rewrite`] writes.
    pub fn rewritten_as(&self) -> &'static str {
        self.container.rewritten_as()
    }

    /// What the file holds beside its tensors; `None` where the format holds nothing else.
    ///
    /// # Errors
    /// Payload beyond the reader's limits.
    pub fn payload(&self) -> Result<Option<Value>, Error> {
        let payload = self.container.payload();
        payload.map_err(|fault| Error::new(Action::Read, &self.path, fault))
    }

    /// A new file of a format, from tensors of this one.
    ///
    /// # Errors
    /// Every tensor that cannot be written, or that the format cannot hold.
    pub fn encode(&self, format: &dyn Format, contents: &Contents) -> Result<Layout, Unholdable> {
        let obstacles = contents.tensors.iter().filter_map(|(key, elements)| {
            Some((key.clone(), elements::obstacle(elements)?.to_string()))
        });
        match obstacles.collect::<Vec<_>>() {
            none if none.is_empty() => format.encode(contents),
            entries => Err(Unholdable { entries }),
        }
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

    /// Writes a layout of this file beside `out`, complete and synced, with this file's mode.
    ///
    /// `out` may be this file itself.
    ///
    /// # Errors
    /// Whatever keeps it from being written; then nothing is left of it.
    pub fn stage(&self, layout: &Layout, out: &Path, existing: Existing) -> Result<Staged, Error> {
        let failed = |cause: Cause| Error::new(Action::Write, out, cause);
        for part in layout.parts() {
            if let Part::Elements(elements) = part
                && let Some(fault) = elements::obstacle(elements)
            {
                return Err(failed(fault.into()));
            }
        }
        let like = self.source.metadata().map_err(|error| failed(error.into()))?;
        stage(&self.source, &like, layout, out, existing)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({}, {})", self.kind(), self.path.display())
    }
}
