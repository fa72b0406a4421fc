//! The algebra: renamings that never send two keys to one.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use thiserror::Error;

use crate::rules::formula::BadFill;
use crate::rules::template::{BadTemplate, Template};
use crate::rules::tensor::BadTensorRule;
use crate::{IndexMap, IndexSet, RuleKind, SEPARATOR};

/// A partial injection on keys: defined on some keys, never sending two to one.
///
/// Remaps form an inverse monoid under [`Remap::then`] and [`Remap::invert`].
/// The empty key is in the domain of none but `Identity`, `Keep` and `Drop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remap {
    /// Every key becomes itself.
    Identity,
    /// Puts a prefix in front.
    Add(Prefix),
    /// Takes a leading prefix off.
    Strip(Prefix),
    /// Rewrites keys of one form into another.
    Rename(Rename),
    /// Drops every key that matches none of the templates.
    Keep(Vec<Template>),
    /// Drops every key that matches one of the templates.
    Drop(Vec<Template>),
    /// Renames key by key.
    Table(Table),
    /// One remap after another.
    Then(Box<Remap>, Box<Remap>),
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is renamed, perhaps to itself.
    Becomes(String),
    /// It is taken out.
    Dropped,
    /// The remap says nothing about it.
    Undefined,
}

/// Whole leading segments: `module`, `encoder.layers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    text: String,
    separator: char,
}

/// A pair of templates with the same captures on both sides, so that it has an inverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    pub(crate) pair: TemplatePair,
}

/// A pair of templates, what the left one captures being filled into the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplatePair {
    from: Template,
    to: Template,
}

/// Old names with new ones; no name occurs twice on a side, and none is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pairs: IndexMap<String, String>,
}

/// What is wrong with a part of a remap.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadRemap {
    /// A prefix without a segment.
    #[error("a prefix needs at least one segment")]
    EmptyPrefix,
    /// A template that does not parse.
    #[error(transparent)]
    Template(#[from] BadTemplate),
    /// A capture used on the right that the left does not make.
    #[error("'{{{0}}}' is used on the right of '->' and not captured on the left")]
    Uncaptured(String),
    /// A wildcard on the right, which says nothing.
    #[error("'{0}' has a wildcard on the right of '->'; capture it on the left as {{name}}")]
    WildcardOnRight(String),
    /// The name captures one segment on one side and any number on the other.
    #[error("'{{{0}}}' is one segment on one side of '->' and any number on the other")]
    Kind(String),
    /// A list on one side, and any text on the other.
    #[error(
        "'{0}' is a list of words on one side of '->' and {{{0}}} on the other; say its words there, too"
    )]
    ListAgainstText(String),
    /// Lists of one name that differ in length.
    #[error("the lists of '{name}' have {a} and {b} words")]
    ListLengths {
        /// The capture.
        name: String,
        /// How many words it has on the left.
        a: usize,
        /// How many it has on the right.
        b: usize,
    },
    /// A filling that cannot be.
    #[error(transparent)]
    Fill(#[from] BadFill),
    /// A rule of tensors that cannot be.
    #[error(transparent)]
    Tensor(#[from] BadTensorRule),
    /// Two sides that are split into segments at different characters.
    #[error("'{from}' is split at '{}' and '{to}' at '{}'", .from.separator(), .to.separator())]
    Separators {
        /// The left side.
        from: Template,
        /// The right side.
        to: Template,
    },
    /// Two pairs of a table share a name.
    #[error("duplicate key '{0}' in table")]
    Repeated(String),
    /// A table names the empty key.
    #[error("a table cannot name the empty key")]
    EmptyKey,
    /// Too few or too many words for a kind of rule.
    #[error("{} takes {expected}", .kind.name())]
    Words {
        /// The kind.
        kind: RuleKind,
        /// What it takes.
        expected: &'static str,
    },
    /// A text that is not a rule.
    #[error("cannot parse rule '{text}'; {expected}")]
    Spelling {
        /// What was read.
        text: String,
        /// What would have been understood.
        expected: String,
    },
    /// A regular expression that does not compile.
    #[error("regular expression '{pattern}': {reason}")]
    Regex {
        /// The expression.
        pattern: String,
        /// What the compiler says, in one line.
        reason: String,
    },
}

impl Remap {
    /// Puts `prefix` in front; `module` and `module.` mean the same.
    pub fn add(prefix: &str) -> Result<Remap, BadRemap> {
        Ok(Remap::Add(Prefix::new(prefix, SEPARATOR)?))
    }

    /// Takes a leading `prefix` off; `module` and `module.` mean the same.
    pub fn strip(prefix: &str) -> Result<Remap, BadRemap> {
        Ok(Remap::Strip(Prefix::new(prefix, SEPARATOR)?))
    }

    /// This remap, then `next` on what it gives.
    pub fn then(self, next: Remap) -> Remap {
        Remap::Then(Box::new(self), Box::new(next))
    }

    /// The remap that leads back: `f.invert()` undoes `f` wherever `f` is defined.
    pub fn invert(&self) -> Remap {
        match self {
            Remap::Identity => Remap::Identity,
            Remap::Add(prefix) => Remap::Strip(prefix.clone()),
            Remap::Strip(prefix) => Remap::Add(prefix.clone()),
            Remap::Rename(rename) => Remap::Rename(rename.invert()),
            Remap::Keep(templates) => Remap::Keep(templates.clone()),
            Remap::Drop(templates) => Remap::Drop(templates.clone()),
            Remap::Table(table) => Remap::Table(table.invert()),
            Remap::Then(first, second) => second.invert().then(first.invert()),
        }
    }

    /// What becomes of a key.
    pub fn apply(&self, key: &str) -> Fate {
        self.step(key).0.into()
    }

    /// What becomes of a key, and whether some part of the remap recognised it.
    pub(crate) fn step(&self, key: &str) -> (Step, Matched) {
        match self {
            Remap::Identity => (Step::Becomes(key.to_string()), true),
            Remap::Keep(templates) => {
                if templates.iter().any(|t| t.matches(key)) {
                    (Step::Becomes(key.to_string()), true)
                } else {
                    (Step::Dropped, false)
                }
            }
            Remap::Drop(templates) => {
                if templates.iter().any(|t| t.matches(key)) {
                    (Step::Dropped, true)
                } else {
                    (Step::Becomes(key.to_string()), false)
                }
            }
            Remap::Then(first, second) => match first.step(key) {
                (Step::Becomes(middle), matched) => {
                    let (step, also) = second.step(&middle);
                    let recognised = (matched || also) && step != Step::Undefined;
                    (step, recognised)
                }
                stopped => stopped,
            },
            _ if key.is_empty() => (Step::Undefined, false),
            Remap::Add(prefix) => (Step::Becomes(prefix.add(key)), true),
            Remap::Strip(prefix) => matched(prefix.strip(key)),
            Remap::Rename(rename) => matched(rename.pair.step(key)),
            Remap::Table(table) => matched(match table.pairs.get(key) {
                Some(new) => Step::Becomes(new.clone()),
                None => Step::Undefined,
            }),
        }
    }
}

/// Whether a rule recognised a key.
pub(crate) type Matched = bool;

/// What becomes of a key, telling apart the two ways of being undefined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Becomes(String),
    Dropped,
    /// The rule recognised the key, and nothing would be left of it.
    Emptied,
    Undefined,
}

