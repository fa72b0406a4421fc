//! What to look for, and what says that two tensors belong together.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{DType, Template, Tensor};

/// How to look for partners, and what not to look for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FitOptions {
    /// Which evidence counts.
    pub by: MatchBy,
    /// Source keys to skip.
    pub drop: Vec<Template>,
    /// How many source keys to skip from the end.
    pub drop_last: usize,
    /// Target keys that are initialised; matching by position skips them.
    pub made: Vec<Template>,
    /// Whose order of keys means something.
    pub ordered: Ordered,
}

/// Which evidence counts that a source key belongs to a target key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchBy {
    /// The same name.
    Name,
    /// The same name without wrappers, too.
    Wrapper,
    /// The same name below another prefix, or within a longer path, too.
    Suffix,
    /// The same place, and nothing else.
    Position,
    /// All but the bare place: names, numbers that go along, shapes, and order between what is sure.
    #[default]
    Auto,
}

/// Whose order of keys means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// That of the source.
    pub source: bool,
    /// That of the target.
    pub target: bool,
}

impl Default for Ordered {
    fn default() -> Ordered {
        Ordered { source: true, target: true }
    }
}

/// Why a source key belongs to a target key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// They are the same.
    SameName,
    /// They are the same without wrappers, and with one name for gamma and weight.
    Wrapper,
    /// One prefix replaces another, here and elsewhere.
    Prefix {
        /// The source's prefix.
        from: String,
        /// The target's.
        to: String,
    },
    /// One ends with the other, and no other key does.
    Suffix,
    /// Numbers and shapes of several modules go along.
    Template,
    /// They are the only ones of their shapes.
    Alone,
    /// They are the same but for the dots and underscores between words.
    Joined,
    /// Neighbours of one were matched to neighbours of the other.
    Sibling,
    /// Of several with the same shapes their names are alike, or say the same part of a layer.
    Likeness,
    /// Between two pairs that are sure they are alone of their shapes in this order.
    Order,
    /// They are at the same place.
    Position,
    /// A recipe leads from the one to the other.
    Recipe,
}

impl Reason {
    /// True if it rests on shapes and order, or on names that are only alike.
    pub(super) fn is_weak(&self) -> bool {
        matches!(self, Reason::Template | Reason::Alone | Reason::Likeness | Reason::Order)
    }
}

/// A tensor that the target wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetTensor {
    /// Its key.
    pub key: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<u64>,
}

impl TargetTensor {
    pub(super) fn new(key: &str, tensor: &Tensor) -> TargetTensor {
        TargetTensor { key: key.into(), dtype: tensor.dtype.clone(), shape: tensor.shape.clone() }
    }
}
