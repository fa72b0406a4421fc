//! A new archive, laid out as PyTorch lays out its own.

use std::collections::HashMap;

use statedict_core::{DType, Elements, Layout, TensorSet, UnsupportedTensors, row_major_strides};
use statedict_zip::Writer;

use crate::dtype::{Storing, name_in_torch, shape_in_torch, to_torch};
use crate::metadata;
use crate::pickle::graph::Value;
use crate::pickle::opcode;
use crate::pickle::strings::binunicode;

/// The folder of the records, which is what PyTorch uses when it saves to a buffer.
const PREFIX: &str = "archive";

/// The alignment of storages, in bytes; PyTorch's default.
const ALIGNMENT: u64 = 64;

/// The most entries that a pickler puts between `MARK` and `SETITEMS`.
const BATCH: usize = 1000;

/// Lays out a checkpoint that is one `OrderedDict` of tensors.
///
/// Storages are in the order in which the pickle names them, so `.format_version` may be written.
/// Tensors that are the same elements of the source share a storage.
///
/// # Errors
/// Every tensor of a type that PyTorch does not have.
pub(crate) fn encode(contents: &TensorSet) -> Result<Layout, UnsupportedTensors> {
    let mut entries: Vec<(String, String)> = Vec::new();
    for (key, elements) in &contents.tensors {
        if to_torch(elements.dtype()).is_none() || shape_of(elements).is_none() {
            entries.push((key.clone(), unknown(elements)));
        }
    }
    for (key, kept) in &contents.ties {
        let why = format!("shares its elements with '{kept}', which a .pth keeps with --ties each");
        entries.push((key.clone(), why));
    }
    if !entries.is_empty() {
        return Err(UnsupportedTensors { entries });
    }
    let mut pickler = Pickler::sharing();
    let storages = pickler.state_dict(contents);
    let reserve = contents.reserve.beside(contents.byte_len());
    let storages = storages.into_iter().cloned();
    Ok(archive(pickler.out, storages, &contents.metadata, reserve))
}

/// One tensor as `torch.save` saves it, and what PyTorch says of it.
#[derive(Debug)]
pub struct SavedTensor {
    /// The archive.
    pub archive: Layout,
    /// What PyTorch calls the element type: `float32`.
    pub dtype: &'static str,
    /// The shape that it has in PyTorch, which counts 4-bit floats by pairs.
    pub shape: Vec<u64>,
}

impl SavedTensor {
    /// Lays out an archive of one tensor.
    ///
    /// # Errors
    /// A type that PyTorch does not have.
    pub fn new(elements: &Elements) -> Result<SavedTensor, String> {
        let known = name_in_torch(elements.dtype()).zip(shape_of(elements));
        let (dtype, shape) = known.ok_or_else(|| unknown(elements))?;
        let mut pickler = Pickler::sharing();
        pickler.push(&[opcode::PROTO, 2]);
        pickler.whole(elements, &shape, 0);
        pickler.push(&[opcode::STOP]);
        let archive = archive(pickler.out, [elements.clone()].into_iter(), &[], 0);
        Ok(SavedTensor { archive, dtype, shape })
    }
}

/// The shape that a tensor has in PyTorch.
fn shape_of(elements: &Elements) -> Option<Vec<u64>> {
    shape_in_torch(elements.dtype(), elements.shape())
}

fn unknown(elements: &Elements) -> String {
    format!("PyTorch has no dtype for {} of {:?}", elements.dtype(), elements.shape())
}

/// An archive of a pickle and the storages it names `0`, `1`, … in the order in which it does.
///
/// Metadata, if there is any, has a record of its own behind the storages.
/// `reserve` bytes behind the pickle are left free, which PyTorch's offsets allow: they count from
/// the first storage on.
pub(crate) fn archive(
    pickle: Vec<u8>,
    storages: impl Iterator<Item = Elements>,
    metadata: &[(String, String)],
    reserve: u64,
) -> Layout {
    let mut writer = Writer::torch(ALIGNMENT);
    let record = |name: &str| format!("{PREFIX}/{name}");
    writer.bytes(&record("data.pkl"), pickle);
    writer.gap(reserve);
    writer.bytes(&record(".format_version"), b"1".into());
    writer.bytes(&record(".storage_alignment"), ALIGNMENT.to_string().into());
    writer.bytes(&record("byteorder"), b"little".into());
    for (i, elements) in storages.enumerate() {
        writer.elements(&record(&format!("data/{i}")), Vec::new(), elements);
    }
    writer.bytes(&record("version"), b"3\n".into());
    if let Some(text) = metadata::record(metadata) {
        writer.bytes(&record(metadata::RECORD), text);
    }
    writer.finish()
}

