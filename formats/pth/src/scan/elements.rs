//! NumPy's descriptions of elements: which are plain numbers and texts, and which are objects.
//!
//! An array of objects holds their addresses; where bytes of a file could be taken for addresses,
//! printing the array follows them.

/// What a description says that elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    /// Numbers, truth values, texts, bytes or times, of so many bytes each.
    Plain(u32),
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

/// Stands for a size that is not known.
pub(super) const UNKNOWN_SIZE: u32 = u32::MAX;

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

/// The bytes of an element of each of those types.
const SIZES: [Option<u32>; 18] = [
    Some(1),
    Some(1),
    Some(2),
    Some(4),
    Some(8),
    Some(1),
    Some(2),
    Some(4),
    Some(8),
    Some(2),
    Some(4),
    Some(8),
    Some(8),
    Some(16),
    Some(8),
    Some(8),
    Some(0),
    Some(0),
];

/// How many bytes an element takes that a text describes; `None` if that is not known.
fn size(text: &str) -> Option<u32> {
    if let Some(place) = NAMES.iter().position(|name| *name == text) {
        return SIZES.get(place).copied().flatten();
    }
    let text = text.strip_prefix(['<', '>', '=', '|']).unwrap_or(text);
    let mut letters = text.chars();
    let kind = letters.next()?;
    match (kind, letters.as_str()) {
        ('M' | 'm', _) => Some(8),
        ('S' | 'a' | 'V' | 'U', "") => Some(0),
        ('U', digits) => digits.parse::<u32>().ok()?.checked_mul(4),
        ('O', _) => Some(8),
        ('?' | 'b' | 'B' | 'c', "") => Some(1),
        ('h' | 'H' | 'e', "") => Some(2),
        ('i' | 'I' | 'f', "") => Some(4),
        ('l' | 'L' | 'q' | 'Q' | 'p' | 'P' | 'd' | 'F', "") => Some(8),
        ('g' | 'D', "") => Some(16),
        ('G', "") => Some(32),
        (_, digits) => digits.parse().ok(),
    }
}

/// What a text describes.
pub(super) fn of_text(text: &str) -> Elements {
    let plain = Elements::Plain(size(text).unwrap_or(UNKNOWN_SIZE));
    if NAMES.contains(&text) {
        return plain;
    }
    let text = text.strip_prefix(['<', '>', '=', '|']).unwrap_or(text);
    let mut letters = text.chars();
    let (Some(kind), size) = (letters.next(), letters.as_str()) else { return Elements::Other };
    let is_size = size.len() <= MAX_DIGITS && size.bytes().all(|digit| digit.is_ascii_digit());
    match kind {
        'O' if is_size => Elements::Objects,
        kind if KINDS.contains(kind) && is_size => plain,
        'M' | 'm' if is_time(size) => plain,
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
            Elements::Plain(UNKNOWN_SIZE)
        }
        Some(("numpy", name)) if NAMES.contains(&name.trim_end_matches('_')) => {
            Elements::Plain(UNKNOWN_SIZE)
        }
        Some(("ml_dtypes", _)) => Elements::Plain(UNKNOWN_SIZE),
        Some(("builtins", "object")) | Some(("numpy", "object_")) => Elements::Objects,
        _ => Elements::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_take_as_many_bytes_as_numpy_says() {
        let check = |text, expected| assert_eq!(size(text), expected, "{text}");
        for (text, bytes) in
            [("f8", 8), ("<U12", 48), ("V8", 8), ("|b1", 1), ("M8[ns]", 8), ("c16", 16), ("e", 2)]
        {
            check(text, Some(bytes));
        }
        for (text, bytes) in [("float32", 4), ("bool", 1), ("complex128", 16), ("S", 0), ("O", 8)] {
            check(text, Some(bytes));
        }
        check("x", None);
    }

    #[test]
    fn numbers_are_plain_and_objects_are_known() {
        let check = |text, expected| assert_eq!(of_text(text), expected, "{text}");
        for text in ["f8", "u4", "<f4", "|b1", "U12", "V8", "M8[ns]", "m8", "bool", "S5"] {
            check(text, Elements::Plain(size(text).expect("known")));
        }
        for text in ["O", "O8", "|O"] {
            check(text, Elements::Objects);
        }
        for text in ["", "i4,O", "(1,)O", "object", "S99999999", "f8;", "M8[ns"] {
            check(text, Elements::Other);
        }
    }
}
