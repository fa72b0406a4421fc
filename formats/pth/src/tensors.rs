//! From the calls that would rebuild a tensor to the tensor's description.
//!
//! Source: the `_rebuild_*` functions of `torch/_utils.py` and `torch/_tensor.py`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use statedict_core::{DType, Data, Fault, Storage, Tensor, row_major_strides};

use crate::budget::Budget;
use crate::dtype;
use crate::pickle::Graph;
use crate::pickle::graph::{NodeId, Value};

/// How deeply rebuild calls may wrap each other: a subclass of a parameter of a tensor is three.
const MAX_WRAPPING: usize = 16;

/// How deeply the parts of a sparse or nested tensor may be wrapped: they are plain tensors, perhaps
/// parameters, and each further layer of parts would double the work.
const PART_WRAPPING: usize = 2;

/// The longest key of a storage, in bytes; PyTorch numbers them.
pub(crate) const MAX_STORAGE_KEY: usize = 1024;

/// Attributes that, set on a tensor, give it other elements or another class.
const CHANGING: [&str; 5] = ["data", "real", "imag", "__class__", "__dict__"];

/// A storage as a persistent id names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorageId {
    pub(crate) key: String,
    pub(crate) dtype: DType,
    /// Elements of `dtype`.
    pub(crate) count: u64,
    /// Very old legacy files: this storage is a slice of the one named by the key.
    pub(crate) view: Option<StorageSlice>,
}

/// A slice of a storage, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorageSlice {
    /// What the slice is found by when it is named again.
    pub(crate) key: String,
    pub(crate) offset: u64,
    pub(crate) count: u64,
}

impl StorageId {
    /// Its part of the storage that its key names, whose bytes are in this range.
    pub(crate) fn slice(&self, whole: Range<u64>) -> Result<Range<u64>, Fault> {
        let Some(StorageSlice { offset, count, .. }) = self.view else { return Ok(whole) };
        let bytes = |count: u64| count.checked_mul(self.dtype.bits() / 8);
        let start = bytes(offset).and_then(|offset| whole.start.checked_add(offset));
        let end = start.zip(bytes(count)).and_then(|(start, bytes)| start.checked_add(bytes));
        match start.zip(end).filter(|(_, end)| *end <= whole.end) {
            Some((start, end)) => Ok(start..end),
            None => {
                let what = format!("elements {offset}+{count} are outside storage '{}'", self.key);
                Err(Fault::broken(what))
            }
        }
    }
}

/// A storage is exactly as long as the ids that name it say, as PyTorch's loader demands.
pub(crate) fn check_length(id: &StorageId, found: u64) -> Result<(), Fault> {
    let expected = u128::from(id.count) * u128::from(id.dtype.bits()) / 8;
    if u128::from(found) == expected {
        return Ok(());
    }
    let StorageId { key, count, dtype, .. } = id;
    let what = format!(
        "storage '{key}' has {found} bytes, and {count} elements of {dtype} are {expected}"
    );
    Err(Fault::broken(what))
}

/// The storages that a pickle's persistent ids name, in stream order.
///
/// Legacy streams name modules by persistent ids as well: `('module', class, file, source)`.
pub(crate) fn persistent_storages(
    graph: &Graph<'_>,
) -> impl Iterator<Item = Result<StorageId, Fault>> {
    let mut seen = HashSet::new();
    let ids = graph.persistent.iter().map(|reference| reference.id);
    let ids = ids.filter(move |id| seen.insert(*id) && graph.class_named_by(*id).is_none());
    ids.map(|id| storage_id(graph, id))
}

/// Where the storages of a file are.
pub(crate) trait Storages {
    /// The storage that an id names, checked to be as long as the id says.
    fn find(&mut self, id: &StorageId) -> Result<Arc<Storage>, Fault>;

    /// The tensor that a persistent id stands for, in formats that keep tensors outside the pickle.
    fn tensor(&self, _graph: &Graph<'_>, _node: NodeId) -> Result<Option<Tensor>, Fault> {
        Ok(None)
    }
}

/// Reads tensors out of a graph.
pub(crate) struct Tensors<'a> {
    pub(crate) graph: &'a Graph<'a>,
    pub(crate) storages: &'a mut dyn Storages,
    pub(crate) budget: &'a Budget,
}

