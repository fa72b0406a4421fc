//! Kinds of rules, and the words that each of them is made from: the one list of what can be asked.
//!
//! Text (`strip:module`), recipes (`strip = "module"`) and commands (`strip module`) differ in how
//! they write words down; which words there are, and what they mean, is said here.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::rules::formula::{Dequantise, Fill, FoldWeightNorm, FormulaRule};
use crate::rules::remap::{Prefix, Table};
use crate::rules::rule::Wrappers;
use crate::rules::separators::Separators;
use crate::{BadRemap, IndexSet, Remap, Rule, SEPARATOR, Template, TemplatePair};

/// A kind of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleKind {
    /// Takes a leading prefix off.
    Strip,
    /// Puts a prefix in front.
    Add,
    /// Takes wrapper segments out, at any depth.
    Unwrap,
    /// Renames by templates or regular expressions.
    Rename,
    /// Keeps what matches a pattern, and drops the rest.
    Keep,
    /// Drops what matches a pattern.
    Drop,
    /// Renames key by key.
    Table,
    /// Multiplies quantized weights by their scales.
    Dequantise,
    /// Folds weight norms into weights.
    FoldWeightNorm,
    /// Adds tensors made of constants.
    Fill,
}

/// The words that a kind of rule takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// One prefix of whole segments.
    Prefix,
    /// Any number of segments; without one, the usual ones are meant.
    Segments,
    /// One or more of `FROM -> TO` and `re:FROM -> TO`.
    Renames,
    /// One or more templates.
    Patterns,
    /// Old and new keys by turns.
    Pairs,
    /// One or more of `DTYPE` and `PATTERN=DTYPE`.
    Types,
    /// Any number of templates; without one, all keys are meant that can be.
    AnyPatterns,
    /// One or more of `KEY[places] = WHAT DTYPE`, perhaps with `FROM ->` in front.
    Fillings,
}

impl RuleKind {
    /// Every kind.
    pub const ALL: [RuleKind; 10] = [
        RuleKind::Strip,
        RuleKind::Add,
        RuleKind::Unwrap,
        RuleKind::Rename,
        RuleKind::Keep,
        RuleKind::Drop,
        RuleKind::Table,
        RuleKind::Dequantise,
        RuleKind::FoldWeightNorm,
        RuleKind::Fill,
    ];

