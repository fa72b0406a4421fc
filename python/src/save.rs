//! New files of tensors that Python has in memory.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use statedict::checkpoint::{Existing, NewCheckpoint, TensorData, format_named_by};
use statedict::core::DType;
use statedict::{Error, Observer};

use crate::error::Raised;
use crate::run::run;

/// What a new file is to hold; each field is what a Python function says of it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct NewFile {
    path: PathBuf,
    tensors: Vec<NewTensor>,
    modules: Vec<(String, u64)>,
    metadata: Vec<(String, String)>,
    max_shard_size: Option<u64>,
    overwrite: bool,
    /// Gives bytes of a tensor: called with its number, the first byte, and how many.
    read: Py<PyAny>,
}

/// A tensor: key, type, shape, length in bytes, and the key before that has the same elements.
#[derive(FromPyObject)]
pub(crate) struct NewTensor(
    pub(crate) String,
    pub(crate) String,
    pub(crate) Vec<u64>,
    pub(crate) u64,
    pub(crate) Option<String>,
);

/// Writes them.
#[pyfunction]
pub(crate) fn save_file(
    py: Python<'_>,
    new: NewFile,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let own = new.tensors.iter().filter(|NewTensor(.., same_as)| same_as.is_none());
    let total = own.map(|NewTensor(_, _, _, bytes, _)| bytes).sum();
    let format = format_named_by(&new.path);
    if format.is_none() && new.max_shard_size.is_none() {
        let what = format!("cannot write '{}': unknown file extension", new.path.display());
        let hint = crate::advice::of(&[statedict::Advice::NameFormat]);
        return Err(Raised::new("failed", what).hint(hint).into_err(py));
    }
    run(py, progress.as_ref(), |observer| {
        observer.begin_writing(total);
        new.write(total, observer)
    })
}

impl NewFile {
    fn write(&self, total: u64, observer: &Arc<dyn Observer>) -> Result<(), Error> {
        let mut file = NewCheckpoint::new();
        for (number, NewTensor(key, dtype, shape, bytes, same_as)) in
            self.tensors.iter().enumerate()
        {
            if let Some(same_as) = same_as {
                file.tied(key, same_as);
                continue;
            }
            let dtype = dtype_of(dtype, shape, *bytes);
            let (shape, bytes, read) = (shape.clone(), *bytes, &self.read);
            file.tensor(key, InMemory { number, dtype, shape, bytes, read });
        }
        for (path, version) in &self.modules {
            file.module(path, *version);
        }
        for (key, value) in &self.metadata {
            file.metadata(key, value);
        }
        file.observed_by(observer.clone());
        let existing = if self.overwrite { Existing::Replace } else { Existing::Refuse };
        let staged = match (self.max_shard_size, format_named_by(&self.path)) {
            (Some(limit), Some(format)) if total > limit => {
                let folder = self.path.parent().unwrap_or(Path::new(""));
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
                file.stage_shards(format, &stem, limit, folder, existing)?
            }
            (Some(limit), None) => {
                let format = statedict::jobs::target::sharded_formats().next_back();
                let format = format.expect("safetensors has names for shards");
                let stem = format.facts().shard_names.map_or("model", |names| names.stem);
                file.stage_shards(format, stem, limit, &self.path, existing)?
            }
            _ => file.stage(&self.path, existing)?,
        };
        if observer.advance(0) == ControlFlow::Break(()) {
            return Ok(());
        }
        Ok(staged.commit()?)
    }
}

/// The type of this name, which may be one that only its own framework knows, of elements that have
/// as many bytes as these.
pub(crate) fn dtype_of(name: &str, shape: &[u64], bytes: u64) -> DType {
    DType::named(name).unwrap_or_else(|| {
        let count: u64 = shape.iter().copied().fold(1, u64::saturating_mul);
        let bits = bytes.saturating_mul(8).checked_div(count).unwrap_or(8);
        DType::other(name, u32::try_from(bits).unwrap_or(8))
    })
}

/// A tensor of Python's.
pub(crate) struct InMemory<'a> {
    /// Its number for `read`.
    pub(crate) number: usize,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) bytes: u64,
    /// Gives some of its bytes.
    pub(crate) read: &'a Py<PyAny>,
}

impl TensorData for InMemory<'_> {
    fn dtype(&self) -> DType {
        self.dtype.clone()
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let copied = Python::attach(|py| -> PyResult<()> {
            let bytes = self.read.call1(py, (self.number, offset, buffer.len()))?;
            let bytes = bytes.bind(py).cast::<PyBytes>()?.as_bytes();
            let bytes = bytes.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof);
            buffer.copy_from_slice(bytes.map_err(io::Error::from)?);
            Ok(())
        });
        copied.map_err(io::Error::other)
    }
}
