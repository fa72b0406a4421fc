//! How a pickle rebuilds a tensor: what wraps it, and where its type is written.

use std::borrow::Cow;

use crate::arrays::is_array;
use crate::encode::{Gradient, Parameter};
use crate::pickle::Graph;
use crate::pickle::graph::{Kind, NodeId, OpPlace, Value};

/// How deeply a tensor may be wrapped; see the limit of the reader.
const MAX_WRAPPING: usize = 16;

/// How a tensor is rebuilt.
#[derive(Clone, Debug)]
pub(super) struct Rebuilt {
    /// Where its type is written.
    pub(super) place: Place,
    /// The call that rebuilds it from its storage; none where a subclass has that in a tuple.
    pub(super) call: Option<NodeId>,
    /// The tuple that names its storage.
    pub(super) storage_id: NodeId,
    /// Whether it requires a gradient.
    pub(super) gradient: Gradient,
    /// The parameter around it, if that is all there is.
    pub(super) parameter: Option<Parameter>,
    /// What it is made of: the calls inside the outermost one, and the reference to its storage.
    pub(super) inner: Vec<NodeId>,
    /// The calls around the innermost one, the outermost first.
    wrappers: Vec<NodeId>,
    /// Hooks and further things that the innermost call is given, which have to be empty where the
    /// call is rewritten.
    rest: Vec<NodeId>,
}

/// Where the type of a tensor is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the class of its storage.
    Storage,
    /// Beside an untyped storage, in the call that rebuilds the tensor.
    Call,
}

impl Rebuilt {
    /// How a node is rebuilt as a tensor, or why its type cannot be changed.
    pub(super) fn of(graph: &Graph<'_>, node: NodeId) -> Result<Rebuilt, String> {
        if is_array(graph, node) {
            return Err("it is a NumPy array, whose elements are in the pickle".into());
        }
        let (mut node, mut wrappers, mut inner) = (node, Vec::new(), Vec::new());
        for _ in 0..MAX_WRAPPING {
            let Some((callable, args)) = graph.call(node) else { break };
            let (Some((module, name)), Some(args)) = (graph.global(callable), graph.tuple(args))
            else {
                break;
            };
            if !module.starts_with("torch") {
                break;
            }
            match (name.as_ref(), args) {
                (
                    "_rebuild_parameter"
                    | "_rebuild_parameter_with_state"
                    | "_rebuild_device_tensor_from_cpu_tensor",
                    [wrapped, ..],
                ) => {
                    wrappers.push(node);
                    inner.push(*wrapped);
                    node = *wrapped;
                }
                ("_rebuild_from_type_v2" | "_rebuild_from_type", [function, _, args, ..]) => {
                    wrappers.push(node);
                    let name = graph.global(*function).map(|(_, name)| name.into_owned());
                    let (name, args) = (name.unwrap_or_default(), graph.tuple(*args));
                    return match (name.as_str(), args.unwrap_or_default()) {
                        ("_rebuild_tensor" | "_rebuild_tensor_v2", [storage, ..]) => {
                            Rebuilt::typed(graph, *storage, &[], wrappers, inner)
                        }
                        _ => Err(format!("it is a tensor subclass rebuilt by {name}")),
                    };
                }
                ("_rebuild_tensor" | "_rebuild_tensor_v2", [storage, _, _, _, rest @ ..]) => {
                    let typed = Rebuilt::typed(graph, *storage, rest, wrappers, inner)?;
                    return Ok(Rebuilt { call: Some(node), ..typed });
                }
                ("_rebuild_tensor_v3", [storage, _, _, _, gradient, hooks, _dtype, rest @ ..]) => {
                    let rest = [&[*gradient, *hooks], rest].concat();
                    let typed = Rebuilt::typed(graph, *storage, &rest, wrappers, inner)?;
                    return Ok(Rebuilt { place: Place::Call, call: Some(node), ..typed });
                }
                _ => break,
            }
        }
        Err("it is not a plain tensor in the pickle".into())
    }

    fn typed(
        graph: &Graph<'_>,
        storage: NodeId,
        rest: &[NodeId],
        wrappers: Vec<NodeId>,
        mut inner: Vec<NodeId>,
    ) -> Result<Rebuilt, String> {
        let Value::Persistent(storage_id) = graph.value(storage) else {
            return Err("its storage is not a persistent id".into());
        };
        inner.push(storage);
        let (gradient, rest) = match rest {
            [gradient, rest @ ..] => (Gradient::of(graph.value(*gradient)), rest.to_vec()),
            [] => (Gradient::NotRequired, Vec::new()),
        };
        let parameter = match wrappers.as_slice() {
            [only] => parameter(graph, *only),
            _ => None,
        };
        let place = Place::Storage;
        let call = None;
        Ok(Rebuilt { place, call, storage_id, gradient, parameter, inner, wrappers, rest })
    }

    /// Refuses to rewrite the innermost call if that would lose something.
    pub(super) fn is_bare(&self, graph: &Graph<'_>) -> Result<(), String> {
        if self.rest.iter().all(|node| is_empty(graph, *node)) {
            Ok(())
        } else {
            Err("it has hooks or attributes, which would be lost".into())
        }
    }

    /// Refuses to rewrite the whole object if that would lose something.
    pub(super) fn is_plain(&self, graph: &Graph<'_>) -> Result<(), String> {
        self.is_bare(graph)?;
        if self.wrappers.len() <= usize::from(self.parameter.is_some()) {
            Ok(())
        } else {
            Err("the same object is elsewhere in the file, where it is not cast".into())
        }
    }

    /// The device that the storage was on.
    pub(super) fn location<'g>(&self, graph: &'g Graph<'_>) -> Result<Cow<'g, str>, String> {
        let location = graph.tuple(self.storage_id).and_then(|parts| parts.get(3).copied());
        location
            .and_then(|location| graph.text(location))
            .ok_or_else(|| "its storage's device is not text".into())
    }

    /// How many parts the storage's id has, which legacy streams have more of.
    pub(super) fn id_parts(&self, graph: &Graph<'_>) -> usize {
        graph.tuple(self.storage_id).map_or(0, <[_]>::len)
    }
}

/// The parameter that a call makes, if nothing is attached to it.
fn parameter(graph: &Graph<'_>, call: NodeId) -> Option<Parameter> {
    let (callable, args) = graph.call(call)?;
    let (_, name) = graph.global(callable)?;
    let [_, gradient, hooks] = graph.tuple(args)? else { return None };
    let is_plain = name == "_rebuild_parameter" && is_empty(graph, *hooks);
    is_plain.then(|| Parameter(Gradient::of(graph.value(*gradient))))
}

/// True for `None` and for containers without anything in them.
fn is_empty(graph: &Graph<'_>, node: NodeId) -> bool {
    match (graph.value(node), graph.as_compound(node)) {
        (Value::None, _) => true,
        (_, Some((_, compound))) => {
            graph.entries(compound).is_empty()
                && graph.elements.items(compound.elements).next().is_none()
        }
        _ => false,
    }
}

/// The opcodes of a call: from its callable's to the one that calls.
pub(super) fn ops(graph: &Graph<'_>, call: NodeId) -> (OpPlace, OpPlace) {
    match graph.as_compound(call) {
        Some((_, compound)) => match compound.kind {
            Kind::Call { .. } => (compound.start, graph.after(compound.made.close)),
            _ => (compound.made.close, graph.after(compound.made.close)),
        },
        None => (0, 0),
    }
}
