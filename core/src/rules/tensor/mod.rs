//! Rules of tensors: a pair of layouts with the same names on both sides.
//!
//! ```text
//! blocks.{i}.qkv.{t}[(p o) ..] -> layer.{i}.{p=query,key,value}.{t}[o ..]
//! ```
//!
//! A name is a part of a key or a place in a tensor; what is between the same names is the same
//! element. The grammar:
//!
//! ```text
//! rule   := side "->" side
//! side   := term (", " term)*
//! term   := template [ "[" places "]" ] constant* ( " = " template )*     ties, on the right only
//! constant := " + 1" | " - 1" | " * 2" | " / 2"     with any number
//! places := place (" " place)*
//! place  := name | number | ".." | "(" place+ ")" | "(" place+ ("|" place+)+ ")"   each may have "=size"
//! ```
//!
//! What was open in the notation is settled so:
//!
//! - In a key `[`, `=` and, where there are places or ties, `,` are escaped to mean themselves.
//!   Blanks around `=` among places do not matter; between keys it has them on both sides.
//! - Sizes are one namespace for all rules of a recipe. One that a rule says in its places must
//!   agree with it, and so must the length of a list.
//! - Words of a list may hold separators and be empty; they have no blanks, unless escaped.
//! - Captures touch only where a list makes clear where it ends or begins.
//! - `{r..}` may be empty, as it always could.
//! - `{a,b}` writes a term out for each word, and the keys after ` = ` as well. Where every term of
//!   a rule has such a list in its key and none among its places, the rule is written out instead.
//! - With a pair of separators the left side of a recipe's first stage has the first, and all else
//!   the second.
//! - A constant is what the tensor before it is combined with, from left to right: `a -> b + 1` and
//!   `a + 1 -> b` make b of a plus 1. The inverse has the opposites. In a key a blank before a sign
//!   and a number is escaped.
//! - A negative number is never the place of an axis: such a key is not recognised.
//! - `_` is a part of a dimension that the other side does not have. On the left it is cut off:
//!   what is lost, or `_=0` if it is that number and comes back. On the right it is filled in, so it
//!   says with what. `(v | _=0)=n` says the size of both; any parentheses may have one.
//! - A place that is on one side alone is a `1` on the other: `[1 d] -> [n d]` repeats, and the inverse
//!   takes one of what must be the same.

mod binding;
mod check;
mod expand;
mod parse;
mod place;
mod problem;
mod roles;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

pub use place::{Dimensions, Filling, Place};
pub use problem::{BadTensorRule, Problem};
pub use roles::Roles;

pub(crate) use place::{BEYOND, is_beyond};

pub(crate) use parse::{Parsed, parse, read_term, terms_of};

use crate::rules::sizes::SizeExpression;
use crate::rules::template::{Held, Name, Template, Value};
use crate::rules::tensor::place::Shown;
use crate::{Arithmetic, IndexMap};

/// Sizes that a rule says in its places, by the name of the place.
pub(crate) type Inline = IndexMap<Name, SizeExpression>;

/// Tensors on the left that become tensors on the right.
///
/// Each part of the tensors on the left is one on the right, with the same names; the constructor
/// sees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRule {
    left: Vec<Term>,
    right: Vec<Term>,
    inline: Inline,
    sizes: IndexMap<Name, u64>,
    roles: Roles,
}

/// Keys of one form, with what their tensors' dimensions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub(crate) template: Template,
    pub(crate) places: Option<Dimensions>,
    /// What every element is combined with, the first one first.
    pub(crate) steps: Vec<Arithmetic>,
    pub(crate) ties: Vec<Template>,
}

impl TensorRule {
    /// Puts two sides together.
    ///
    /// # Errors
    /// Sides that do not hold the same parts, or of which one cannot be.
    pub fn new(
        left: Vec<Term>,
        right: Vec<Term>,
        inline: IndexMap<Name, SizeExpression>,
    ) -> Result<TensorRule, BadTensorRule> {
        let roles = Roles::default();
        let rule = TensorRule { left, right, inline, sizes: IndexMap::default(), roles };
        rule.checked()
    }

    /// What is taken, in the order in which a key is held against it.
    pub fn left(&self) -> &[Term] {
        &self.left
    }

    /// What is made of it.
    pub fn right(&self) -> &[Term] {
        &self.right
    }

    /// The sizes that are said among the places, by name.
    pub fn inline(&self) -> &IndexMap<Name, SizeExpression> {
        &self.inline
    }

