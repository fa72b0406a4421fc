//! Tensors that know which part of a whole they are: `ShardedTensor` and `DTensor`.
//!
//! Source: `torch/distributed/_shard/sharded_tensor/api.py` and `torch/distributed/tensor/_api.py`,
//! 2.0 to 2.15.

use statedict_core::{DType, Node, Tensor};
use statedict_pth::torch_dtype;

use crate::placement::{Axis, Placement, local};

/// The function that makes tensors of classes of their own.
const OF_TYPE: &str = "torch._tensor._rebuild_from_type_v2";

/// The function that makes those that have no elements themselves.
const WRAPPER: &str = "torch._utils._rebuild_wrapper_subclass";

/// A tensor that was cut over ranks (FSDP1).
const SHARDED: &str = "torch.distributed._shard.sharded_tensor.api.ShardedTensor";

/// The most parts into which a stride cuts a dimension: more than there are ranks anywhere.
const MAX_SPLIT: u64 = 1 << 20;

/// The most rectangles that a rank may have of a tensor.
const MAX_BOXES: usize = 1 << 20;

/// What one rank says of a tensor.
#[derive(Debug)]
pub(crate) struct OfRank<'a> {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) parts: Parts<'a>,
}

/// The parts that a rank has.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    /// Rectangles, each with where it begins.
    Shards(Vec<(Vec<u64>, &'a Tensor)>),
    /// A local tensor and how it was placed.
    Placed { local: &'a Tensor, placements: Vec<Placement>, coordinate: Vec<u64> },
}

/// What a node is that is not a plain tensor; none if it is something else altogether.
///
/// # Errors
/// What cannot be put together, and why.
pub(crate) fn of_rank(node: Node<'_>) -> Option<Result<OfRank<'_>, String>> {
    match node.class()? {
        // Torch 2.0 pickles the object itself.
        SHARDED => Some(sharded(node.state()?)),
        OF_TYPE => {
            let arguments = node.arguments();
            let [function, class, arguments, state, ..] = arguments.as_slice() else { return None };
            let class = class.name()?;
            if function.name() != Some(WRAPPER) {
                return None;
            }
            Some(match class {
                SHARDED => sharded(*state),
                _ if class.starts_with("torch.distributed.") && class.ends_with(".DTensor") => {
                    placed(&arguments.items(), *state)
                }
                other => Err(format!("a tensor of class {other} is not read")),
            })
        }
        _ => None,
    }
}

/// `(local_shards, metadata, process_group, sharding_spec, init_rrefs)`.
fn sharded(state: Node<'_>) -> Result<OfRank<'_>, String> {
    let broken = || "its state is not that of a ShardedTensor".to_string();
    let state = state.items();
    let [shards, metadata, ..] = state.as_slice() else { return Err(broken()) };
    let shape = metadata.attribute("size").and_then(Node::sizes).ok_or_else(broken)?;
    let properties = metadata.attribute("tensor_properties").and_then(Node::state);
    let dtype = properties.and_then(|it| dtype(*it.items().first()?)).ok_or_else(broken)?;
    let own = shards.items().into_iter().map(|shard| {
        let at = shard.attribute("metadata")?.attribute("shard_offsets")?.sizes()?;
        Some((at, shard.attribute("tensor")?.tensor()?))
    });
    let own = own.collect::<Option<_>>().ok_or_else(broken)?;
    Ok(OfRank { dtype, shape, parts: Parts::Shards(own) })
}

/// `(class, dtype, size, stride, …)`, and a state with the local tensor and its placement.
fn placed<'a>(arguments: &[Node<'a>], state: Node<'a>) -> Result<OfRank<'a>, String> {
    let broken = || "its state is not that of a DTensor".to_string();
    let field = |name: &str| {
        let slots = || state.items().into_iter().find_map(|part| part.get(name));
        state.get(name).or_else(slots)
    };
    let [_, of, size, ..] = arguments else { return Err(broken()) };
    let dtype = dtype(*of).ok_or_else(broken)?;
    let shape = size.sizes().ok_or_else(broken)?;
    let local = field("_local_tensor").and_then(Node::tensor).ok_or_else(broken)?;
    let spec = field("_spec").ok_or_else(broken)?;
    let mesh = spec.attribute("mesh").ok_or_else(broken)?;
    let coordinate = mesh.attribute("_coordinate_on_dim").and_then(Node::sizes);
    let coordinate = coordinate.ok_or_else(broken)?;
    let placements = spec.attribute("placements").map(Node::items).unwrap_or_default();
    let placements = placements.into_iter().map(|it| placement(it, shape.len()));
    let placements = placements.collect::<Result<Vec<_>, String>>()?;
    if placements.len() != coordinate.len() {
        return Err(broken());
    }
    Ok(OfRank { dtype, shape, parts: Parts::Placed { local, placements, coordinate } })
}

fn dtype(node: Node<'_>) -> Option<DType> {
    torch_dtype(node.name()?.strip_prefix("torch.")?)
}

fn placement(node: Node<'_>, dimensions: usize) -> Result<Placement, String> {
    let class = node.class().unwrap_or_default();
    let name = class.rsplit('.').next().unwrap_or_default();
    let field = |name: &str, place: usize| {
        node.attribute(name).or_else(|| node.arguments().get(place).copied())?.int()
    };
    let dim = || {
        let dim = field("dim", 0)?;
        let from_end = i64::try_from(dimensions).ok()?;
        usize::try_from(if dim < 0 { dim + from_end } else { dim }).ok()
    };
    let unknown = || format!("its placement {name} is not known");
    match name {
        "Replicate" => Ok(Placement::Replicate),
        "Shard" => Ok(Placement::Shard { dim: dim().ok_or_else(unknown)? }),
        "_StridedShard" => {
            let split = field("split_factor", 1).and_then(|split| u64::try_from(split).ok());
            let split = split.filter(|split| (1..MAX_SPLIT).contains(split)).ok_or_else(unknown)?;
            Ok(Placement::Strided { dim: dim().ok_or_else(unknown)?, split })
        }
        "Partial" | "_Partial" => {
            Err("its ranks have parts of a sum, which is not a weight".to_string())
        }
        _ => Err(unknown()),
    }
}

/// The rectangles of the whole that a local tensor has, each with that part of it.
///
/// # Errors
/// A local tensor of another shape than its placement says.
pub(crate) fn rectangles(
    shape: &[u64],
    tensor: &Tensor,
    axes: &[Axis],
) -> Result<Vec<(Vec<u64>, Tensor)>, String> {
    let splits = axes.iter().map(|axis| match axis.placement {
        Placement::Strided { split, .. } => split,
        _ => 1,
    });
    // Each split of a dimension looks at all that the ones before left of it.
    if splits.fold(1, u64::saturating_mul) > MAX_SPLIT {
        return Err(format!("its placement cuts it into over {MAX_SPLIT} parts"));
    }
    let dims = local(shape, axes).ok_or("it was cut along a dimension that it does not have")?;
    let sizes: Vec<u64> =
        dims.iter().map(|dim| dim.iter().map(|it| it.end - it.start).sum()).collect();
    if sizes != tensor.shape {
        let found = &tensor.shape;
        return Err(format!("its local tensor is {found:?}, and its placement says {sizes:?}"));
    }
    let count = dims.iter().try_fold(1usize, |count, dim| count.checked_mul(dim.len()));
    if count.is_none_or(|count| count > MAX_BOXES) {
        return Err(format!("its placement cuts it into over {MAX_BOXES} parts"));
    }
    // Every choice of one interval of each dimension: where it is in the whole, and in the part.
    let mut boxes = vec![(Vec::new(), Vec::new(), Vec::new())];
    for dim in &dims {
        let mut next = Vec::new();
        for (at, start, size) in &boxes {
            let mut place = 0;
            for interval in dim {
                let len = interval.end - interval.start;
                let with = |list: &Vec<u64>, item| [list.as_slice(), &[item]].concat();
                next.push((with(at, interval.start), with(start, place), with(size, len)));
                place += len;
            }
        }
        boxes = next;
    }
    let part = |(at, start, size): (Vec<u64>, Vec<u64>, Vec<u64>)| {
        Ok((at, narrowed(tensor, &start, &size).ok_or("its local tensor has no plain elements")?))
    };
    boxes.into_iter().map(part).collect()
}

/// A rectangle of a tensor.
fn narrowed(tensor: &Tensor, start: &[u64], size: &[u64]) -> Option<Tensor> {
    let ranges = start.iter().zip(size).map(|(start, size)| *start..*start + *size).enumerate();
    // Elements that are not plain are not cut.
    let mut ranges = ranges.filter(|(dimension, range)| *range != (0..tensor.shape[*dimension]));
    ranges.try_fold(tensor.clone(), |part, (dimension, range)| part.narrowed(dimension, range))
}
