//! NumPy's descriptions of elements: which are plain numbers and texts, and which are objects.
//!
//! An array of objects holds their addresses; where bytes of a file could be taken for addresses,
//! printing the array follows them.

/// What a description says that elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    /// Numbers, truth values, texts, bytes or times.
    Plain,
    /// Objects.
    Objects,
    /// Something else, or not known.
    Other,
}

/// The flags of a description whose elements are or hold objects, or are read by code.
///
/// Source: `NPY_ITEM_REFCOUNT` and its neighbours in `numpy/ndarraytypes.h`; all but those that say
/// that memory has to be cleared, that the interpreter is needed, and that fields are aligned.
pub(super) const OBJECT_FLAGS: i64 = 0x67;

/// The flags of objects themselves, `NPY_OBJECT_DTYPE_FLAGS`.
pub(super) const FLAGS_OF_OBJECTS: i64 = 63;

/// The longest element, in bytes; those of real arrays are numbers, or texts of some words.
pub(super) const MAX_SIZE: i64 = 1 << 20;

/// The most digits of a size; a description with more takes memory of its own.
const MAX_DIGITS: usize = 6;

const KINDS: &str = "?bBhHiIlLqQpPefdgFDGcuSaUVMm";

const NAMES: [&str; 18] = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
    "int",
    "float",
    "str",
    "bytes",
];

/// What a text describes.
pub(super) fn of_text(text: &str) -> Elements {
    if NAMES.contains(&text) {
        return Elements::Plain;
    }
    let text = text.strip_prefix(['<', '>', '=', '|']).unwrap_or(text);
    let mut letters = text.chars();
    let (Some(kind), size) = (letters.next(), letters.as_str()) else { return Elements::Other };
    let is_size = size.len() <= MAX_DIGITS && size.bytes().all(|digit| digit.is_ascii_digit());
    match kind {
        'O' if is_size => Elements::Objects,
        kind if KINDS.contains(kind) && is_size => Elements::Plain,
        'M' | 'm' if is_time(size) => Elements::Plain,
        _ => Elements::Other,
    }
}

/// A size and a unit in brackets, as in `M8[ns]`.
fn is_time(text: &str) -> bool {
    let Some((_, unit)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) else {
        return false;
    };
    unit.len() <= MAX_DIGITS && unit.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// True for NumPy's classes of single numbers.
pub(super) fn is_number(path: &str) -> bool {
    path.strip_prefix("numpy.").is_some_and(|name| NAMES.contains(&name.trim_end_matches('_')))
}

/// What a class describes.
pub(super) fn of_class(path: &str) -> Elements {
    match path.rsplit_once('.') {
        Some(("builtins", "bool" | "int" | "float" | "complex" | "str" | "bytes")) => {
            Elements::Plain
        }
        Some(("numpy", name)) if NAMES.contains(&name.trim_end_matches('_')) => Elements::Plain,
        Some(("ml_dtypes", _)) => Elements::Plain,
        Some(("builtins", "object")) | Some(("numpy", "object_")) => Elements::Objects,
        _ => Elements::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_and_objects_are_known() {
        let check = |text, expected| assert_eq!(of_text(text), expected, "{text}");
        for text in ["f8", "u4", "<f4", "|b1", "U12", "V8", "M8[ns]", "m8", "bool", "S5"] {
            check(text, Elements::Plain);
        }
        for text in ["O", "O8", "|O"] {
            check(text, Elements::Objects);
        }
        for text in ["", "i4,O", "(1,)O", "object", "S99999999", "f8;", "M8[ns"] {
            check(text, Elements::Other);
        }
    }
}