    /// The sizes that are known from elsewhere, by name: of places and of those that sizes are
    /// made of.
    pub fn sizes(&self) -> &IndexMap<Name, u64> {
        &self.sizes
    }

    /// What its names are: parts of keys, places, or either.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Which term a key belongs to, and what its captures hold.
    pub fn recognise(&self, key: &str) -> Option<(usize, Held)> {
        self.left.iter().enumerate().find_map(|(i, term)| {
            let held = term.template.recognise(key)?;
            let is_counted = held.iter().all(|(_, value)| counts(value));
            is_counted.then_some((i, held))
        })
    }

    /// The same for the further keys that a term's tensor has.
    pub(crate) fn recognise_tie(&self, key: &str) -> Option<(usize, Held)> {
        self.left.iter().enumerate().find_map(|(i, term)| {
            let held = term.ties.iter().find_map(|tie| tie.recognise(key))?;
            let all_count = held.iter().all(|(_, value)| counts(value));
            all_count.then_some((i, held))
        })
    }

    /// The rule with its sides exchanged: what has several keys on the left must be one tensor.
    pub(crate) fn exchanged(&self) -> TensorRule {
        let TensorRule { left, right, inline, sizes, roles } = self.clone();
        let [left, right] = [right, left]
            .map(|terms| terms.into_iter().map(Term::with_opposites).collect::<Vec<_>>());
        TensorRule { left, right, inline, sizes, roles: roles.swapped() }
    }

    /// The rule that leads back; `None` if a tensor gets two keys.
    pub fn invert(&self) -> Option<TensorRule> {
        let has_ties = self.right.iter().any(|term| !term.ties.is_empty());
        (!has_ties).then(|| self.exchanged())
    }

    fn terms(&self) -> impl Iterator<Item = &Term> {
        self.left.iter().chain(&self.right)
    }
}

/// True unless it is a number below zero, which is not a place.
fn counts(value: &Value) -> bool {
    !matches!(value, Value::Number(number) if *number < 0)
}

impl Term {
    /// A term.
    pub fn new(template: Template, places: Option<Dimensions>, ties: Vec<Template>) -> Term {
        Term { template, places, steps: Vec::new(), ties }
    }

    /// The same with every element combined with constants, the first one first.
    #[must_use]
    pub fn combined(self, steps: Vec<Arithmetic>) -> Term {
        Term { steps, ..self }
    }

    /// The same with the opposites of its constants, the last one first.
    fn with_opposites(self) -> Term {
        let steps = self.steps.iter().rev().map(Arithmetic::inverse).collect();
        Term { steps, ..self }
    }

    /// The form of its keys.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Its dimensions; none if they are whatever there is, `[..]`.
    pub fn places(&self) -> Option<&Dimensions> {
        self.places.as_ref()
    }

    /// What every element is combined with, the first one first.
    pub fn steps(&self) -> &[Arithmetic] {
        &self.steps
    }

    /// The other keys that the same tensor gets.
    pub fn ties(&self) -> &[Template] {
        &self.ties
    }

    /// The forms of all keys that its tensor has, the first one first.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> + Clone {
        core::iter::once(&self.template).chain(&self.ties)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, sizes: &mut Shown) -> fmt::Result {
        let template = self.template.to_string();
        // `re:` at the start would read as a regular expression.
        let guard = if template.starts_with("re:") { "\\" } else { "" };
        write!(f, "{guard}{template}")?;
        if let Some(places) = &self.places {
            places.write(f, sizes)?;
        }
        self.steps.iter().try_for_each(|step| write!(f, "{step}"))?;
        self.ties.iter().try_for_each(|tie| write!(f, " = {tie}"))
    }

    /// Terms with a text between them, each size where its name is first.
    pub(crate) fn write_all<'t>(
        terms: impl Iterator<Item = &'t Term>,
        inline: &Inline,
        between: &str,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let mut sizes = Shown(inline.clone());
        for (i, term) in terms.enumerate() {
            f.write_str(if i == 0 { "" } else { between })?;
            term.write(f, &mut sizes)?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &mut Shown::default())
    }
}

impl fmt::Display for TensorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sizes = Shown(self.inline.clone());
        for (i, term) in self.left.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            term.write(f, &mut sizes)?;
        }
        f.write_str(" -> ")?;
        for (i, term) in self.right.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            term.write(f, &mut sizes)?;
        }
        Ok(())
    }
}
