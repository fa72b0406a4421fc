//! Frames that put a part of a file where it belongs.

use statedict_zip::Writer;

use crate::trial::written;

/// The bytes of the storages `0` and `1` of [`archive`].
const STORAGE: [u8; 8] = *b"abcdefgh";

/// A PyTorch archive around a pickle, with two storages of eight bytes.
pub fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut writer = Writer::torch(1);
    writer.bytes("a/data.pkl", pickle.to_vec());
    for storage in ["a/data/0", "a/data/1"] {
        writer.bytes(storage, STORAGE.to_vec());
    }
    written(&writer.finish(), &[])
}

/// A NumPy archive around one member.
pub fn npz(member: &[u8]) -> Vec<u8> {
    let mut writer = Writer::numpy();
    writer.bytes("w.npy", member.to_vec());
    written(&writer.finish(), &[])
}

/// A safetensors file of a header and data.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}
