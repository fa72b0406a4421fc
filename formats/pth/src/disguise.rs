//! Tensors in other clothes: NumPy arrays, objects that hold tensors, bare storages.

use statedict_core::{DType, Data, Fault, IndexMap, Key, Location, Tensor};

use crate::arrays::{array, is_array};
use crate::budget::Budget;
use crate::holding::Holding;
use crate::mapping::mapping;
use crate::modules::Modules;
use crate::pickle::Graph;
use crate::pickle::graph::{NodeId, Slot, Value};
use crate::python_repr::kind;
use crate::tensors::is_tensor;

/// The classes of optimizers, whose objects hold tensors that are not a model's.
const OPTIMIZERS: &str = "torch.optim.";

/// The last part of keys under which modules keep what is not a tensor.
const EXTRA: &str = "_extra_state";

/// Which values of a container are listed as tensors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// PyTorch's tensors.
    Plain,
    /// Whatever holds their like, since most of the values do.
    Disguised,
}

/// Recognises tensors in other clothes.
pub(crate) struct Disguises<'a> {
    pub(crate) graph: &'a Graph<'a>,
    pub(crate) modules: Modules<'a>,
    /// Where the pickle is in the file.
    pub(crate) pickle: Location,
    pub(crate) holding: Holding,
    pub(crate) budget: &'a Budget,
}

impl Disguises<'_> {
    /// The tensor that a value is to whoever can make its class: a NumPy array, or an object that
    /// holds tensors and is not a container.
    pub(crate) fn tensor(&self, node: NodeId) -> Result<Option<Tensor>, Fault> {
        if let Some(array) = array(self.graph, node, &self.pickle, self.budget)? {
            return Ok(Some(array));
        }
        if !self.is_opaque(node)? || !self.holding.holds_tensors(self.graph, node, self.budget)? {
            return Ok(None);
        }
        let layout = kind(self.graph, node);
        self.budget.spend(layout.len())?;
        let data = Data::Opaque { layout, bytes: 0 };
        Ok(Some(Tensor { dtype: DType::other("object", 8), shape: Vec::new(), data }))
    }

    /// True if a tensor is somewhere in a value.
    pub(crate) fn holds_tensors(&self, node: NodeId) -> Result<bool, Fault> {
        self.holding.holds_tensors(self.graph, node, self.budget)
    }

    /// True for objects that may be a model's tensor in a class of its own, and for bare storages.
    fn is_opaque(&self, node: NodeId) -> Result<bool, Fault> {
        match self.graph.value(node) {
            Value::Persistent(id) => Ok(self.graph.class_named_by(id).is_none()),
            _ => Ok(self.is_object(node)? && !kind(self.graph, node).starts_with(OPTIMIZERS)),
        }
    }

    /// True for objects that are not containers as far as is known.
    fn is_object(&self, node: NodeId) -> Result<bool, Fault> {
        Ok(self.graph.call(node).is_some()
            && mapping(self.graph, node, self.budget)?.is_none()
            && !self.modules.is_module(node)?)
    }

    /// What a thing beside the tensors is.
    pub(crate) fn kind(&self, node: NodeId) -> Result<String, Fault> {
        let class = kind(self.graph, node);
        let holds = self.is_object(node)?
            && self.holding.holds_tensors(self.graph, node, self.budget)?
            && !is_array(self.graph, node);
        Ok(if holds { format!("{class} that holds tensors") } else { class })
    }

    /// Whether most values of a mapping are tensors to whoever can make their classes.
    pub(crate) fn values(&self, entries: &IndexMap<Key, Slot>) -> Result<Values, Fault> {
        let graph = self.graph;
        let (mut tensors, mut objects) = (0, Vec::new());
        for slot in entries.values() {
            let is_plain = is_tensor(graph, slot.node) || is_array(graph, slot.node);
            if is_plain {
                tensors += 1;
            } else if self.is_opaque(slot.node)? {
                objects.push(slot.node);
            }
        }
        let mut holders = 0;
        for object in objects {
            holders += usize::from(self.holding.holds_tensors(graph, object, self.budget)?);
        }
        let values = entries.keys().filter(|key| !key.as_str().ends_with(EXTRA)).count();
        let most = (tensors + holders) * 2 > values && tensors > 0;
        let all = holders > 0 && holders == values;
        Ok(if most || all { Values::Disguised } else { Values::Plain })
    }
}
