//! What of Python itself does nothing, and why.

use super::Entry;

/// Values, which are made of what they are given.
const VALUES: &[Entry] = &[
    Entry::called("argparse.Namespace", NAMESPACE),
    Entry::called("builtins.bool", "it asks one value whether it is empty, and holds a bit"),
    Entry::called("builtins.float", "it reads one number, in time linear in its digits"),
    Entry::called("builtins.object", "it takes no arguments and holds nothing"),
    Entry::called(
        "builtins.range",
        "it keeps three numbers, which `care` bounds: others unroll it",
    ),
    Entry::called("builtins.slice", "it keeps three values and looks at none"),
    Entry::called("datetime.date", DATE),
    Entry::called("datetime.datetime", DATE),
    Entry::called("datetime.time", DATE),
    Entry::called("datetime.timedelta", DATE),
    Entry::called("datetime.timezone", DATE),
    Entry::called(
        "decimal.Decimal",
        "it reads digits and keeps an exponent; `care` bounds numbers that have to be converted, \
         and lets nobody have it who would write it out",
    ),
    Entry::called("pathlib.Path", PATH),
    Entry::called("pathlib.PosixPath", PATH),
    Entry::called("pathlib.PurePath", PATH),
    Entry::called("pathlib.PurePosixPath", PATH),
    Entry::called("pathlib.PureWindowsPath", PATH),
    Entry::called("pathlib.WindowsPath", PATH),
    Entry::called("pathlib._local.Path", PATH),
    Entry::called("pathlib._local.PosixPath", PATH),
    Entry::called("pathlib._local.PurePath", PATH),
    Entry::called("pathlib._local.PurePosixPath", PATH),
    Entry::called("pathlib._local.PureWindowsPath", PATH),
    Entry::called("pathlib._local.WindowsPath", PATH),
    Entry::called("types.SimpleNamespace", NAMESPACE),
    Entry::called("uuid.UUID", "it reads 32 digits or 16 bytes and keeps a number of 128 bits"),
];

const NAMESPACE: &str = "it keeps attributes and calls none of them; a `__setstate__` among them, \
     which the loader would call, is found where it is set";
const DATE: &str = "it keeps some small numbers, each of which it holds against its bounds";
const PATH: &str = "it joins texts; nothing looks at the file system before a method is called";

/// Containers and numbers that copy or convert what they are given.
const HELD_BY_CARE: &[Entry] = &[
    Entry::called("array._array_reconstructor", "it copies as many bytes as the file has for it"),
    Entry::called("array.array", ITEMS),
    Entry::called("builtins.bytes", "it copies, or allocates a length that `care` bounds"),
    Entry::called("builtins.dict", ITEMS),
    Entry::called("builtins.frozenset", ITEMS),
    Entry::only_called(
        "builtins.getattr",
        "`care` takes it for the class or function in a harmless class that it names, and for harm \
         in all other uses",
    ),
    Entry::called("builtins.int", "it reads no more than 4,300 digits, to which `care` holds it"),
    Entry::called("builtins.list", ITEMS),
    Entry::called("builtins.str", "it is given texts, numbers and bytes alone, by `care`"),
    Entry::called("builtins.tuple", ITEMS),
    Entry::only_called(
        "builtins.type",
        "with one argument it says of what class that is; with three it makes a class, which \
         `care` takes for harm",
    ),
    Entry::called(
        "collections.defaultdict",
        "it keeps a function that only a missing key calls, and which is judged by itself; what \
         it copies, `care` looks at",
    ),
    Entry::called("collections.deque", ITEMS),
    Entry::called(
        "copyreg._reconstructor",
        "it makes an object of a class that is judged by itself, from a base that `care` knows to \
         do nothing with the state",
    ),
    Entry::called("fractions.Fraction", "it divides two numbers whose lengths `care` bounds"),
];

const ITEMS: &str = "it copies the items of a container that the pickle filled, one by one; what is \
     longer than the pickle, `care` takes for harm";

pub(super) const ENTRIES: [&[Entry]; 2] = [VALUES, HELD_BY_CARE];