impl Step {
    /// A new name, unless it is empty.
    pub(crate) fn named(name: String) -> Step {
        if name.is_empty() { Step::Emptied } else { Step::Becomes(name) }
    }
}

impl From<Step> for Fate {
    fn from(step: Step) -> Fate {
        match step {
            Step::Becomes(key) => Fate::Becomes(key),
            Step::Dropped => Fate::Dropped,
            Step::Emptied | Step::Undefined => Fate::Undefined,
        }
    }
}

fn matched(step: Step) -> (Step, Matched) {
    let matched = step != Step::Undefined;
    (step, matched)
}

impl Prefix {
    /// A prefix of whole segments; one trailing separator is understood and left out.
    pub fn new(text: &str, separator: char) -> Result<Prefix, BadRemap> {
        let text = text.strip_suffix(separator).unwrap_or(text);
        if text.is_empty() {
            return Err(BadRemap::EmptyPrefix);
        }
        Ok(Prefix { text: text.to_string(), separator })
    }

    /// The prefix without its trailing separator.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What segments are joined by.
    pub fn separator(&self) -> char {
        self.separator
    }

    fn add(&self, key: &str) -> String {
        format!("{}{}{key}", self.text, self.separator)
    }

    fn strip(&self, key: &str) -> Step {
        match key.strip_prefix(self.text.as_str()).and_then(|k| k.strip_prefix(self.separator)) {
            Some(rest) => Step::named(rest.to_string()),
            None => Step::Undefined,
        }
    }
}

impl TemplatePair {
    /// Pairs two templates; the right side may use only what the left side captures.
    pub fn new(from: Template, to: Template) -> Result<TemplatePair, BadRemap> {
        if from.separator() != to.separator() {
            return Err(BadRemap::Separators { from, to });
        }
        TemplatePair::across(from, to)
    }

