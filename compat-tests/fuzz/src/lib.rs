//! What the fuzz targets share: frames that put a part of a file where it belongs.

use statedict_zip::Writer;

/// The bytes of the storages `0` and `1` of [`archive`].
const STORAGE: [u8; 8] = *b"abcdefgh";

/// A PyTorch archive around a pickle, with two storages of eight bytes.
pub fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut writer = Writer::torch(1);
    writer.bytes("a/data.pkl", pickle.to_vec());
    for storage in ["a/data/0", "a/data/1"] {
        writer.bytes(storage, STORAGE.to_vec());
    }
    finished(writer)
}

/// A NumPy archive around one member.
pub fn npz(member: &[u8]) -> Vec<u8> {
    let mut writer = Writer::numpy();
    writer.bytes("w.npy", member.to_vec());
    finished(writer)
}

fn finished(writer: Writer) -> Vec<u8> {
    compat_tests::written(&writer.finish(), &[])
}
