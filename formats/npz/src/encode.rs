//! A new archive from tensors of any source, and one array alone.

use std::collections::HashSet;

use statedict_core::{DType, Elements, Layout, TensorSet, UnsupportedTensors};
use statedict_zip::Writer;

use crate::element::descr;
use crate::header;
use crate::member::{SUFFIX, unfit};

/// The most dimensions that an array has in NumPy 2.
const MAX_DIMENSIONS: usize = 64;

/// Lays out one stored member for each tensor, row-major and little-endian.
pub(crate) fn encode(contents: &TensorSet) -> Result<Layout, UnsupportedTensors> {
    let mut seen = HashSet::new();
    let mut bad = Vec::new();
    let reserve = contents.reserve.beside(contents.byte_len());
    let mut writer = Writer::numpy_with_room(room_of_each(reserve, contents.tensors.len()));
    for (key, elements) in &contents.tensors {
        match header(key, elements) {
            _ if !seen.insert(key) => bad.push((key.clone(), "the key occurs twice".to_string())),
            Ok(header) => writer.elements(&format!("{key}{SUFFIX}"), header, elements.clone()),
            Err(why) => bad.push((key.clone(), why)),
        }
    }
    let tie = "npz has no place to record ties; write them out with --ties each";
    bad.extend(contents.ties.iter().map(|(key, _)| (key.clone(), tie.to_string())));
    if bad.is_empty() { Ok(writer.finish()) } else { Err(UnsupportedTensors { entries: bad }) }
}

/// Each member's share of the room for longer names.
pub(crate) fn room_of_each(reserve: u64, members: usize) -> u64 {
    reserve / (members as u64).max(1)
}

/// Lays out a `.npy` file of one tensor, row-major and little-endian.
///
/// # Errors
/// A type that NumPy does not have, or a shape.
pub fn npy(elements: &Elements) -> Result<Layout, String> {
    let mut layout = Layout::new();
    layout.bytes(header_of(elements)?);
    layout.elements(elements.clone());
    Ok(layout)
}

fn header(key: &str, elements: &Elements) -> Result<Vec<u8>, String> {
    match unfit(key) {
        Some(why) => Err(why.to_string()),
        None => header_of(elements),
    }
}

fn header_of(elements: &Elements) -> Result<Vec<u8>, String> {
    let (dtype, shape) = (elements.dtype(), elements.shape());
    let descr = descr(dtype).ok_or_else(|| unknown(dtype))?;
    if shape.len() > MAX_DIMENSIONS {
        return Err(format!("{} dimensions; NumPy has at most {MAX_DIMENSIONS}", shape.len()));
    }
    if elements.byte_len() == u64::MAX {
        return Err(format!("shape {shape:?} of {dtype} has more bytes than 64 bits can count"));
    }
    Ok(header::write(&descr, shape))
}

fn unknown(dtype: &DType) -> String {
    let hint = if dtype.is_float() {
        "add --cast f32"
    } else {
        "leave the tensor out with 'drop', or keep the file's own format"
    };
    format!("npz has no {dtype}; {hint}")
}
