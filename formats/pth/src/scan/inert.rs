//! What weights-only loading refuses and trainers save all the same, because it does nothing.
//!
//! An entry belongs here only if importing, making and filling it runs no code that the file
//! chooses, reads no address from it, and takes no more memory or time than the file is long,
//! whatever the arguments and the state; or if `care` holds it against its arguments. Anything it
//! is given has to be brought in by the same pickle, and is judged by itself.

/// Values of Python and NumPy that keep the arguments they are given, and look at no more of them
/// than their own few: numbers, dates, paths that are not followed, attributes of a namespace.
const KEPT: &[&str] = &[
    "argparse.Namespace",
    "builtins.bool",
    "builtins.float",
    "builtins.object",
    "builtins.range",
    "builtins.slice",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
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
    "types.SimpleNamespace",
    "uuid.UUID",
];

/// NumPy's numbers, which make one of an argument, and its makers of arrays from bytes, which hold
/// their length against the elements that `care` has looked at.
const OF_NUMPY: &[&str] = &[
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy.bool_",
    "numpy.float16",
    "numpy.float32",
    "numpy.float64",
    "numpy.int16",
    "numpy.int32",
    "numpy.int64",
    "numpy.int8",
    "numpy.uint8",
];

/// PyTorch's makers of views and tensors of layouts that weights-only loading does not know, which
/// check what they are given as those do that it knows.
const OF_TORCH: &[&str] = &[
    "torch._utils._rebuild_nested_tensor",
    "torch._utils._rebuild_sparse_csr_tensor",
    "torch._utils._rebuild_xla_tensor",
    "torch.distributed.checkpoint.metadata._MEM_FORMAT_ENCODING",
];

/// What does nothing with the arguments that picklers write, and is held against them by `care`.
const CAREFUL: &[&str] = &[
    "array._array_reconstructor",
    "array.array",
    "builtins.bytes",
    "builtins.dict",
    "builtins.frozenset",
    "builtins.getattr",
    "builtins.int",
    "builtins.list",
    "builtins.str",
    "builtins.tuple",
    "builtins.type",
    "collections.defaultdict",
    "collections.deque",
    "copyreg._reconstructor",
    "fractions.Fraction",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray._reconstruct",
    "numpy.dtype",
    "torch._tensor._rebuild_from_type",
];

/// What is harm by itself and nothing when it is called as picklers call it.
const ONLY_CALLED: &[&str] = &["builtins.getattr", "builtins.type"];

/// Constants, and the class of arrays: they are arguments of others, and called never.
const NAMED: &[&str] = &[
    "numpy.ndarray",
    "numpy.object_",
    "torch.channels_last",
    "torch.channels_last_3d",
    "torch.contiguous_format",
    "torch.preserve_format",
    "torch.sparse_bsc",
    "torch.sparse_bsr",
    "torch.sparse_coo",
    "torch.sparse_csc",
    "torch.sparse_csr",
    "torch.strided",
];

/// Activations and losses of PyTorch, which modules keep to call them on tensors: nothing calls
/// them while a file is loaded, and all they do is to compute.
const FUNCTIONALS: &[&str] = &[
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "mish",
    "mse_loss",
    "nll_loss",
    "normalize",
    "pairwise_distance",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
];

/// The modules that those functions are found in.
const OF_FUNCTIONALS: [&str; 3] = ["torch.nn.functional", "torch._C._nn", "torch"];

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
    /// However it is called, or with the arguments that `care` lets pass.
    Called,
    /// If it is called, with the arguments that `care` lets pass.
    OnlyCalled,
    /// If it is made bare and filled.
    Filled,
    /// If it is not called.
    Named,
}

/// How what has this path does nothing; `None` if that is not known.
pub(super) fn inert(path: &str) -> Option<Inert> {
    if ONLY_CALLED.contains(&path) {
        return Some(Inert::OnlyCalled);
    }
    if [KEPT, OF_NUMPY, OF_TORCH, CAREFUL].iter().any(|list| list.contains(&path)) {
        return Some(Inert::Called);
    }
    if NAMED.contains(&path) || is_functional(path) {
        return Some(Inert::Named);
    }
    (FILLED.contains(&path) || is_module(path)).then_some(Inert::Filled)
}

fn is_functional(path: &str) -> bool {
    let parts = path.rsplit_once('.');
    parts.is_some_and(|(module, name)| {
        OF_FUNCTIONALS.contains(&module) && FUNCTIONALS.contains(&name)
    })
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
        check("torch.nn.functional.relu", Some(Inert::Named));
        check("torch.nn.functional.importlib", None);
        check("numpy.ndarray", Some(Inert::Named));
    }
}
