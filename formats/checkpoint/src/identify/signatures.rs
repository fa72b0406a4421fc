//! The first bytes of files that are not checkpoints this version reads, and what to call them.

use crate::in_place::GUARD;

/// Bytes at a place that identify a kind of file.
pub(crate) struct Signature {
    pub(crate) at: usize,
    pub(crate) bytes: &'static [u8],
    pub(crate) what: &'static str,
}

const fn at(at: usize, bytes: &'static [u8], what: &'static str) -> Signature {
    Signature { at, bytes, what }
}

const fn first(bytes: &'static [u8], what: &'static str) -> Signature {
    at(0, bytes, what)
}

const LFS: &str = "a Git LFS pointer and not the file it stands for, which 'git lfs pull' fetches";
const INTERRUPTED: &str = "a checkpoint whose editing in place was interrupted, and the journal that \
                         restores it is not beside it; it stays where the file was edited";
const COMPRESSED: &str = "a compressed file; unpack it first";

/// In the order in which they are tried.
pub(crate) const SIGNATURES: &[Signature] = &[
    first(b"version https://git-lfs", LFS),
    first(b"version https://hawser", LFS),
    first(&GUARD, INTERRUPTED),
    first(b"PYTORCH1", "a preview of PyTorch 1.0's archives, which PyTorch itself no longer reads"),
    first(b"GGUF", "a GGUF model (llama.cpp)"),
    first(b"lmgg", "a GGML model (llama.cpp)"),
    first(b"tjgg", "a GGML model (llama.cpp)"),
    first(b"fmgg", "a GGML model (llama.cpp)"),
    first(b"algg", "a GGML adapter (llama.cpp)"),
    first(b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)"),
    at(4, b"TFL3", "a TensorFlow Lite model"),
    first(
        b"\x93NUMPY",
        "a single NumPy array (npy), which has no keys; numpy.savez makes an npz of it",
    ),
    first(b"\x1f\x8b", COMPRESSED),
    first(b"\xfd7zXZ\0", COMPRESSED),
    first(b"\x28\xb5\x2f\xfd", COMPRESSED),
    first(b"\x04\x22\x4d\x18", COMPRESSED),
    first(b"BZh", COMPRESSED),
    first(b"7z\xbc\xaf\x27\x1c", COMPRESSED),
    first(b"Rar!\x1a\x07", COMPRESSED),
    first(b"PAR1", "a Parquet table"),
    first(b"ARROW1", "an Arrow table"),
    first(b"SQLite format 3\0", "an SQLite database"),
    first(b"MATLAB 5.0", "a MATLAB file"),
    first(b"%PDF-", "a PDF document"),
    first(b"\x89PNG\r\n", "a PNG image"),
    first(b"\xff\xd8\xff", "a JPEG image"),
    first(b"GIF8", "a GIF image"),
    first(b"\x7fELF", "a program or library (ELF)"),
];
