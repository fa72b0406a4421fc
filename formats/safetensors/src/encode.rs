//! A new file from tensors of any source.
//!
//! The header keeps the contents' order. The data is laid out by descending element size, as the
//! reference writer does it, so that every tensor is aligned to its element.

use std::cmp::Reverse;
use std::collections::HashSet;

use statedict_core::{DType, Elements, Layout, TensorSet, UnsupportedTensors, sorting};

use crate::edit::front;
use crate::header::{MAX_HEADER, METADATA, bits_of};
use crate::text::quoted;
use crate::ties::FORMAT;

/// PyTorch's name for two `F4` in a byte, counted as one element.
const F4_PAIR: &str = "torch.float4_e2m1fn_x2";

pub(crate) fn encode(contents: &TensorSet) -> Result<Layout, UnsupportedTensors> {
    let entries = entries(contents)?;
    let metadata = metadata(contents)?;
    let (order, starts) = place(&entries)?;
    let reserve = contents.reserve.beside(contents.byte_len());
    let header = front(&header(&metadata, &entries, &starts), reserve);
    let Some(header) = header else {
        let what = format!("the header would be over the format's {MAX_HEADER} bytes");
        return Err(unholdable(METADATA, what));
    };
    let mut layout = Layout::new();
    layout.bytes(header);
    for i in order {
        layout.elements(entries[i].elements.clone());
    }
    Ok(layout)
}

/// A tensor as the header will describe it.
struct Entry<'a> {
    key: &'a str,
    dtype: DType,
    shape: Vec<u64>,
    elements: &'a Elements,
}

fn entries(contents: &TensorSet) -> Result<Vec<Entry<'_>>, UnsupportedTensors> {
    let mut seen = HashSet::new();
    let mut bad = Vec::new();
    let mut entries = Vec::with_capacity(contents.tensors.len());
    for (key, elements) in &contents.tensors {
        match entry(key, elements) {
            _ if !seen.insert(key) => bad.push((key.clone(), "the key occurs twice".to_string())),
            Ok(entry) => entries.push(entry),
            Err(why) => bad.push((key.clone(), why)),
        }
    }
    if bad.is_empty() { Ok(entries) } else { Err(UnsupportedTensors { entries: bad }) }
}

fn entry<'a>(key: &'a str, elements: &'a Elements) -> Result<Entry<'a>, String> {
    if key == METADATA {
        return Err("safetensors keeps that name for itself; rename the tensor".to_string());
    }
    let (dtype, shape) = described(elements)?;
    match bits_of(&shape, &dtype) {
        None => Err(format!("shape {shape:?} of {dtype} is beyond what the format can count")),
        Some(bits) if !bits.is_multiple_of(8) => {
            Err(format!("{dtype} {shape:?} does not fill whole bytes"))
        }
        Some(_) => Ok(Entry { key, dtype, shape, elements }),
    }
}

/// The element type and shape in safetensors' own terms.
fn described(elements: &Elements) -> Result<(DType, Vec<u64>), String> {
    let mut shape = elements.shape().to_vec();
    match elements.dtype() {
        DType::Other { name, .. } if **name == *F4_PAIR => {
            let last = shape.last_mut().ok_or("a single pair of F4 has no dimension to double")?;
            *last = last.checked_mul(2).ok_or("its last dimension is beyond counting")?;
            Ok((DType::F4, shape))
        }
        DType::C128 => Err("safetensors has no C128; \
                            split real and imaginary parts, or keep the file's own format"
            .to_string()),
        DType::Other { name, .. } => Err(format!(
            "safetensors has no dtype {name}; leave the tensor out with 'drop', \
             or keep the file's own format"
        )),
        known => Ok((known.clone(), shape)),
    }
}

/// The order of the data, and where each entry's bytes start in it.
fn place(entries: &[Entry<'_>]) -> Result<(Vec<usize>, Vec<u64>), UnsupportedTensors> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    sorting::sort_by_key(&mut order, |&i| Reverse(entries[i].dtype.bits()));
    let mut starts = vec![0; entries.len()];
    let mut filled = 0u64;
    for &i in &order {
        starts[i] = filled;
        let end = filled.checked_add(entries[i].elements.byte_len());
        filled = end.ok_or_else(|| {
            unholdable(entries[i].key, "the file would have more bytes than 2^64".to_string())
        })?;
    }
    Ok((order, starts))
}

/// `__metadata__`: what came along, ties as `alias: kept`, and the framework, which old loaders
/// want to see.
fn metadata(contents: &TensorSet) -> Result<Vec<(&str, &str)>, UnsupportedTensors> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut known = HashSet::new();
    for (alias, kept) in &contents.ties {
        if alias == FORMAT || !known.insert(alias.as_str()) {
            return Err(unholdable(alias, "a tie of that key cannot be recorded".to_string()));
        }
        pairs.push((alias, kept));
    }
    let texts = contents.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let mut front: Vec<_> = texts.filter(|(key, _)| known.insert(key)).collect();
    if known.insert(FORMAT) {
        front.insert(0, (FORMAT, "pt"));
    }
    front.append(&mut pairs);
    Ok(front)
}

fn header(metadata: &[(&str, &str)], entries: &[Entry<'_>], starts: &[u64]) -> String {
    let pairs: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    let mut text = format!("{{{}:{{{}}}", quoted(METADATA), pairs.join(","));
    for (entry, &start) in entries.iter().zip(starts) {
        let sizes: Vec<String> = entry.shape.iter().map(u64::to_string).collect();
        text.push_str(&format!(
            r#",{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{start},{}]}}"#,
            quoted(entry.key),
            entry.dtype,
            sizes.join(","),
            start + entry.elements.byte_len(),
        ));
    }
    text.push('}');
    text
}

fn unholdable(key: &str, why: String) -> UnsupportedTensors {
    UnsupportedTensors { entries: vec![(key.to_string(), why)] }
}