/// A call: the function's module and name, and its arguments.
type Call<'a> = (Cow<'a, str>, Cow<'a, str>, &'a [NodeId]);

impl<'a> Tensors<'a> {
    /// The tensor that a node would be; `None` if it would be something else.
    ///
    /// # Errors
    /// A tensor whose storage is missing or too short, or whose shape cannot be.
    pub(crate) fn read(&mut self, node: NodeId) -> Result<Option<Tensor>, Fault> {
        self.read_within(node, MAX_WRAPPING)
    }

    fn read_within(&mut self, node: NodeId, depth: usize) -> Result<Option<Tensor>, Fault> {
        if let Some(tensor) = self.storages.tensor(self.graph, node)? {
            return Ok(Some(tensor));
        }
        if let Some(tensor) = self.by_class(node)? {
            return Ok(Some(tensor));
        }
        let Some(call) = self.call(node) else { return Ok(None) };
        let class = is_tensor_class(&call.0, &call.1).then(|| format!("{}.{}", call.0, call.1));
        let tensor = match (class, call.2) {
            (Some(class), [inner, ..]) if class.ends_with("Parameter") => {
                self.read_inner(*inner, depth, &class)?
            }
            (Some(class), _) => {
                let what = format!("a tensor that {class} makes of its arguments is not read");
                return Err(Fault::Unsupported(what));
            }
            (None, _) => self.rebuild(call, depth)?,
        };
        if tensor.is_some() {
            self.check_unchanged(node)?;
        }
        Ok(tensor)
    }

    /// The tensor that a class wraps, if it is one.
    fn read_inner(
        &mut self,
        inner: NodeId,
        depth: usize,
        class: &str,
    ) -> Result<Option<Tensor>, Fault> {
        if is_tensor(self.graph, inner) {
            self.wrapped(inner, depth)
        } else {
            Err(Fault::Unsupported(format!("{class} is called with no tensor")))
        }
    }

    /// Nothing is done to a tensor once it is rebuilt: a state would give it another storage.
    fn check_unchanged(&self, node: NodeId) -> Result<(), Fault> {
        let Some((_, compound)) = self.graph.as_compound(node) else { return Ok(()) };
        let what = if self.graph.states.last(compound.states).is_some() {
            "a state is set on the tensor after it is built (BUILD), which is not read"
        } else if self.graph.entries.last(compound.entries).is_some() {
            "entries are set on the tensor after it is built, which PyTorch refuses"
        } else if self.graph.elements.last(compound.elements).is_some() {
            "items are appended to the tensor after it is built, which PyTorch refuses"
        } else {
            return Ok(());
        };
        Err(Fault::Unsupported(what.into()))
    }

    /// The attributes that a rebuild call sets on a tensor leave its elements alone.
    ///
    /// Source: `_set_obj_state` in `torch/_utils.py`, which takes a dict or a pair of them.
    fn check_state(&self, state: NodeId) -> Result<(), Fault> {
        let states = match self.graph.tuple(state) {
            Some([attributes, slots]) => vec![*attributes, *slots],
            Some(_) => return Err(Fault::broken("a tensor's state is neither a dict nor a pair")),
            None => vec![state],
        };
        for state in states {
            if matches!(self.graph.value(state), Value::None) {
                continue;
            }
            let Some((_, attributes)) = self.graph.as_compound(state) else {
                return Err(Fault::Unsupported("a tensor's state is not a dict".into()));
            };
            for entry in self.budget.entries(self.graph, attributes)? {
                let name = self.graph.text(entry.key.node).unwrap_or_default();
                if CHANGING.contains(&name.as_ref()) {
                    let what = format!("the tensor's state sets its '{name}', which is not read");
                    return Err(Fault::Unsupported(what));
                }
            }
        }
        Ok(())
    }

    /// A tensor that PyTorch moves to another device, and casts if it is said to have another type.
    fn moved(
        &mut self,
        inner: NodeId,
        dtype: NodeId,
        depth: usize,
    ) -> Result<Option<Tensor>, Fault> {
        let (tensor, dtype) = (self.wrapped(inner, depth)?, self.dtype(dtype)?);
        match tensor {
            Some(tensor) if tensor.dtype != dtype => Err(Fault::Unsupported(format!(
                "the tensor is stored as {} and cast to {dtype} when it is loaded, which is not read",
                tensor.dtype
            ))),
            tensor => Ok(tensor),
        }
    }

