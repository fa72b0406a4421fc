//! What weights-only loading refuses and trainers save all the same, because it does nothing.
//!
//! An entry belongs here only if importing, making and filling it runs no code that the file
//! chooses, whatever the arguments and the state. Anything it is given has to be brought in by the
//! same pickle, and is judged by itself.

/// Classes and functions that may be called in any way.
const CALLED: &[&str] = &[
    "_codecs.encode",
    "argparse.Namespace",
    "array._array_reconstructor",
    "array.array",
    "builtins.bool",
    "builtins.bytes",
    "builtins.dict",
    "builtins.float",
    "builtins.frozenset",
    "builtins.int",
    "builtins.list",
    "builtins.object",
    "builtins.range",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "collections.defaultdict",
    "collections.deque",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "fractions.Fraction",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy.bool_",
    "numpy.dtype",
    "numpy.float16",
    "numpy.float32",
    "numpy.float64",
    "numpy.int16",
    "numpy.int32",
    "numpy.int64",
    "numpy.int8",
    "numpy.ndarray",
    "numpy.uint8",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib.WindowsPath",
    "pathlib._local.Path",
    "pathlib._local.PosixPath",
    "pathlib._local.PurePosixPath",
    "pathlib._local.PureWindowsPath",
    "pathlib._local.WindowsPath",
    "torch._tensor._rebuild_from_type",
    "torch._utils._rebuild_nested_tensor",
    "torch._utils._rebuild_sparse_csr_tensor",
    "torch._utils._rebuild_xla_tensor",
    "torch.channels_last",
    "torch.channels_last_3d",
    "torch.contiguous_format",
    "torch.distributed.checkpoint.metadata._MEM_FORMAT_ENCODING",
    "torch.preserve_format",
    "torch.sparse_bsc",
    "torch.sparse_bsr",
    "torch.sparse_coo",
    "torch.sparse_csc",
    "torch.sparse_csr",
    "torch.strided",
    "types.SimpleNamespace",
    "uuid.UUID",
];

/// Classes that may be made bare and filled, which is how pickles hold instances.
const FILLED: &[&str] = &[
    "torch.distributed.checkpoint.filesystem._StorageInfo",
    "torch.distributed.checkpoint.metadata.BytesStorageMetadata",
    "torch.distributed.checkpoint.metadata.ChunkStorageMetadata",
    "torch.distributed.checkpoint.metadata.Metadata",
    "torch.distributed.checkpoint.metadata.MetadataIndex",
    "torch.distributed.checkpoint.metadata.StorageMeta",
    "torch.distributed.checkpoint.metadata.TensorProperties",
    "torch.distributed.checkpoint.metadata.TensorStorageMetadata",
    "torch.nn.parallel.data_parallel.DataParallel",
    "torch.nn.parameter.Buffer",
    "torch.nn.parameter.UninitializedBuffer",
    "torch.nn.parameter.UninitializedParameter",
];

/// The files below `torch/nn/modules`; their classes are modules, whose `__setstate__` takes the
/// attributes it is given and adds those of later releases.
const OF_MODULES: &[&str] = &[
    "activation",
    "adaptive",
    "batchnorm",
    "channelshuffle",
    "container",
    "conv",
    "distance",
    "dropout",
    "flatten",
    "fold",
    "instancenorm",
    "linear",
    "loss",
    "module",
    "normalization",
    "padding",
    "pixelshuffle",
    "pooling",
    "rnn",
    "sparse",
    "transformer",
    "upsampling",
];

/// How something does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inert {
    /// However it is called.
    Called,
    /// If it is made bare and filled.
    Filled,
}

/// How what has this path does nothing; `None` if that is not known.
pub(super) fn inert(path: &str) -> Option<Inert> {
    if CALLED.contains(&path) {
        return Some(Inert::Called);
    }
    (FILLED.contains(&path) || is_module(path)).then_some(Inert::Filled)
}

fn is_module(path: &str) -> bool {
    let rest = path.strip_prefix("torch.nn.modules.").and_then(|rest| rest.split_once('.'));
    rest.is_some_and(|(file, class)| {
        let is_class = class.starts_with(|c: char| c.is_ascii_uppercase()) && !class.contains('.');
        OF_MODULES.contains(&file) && is_class
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_modules_are_inert_and_what_hides_behind_them_is_not() {
        let check = |path, expected| assert_eq!(inert(path), expected, "{path}");
        check("torch.nn.modules.linear.Linear", Some(Inert::Filled));
        check("torch.nn.modules.module.torch.load", None);
        check("torch.nn.modules.module.register_module_forward_hook", None);
        check("torch.nn.modules.Linear", None);
        check("torch.nn.modules.module.Module.share_memory", None);
        check("argparse.Namespace", Some(Inert::Called));
        check("argparse.FileType", None);
    }
}
