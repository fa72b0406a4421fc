//! NumPy arrays in a pickle, whose elements are bytes of the pickle itself.
//!
//! `ndarray.__reduce__` calls `_reconstruct` and gives the array `(version, shape, dtype, is_fortran,
//! data)`; in protocol 5 `__reduce_ex__` calls `_frombuffer(data, dtype, shape, order)`. Below protocol
//! 3, which has no bytes, the data is a text in Latin-1.
//!
//! Source: `array_reduce` and `array_reduce_ex` in `numpy/_core/src/multiarray/methods.c`, and
//! `arraydescr_reduce` in `descriptor.c`.

use std::sync::Arc;

use statedict_core::{ByteOrder, DType, Data, Fault, Location, Storage, Tensor, row_major_strides};

use crate::budget::Budget;
use crate::pickle::Graph;
use crate::pickle::graph::{NodeId, Value};
use crate::pickle::opcode;
use crate::tensors::size;

/// The layout of arrays whose elements are not numbers.
const NO_NUMBERS: &str = "numpy";

/// The layout of arrays of Python objects, as in `.npz`.
const OBJECTS: &str = "object";

/// What an array is made of, before anything of it is believed.
struct Parts {
    data: NodeId,
    dtype: NodeId,
    shape: NodeId,
    is_fortran: bool,
}

/// True if a node would be rebuilt as an array, sound or not.
pub(crate) fn is_array(graph: &Graph<'_>, node: NodeId) -> bool {
    function(graph, node).is_some()
}

/// The array that a node would be; `None` if it would be something else.
///
/// `pickle` is where the pickle is in the file.
///
/// # Errors
/// An array whose data is too short or too long for its shape.
pub(crate) fn array(
    graph: &Graph<'_>,
    node: NodeId,
    pickle: &Location,
    budget: &Budget,
) -> Result<Option<Tensor>, Fault> {
    let Some(parts) = parts(graph, node) else { return Ok(None) };
    let Some(sizes) = graph.sequence(parts.shape) else { return Ok(None) };
    budget.spend(sizes.len().saturating_mul(2 * size_of::<u64>()))?;
    let shape = sizes.into_iter().map(|it| size(graph, it)).collect::<Result<Vec<u64>, _>>()?;
    let (dtype, byte_order) = match element(graph, parts.dtype) {
        Element::Number(dtype, byte_order) => (dtype, byte_order),
        Element::Other(name) => return Ok(Some(opaque(&name, shape))),
    };
    let Some(location) = bytes(graph, parts.data, pickle, budget)? else {
        return Ok(Some(opaque(dtype.name(), shape)));
    };
    let strides = if parts.is_fortran { column_major(&shape) } else { row_major_strides(&shape) };
    let storage = Arc::new(Storage { location, byte_order });
    let found = storage.len();
    let tensor = Tensor::view(dtype, shape, strides, 0, storage)
        .map_err(|wrong| Fault::broken(format!("an array's data: {wrong}")))?;
    if tensor.byte_len() != found {
        let needed = tensor.byte_len();
        let what = format!("an array of {needed} bytes has data of {found}");
        return Err(Fault::broken(what));
    }
    Ok(Some(tensor))
}

/// The name of the function that rebuilds an array.
fn function(graph: &Graph<'_>, node: NodeId) -> Option<&'static str> {
    let (callable, _) = graph.call(node)?;
    let (module, name) = graph.global(callable)?;
    match (module.as_ref(), name.as_ref()) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
            Some("_reconstruct")
        }
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Some("_frombuffer"),
        // An array with a mask, which has no place elsewhere.
        ("numpy.ma.core", "_mareconstruct") => Some("_mareconstruct"),
        _ => None,
    }
}