    /// The numbers of a quantized tensor, and what says which values they stand for.
    pub(crate) fn quantized(&mut self, node: NodeId) -> Result<Option<(Tensor, NodeId)>, Fault> {
        match self.call(node) {
            Some((module, name, [storage, offset, size, stride, quantizer, ..]))
                if module.starts_with("torch") && name == "_rebuild_qtensor" =>
            {
                let dense = self.strided(*storage, *offset, *size, *stride, None, None)?;
                Ok(Some((dense, *quantizer)))
            }
            _ => Ok(None),
        }
    }

    /// A storage as one row of its elements.
    pub(crate) fn storage(&mut self, node: NodeId) -> Result<Tensor, Fault> {
        let id = self.storage_id(node)?;
        let storage = self.storages.find(&id)?;
        let tensor = Tensor::dense(id.dtype.clone(), [id.count].into(), 0, storage);
        tensor.map_err(|wrong| Fault::broken(format!("storage '{}': {wrong}", id.key)))
    }

    fn call(&self, node: NodeId) -> Option<Call<'a>> {
        let (callable, args) = self.graph.call(node)?;
        let (module, name) = self.graph.global(callable)?;
        Some((module, name, self.graph.tuple(args)?))
    }

    fn rebuild(&mut self, call: Call<'a>, depth: usize) -> Result<Option<Tensor>, Fault> {
        let (module, name, args) = call;
        if !module.starts_with("torch") {
            return Ok(None);
        }
        let tensor = match (name.as_ref(), args) {
            ("_rebuild_tensor", [storage, offset, size, stride, ..]) => {
                self.strided(*storage, *offset, *size, *stride, None, None)?
            }
            ("_rebuild_tensor_v2", [storage, offset, size, stride, gradient, _, rest @ ..]) => {
                self.check_gradient(*gradient)?;
                self.strided(*storage, *offset, *size, *stride, None, rest.first())?
            }
            (
                "_rebuild_tensor_v3",
                [storage, offset, size, stride, gradient, _, dtype, rest @ ..],
            ) => {
                self.check_gradient(*gradient)?;
                self.strided(*storage, *offset, *size, *stride, Some(*dtype), rest.first())?
            }
            ("_rebuild_parameter_with_state", [inner, _, _, state, ..]) => {
                self.check_state(*state)?;
                return self.wrapped(*inner, depth);
            }
            ("_rebuild_parameter", [inner, ..]) => return self.wrapped(*inner, depth),
            ("_rebuild_device_tensor_from_cpu_tensor", [inner, dtype, ..]) => {
                return self.moved(*inner, *dtype, depth);
            }
            ("_rebuild_from_type_v2" | "_rebuild_from_type", [function, _, args, rest @ ..]) => {
                // What has no elements itself keeps others in its state.
                if !self.is_wrapper(*function) {
                    rest.first().map_or(Ok(()), |state| self.check_state(*state))?;
                }
                return self.subclass(*function, *args, depth);
            }
            ("_rebuild_qtensor", [storage, offset, size, stride, ..]) => {
                let dense = self.strided(*storage, *offset, *size, *stride, None, None)?;
                opaque("quantized", dense.dtype.clone(), dense.shape.clone(), dense.byte_len())
            }
            ("_rebuild_sparse_tensor", [layout, parts]) => self.sparse(*layout, *parts, depth)?,
            ("_rebuild_nested_tensor", [buffer, ..]) => {
                let buffer = self.component(*buffer, depth)?;
                let bytes = buffer.byte_len();
                opaque("nested", buffer.dtype, Vec::new(), bytes)
            }
            ("_rebuild_meta_tensor_no_storage", [dtype, size, ..]) => {
                opaque("meta", self.dtype(*dtype)?, self.sizes(*size)?, 0)
            }
            ("_rebuild_wrapper_subclass", [_, dtype, size, ..]) => {
                opaque("subclass", self.dtype(*dtype)?, self.sizes(*size)?, 0)
            }
            ("_rebuild_device_tensor_from_numpy" | "_rebuild_xla_tensor", [_, dtype, ..]) => {
                opaque("numpy", self.dtype(*dtype)?, Vec::new(), 0)
            }
            (name, _) if name.starts_with("_rebuild_") => {
                return Err(Fault::broken(format!("{name} has {} arguments, too few", args.len())));
            }
            _ => return Ok(None),
        };
        Ok(Some(as_quantized(tensor)))
    }

    /// True for the function that makes a tensor without elements of its own.
    fn is_wrapper(&self, function: NodeId) -> bool {
        let global = self.graph.global(function);
        global.is_some_and(|(_, name)| name == "_rebuild_wrapper_subclass")
    }

    /// Whether a tensor requires a gradient is True or False.
    fn check_gradient(&self, node: NodeId) -> Result<(), Fault> {
        match self.graph.value(node) {
            Value::Bool(_) => Ok(()),
            _ => Err(Fault::broken("requires_grad of a tensor is neither True nor False")),
        }
    }

    /// A tensor inside another rebuild call.
    fn wrapped(&mut self, inner: NodeId, depth: usize) -> Result<Option<Tensor>, Fault> {
        let too_deep =
            || Fault::broken(format!("a tensor is wrapped more than {MAX_WRAPPING} times"));
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        match self.read_within(inner, depth)? {
            Some(tensor) => Ok(Some(tensor)),
            None => Err(Fault::broken("a parameter wraps something that is not a tensor")),
        }
    }

    /// A tensor of a Python subclass, or with Python attributes: `function(*args)` is the tensor.
    fn subclass(
        &mut self,
        function: NodeId,
        args: NodeId,
        depth: usize,
    ) -> Result<Option<Tensor>, Fault> {
        let too_deep =
            || Fault::broken(format!("a tensor is wrapped more than {MAX_WRAPPING} times"));
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        match (self.graph.global(function), self.graph.tuple(args)) {
            (Some((module, name)), Some(args)) => self.rebuild((module, name, args), depth),
            _ => Err(Fault::broken("a tensor subclass names no function and arguments")),
        }
    }

    /// PyTorch before 0.4: an instance of `torch.FloatTensor` with (storage, offset, size, stride).
    fn by_class(&mut self, node: NodeId) -> Result<Option<Tensor>, Fault> {
        let Some((_, compound)) = self.graph.as_compound(node) else { return Ok(None) };
        let Some(state) = self.graph.states.last(compound.states) else { return Ok(None) };
        let Some((callable, _)) = self.graph.call(node) else { return Ok(None) };
        let Some((module, name)) = self.graph.global(callable) else { return Ok(None) };
        if !module.starts_with("torch") || !name.ends_with("Tensor") || name.starts_with('_') {
            return Ok(None);
        }
        match self.graph.tuple(state.node) {
            Some([storage, offset, size, stride, ..])
                if matches!(self.graph.value(*storage), Value::Persistent(_)) =>
            {
                self.strided(*storage, *offset, *size, *stride, None, None).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn strided(
        &mut self,
        storage: NodeId,
        offset: NodeId,
        size: NodeId,
        stride: NodeId,
        dtype: Option<NodeId>,
        metadata: Option<&NodeId>,
    ) -> Result<Tensor, Fault> {
        let id = self.storage_id(storage)?;
        let dtype = match dtype {
            Some(dtype) => self.dtype(dtype)?,
            None => id.dtype.clone(),
        };
        let (shape, mut strides) = (self.sizes(size)?, self.sizes(stride)?);
        if strides.is_empty() {
            // As `Tensor.set_` has it where it is given none.
            strides = row_major_strides(&shape);
        }
        let offset = self.size(offset)?;
        let storage = self.storages.find(&id)?;
        let mut tensor = Tensor::view(dtype, shape, strides, offset, storage)
            .map_err(|wrong| Fault::broken(format!("storage '{}': {wrong}", id.key)))?;
        if let (Data::View(view), Some(metadata)) = (&mut tensor.data, metadata) {
            view.conjugate = self.is_set(*metadata, "conj")?;
            view.negate = self.is_set(*metadata, "neg")?;
        }
        Ok(tensor)
    }

    fn sparse(&mut self, layout: NodeId, parts: NodeId, depth: usize) -> Result<Tensor, Fault> {
        let name = self.layout(layout);
        let parts = self.graph.sequence(parts).unwrap_or_default();
        let (indices, values, size) = match (name.as_str(), parts.as_slice()) {
            ("sparse_coo", [indices, values, size, ..]) => ([*indices].to_vec(), *values, *size),
            (_, [compressed, plain, values, size]) => {
                ([*compressed, *plain].to_vec(), *values, *size)
            }
            _ => return Err(Fault::broken(format!("a {name} tensor without its parts"))),
        };
        let values = self.component(values, depth)?;
        let mut bytes = values.byte_len();
        for part in indices {
            bytes = bytes.saturating_add(self.component(part, depth)?.byte_len());
        }
        Ok(opaque(&name, values.dtype, self.sizes(size)?, bytes))
    }

    /// The name of a sparse layout: `torch.sparse_coo` through `_get_layout`, or the layout itself.
    fn layout(&self, node: NodeId) -> String {
        let named = self.call(node).and_then(|(_, _, args)| self.graph.text(*args.first()?));
        let name = named
            .or_else(|| self.graph.global(node).map(|(_, name)| name))
            .unwrap_or("sparse".into());
        name.trim_start_matches("torch.").to_string()
    }

    /// A tensor that is part of another.
    fn component(&mut self, node: NodeId, depth: usize) -> Result<Tensor, Fault> {
        let depth = depth.min(PART_WRAPPING + 1).checked_sub(1);
        let depth = depth.ok_or_else(|| {
            let what = "a tensor is part of parts that are not plain tensors";
            Fault::Unsupported(what.to_string())
        })?;
        self.read_within(node, depth)?
            .ok_or_else(|| Fault::broken("a part of a tensor is not a tensor"))
    }

    /// The storage that a persistent id names: `('storage', class, key, location, count)`.
    pub(crate) fn storage_id(&self, node: NodeId) -> Result<StorageId, Fault> {
        let id = match self.graph.value(node) {
            Value::Persistent(id) => id,
            _ => return Err(Fault::broken("a tensor's storage is not a persistent id")),
        };
        storage_id(self.graph, id)
    }

    fn dtype(&self, node: NodeId) -> Result<DType, Fault> {
        let Some((module, name)) = self.graph.global(node) else {
            return Err(Fault::broken("a tensor's dtype is not a name"));
        };
        dtype::named(&name)
            .ok_or_else(|| Fault::Unsupported(format!("dtype {module}.{name} is not known")))
    }

    fn sizes(&self, node: NodeId) -> Result<Vec<u64>, Fault> {
        // `torch.Size` is a call on the tuple of numbers.
        let inner = self.call(node).and_then(|(_, name, args)| match name.as_ref() {
            "Size" => args.first().copied(),
            _ => None,
        });
        let Some(sizes) = self.graph.sequence(inner.unwrap_or(node)) else {
            return Err(Fault::broken("a tensor's size or stride is not a tuple"));
        };
        self.budget.spend(sizes.len().saturating_mul(size_of::<u64>()))?;
        // Most have one or two, for which a growing list takes room for four.
        let mut known = Vec::with_capacity(sizes.len());
        for size in sizes {
            known.push(self.size(size)?);
        }
        Ok(known)
    }

    fn size(&self, node: NodeId) -> Result<u64, Fault> {
        size(self.graph, node)
    }

    /// True if a flag is set in a tensor's metadata; of several the last counts.
    fn is_set(&self, metadata: NodeId, flag: &str) -> Result<bool, Fault> {
        let Some((_, metadata)) = self.graph.as_compound(metadata) else { return Ok(false) };
        let entries = self.budget.entries(self.graph, metadata)?;
        match entries
            .iter()
            .rfind(|entry| self.graph.text(entry.key.node).is_some_and(|key| key == flag))
            .map(|entry| self.graph.value(entry.value.node))
        {
            None | Some(Value::None) => Ok(false),
            Some(Value::Bool(is_set)) => Ok(is_set),
            Some(Value::Int(number)) => Ok(number != 0),
            Some(_) => {
                let what = format!("'{flag}' of a tensor's metadata is neither True nor False");
                Err(Fault::Unsupported(what))
            }
        }
    }
}

/// True for the classes of PyTorch whose instances are tensors.
fn is_tensor_class(module: &str, name: &str) -> bool {
    let typed = name.ends_with("Tensor") && !name.starts_with('_');
    match module {
        "torch" | "torch.cuda" | "torch.sparse" | "torch.cuda.sparse" | "torch.tensor"
        | "torch._tensor" => typed,
        "torch.nn" | "torch.nn.parameter" => {
            ["Parameter", "Buffer", "UninitializedParameter", "UninitializedBuffer"].contains(&name)
        }
        _ => false,
    }
}

/// True if a node would be rebuilt as a tensor, sound or not.
pub(crate) fn is_tensor(graph: &Graph<'_>, node: NodeId) -> bool {
    let function = graph.call(node).and_then(|(callable, _)| graph.global(callable));
    function
        .is_some_and(|(module, name)| module.starts_with("torch") && name.starts_with("_rebuild_"))
        || matches!(graph.value(node), Value::Persistent(_))
}

/// The number that a node is, as a size, stride or offset.
pub(crate) fn size(graph: &Graph<'_>, node: NodeId) -> Result<u64, Fault> {
    match graph.value(node) {
        Value::Int(number) => u64::try_from(number)
            .map_err(|_| Fault::broken(format!("{number} cannot be a size, stride or offset"))),
        _ => Err(Fault::broken("a size, stride or offset is not a number of 64 bits")),
    }
}

/// The storage that a persistent id's tuple names.
pub(crate) fn storage_id(graph: &Graph<'_>, id: NodeId) -> Result<StorageId, Fault> {
    let expected = || {
        Fault::broken("a persistent id is not ('storage', class, key, location, count)".to_string())
    };
    if graph.text(id).is_some() {
        let what = "a persistent id as text (pickle protocol 0), which PyTorch itself cannot load";
        return Err(Fault::Unsupported(what.into()));
    }
    // Where the storage was is nothing to us: PyTorch puts it wherever it is told to.
    let [tag, class, key, _location, count, rest @ ..] = graph.tuple(id).ok_or_else(expected)?
    else {
        return Err(expected());
    };
    if graph.text(*tag).as_deref() != Some("storage") {
        return Err(expected());
    }
    let (_, class) = graph.global(*class).ok_or_else(expected)?;
    let Some(dtype) = dtype::of_storage(&class) else {
        return Err(Fault::Unsupported(format!("storage class {class} is not known")));
    };
    let view = match rest {
        [] => None,
        [view] if matches!(graph.value(*view), Value::None) => None,
        [view] => match graph.tuple(*view).ok_or_else(expected)? {
            [key, offset, count] => Some(StorageSlice {
                key: storage_key(graph, *key)?,
                offset: size(graph, *offset)?,
                count: size(graph, *count)?,
            }),
            _ => return Err(expected()),
        },
        _ => return Err(expected()),
    };
    let (key, count) = (storage_key(graph, *key)?, size(graph, *count)?);
    Ok(StorageId { key, dtype, count, view })
}

/// The text or number by which a storage is found again.
fn storage_key(graph: &Graph<'_>, key: NodeId) -> Result<String, Fault> {
    let text = match (graph.text(key), graph.int(key)) {
        (Some(text), _) => text,
        (None, Some(number)) => number.to_string().into(),
        (None, None) => return Err(Fault::broken("a storage's key is neither text nor number")),
    };
    if text.len() > MAX_STORAGE_KEY {
        let what =
            format!("a storage's key is longer than {MAX_STORAGE_KEY} bytes, the reader's limit");
        return Err(Fault::TooLarge { at: None, what });
    }
    Ok(text.into_owned())
}

/// A tensor of a quantised type, which PyTorch takes for a quantised one even where the file does
/// not say what its numbers stand for.
fn as_quantized(tensor: Tensor) -> Tensor {
    let is_quantized =
        ["torch.qint", "torch.quint"].iter().any(|t| tensor.dtype.name().starts_with(t));
    if !is_quantized || matches!(tensor.data, Data::Opaque { .. }) {
        return tensor;
    }
    let bytes = tensor.byte_len();
    opaque("quantized", tensor.dtype, tensor.shape, bytes)
}

fn opaque(layout: &str, dtype: DType, shape: Vec<u64>, bytes: u64) -> Tensor {
    Tensor { dtype, shape, data: Data::Opaque { layout: layout.to_string(), bytes } }
}