/// A storage as a tensor names it.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) dtype: &'a DType,
    pub(crate) key: &'a str,
    /// The device it was on.
    pub(crate) location: &'a str,
    /// How many elements of its type it has.
    pub(crate) count: u64,
    /// How many parts its id has: 5 in archives, 6 in legacy streams.
    pub(crate) parts: usize,
}

/// A tensor over a storage.
pub(crate) struct Placed<'a> {
    pub(crate) storage: Named<'a>,
    pub(crate) shape: &'a [u64],
    /// Strides and offset, in elements.
    pub(crate) strides: &'a [u64],
    pub(crate) offset: u64,
    pub(crate) gradient: Gradient,
    /// The parameter around it, if it is in one.
    pub(crate) parameter: Option<Parameter>,
}

/// Whether a tensor requires a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gradient {
    Required,
    NotRequired,
}

/// A parameter, which may require a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameter(pub(crate) Gradient);

impl Gradient {
    /// What a pickled flag says.
    pub(crate) fn of(flag: Value) -> Gradient {
        match flag {
            Value::Bool(true) => Gradient::Required,
            _ => Gradient::NotRequired,
        }
    }

    fn opcode(self) -> u8 {
        match self {
            Gradient::Required => opcode::NEWTRUE,
            Gradient::NotRequired => opcode::NEWFALSE,
        }
    }
}

impl Named<'_> {
    /// The opcodes that refer to the storage, whatever comes before and after them; `None` if
    /// PyTorch has no such type.
    pub(crate) fn opcodes(&self) -> Option<Vec<u8>> {
        let (name, storing) = to_torch(self.dtype)?;
        let mut pickler = Pickler::alone();
        pickler.storage(self, name, storing);
        Some(pickler.out)
    }
}

impl Placed<'_> {
    /// The opcodes that rebuild the tensor, whatever comes before and after them; `None` if PyTorch
    /// has no such type.
    pub(crate) fn opcodes(&self) -> Option<Vec<u8>> {
        to_torch(self.storage.dtype)?;
        let mut pickler = Pickler::alone();
        match self.parameter {
            Some(parameter) => pickler.parameter(parameter, self),
            None => pickler.tensor(self),
        }
        Some(pickler.out)
    }
}

/// Writes pickles in protocol 2, with opcodes that weights-only loading reads.
struct Pickler {
    out: Vec<u8>,
    /// Memo ids of the texts and globals that repeat; none where the memo is someone else's.
    memo: Option<HashMap<Vec<u8>, u8>>,
}

impl Pickler {
    fn sharing() -> Pickler {
        Pickler { out: Vec::new(), memo: Some(HashMap::new()) }
    }

    /// For opcodes that go among others.
    fn alone() -> Pickler {
        Pickler { out: Vec::new(), memo: None }
    }

