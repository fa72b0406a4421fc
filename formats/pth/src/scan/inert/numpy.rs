//! What of NumPy does nothing, and why.

use super::Entry;

const NUMBERS: &[Entry] = &[
    Entry::called("numpy.bool_", NUMBER),
    Entry::called("numpy.float16", NUMBER),
    Entry::called("numpy.float32", NUMBER),
    Entry::called("numpy.float64", NUMBER),
    Entry::called("numpy.int16", NUMBER),
    Entry::called("numpy.int32", NUMBER),
    Entry::called("numpy.int64", NUMBER),
    Entry::called("numpy.int8", NUMBER),
    Entry::called("numpy.uint8", NUMBER),
];

const NUMBER: &str = "it converts one number or text, `care` letting it have nothing else: of a range \
     it would make an array, of a decimal with an exponent all its digits";

const ARRAYS: &[Entry] = &[
    Entry::called("numpy._core.multiarray._reconstruct", EMPTY),
    Entry::called("numpy._core.multiarray.scalar", SCALAR),
    Entry::called("numpy._core.numeric._frombuffer", BUFFER),
    Entry::called("numpy.core.multiarray._reconstruct", EMPTY),
    Entry::called("numpy.core.multiarray.scalar", SCALAR),
    Entry::called("numpy.core.numeric._frombuffer", BUFFER),
    Entry::called(
        "numpy.dtype",
        "it describes elements that `care` knows by name; its state is held against objects and \
         lengths that it could hide",
    ),
    Entry::named("numpy.ndarray", "the class of arrays; called, it takes bytes for addresses"),
    Entry::named("numpy.object_", "a name for elements that are objects, which `care` looks at"),
];

const EMPTY: &str = "it makes an array of at most one element, by `care`; the state that fills it has \
     as many bytes as the array's elements take";
const SCALAR: &str = "it copies one element, as long as its description says, which `care` bounds";
const BUFFER: &str = "it gives a shape to bytes of the pickle, and holds their length against it";

pub(super) const ENTRIES: [&[Entry]; 2] = [NUMBERS, ARRAYS];
