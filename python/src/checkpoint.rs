//! Opened files.

use std::ffi::OsStr;
use std::fs::File as SystemFile;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict, PyList, PyString, PyTuple};
use statedict::checkpoint::{Checkpoint, Stored};
use statedict::core::{Data, IndexMap, StateDict, Tensor, View, sorting};
use statedict::jobs::grouping::grouped;
use statedict::{Error, Input, silent};

use crate::error::Raised;
use crate::payload::Payload;
use crate::run::briefly;

/// How many bytes a reader may give for one of a file; beyond that its claim is not believed before
/// the elements are there.
const MAX_INFLATION: u64 = 1033;

/// Opens a checkpoint, of which no tensor is read before it is asked for.
#[pyfunction]
pub(crate) fn open(py: Python<'_>, path: PathBuf, at: Option<String>) -> PyResult<File> {
    let input = Input { file: path, at };
    let checkpoint = briefly(py, || input.open(&silent()))?;
    let (selected, files) = (OnceLock::new(), Mutex::default());
    Ok(File { checkpoint, input, selected, files })
}

/// A checkpoint, and which state dict of it is meant.
#[pyclass(frozen, module = "statedict._statedict")]
pub(crate) struct File {
    checkpoint: Checkpoint,
    input: Input,
    /// The place of the state dict in the catalog, once it was asked for.
    selected: OnceLock<usize>,
    /// The files that Python was given the numbers of, which stay open.
    files: Mutex<Vec<Arc<SystemFile>>>,
}

impl File {
    fn state_dict(&self, py: Python<'_>) -> PyResult<&StateDict> {
        let all = &self.checkpoint.catalog().state_dicts;
        if let Some(state_dict) = self.selected.get().and_then(|place| all.get(*place)) {
            return Ok(state_dict);
        }
        let selected = self.input.select(&self.checkpoint);
        let selected = selected.map_err(|error| Raised::from(error).into_err(py))?;
        if let Some(place) = all.iter().position(|it| std::ptr::eq(it, selected)) {
            self.selected.get_or_init(|| place);
        }
        Ok(selected)
    }

    /// Its keys with their tensors, those of other values left out.
    fn entries(&self, py: Python<'_>) -> PyResult<impl Iterator<Item = (&str, &Tensor)>> {
        let (state_dict, catalog) = (self.state_dict(py)?, self.checkpoint.catalog());
        let keys = state_dict.keys();
        Ok(keys.filter_map(move |key| Some((key, catalog.tensor(state_dict, key)?))))
    }

    /// The number of a file for the system, which stays open as long as this is.
    fn number(&self, file: &Arc<SystemFile>) -> i32 {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.iter().any(|known| Arc::ptr_eq(known, file)) {
            files.push(file.clone());
        }
        file.as_raw_fd()
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
        let rows = self.entries(py)?.map(|(key, tensor)| row(py, key, tensor));
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }

