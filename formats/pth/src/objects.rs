//! What a pickle builds, as objects that can be held against those of another.
//!
//! Nothing has to be known of a class for that: its name, what it is called with, what it is filled
//! with and what state it gets are compared.

use std::collections::HashMap;

use statedict_core::{
    Data, Fault, IndexMap, Key, Tensor,
    objects::{Object, ObjectId, Objects, Record, Scalar, Sequence},
};

use crate::big_int;
use crate::budget::Budget;
use crate::pickle::Graph;
use crate::pickle::graph::{Compound, CompoundId, Kind, NodeId, Value};
use crate::python_repr::python_repr;
use crate::tensors::{Storages, Tensors};

/// What an object costs beside its texts, in bytes of the budget.
const OBJECT: usize = 32;

/// What a part of an object costs.
const PART: usize = 16;

/// Everything that a pickle builds; `state_dicts` are the mappings of its catalog's state dicts.
///
/// # Errors
/// What is beyond the budget.
pub(crate) fn objects(
    graph: &Graph<'_>,
    storages: &mut dyn Storages,
    state_dicts: &[CompoundId],
) -> Result<Objects, Fault> {
    let budget = &Budget::of(graph);
    let tensors = Tensors { graph, storages, budget };
    let mut builder = Builder {
        graph,
        tensors,
        budget,
        ids: HashMap::new(),
        compounds: HashMap::new(),
        open: Vec::new(),
        all: Vec::new(),
    };
    let root = builder.id(graph.root);
    builder.build()?;
    let state_dicts = state_dicts.iter().map(|mapping| builder.of_compound(*mapping)).collect();
    builder.build()?;
    Ok(Objects { all: builder.all, root, state_dicts })
}

/// What an object is made of.
#[derive(Clone, Copy)]
enum Part {
    Node(NodeId),
    Compound(CompoundId),
}

struct Builder<'a> {
    graph: &'a Graph<'a>,
    tensors: Tensors<'a>,
    budget: &'a Budget,
    ids: HashMap<NodeId, ObjectId>,
    compounds: HashMap<CompoundId, ObjectId>,
    /// Objects that have an id and are not made yet.
    open: Vec<(Part, ObjectId)>,
    all: Vec<Object>,
}