    /// Writes the whole pickle; gives the elements of each storage it names, in order.
    fn state_dict<'c>(&mut self, contents: &'c TensorSet) -> Vec<&'c Elements> {
        let mut storages = Vec::new();
        let mut places = HashMap::new();
        self.push(&[opcode::PROTO, 2]);
        self.empty_ordered_dict();
        for batch in contents.tensors.chunks(BATCH) {
            self.push(&[opcode::MARK]);
            for (key, elements) in batch {
                self.push(&binunicode(key));
                let storage = match elements.place() {
                    Some(place) => *places.entry(place).or_insert(storages.len()),
                    None => storages.len(),
                };
                if storage == storages.len() {
                    storages.push(elements);
                }
                let shape = shape_of(elements).expect("every shape was checked");
                self.whole(elements, &shape, storage);
            }
            self.push(&[opcode::SETITEMS]);
        }
        self.metadata(&contents.modules);
        self.push(&[opcode::STOP]);
        storages
    }

    /// Attaches `_metadata`, as `state_dict()` does.
    fn metadata(&mut self, modules: &[(String, u64)]) {
        if modules.is_empty() {
            return;
        }
        self.push(&[opcode::EMPTY_DICT]);
        self.text("_metadata");
        self.empty_ordered_dict();
        for batch in modules.chunks(BATCH) {
            self.push(&[opcode::MARK]);
            for (path, version) in batch {
                self.push(&binunicode(path));
                self.push(&[opcode::EMPTY_DICT]);
                self.text("version");
                self.number(*version);
                self.push(&[opcode::SETITEM]);
            }
            self.push(&[opcode::SETITEMS]);
        }
        self.push(&[opcode::SETITEM, opcode::BUILD]);
    }

    fn parameter(&mut self, Parameter(gradient): Parameter, tensor: &Placed<'_>) {
        self.global("torch._utils", "_rebuild_parameter");
        self.push(&[opcode::MARK]);
        self.tensor(tensor);
        self.push(&[gradient.opcode()]);
        self.empty_ordered_dict();
        self.push(&[opcode::TUPLE, opcode::REDUCE]);
    }

    /// A tensor that is all of the storage of this number.
    fn whole(&mut self, elements: &Elements, shape: &[u64], storage: usize) {
        self.tensor(&Placed {
            storage: Named {
                dtype: elements.dtype(),
                key: &storage.to_string(),
                location: "cpu",
                count: elements.count(),
                parts: 5,
            },
            shape,
            strides: &row_major_strides(shape),
            offset: 0,
            gradient: Gradient::NotRequired,
            parameter: None,
        });
    }

    fn tensor(&mut self, tensor: &Placed<'_>) {
        let Placed { storage, shape, strides, offset, gradient, .. } = tensor;
        let (name, storing) = to_torch(storage.dtype).expect("every dtype was checked");
        let function = match storing {
            Storing::Typed => "_rebuild_tensor_v2",
            Storing::Untyped => "_rebuild_tensor_v3",
        };
        self.global("torch._utils", function);
        self.push(&[opcode::MARK]);
        self.storage(storage, name, storing);
        self.number(*offset);
        self.numbers(shape);
        self.numbers(strides);
        self.push(&[gradient.opcode()]);
        self.empty_ordered_dict();
        if storing == Storing::Untyped {
            self.global("torch", name);
        }
        self.push(&[opcode::TUPLE, opcode::REDUCE]);
    }

    fn storage(&mut self, storage: &Named<'_>, name: &str, storing: Storing) {
        let (module, class, count) = match storing {
            Storing::Typed => ("torch", name, storage.count),
            Storing::Untyped => {
                // 4-bit floats share their bytes.
                let bytes = storage.count.saturating_mul(storage.dtype.bits()) / 8;
                ("torch.storage", "UntypedStorage", bytes)
            }
        };
        self.push(&[opcode::MARK]);
        self.text("storage");
        self.global(module, class);
        self.push(&binunicode(storage.key));
        self.text(storage.location);
        self.number(count);
        if storage.parts > 5 {
            self.push(&[opcode::NONE]);
        }
        self.push(&[opcode::TUPLE, opcode::BINPERSID]);
    }

    fn push(&mut self, opcodes: &[u8]) {
        self.out.extend_from_slice(opcodes);
    }

    fn empty_ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.push(&[opcode::EMPTY_TUPLE, opcode::REDUCE]);
    }

    fn numbers(&mut self, numbers: &[u64]) {
        if numbers.is_empty() {
            return self.push(&[opcode::EMPTY_TUPLE]);
        }
        self.push(&[opcode::MARK]);
        for number in numbers {
            self.number(*number);
        }
        self.push(&[opcode::TUPLE]);
    }

    fn number(&mut self, number: u64) {
        opcode::push_integer(&mut self.out, number);
    }

    fn text(&mut self, text: &str) {
        self.once(binunicode(text));
    }

    fn global(&mut self, module: &str, name: &str) {
        self.once(format!("c{module}\n{name}\n").into_bytes());
    }

    /// Opcodes that push a value, or a fetch of the value if they were written before.
    fn once(&mut self, opcodes: Vec<u8>) {
        let Some(memo) = &mut self.memo else { return self.push(&opcodes) };
        if let Some(id) = memo.get(&opcodes).copied() {
            return self.push(&[opcode::BINGET, id]);
        }
        // There are a dozen function names and storage classes; a 257th is written out each time.
        let id = u8::try_from(memo.len()).ok();
        if let Some(id) = id {
            memo.insert(opcodes.clone(), id);
        }
        self.push(&opcodes);
        if let Some(id) = id {
            self.push(&[opcode::BINPUT, id]);
        }
    }
}