    /// Where the elements of each tensor are, in the same order.
    ///
    /// The number of a file, the first and the last byte of a storage in it, the offset of the first
    /// element and the strides, in elements; or, where the elements have to be read, the number of
    /// the first tensor that has the same ones.
    fn places<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut known = IndexMap::<Same<'_>, usize>::default();
        let mut rows = Vec::new();
        for (number, (_, tensor)) in self.entries(py)?.enumerate() {
            let stored = self.checkpoint.stored_storage(tensor);
            let stored = stored.map_err(|error| Raised::from(&error).into_err(py))?;
            rows.push(match (stored, tensor.as_view()) {
                (Some(stored), Some(view)) => self.place(py, &stored, view)?.into_any(),
                (None, Some(view)) => {
                    let same = (
                        Arc::as_ptr(view.storage()) as usize,
                        view.offset(),
                        view.strides(),
                        &tensor.shape,
                    );
                    known.entry(same).or_insert(number).into_pyobject(py)?.into_any()
                }
                _ => number.into_pyobject(py)?.into_any(),
            });
        }
        PyList::new(py, rows)
    }

    /// The elements of a tensor, row-major and little-endian, or those of a part: the dimensions
    /// that are cut, with their first and last index.
    fn read<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        cuts: Vec<(usize, u64, u64)>,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let tensor = self.cut(py, key, &cuts)?;
        let needed = tensor.byte_len();
        if needed > self.checkpoint.len().saturating_mul(MAX_INFLATION) {
            let bytes = briefly(py, || self.checkpoint.read(&tensor).map_err(Error::from))?;
            return Ok(PyByteArray::new(py, &bytes));
        }
        let len = usize::try_from(needed).unwrap_or(usize::MAX);
        PyByteArray::new_with(py, len, |buffer| {
            briefly(py, || self.checkpoint.read_into(&tensor, buffer).map_err(Error::from))
        })
    }

    /// Text beside the tensors.
    fn metadata(&self) -> Vec<(String, String)> {
        self.checkpoint.metadata()
    }

    /// The modules that `_metadata` describes, with their versions where those are numbers.
    fn modules(&self, py: Python<'_>) -> PyResult<Vec<(String, Option<u64>)>> {
        let modules = self.state_dict(py)?.modules.iter();
        Ok(modules.map(|(path, version)| (path.clone(), *version)).collect())
    }

    /// What is beside the tensors, or at a path in it; none where the format has no such thing.
    fn payload<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
        let payload = briefly(py, || -> Result<_, Error> {
            if self.checkpoint.objects()?.is_none() {
                return Ok(None);
            }
            Ok(Some(self.checkpoint.payload_at::<Payload>(path)?))
        })?;
        match payload {
            Some(payload) => payload.into_python(py),
            None => Ok(PyDict::new(py).into_any()),
        }
    }

    /// Lines that are for all tensors, in file order: keys with ranges for numbers, how many they
    /// are, and their type and shape.
    fn lines<'py>(&self, py: Python<'py>) -> PyResult<Vec<Line<'py>>> {
        let mut alike = IndexMap::<(&str, &[u64]), Vec<(usize, &str)>>::default();
        for (number, (key, tensor)) in self.entries(py)?.enumerate() {
            alike.entry((tensor.dtype.name(), &tensor.shape)).or_default().push((number, key));
        }
        let mut lines = Vec::new();
        for ((dtype, shape), keys) in &alike {
            for line in grouped(keys.iter().map(|(_, key)| (*key, None))) {
                let first = line.members.first().and_then(|first| keys.get(*first));
                let shape = PyTuple::new(py, *shape)?;
                lines.push((
                    first.map(|(number, _)| *number),
                    (line.old, line.keys, (*dtype).to_string(), shape),
                ));
            }
        }
        sorting::sort_by_key(&mut lines, |(first, _)| *first);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }
}

/// Keys with ranges for numbers, how many they are, their type and shape.
type Line<'py> = (String, usize, String, Bound<'py, PyTuple>);

/// What tells elements that have to be read from others: storage, offset, strides, shape.
type Same<'a> = (usize, u64, &'a [u64], &'a Vec<u64>);

impl File {
    fn place<'py>(
        &self,
        py: Python<'py>,
        stored: &Stored,
        view: &View,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let strides = PyTuple::new(py, view.strides())?;
        let range = &stored.range;
        let number = self.number(&stored.file);
        (number, range.start, range.end, view.offset(), strides).into_pyobject(py)
    }

    fn cut(&self, py: Python<'_>, key: &str, cuts: &[(usize, u64, u64)]) -> PyResult<Tensor> {
        let (state_dict, catalog) = (self.state_dict(py)?, self.checkpoint.catalog());
        let missing = || Raised::new("no-such-tensor", format!("no tensor '{key}'")).into_err(py);
        let mut tensor = catalog.tensor(state_dict, key).ok_or_else(missing)?.clone();
        for (dimension, start, end) in cuts {
            let part = self.checkpoint.slice(&tensor, *dimension, *start..*end);
            tensor = part.map_err(|error| Raised::from(&error).into_err(py))?;
        }
        Ok(tensor)
    }
}

fn row<'py>(py: Python<'py>, key: &str, tensor: &Tensor) -> PyResult<Bound<'py, PyTuple>> {
    let layout = match &tensor.data {
        Data::Opaque { layout, .. } => Some(layout.as_str()),
        Data::View(_) | Data::Blocks(_) | Data::Unlocated => None,
    };
    let shape = PyTuple::new(py, &tensor.shape)?;
    let dtype = PyString::intern(py, tensor.dtype.name());
    (key, dtype, shape, tensor.byte_len(), layout).into_pyobject(py)
}
