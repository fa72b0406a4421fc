//! Mappings, in whatever way their classes pickle themselves.
//!
//! | how | which |
//! |---|---|
//! | `SETITEM(S)` on a dict or an object | dicts, `OrderedDict`, `defaultdict`, classes derived from them |
//! | a dict as the argument of a call | `Counter`, classes with a `__reduce__` of their own |
//! | a list of pairs as the argument | Python 2's `OrderedDict` |
//! | a dict in the state, under `data` or the like | `UserDict`, `FrozenDict`, `TensorDict` |

use statedict_core::Fault;

use crate::budget::Budget;
use crate::pickle::Graph;
use crate::pickle::graph::{Compound, CompoundId, Kind, NodeId};

/// The attributes under which classes that wrap a dict have it: `data` is `UserDict`'s.
const WRAPPED: [&str; 9] = [
    "data",
    "_data",
    "_dict",
    "_mapping",
    "_store",
    "_tensordict",
    "mapping",
    "store",
    "tensordict",
];

/// What costs a listing to look at a pair in a list, in bytes of its budget.
const PAIR: usize = 8;

/// The compound that has the entries of a mapping; `None` for what is not a mapping.
///
/// # Errors
/// A budget that does not last for looking at lists of pairs again and again.
pub(crate) fn mapping<'g>(
    graph: &'g Graph<'_>,
    node: NodeId,
    budget: &Budget,
) -> Result<Option<(CompoundId, &'g Compound)>, Fault> {
    let Some((id, compound)) = graph.as_compound(node) else { return Ok(None) };
    budget.spend(PAIR.saturating_mul(graph.pairs_in_arguments(compound)))?;
    if is_mapping(graph, compound) {
        return Ok(Some((id, compound)));
    }
    let Kind::Call { args, .. } = compound.kind else { return Ok(None) };
    let inner = in_arguments(graph, args).or_else(|| in_state(graph, compound));
    let Some((id, inner)) = inner.and_then(|inner| graph.as_compound(inner)) else {
        return Ok(None);
    };
    budget.spend(PAIR.saturating_mul(graph.pairs_in_arguments(inner)))?;
    let is_filled = !inner.entries.is_empty() || graph.is_made_of_pairs(inner);
    Ok((is_mapping(graph, inner) && is_filled).then_some((id, inner)))
}

/// True for dicts and for objects that were given items or are known to be mappings.
pub(crate) fn is_mapping(graph: &Graph<'_>, compound: &Compound) -> bool {
    match compound.kind {
        Kind::Dict => true,
        Kind::List | Kind::Set => false,
        Kind::Call { args, .. } => {
            let is_empty =
                || in_arguments(graph, args).is_none() && is_named_mapping(graph, compound);
            !compound.entries.is_empty() || graph.is_made_of_pairs(compound) || is_empty()
        }
    }
}

/// True for the classes of Python's own mappings.
pub(crate) fn is_named_mapping(graph: &Graph<'_>, compound: &Compound) -> bool {
    let Kind::Call { callable, .. } = compound.kind else { return false };
    graph.global(callable).is_some_and(|(module, name)| {
        matches!(
            (module.as_ref(), name.as_ref()),
            ("collections", "OrderedDict" | "defaultdict" | "Counter")
                | ("builtins" | "__builtin__", "dict")
        )
    })
}

/// The one argument of a call, or the contents of what `copyreg` recreates, if it can be a mapping.
fn in_arguments(graph: &Graph<'_>, args: NodeId) -> Option<NodeId> {
    let inner = match graph.tuple(args)? {
        [inner] => *inner,
        [class, base, inner] if [class, base].iter().all(|it| graph.global(**it).is_some()) => {
            *inner
        }
        _ => return None,
    };
    graph.as_compound(inner).map(|_| inner)
}

/// The dict that an object wraps.
fn in_state(graph: &Graph<'_>, compound: &Compound) -> Option<NodeId> {
    let state = graph.states.last(compound.states)?;
    let (_, attributes) = graph.as_compound(state.node)?;
    let entries = graph.entries.items(attributes.entries);
    let wrapped = entries
        .filter(|entry| graph.text(entry.key.node).is_some_and(|key| WRAPPED.contains(&&*key)));
    wrapped.last().map(|entry| entry.value.node)
}
