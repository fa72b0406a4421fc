//! What the metadata of a checkpoint may name.

use statedict_pth::torch_dtype;

/// Every class and function that `.metadata` files of torch 2.0 to 2.15 and of Megatron-Core name;
/// element types apart. Loading them in Python runs nothing of the file's choosing.
const ADMITTED: [&str; 24] = [
    "collections.OrderedDict",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "torch.Size",
    "torch.device",
    "torch.distributed._shard.sharded_tensor.metadata.MEM_FORMAT_ENCODING",
    "torch.distributed._shard.sharded_tensor.metadata.TensorProperties",
    "torch.distributed.checkpoint.filesystem._StorageInfo",
    "torch.distributed.checkpoint.metadata.BytesStorageMetadata",
    "torch.distributed.checkpoint.metadata.ChunkStorageMetadata",
    "torch.distributed.checkpoint.metadata.Metadata",
    "torch.distributed.checkpoint.metadata.MetadataIndex",
    "torch.distributed.checkpoint.metadata.StorageMeta",
    "torch.distributed.checkpoint.metadata.TensorProperties",
    "torch.distributed.checkpoint.metadata.TensorStorageMetadata",
    "torch.distributed.checkpoint.metadata._MEM_FORMAT_ENCODING",
    "torch.distributed.checkpoint.planner.SavePlan",
    "torch.distributed.checkpoint.planner.TensorWriteData",
    "torch.distributed.checkpoint.planner.WriteItem",
    "torch.distributed.checkpoint.planner.WriteItemType",
];

/// A function that only looks a layout up by its name.
const LAYOUT: &str = "torch.serialization._get_layout";

/// True if metadata may name what has this path.
pub fn is_admitted(path: &str) -> bool {
    ADMITTED.binary_search(&path).is_ok()
        || path == LAYOUT
        || path.strip_prefix("torch.").is_some_and(|name| torch_dtype(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_checkpoints_are_admitted_and_nothing_else() {
        assert!(ADMITTED.is_sorted());
        assert!(is_admitted("torch.float32") && is_admitted("torch.Size"));
        assert!(!is_admitted("posix.system") && !is_admitted("torch.load"));
    }
}
