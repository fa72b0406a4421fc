//! Opened files.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use statedict::checkpoint::Checkpoint;
use statedict::core::{Data, StateDict, Tensor};
use statedict::{Input, silent};

use crate::error::Raised;
use crate::run::briefly;

/// Opens a checkpoint, of which no tensor is read before it is asked for.
#[pyfunction]
pub(crate) fn open(py: Python<'_>, path: PathBuf, at: Option<String>) -> PyResult<File> {
    let input = Input { file: path, at };
    let checkpoint = briefly(py, || input.open(&silent()))?;
    Ok(File { checkpoint, input, selected: OnceLock::new() })
}

/// A checkpoint, and which state dict of it is meant.
#[pyclass(frozen, module = "statedict._statedict")]
pub(crate) struct File {
    checkpoint: Checkpoint,
    input: Input,
    /// The place of the state dict in the catalog, once it was asked for.
    selected: OnceLock<usize>,
}

impl File {
    fn state_dict(&self, py: Python<'_>) -> PyResult<&StateDict> {
        let all = &self.checkpoint.catalog().state_dicts;
        if let Some(state_dict) = self.selected.get().and_then(|place| all.get(*place)) {
            return Ok(state_dict);
        }
        let selected = self
            .input
            .select(&self.checkpoint)
            .map_err(|error| Raised::from(error).into_err(py))?;
        if let Some(place) = all.iter().position(|it| std::ptr::eq(it, selected)) {
            self.selected.get_or_init(|| place);
        }
        Ok(selected)
    }
}

#[pymethods]
impl File {
    /// The file, or the index or folder of several.
    #[getter]
    fn path(&self) -> &OsStr {
        self.checkpoint.path().as_os_str()
    }

    /// What kind of file it is: `pth`, `safetensors-sharded`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.checkpoint.kind()
    }

    /// The path of the state dict in it; empty at the root.
    #[getter]
    fn at(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(&self.state_dict(py)?.path)
    }

    /// Bytes of all files.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.checkpoint.len()
    }

    /// The keys of tensors in file order, each with its type, its shape, its length in bytes, and
    /// what it is instead of plain elements, if it has none.
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (state_dict, catalog) = (self.state_dict(py)?, self.checkpoint.catalog());
        let tensors =
            state_dict.keys().filter_map(|key| Some((key, catalog.tensor(state_dict, key)?)));
        let rows = tensors.map(|(key, tensor)| row(py, key, tensor));
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }
}

fn row<'py>(py: Python<'py>, key: &str, tensor: &Tensor) -> PyResult<Bound<'py, PyTuple>> {
    let layout = match &tensor.data {
        Data::Opaque { layout, .. } => Some(layout.as_str()),
        Data::View(_) | Data::Blocks(_) => None,
    };
    let shape = PyTuple::new(py, &tensor.shape)?;
    let dtype = PyString::intern(py, tensor.dtype.name());
    (key, dtype, shape, tensor.byte_len(), layout).into_pyobject(py)
}