impl Builder<'_> {
    /// Makes every object that has an id.
    fn build(&mut self) -> Result<(), Fault> {
        while let Some((part, id)) = self.open.pop() {
            self.budget.spend(OBJECT)?;
            self.all[id] = match part {
                Part::Node(node) => self.object(node)?,
                Part::Compound(compound) => self.compound(compound)?,
            };
        }
        Ok(())
    }

    fn id(&mut self, node: NodeId) -> ObjectId {
        if let Some(id) = self.ids.get(&node) {
            return *id;
        }
        let id = self.new_id();
        self.ids.insert(node, id);
        if let Value::Compound(compound) = self.graph.value(node) {
            self.compounds.insert(compound, id);
        }
        self.open.push((Part::Node(node), id));
        id
    }

    fn new_id(&mut self) -> ObjectId {
        self.all.push(Object::Scalar(Scalar::None));
        self.all.len() - 1
    }

    /// The object of a compound, whether anything leads to it or not.
    fn of_compound(&mut self, compound: CompoundId) -> ObjectId {
        if let Some(id) = self.compounds.get(&compound) {
            return *id;
        }
        let id = self.new_id();
        self.compounds.insert(compound, id);
        self.open.push((Part::Compound(compound), id));
        id
    }

    fn object(&mut self, node: NodeId) -> Result<Object, Fault> {
        let graph = self.graph;
        match self.tensors.read(node) {
            Ok(Some(tensor @ Tensor { data: Data::View(_), .. })) => {
                return Ok(Object::Tensor(tensor));
            }
            Ok(_) => {}
            Err(fault) => return Ok(Object::Unknown(fault.to_string())),
        }
        if let Some((elements, quantizer)) = self.tensors.quantized(node)? {
            return Ok(self.quantized(elements, quantizer));
        }
        Ok(match graph.value(node) {
            Value::None => Object::Scalar(Scalar::None),
            Value::Bool(value) => Object::Scalar(Scalar::Bool(value)),
            Value::Int(number) => Object::Scalar(Scalar::Int(number)),
            Value::BigInt(bytes) => {
                Object::Scalar(Scalar::BigInt(big_int::of_bytes(bytes.of(&graph.pickle))))
            }
            Value::Digits(digits) => {
                Object::Scalar(Scalar::BigInt(big_int::of_text(digits.of(&graph.pickle))))
            }
            Value::Float(number) => Object::Scalar(Scalar::Float(number)),
            Value::Text(op) => Object::Scalar(match graph.text(node) {
                Some(text) => Scalar::Text(text.into_owned()),
                None => Scalar::Bytes(graph.op(op).argument.of(&graph.pickle).to_vec()),
            }),
            Value::Bytes(bytes) => Object::Scalar(Scalar::Bytes(bytes.of(&graph.pickle).to_vec())),
            Value::Tuple(_) => {
                let items = graph.tuple(node).unwrap_or_default();
                self.sequence(Sequence::Tuple, items)?
            }
            Value::Global(_) => Object::Scalar(Scalar::Name(self.name(node)?)),
            Value::Persistent(id) if graph.class_named_by(id).is_some() => {
                Object::Scalar(Scalar::Name(self.name(node)?))
            }
            Value::Persistent(_) => match self.tensors.storage(node) {
                Ok(storage) => Object::Tensor(storage),
                Err(fault) => Object::Unknown(fault.to_string()),
            },
            Value::Compound(id) => self.compound(id)?,
            Value::Unknown => Object::Unknown("what makes it cannot be followed".to_string()),
        })
    }

    /// A quantized tensor: its elements as numbers, and what maps them to values.
    fn quantized(&mut self, elements: Tensor, quantizer: NodeId) -> Object {
        let elements = {
            let id = self.new_id();
            self.all[id] = Object::Tensor(elements);
            id
        };
        let parts = [("elements", elements), ("quantizer", self.id(quantizer))];
        let entries = parts.map(|(name, id)| (Key::Text(name.into()), id)).into_iter();
        Object::Record(Record { entries: entries.collect(), ..Record::default() })
    }

    fn sequence(&mut self, kind: Sequence, items: &[NodeId]) -> Result<Object, Fault> {
        self.budget.spend(PART.saturating_mul(items.len()))?;
        let items = items.iter().map(|item| self.id(*item)).collect();
        Ok(Object::Sequence(kind, items))
    }

    fn compound(&mut self, id: CompoundId) -> Result<Object, Fault> {
        let graph = self.graph;
        let compound = graph.compound(id);
        let elements: Vec<NodeId> =
            graph.elements.items(compound.elements).map(|element| element.value.node).collect();
        match compound.kind {
            Kind::List if compound.states.is_empty() => self.sequence(Sequence::List, &elements),
            Kind::Set => self.set(&elements),
            Kind::Call { callable, args } if is_set(graph, callable) => {
                let inner = graph.tuple(args).and_then(|args| args.first().copied());
                let items = inner.and_then(|inner| graph.sequence(inner)).unwrap_or_default();
                self.set(&items)
            }
            _ => self.record(compound, &elements),
        }
    }

    /// A set has no order: its elements are distinguished by what they are.
    fn set(&mut self, elements: &[NodeId]) -> Result<Object, Fault> {
        let mut entries = IndexMap::default();
        for element in elements {
            self.budget.spend(PART)?;
            entries.insert(self.key(*element)?, self.id(*element));
        }
        Ok(Object::Record(Record { entries, ..Record::default() }))
    }

    fn record(&mut self, compound: &Compound, elements: &[NodeId]) -> Result<Object, Fault> {
        let graph = self.graph;
        let mut record = Record::default();
        if let Kind::Call { callable, args } = compound.kind
            && !is_ordered_dict(graph, callable)
        {
            record.class = Some(self.id(callable));
            record.arguments = Some(self.id(args));
        }
        for entry in self.budget.entries(graph, compound)? {
            let (mut key, value) = (self.key(entry.key.node)?, self.id(entry.value.node));
            self.budget.spend(PART)?;
            // Two keys that are shown alike need not be the same: objects of a class.
            while matches!(key, Key::Other(_)) && record.entries.contains_key(&key) {
                key = Key::Other(format!("{key}'").into());
                self.budget.spend(key.as_str().len())?;
            }
            record.entries.insert(key, value);
        }
        self.budget.spend(PART.saturating_mul(elements.len()))?;
        record.elements = elements.iter().map(|element| self.id(*element)).collect();
        let states: Vec<NodeId> =
            graph.states.items(compound.states).map(|state| state.node).collect();
        record.states = states.into_iter().map(|state| self.id(state)).collect();
        Ok(Object::Record(record))
    }

    fn key(&mut self, node: NodeId) -> Result<Key, Fault> {
        let key = match self.graph.text(node) {
            Some(text) => Key::Text(text.into()),
            None => Key::Other(python_repr(self.graph, node, self.budget)?.into()),
        };
        self.budget.spend(key.as_str().len())?;
        Ok(key)
    }

    /// A class or function, under one name for all versions of what it is from.
    fn name(&mut self, node: NodeId) -> Result<String, Fault> {
        let Some((module, name)) = self.graph.global(node) else {
            return Ok("a name that is not text".to_string());
        };
        self.budget.spend(module.len() + name.len())?;
        let module = match module.as_ref() {
            "__builtin__" => "builtins".into(),
            "copy_reg" => "copyreg".into(),
            module => module.replacen("numpy._core", "numpy.core", 1),
        };
        Ok(format!("{module}.{name}"))
    }
}

fn is_set(graph: &Graph<'_>, callable: NodeId) -> bool {
    graph.global(callable).is_some_and(|(module, name)| {
        matches!(module.as_ref(), "builtins" | "__builtin__")
            && matches!(name.as_ref(), "set" | "frozenset")
    })
}

/// An `OrderedDict` is a dict whose class says nothing: Python calls the two equal.
fn is_ordered_dict(graph: &Graph<'_>, callable: NodeId) -> bool {
    graph.global(callable).is_some_and(|(module, name)| {
        (module.as_ref(), name.as_ref()) == ("collections", "OrderedDict")
    })
}
