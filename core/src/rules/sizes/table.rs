//! Sizes by name, and where their numbers come from.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::rules::limits::MAX_SIZES;
use crate::rules::sizes::{BadSize, SizeExpression};
use crate::rules::template::Name;
use crate::{IndexMap, IndexSet};

/// Numbers by name: what `heads` is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes(IndexMap<Name, u64>);

impl Sizes {
    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// The names with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, u64)> {
        self.0.iter().map(|(name, number)| (name, *number))
    }

    /// Gives a name its number.
    pub fn set(&mut self, name: Name, number: u64) {
        self.0.insert(name, number);
    }
}

impl FromIterator<(Name, u64)> for Sizes {
    fn from_iter<I: IntoIterator<Item = (Name, u64)>>(sizes: I) -> Sizes {
        Sizes(sizes.into_iter().collect())
    }
}

/// What a recipe says of sizes: expressions for each, of which the first that is known counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SizeTable(IndexMap<Name, Vec<SizeExpression>>);

/// What a configuration has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A whole number.
    Number(u64),
    /// Something else, in words.
    Other(String),
}

/// What is wrong with a size of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("size '{name}': {problem}")]
pub struct BadSizeOf {
    /// The size.
    pub name: Name,
    /// What is wrong.
    pub problem: BadSize,
}

impl SizeTable {
    /// Says what a size is: the first of these expressions that is known.
    ///
    /// # Errors
    /// More sizes than a recipe may have.
    pub fn insert(&mut self, name: Name, is: Vec<SizeExpression>) -> Result<(), BadSize> {
        self.0.insert(name, is);
        if self.0.len() > MAX_SIZES {
            let limit = u64::try_from(MAX_SIZES).unwrap_or(u64::MAX);
            let (what, text) = ("the number of sizes", "[size]".to_string());
            return Err(BadSize::Limit { what, text, limit });
        }
        Ok(())
    }

    /// The sizes with the expressions for each.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &[SizeExpression])> {
        self.0.iter().map(|(name, is)| (name, is.as_slice()))
    }

    /// True if it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers that are known: what is given goes before what the table says, and a name in an
    /// expression is another size, or an entry of the configuration.
    ///
    /// # Errors
    /// A size whose number cannot be, or an entry that is asked for and is not a number.
    pub fn resolve(
        &self,
        given: &Sizes,
        config: &dyn Fn(&str) -> Option<Entry>,
    ) -> Result<Sizes, BadSizeOf> {
        let mut resolving = Resolving {
            table: self,
            given,
            config,
            known: IndexMap::default(),
            open: IndexSet::default(),
        };
        let mut sizes = given.clone();
        for name in self.0.keys() {
            let number = resolving.size(name)?;
            if let Some(number) = number {
                sizes.set(name.clone(), number);
            }
        }
        Ok(sizes)
    }
}

struct Resolving<'a> {
    table: &'a SizeTable,
    given: &'a Sizes,
    config: &'a dyn Fn(&str) -> Option<Entry>,
    /// What was found out, also that a size is not known.
    known: IndexMap<&'a str, Option<u64>>,
    /// The sizes that are being found out.
    open: IndexSet<&'a str>,
}

impl<'a> Resolving<'a> {
    fn size(&mut self, name: &'a str) -> Result<Option<u64>, BadSizeOf> {
        if let Some(number) = self.given.get(name) {
            return Ok(Some(number));
        }
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let mut found = None;
        self.open.insert(name);
        for expression in self.table.0.get(name).into_iter().flatten() {
            let value = expression.evaluate(&mut |used| self.value(used));
            found = value.map_err(|problem| BadSizeOf { name: name.into(), problem })?;
            if found.is_some() {
                break;
            }
        }
        self.open.swap_remove(name);
        self.known.insert(name, found);
        Ok(found)
    }

    /// The value of a name in an expression: another size's, or an entry of the configuration.
    ///
    /// A size that is being found out means the entry of its own name.
    fn value(&mut self, used: &str) -> Result<Option<u64>, BadSize> {
        if let Some(given) = self.given.get(used) {
            return Ok(Some(given));
        }
        if let Some((name, _)) = self.table.0.get_key_value(used)
            && !self.open.contains(&**name)
            && let Some(size) = self.size(name).map_err(|bad| bad.problem)?
        {
            return Ok(Some(size));
        }
        match (self.config)(used) {
            Some(Entry::Number(number)) => Ok(Some(number)),
            Some(Entry::Other(found)) => Err(BadSize::NotANumber { name: used.to_string(), found }),
            None => Ok(None),
        }
    }
}

/// Why sizes cannot be put into a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSizes {
    /// The rule.
    pub rule: String,
    /// Why.
    pub reason: SizeReason,
}

/// Why a size cannot be put into a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SizeReason {
    /// Nobody says what it is.
    #[error("needs the size '{0}': --set {0}=N, or a config.json")]
    Unknown(Name),
    /// The rule says something else.
    #[error("has the size '{name}' as {own}, and it is {size}")]
    Contradicted {
        /// The size.
        name: Name,
        /// What the rule says.
        own: String,
        /// What it is.
        size: u64,
    },
    /// What the rule says of it has no value.
    #[error(transparent)]
    Bad(#[from] BadSize),
}

impl fmt::Display for BadSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule '{}' {}", self.rule, self.reason)
    }
}

impl core::error::Error for BadSizes {}
