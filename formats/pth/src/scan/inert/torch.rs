//! What of PyTorch does nothing, and why, though weights-only loading does not admit it.

use super::Entry;

const TENSORS: &[Entry] = &[
    Entry::called(
        "torch._tensor._rebuild_from_type",
        "it calls its first argument, which `care` looks at as at any call, and gives the tensor \
         another class, which is judged by itself",
    ),
    Entry::called(
        "torch._utils._rebuild_nested_tensor",
        "it makes a view of a tensor of the file and copies nothing",
    ),
    Entry::called(
        "torch._utils._rebuild_sparse_csr_tensor",
        "it keeps three tensors of the file, whose indices torch.load checks at its end; later \
         releases have no such function",
    ),
    Entry::called(
        "torch._utils._rebuild_xla_tensor",
        "it copies an array of the file to another type, of at most 16 bytes an element",
    ),
];

/// Constants, which are arguments of others.
const CONSTANTS: &[Entry] = &[
    Entry::named("torch.channels_last", CONSTANT),
    Entry::named("torch.channels_last_3d", CONSTANT),
    Entry::named("torch.contiguous_format", CONSTANT),
    Entry::named("torch.preserve_format", CONSTANT),
    Entry::named("torch.sparse_bsc", CONSTANT),
    Entry::named("torch.sparse_bsr", CONSTANT),
    Entry::named("torch.sparse_coo", CONSTANT),
    Entry::named("torch.sparse_csc", CONSTANT),
    Entry::named("torch.sparse_csr", CONSTANT),
    Entry::named("torch.strided", CONSTANT),
];

const CONSTANT: &str = "a constant, which nothing calls";

/// What describes the pieces of a distributed checkpoint, and tensors without values.
const FILLED: &[Entry] = &[
    Entry::called("torch.distributed.checkpoint.metadata._MEM_FORMAT_ENCODING", ENUMERATION),
    Entry::filled("torch.distributed.checkpoint.filesystem._StorageInfo", FIELDS),
    Entry::filled("torch.distributed.checkpoint.metadata.BytesStorageMetadata", FIELDS),
    Entry::filled("torch.distributed.checkpoint.metadata.ChunkStorageMetadata", FIELDS),
    Entry::filled("torch.distributed.checkpoint.metadata.Metadata", FIELDS),
    Entry::filled("torch.distributed.checkpoint.metadata.MetadataIndex", FIELDS),
    Entry::filled("torch.distributed.checkpoint.metadata.StorageMeta", FIELDS),
    Entry::filled("torch.distributed.checkpoint.metadata.TensorProperties", FIELDS),
    Entry::filled("torch.distributed.checkpoint.metadata.TensorStorageMetadata", FIELDS),
    Entry::filled("torch.distributed.checkpoint.planner.BytesIOWriteData", FIELDS),
    Entry::filled("torch.distributed.checkpoint.planner.SavePlan", FIELDS),
    Entry::filled("torch.distributed.checkpoint.planner.TensorWriteData", FIELDS),
    Entry::filled("torch.distributed.checkpoint.planner.WriteItem", FIELDS),
    Entry::called("torch.distributed.checkpoint.planner.WriteItemType", ENUMERATION),
    Entry::filled(
        "torch.nn.parallel.data_parallel.DataParallel",
        "a module, which takes the attributes it is given and adds those of later releases",
    ),
    Entry::filled("torch.nn.parameter.Buffer", EMPTY),
    Entry::filled("torch.nn.parameter.UninitializedBuffer", EMPTY),
    Entry::filled("torch.nn.parameter.UninitializedParameter", EMPTY),
];

/// What describes the shards of one rank, whose class ShardedTensor is not among them: filled, that
/// one looks for the other ranks, and where they call each other's functions it calls theirs.
const SHARDS: &[Entry] = &[
    Entry::filled("torch.distributed._shard.metadata.ShardMetadata", FIELDS),
    Entry::filled(
        "torch.distributed._shard.sharded_tensor.api.ShardedTensor.ProcessGroupState",
        FIELDS,
    ),
    Entry::called(
        "torch.distributed._shard.sharded_tensor.metadata.MEM_FORMAT_ENCODING",
        ENUMERATION,
    ),
    Entry::filled("torch.distributed._shard.sharded_tensor.metadata.ShardedTensorMetadata", FIELDS),
    Entry::filled(
        "torch.distributed._shard.sharded_tensor.metadata.TensorProperties",
        "a data class, whose state is taken apart into its five or six fields",
    ),
    Entry::filled("torch.distributed._shard.sharded_tensor.shard.Shard", FIELDS),
    Entry::filled("torch.distributed._shard.sharding_spec.api.DevicePlacementSpec", FIELDS),
    Entry::filled("torch.distributed._shard.sharding_spec.api.EnumerableShardingSpec", FIELDS),
    Entry::filled(
        "torch.distributed._shard.sharding_spec.chunk_sharding_spec.ChunkShardingSpec",
        FIELDS,
    ),
    Entry::filled(
        "torch.distributed.remote_device._remote_device",
        "the name of a device and of a worker; filled, it keeps them",
    ),
];

const ENUMERATION: &str = "an enumeration, which looks a number up";
const FIELDS: &str = "a data class, which keeps the fields it is given";
const EMPTY: &str = "it detaches a tensor of the file, or makes one without elements";

pub(super) const ENTRIES: [&[Entry]; 4] = [TENSORS, CONSTANTS, FILLED, SHARDS];

/// Why activations and losses do nothing.
pub(super) const FUNCTIONAL: &str = "modules keep it to call it on tensors later, and all it does is to \
     compute; nothing calls it while a file is loaded";

/// Activations and losses.
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

pub(super) fn is_functional(path: &str) -> bool {
    let parts = path.rsplit_once('.');
    parts.is_some_and(|(module, name)| {
        OF_FUNCTIONALS.contains(&module) && FUNCTIONALS.contains(&name)
    })
}