    /// Its name in texts, recipes and commands.
    pub const fn name(self) -> &'static str {
        match self {
            RuleKind::Strip => "strip",
            RuleKind::Add => "add",
            RuleKind::Unwrap => "unwrap",
            RuleKind::Rename => "rename",
            RuleKind::Keep => "keep",
            RuleKind::Drop => "drop",
            RuleKind::Table => "table",
            RuleKind::Dequantise => "dequantise",
            RuleKind::FoldWeightNorm => "fold-weight-norm",
            RuleKind::Fill => "fill",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<RuleKind> {
        RuleKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The words that it takes.
    pub fn words(self) -> Words {
        match self {
            RuleKind::Strip | RuleKind::Add => Words::Prefix,
            RuleKind::Unwrap => Words::Segments,
            RuleKind::Rename => Words::Renames,
            RuleKind::Keep | RuleKind::Drop => Words::Patterns,
            RuleKind::Table => Words::Pairs,
            RuleKind::Dequantise => Words::Types,
            RuleKind::FoldWeightNorm => Words::AnyPatterns,
            RuleKind::Fill => Words::Fillings,
        }
    }

    /// The rule that these words ask for, with keys split into segments at separators.
    ///
    /// Of two separators the left one is that of the keys there are; only renames use the other.
    ///
    /// # Errors
    /// Too few or too many words, or one that cannot be read.
    pub fn rule(
        self,
        words: &[String],
        separators: impl Into<Separators>,
    ) -> Result<Rule, BadRemap> {
        let separators = separators.into();
        let separator = separators.left;
        Ok(match self {
            RuleKind::Strip => Remap::Strip(self.prefix(words, separator)?).into(),
            RuleKind::Add => Remap::Add(self.prefix(words, separator)?).into(),
            RuleKind::Unwrap if words.is_empty() => Rule::Unwrap(Wrappers::usual_at(separator)),
            RuleKind::Unwrap => Rule::Unwrap(Wrappers::new(words.to_vec(), separator)?),
            RuleKind::Rename => self.renames(words, separators)?,
            RuleKind::Keep => Remap::Keep(self.templates(words, separator)?).into(),
            RuleKind::Drop => Remap::Drop(self.templates(words, separator)?).into(),
            RuleKind::Table => Remap::Table(self.table(words)?).into(),
            RuleKind::Dequantise => {
                FormulaRule::Dequantise(Dequantise::new(words, separator)?).into()
            }
            RuleKind::FoldWeightNorm => {
                FormulaRule::FoldWeightNorm(FoldWeightNorm::new(words, separator)?).into()
            }
            RuleKind::Fill => self.fills(words, separators)?,
        })
    }

    fn prefix(self, words: &[String], separator: char) -> Result<Prefix, BadRemap> {
        match words {
            [word] => Prefix::new(word, separator),
            _ => Err(self.takes("one prefix")),
        }
    }

    fn renames(self, words: &[String], separators: Separators) -> Result<Rule, BadRemap> {
        if words.is_empty() {
            return Err(self.takes("at least one 'FROM -> TO'"));
        }
        let rules = words.iter().map(|word| Rule::rename(word, separators));
        Ok(Rule::at_once(rules.collect::<Result<_, _>>()?))
    }

    fn fills(self, words: &[String], separators: Separators) -> Result<Rule, BadRemap> {
        if words.is_empty() {
            return Err(self.takes("at least one 'KEY[places] = WHAT DTYPE'"));
        }
        let fills = words.iter().map(|word| Fill::parse(word, separators));
        Ok(FormulaRule::Fill(fills.collect::<Result<_, _>>()?).into())
    }

    fn templates(self, words: &[String], separator: char) -> Result<Vec<Template>, BadRemap> {
        if words.is_empty() {
            return Err(self.takes("at least one pattern"));
        }
        Ok(words.iter().map(|word| Template::parse(word, separator)).collect::<Result<_, _>>()?)
    }

    fn table(self, words: &[String]) -> Result<Table, BadRemap> {
        let (pairs, left_over) = words.as_chunks::<2>();
        if !left_over.is_empty() {
            return Err(self.takes("a new key for each old one"));
        }
        Table::new(pairs.iter().map(|[old, new]| (old.clone(), new.clone())))
    }

    fn takes(self, expected: &'static str) -> BadRemap {
        BadRemap::Words { kind: self, expected }
    }
}

impl Remap {
    /// The kind and the words that ask for this remap; `None` for a chain and for the identity.
    pub fn words(&self) -> Option<(RuleKind, Vec<String>)> {
        Some(match self {
            Remap::Identity | Remap::Then(..) => return None,
            Remap::Add(prefix) => (RuleKind::Add, [word_of(prefix)].into()),
            Remap::Strip(prefix) => (RuleKind::Strip, [word_of(prefix)].into()),
            Remap::Rename(rename) => (RuleKind::Rename, [rename.to_string()].into()),
            Remap::Keep(templates) => (RuleKind::Keep, texts(templates)),
            Remap::Drop(templates) => (RuleKind::Drop, texts(templates)),
            Remap::Table(table) => {
                let pairs = table.pairs().flat_map(|(old, new)| [old, new]);
                (RuleKind::Table, pairs.map(String::from).collect())
            }
        })
    }

    /// The same on both sides.
    pub fn separators(&self) -> Option<Separators> {
        match self {
            Remap::Rename(rename) => {
                let pair = rename.pair();
                Some(Separators { left: pair.from().separator(), right: pair.to().separator() })
            }
            remap => remap.separator().map(Separators::from),
        }
    }

    /// What keys are split into segments at; `None` where nothing is split.
    pub fn separator(&self) -> Option<char> {
        match self {
            Remap::Identity | Remap::Table(_) => None,
            Remap::Add(prefix) | Remap::Strip(prefix) => Some(prefix.separator()),
            Remap::Rename(rename) => Some(rename.pair().from().separator()),
            Remap::Keep(all) | Remap::Drop(all) => all.first().map(Template::separator),
            Remap::Then(first, second) => first.separator().or_else(|| second.separator()),
        }
    }
}

impl Rule {
    /// The kind and the words that ask for this rule: the reverse of [`RuleKind::rule`].
    ///
    /// `None` for a chain, for a saved plan, and for rules at once of which one is neither a
    /// renaming nor a table, or that split keys at different characters.
    pub fn words(&self) -> Option<(RuleKind, Vec<String>)> {
        Some(match self {
            Rule::Remap(remap) => return remap.words(),
            Rule::Unwrap(wrappers) if wrappers.are_usual() => (RuleKind::Unwrap, Vec::new()),
            Rule::Unwrap(wrappers) => (RuleKind::Unwrap, wrappers.names().to_vec()),
            Rule::Rewrite(_) | Rule::Replace(_) | Rule::Tensor(_) | Rule::FirstOf(_) => {
                (RuleKind::Rename, self.renames()?)
            }
            Rule::Formula(rule) => return rule.words(),
            Rule::Fates(_) => return None,
        })
    }

    /// The words of a [`RuleKind::Rename`] that do the same, a table's with one for each key.
    pub fn renames(&self) -> Option<Vec<String>> {
        Some(match self {
            Rule::Remap(Remap::Rename(rename)) => [rename.to_string()].into(),
            Rule::Remap(Remap::Table(table)) => literal_renames(table, SEPARATOR),
            Rule::Rewrite(pair) => [pair.to_string()].into(),
            Rule::Tensor(rule) => [rule.to_string()].into(),
            Rule::Replace(replacement) => [format!("re:{replacement}")].into(),
            Rule::FirstOf(rules) if separators(rules).len() <= 1 => {
                let words = rules.iter().map(Rule::renames).collect::<Option<Vec<_>>>()?;
                words.concat()
            }
            _ => return None,
        })
    }

    /// What keys are split into segments at; `None` where nothing is split.
    pub fn separator(&self) -> Option<char> {
        self.separators().map(|separators| separators.left)
    }

    /// The same on both sides.
    pub fn separators(&self) -> Option<Separators> {
        let of = |from: &Template, to: &Template| {
            Some(Separators { left: from.separator(), right: to.separator() })
        };
        match self {
            Rule::Remap(remap) => remap.separators(),
            Rule::Unwrap(wrappers) => Some(wrappers.separator().into()),
            Rule::Rewrite(pair) => of(pair.from(), pair.to()),
            Rule::Tensor(rule) => {
                of(rule.left().first()?.template(), rule.right().first()?.template())
            }
            Rule::Formula(rule) => Some(rule.separators()),
            Rule::Replace(_) | Rule::Fates(_) => None,
            Rule::FirstOf(rules) => rules.iter().find_map(Rule::separators),
        }
    }
}

fn separators(rules: &[Rule]) -> IndexSet<Separators> {
    rules.iter().filter_map(Rule::separators).collect()
}

/// The prefix as a word, of which one separator at the end is left out when it is read.
fn word_of(prefix: &Prefix) -> String {
    let (text, separator) = (prefix.text(), prefix.separator());
    if text.ends_with(separator) { format!("{text}{separator}") } else { text.to_string() }
}

fn texts(templates: &[Template]) -> Vec<String> {
    templates.iter().map(ToString::to_string).collect()
}

/// A table as renames; a key that is spelled out is the same whatever it is split at.
fn literal_renames(table: &Table, separator: char) -> Vec<String> {
    let renames = table.pairs().map(|(old, new)| {
        let (old, new) = (Template::literal(old, separator), Template::literal(new, separator));
        TemplatePair::new(old, new).expect("templates without captures go together").to_string()
    });
    renames.collect()
}
