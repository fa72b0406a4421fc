//! Looking into what a file builds.

use alloc::vec::Vec;

use super::objects::{Object, ObjectId, Objects, Scalar};
use crate::{Key, Tensor, Value};

/// An object among others, with what leads on from it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    objects: &'a Objects,
    id: ObjectId,
}

impl<'a> Node<'a> {
    /// What a file as a whole is.
    pub fn root(objects: &'a Objects) -> Node<'a> {
        Node { objects, id: objects.root }
    }

    fn to(self, id: ObjectId) -> Node<'a> {
        Node { objects: self.objects, id }
    }

    fn object(self) -> &'a Object {
        self.objects.get(self.id)
    }

    /// The value under a key of a mapping.
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        self.objects.entry(self.id, &Key::Text(key.into())).map(|id| self.to(id))
    }

    /// The value under a number as the key of a mapping.
    pub fn numbered(self, number: usize) -> Option<Node<'a>> {
        let key = Key::Other(alloc::format!("{number}").into());
        self.objects.entry(self.id, &key).map(|id| self.to(id))
    }

    /// The entries of a mapping, in its order.
    pub fn entries(self) -> impl Iterator<Item = (&'a Key, Node<'a>)> {
        let entries = match self.object() {
            Object::Record(record) => Some(&record.entries),
            _ => None,
        };
        entries.into_iter().flatten().map(move |(key, id)| (key, self.to(*id)))
    }

    /// An attribute of an instance, whether it is in its dict or in slots.
    pub fn attribute(self, name: &str) -> Option<Node<'a>> {
        let Object::Record(record) = self.object() else { return None };
        record.states.iter().rev().find_map(|state| {
            let state = self.to(*state);
            let slots = || state.items().into_iter().find_map(|part| part.get(name));
            state.get(name).or_else(slots)
        })
    }

    /// What an instance was given as its state, if it was given one.
    pub fn state(self) -> Option<Node<'a>> {
        let Object::Record(record) = self.object() else { return None };
        record.states.last().map(|state| self.to(*state))
    }

    /// The values of a list, a tuple, a set, or an instance of a class of such.
    pub fn items(self) -> Vec<Node<'a>> {
        match self.object() {
            Object::Sequence(_, items) => items.iter().map(|id| self.to(*id)).collect(),
            Object::Record(record) if !record.elements.is_empty() => {
                record.elements.iter().map(|id| self.to(*id)).collect()
            }
            Object::Record(_) => match self.arguments().as_slice() {
                // A tuple, such as `torch.Size`, is made of one.
                [only] if self.class().is_some() => only.items(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// One of these values, by its place.
    pub fn item(self, place: usize) -> Option<Node<'a>> {
        match self.object() {
            Object::Sequence(_, items) => items.get(place).map(|id| self.to(*id)),
            Object::Record(record) if !record.elements.is_empty() => {
                record.elements.get(place).map(|id| self.to(*id))
            }
            _ => self.items().get(place).copied(),
        }
    }

    /// What an instance is of, or what was called to make it: `torch.Size`.
    pub fn class(self) -> Option<&'a str> {
        let Object::Record(record) = self.object() else { return None };
        self.to(record.class?).name()
    }

    /// What a class or function was called with.
    pub fn arguments(self) -> Vec<Node<'a>> {
        match self.object() {
            Object::Record(record) => {
                record.arguments.map(|id| self.to(id).items()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The name of a class or function: `torch.float32`.
    pub fn name(self) -> Option<&'a str> {
        match self.object() {
            Object::Scalar(Scalar::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// The tensor, if it is one with plain elements.
    pub fn tensor(self) -> Option<&'a Tensor> {
        match self.object() {
            Object::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The number, if it is a whole one.
    pub fn int(self) -> Option<i64> {
        match self.object() {
            Object::Scalar(Scalar::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole or not.
    pub fn number(self) -> Option<f64> {
        match self.object() {
            Object::Scalar(Scalar::Float(number)) => Some(*number),
            Object::Scalar(Scalar::Int(number)) => Some(*number as f64),
            _ => None,
        }
    }

    /// The number, if it is one from 0 on.
    pub fn count(self) -> Option<u64> {
        self.int().and_then(|number| u64::try_from(number).ok())
    }

    /// The text, if it is one.
    pub fn text(self) -> Option<&'a str> {
        match self.object() {
            Object::Scalar(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// True for Python's `True`.
    pub fn is_true(self) -> bool {
        matches!(self.object(), Object::Scalar(Scalar::Bool(true)))
    }

    /// True for Python's `None`.
    pub fn is_none(self) -> bool {
        matches!(self.object(), Object::Scalar(Scalar::None))
    }

    /// True for a mapping, or an instance of a class.
    pub fn is_record(self) -> bool {
        matches!(self.object(), Object::Record(_))
    }

    /// Sizes or places in each dimension, if it is a list or tuple of such.
    pub fn sizes(self) -> Option<Vec<u64>> {
        if self.tensor().is_some() || self.text().is_some() {
            return None;
        }
        self.items().into_iter().map(Node::count).collect()
    }

    /// The object in short, to be shown.
    pub fn shown(self) -> Value {
        self.objects.shown(self.id)
    }
}