/// The class of an array or single number as NumPy's users know it.
pub(crate) fn class(graph: &Graph<'_>, node: NodeId) -> Option<&'static str> {
    match function(graph, node) {
        Some("_mareconstruct") => Some("numpy.ma.MaskedArray"),
        Some(_) => Some("numpy.ndarray"),
        None => is_scalar(graph, node).then_some("numpy scalar"),
    }
}

fn is_scalar(graph: &Graph<'_>, node: NodeId) -> bool {
    let function = graph.call(node).and_then(|(callable, _)| graph.global(callable));
    function.is_some_and(|(module, name)| {
        matches!(module.as_ref(), "numpy.core.multiarray" | "numpy._core.multiarray")
            && name == "scalar"
    })
}

/// The text whose characters are bytes, in the way of protocols below 3.
pub(crate) fn latin1(graph: &Graph<'_>, node: NodeId) -> Option<NodeId> {
    let (callable, args) = graph.call(node)?;
    let (module, name) = graph.global(callable)?;
    let [text, encoding] = graph.tuple(args)? else { return None };
    let is_latin1 = matches!(graph.text(*encoding).as_deref(), Some("latin1" | "latin-1"));
    (module == "_codecs" && name == "encode" && is_latin1).then_some(*text)
}

fn parts(graph: &Graph<'_>, node: NodeId) -> Option<Parts> {
    let (_, args) = graph.call(node)?;
    if function(graph, node)? == "_frombuffer" {
        let [data, dtype, shape, order] = graph.tuple(args)? else { return None };
        let is_fortran = graph.text(*order).as_deref() == Some("F");
        return Some(Parts { data: *data, dtype: *dtype, shape: *shape, is_fortran });
    }
    let (_, compound) = graph.as_compound(node)?;
    let state = graph.tuple(graph.states.last(compound.states)?.node)?;
    // Before NumPy 1.0 there was no version in front.
    let ([_, shape, dtype, order, data] | [shape, dtype, order, data]) = state else { return None };
    let is_fortran = match graph.value(*order) {
        Value::Bool(is_fortran) => is_fortran,
        Value::Int(number) => number != 0,
        _ => return None,
    };
    Some(Parts { data: *data, dtype: *dtype, shape: *shape, is_fortran })
}

/// Where the bytes are in the file; `None` for what holds them in another way, such as a list of
/// objects.
fn bytes(
    graph: &Graph<'_>,
    node: NodeId,
    pickle: &Location,
    budget: &Budget,
) -> Result<Option<Location>, Fault> {
    let part = |start: u32, end: u32| pickle.part(u64::from(start)..u64::from(end));
    match graph.value(node) {
        Value::Bytes(extent) => Ok(part(extent.start, extent.end)),
        // Python 2 has texts of bytes.
        Value::Text(op) => match graph.op(op) {
            op if matches!(op.code, opcode::BINSTRING | opcode::SHORT_BINSTRING) => {
                Ok(part(op.argument.start, op.argument.end))
            }
            _ => Ok(None),
        },
        _ => encoded(graph, node, pickle, budget),
    }
}

/// Bytes as protocols below 3 have them: `_codecs.encode(text, 'latin1')`, or `bytes()`.
fn encoded(
    graph: &Graph<'_>,
    node: NodeId,
    pickle: &Location,
    budget: &Budget,
) -> Result<Option<Location>, Fault> {
    if let Some(text) = latin1(graph, node) {
        return characters(graph, text, pickle, budget);
    }
    let Some((callable, args)) = graph.call(node) else { return Ok(None) };
    let (Some((module, name)), Some(args)) = (graph.global(callable), graph.tuple(args)) else {
        return Ok(None);
    };
    match (module.as_ref(), name.as_ref(), args) {
        ("__builtin__" | "builtins", "bytes", []) => Ok(pickle.part(0..0)),
        ("__builtin__" | "builtins", "bytearray", [inner]) => match graph.value(*inner) {
            Value::Bytes(extent) => Ok(pickle.part(u64::from(extent.start)..u64::from(extent.end))),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The bytes that the characters of a text stand for.
fn characters(
    graph: &Graph<'_>,
    node: NodeId,
    pickle: &Location,
    budget: &Budget,
) -> Result<Option<Location>, Fault> {
    let Value::Text(op) = graph.value(node) else { return Ok(None) };
    let op = graph.op(op);
    let is_utf8 =
        matches!(op.code, opcode::BINUNICODE | opcode::SHORT_BINUNICODE | opcode::BINUNICODE8);
    let Some(text) = graph.text(node).filter(|_| is_utf8) else { return Ok(None) };
    // Looking at a text again and again takes time beyond the file's size.
    budget.spend(text.len())?;
    if text.chars().any(|character| u32::from(character) > 0xff) {
        return Err(Fault::broken("an array's data is a text beyond Latin-1"));
    }
    let len = text.chars().count() as u64;
    let text = pickle.part(u64::from(op.argument.start)..u64::from(op.argument.end));
    Ok(text.map(|text| Location::Latin1 { text: Box::new(text), len }))
}

/// The type of an array's elements.
enum Element {
    Number(DType, ByteOrder),
    /// By NumPy's name for it, as far as there is one.
    Other(String),
}

/// What `dtype('f4', False, True)` with the state `(3, '<', …)` stands for.
fn element(graph: &Graph<'_>, node: NodeId) -> Element {
    let unknown = || Element::Other(OBJECTS.into());
    let Some((callable, args)) = graph.call(node) else { return unknown() };
    let is_dtype =
        graph.global(callable).is_some_and(|(module, name)| module == "numpy" && name == "dtype");
    let Some([first, ..]) = graph.tuple(args).filter(|_| is_dtype) else { return unknown() };
    let name = match (graph.text(*first), graph.global(*first)) {
        (Some(name), _) | (None, Some((_, name))) => name,
        _ => return unknown(),
    };
    let state = graph.as_compound(node).and_then(|(_, it)| graph.states.last(it.states));
    let state = state.and_then(|state| graph.tuple(state.node)).unwrap_or_default();
    let order = state.get(1).and_then(|order| graph.text(*order));
    let is_big = order.is_some_and(|order| order == ">");
    match number(&name) {
        Some(dtype) if is_big => Element::Number(dtype, ByteOrder::Big),
        Some(dtype) => Element::Number(dtype, ByteOrder::Little),
        None if name.starts_with('O') => unknown(),
        None => Element::Other(name.into_owned()),
    }
}

/// The type with this name in NumPy, or in the package that gives it the types of machine learning.
fn number(name: &str) -> Option<DType> {
    Some(match name {
        "f8" => DType::F64,
        "f4" => DType::F32,
        "f2" => DType::F16,
        "i8" => DType::I64,
        "i4" => DType::I32,
        "i2" => DType::I16,
        "i1" => DType::I8,
        "u8" => DType::U64,
        "u4" => DType::U32,
        "u2" => DType::U16,
        "u1" => DType::U8,
        "b1" => DType::Bool,
        "c8" => DType::C64,
        "c16" => DType::C128,
        "bfloat16" => DType::Bf16,
        "float8_e4m3fn" => DType::F8E4M3,
        "float8_e5m2" => DType::F8E5M2,
        _ => return None,
    })
}

/// The strides, in elements, of an array whose first dimension is the innermost.
fn column_major(shape: &[u64]) -> Vec<u64> {
    let mut reversed = shape.to_vec();
    reversed.reverse();
    let mut strides = row_major_strides(&reversed);
    strides.reverse();
    strides
}

fn opaque(name: &str, shape: Vec<u64>) -> Tensor {
    let layout = if name == OBJECTS { OBJECTS } else { NO_NUMBERS };
    let data = Data::Opaque { layout: layout.into(), bytes: 0 };
    Tensor { dtype: DType::other(name, 8), shape, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `_frombuffer(data, dtype(type), (count,), order)` gives in a file that is the pickle.
    fn read(data: &[u8], name: &str, count: u8) -> Result<Option<Tensor>, String> {
        let mut pickle = b"\x80\x05cnumpy._core.numeric\n_frombuffer\n(".to_vec();
        pickle.extend(data);
        pickle.extend(format!("cnumpy\ndtype\n(S'{name}'\ntR").as_bytes());
        pickle.extend([b'K', count, 0x85, b'U', 1, b'C', b't', b'R', b'.']);
        let location = Location::Stored(100..100 + pickle.len() as u64);
        let graph = Graph::read(pickle).expect("sound");
        array(&graph, graph.root, &location, &Budget::of(&graph)).map_err(|it| it.to_string())
    }

    #[test]
    fn an_array_is_where_its_bytes_are_in_the_pickle() {
        let tensor = read(b"C\x04abcd", "u2", 2).expect("sound").expect("an array");
        let view = tensor.as_view().expect("plain");
        assert_eq!((tensor.dtype.name(), tensor.shape.as_slice()), ("U16", [2].as_slice()));
        let start = 100 + b"\x80\x05cnumpy._core.numeric\n_frombuffer\n(C\x04".len() as u64;
        assert_eq!(view.storage().location, Location::Stored(start..start + 4));
    }

    #[test]
    fn bytes_in_a_text_are_as_many_as_its_characters() {
        let text = b"c_codecs\nencode\n(X\x04\0\0\0\xc3\xbfabU\x06latin1tR";
        let tensor = read(text, "u1", 3).expect("sound").expect("an array");
        let location = &tensor.as_view().expect("plain").storage().location;
        assert!(matches!(location, Location::Latin1 { len: 3, .. }), "{location:?}");
        let beyond = b"c_codecs\nencode\n(X\x02\0\0\0\xc4\x80U\x06latin1tR";
        let fault = read(beyond, "u1", 1).expect_err("no byte");
        assert_eq!(fault, "an array's data is a text beyond Latin-1");
    }

    #[test]
    fn data_that_does_not_fill_the_shape_is_refused() {
        let fault = read(b"C\x04abcd", "f8", 1).expect_err("too short");
        assert_eq!(fault, "an array's data: needs 8 bytes of a storage that has 4");
        let fault = read(b"C\x04abcd", "u1", 3).expect_err("too long");
        assert_eq!(fault, "an array of 3 bytes has data of 4");
    }

    #[test]
    fn what_is_not_a_number_is_not_a_plain_tensor() {
        for (name, layout) in [("O8", "object"), ("U2", "numpy"), ("V8", "numpy")] {
            let tensor = read(b"C\x04abcd", name, 1).expect("sound").expect("an array");
            assert!(matches!(&tensor.data, Data::Opaque { layout: found, .. } if found == layout));
        }
    }
}