    /// The same of templates that may be split at different characters.
    pub fn across(from: Template, to: Template) -> Result<TemplatePair, BadRemap> {
        if to.has_wildcards() {
            return Err(BadRemap::WildcardOnRight(to.to_string()));
        }
        if let Some(name) = to.names().find(|name| !from.names().any(|known| known == *name)) {
            return Err(BadRemap::Uncaptured(name.to_string()));
        }
        if let Some(name) = to.names().find(|name| {
            from.rest_names().any(|rest| **rest == **name)
                != to.rest_names().any(|rest| **rest == **name)
        }) {
            return Err(BadRemap::Kind(name.to_string()));
        }
        check_lists(&from, &to)?;
        let affine = from.affine_names().chain(to.affine_names());
        let numbers = affine.cloned().collect();
        let [from, to] = [from, to].map(|template| template.with_numbers(&numbers));
        Ok(TemplatePair { from, to })
    }

    /// Reads `FROM -> TO`.
    pub fn parse(text: &str, separator: char) -> Result<TemplatePair, BadRemap> {
        let (from, to) = split_arrow(text)?;
        TemplatePair::new(Template::parse(from, separator)?, Template::parse(to, separator)?)
    }

    /// The same pair with each template changed.
    pub(crate) fn map<E>(
        &self,
        change: impl Fn(&Template) -> Result<Template, E>,
    ) -> Result<TemplatePair, E> {
        Ok(TemplatePair { from: change(&self.from)?, to: change(&self.to)? })
    }

    /// The left side.
    pub fn from(&self) -> &Template {
        &self.from
    }

    /// The right side.
    pub fn to(&self) -> &Template {
        &self.to
    }

    /// True if no two keys can become one: every capture is used, and a key can be read in one way.
    pub fn is_injective(&self) -> bool {
        let all_used = self.from.names().all(|name| self.to.names().any(|used| used == name));
        let is_clear = self.from.reads_in_one_way() && self.to.reads_in_one_way();
        all_used && is_clear && !self.from.has_wildcards()
    }

    pub(crate) fn step(&self, key: &str) -> Step {
        let Some(held) = self.from.recognise(key) else { return Step::Undefined };
        match self.to.fill(&held) {
            Ok(name) => Step::named(name),
            Err(_) => Step::Undefined,
        }
    }
}

impl Rename {
    /// The pair as a remap; `None` if two keys could become one, which makes it a rule.
    pub fn new(pair: TemplatePair) -> Option<Rename> {
        pair.is_injective().then_some(Rename { pair })
    }

    /// The pair of templates.
    pub fn pair(&self) -> &TemplatePair {
        &self.pair
    }

    fn invert(&self) -> Rename {
        let TemplatePair { from, to } = self.pair.clone();
        Rename { pair: TemplatePair { from: to, to: from } }
    }
}

impl Table {
    /// A table of these pairs, in this order.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Table, BadRemap> {
        let mut forward = IndexMap::<String, String>::default();
        let mut taken = IndexSet::<String>::default();
        for (old, new) in pairs {
            if old.is_empty() || new.is_empty() {
                return Err(BadRemap::EmptyKey);
            }
            if !taken.insert(new.clone()) {
                return Err(BadRemap::Repeated(new));
            }
            if forward.insert(old.clone(), new).is_some() {
                return Err(BadRemap::Repeated(old));
            }
        }
        Ok(Table { pairs: forward })
    }

    /// The pairs, old name first.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(old, new)| (old.as_str(), new.as_str()))
    }

    fn invert(&self) -> Table {
        let pairs = self.pairs.iter().map(|(old, new)| (new.clone(), old.clone())).collect();
        Table { pairs }
    }
}

/// Refuses lists that the other side does not have, or that are of another length there.
fn check_lists(from: &Template, to: &Template) -> Result<(), BadRemap> {
    for name in to.names() {
        match (from.words(name), to.words(name)) {
            (Some(a), Some(b)) if a.len() != b.len() => {
                let (name, a, b) = (name.to_string(), a.len(), b.len());
                return Err(BadRemap::ListLengths { name, a, b });
            }
            (Some(_), None) if !to.affine_names().any(|affine| **affine == *name) => {
                return Err(BadRemap::ListAgainstText(name.to_string()));
            }
            (None, Some(_)) if !from.affine_names().any(|affine| **affine == *name) => {
                return Err(BadRemap::ListAgainstText(name.to_string()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The two sides of a rule: `FROM -> TO`.
pub(crate) fn split_arrow(text: &str) -> Result<(&str, &str), BadRemap> {
    let Some((from, to)) = text.split_once("->") else {
        let expected = "expected 'FROM -> TO'".to_string();
        return Err(BadRemap::Spelling { text: text.to_string(), expected });
    };
    Ok((from.strip_suffix(' ').unwrap_or(from), to.strip_prefix(' ').unwrap_or(to)))
}
