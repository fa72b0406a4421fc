//! Plans: what becomes of every key of one file.

mod companions;
mod draft;
mod error;
mod expression;
mod expression_json;
mod foreseen;
mod formula;
mod formulas;
mod inverse;
mod json;
mod mentions;
mod modules;
mod pieces;
mod policy;
mod regroup;
mod resolve;
mod steps;
mod undo;

pub use error::{BadPlan, Issue, PlanError};
pub use expression::{Expression, Origination, Returns};
pub use foreseen::Foreseen;
pub use formula::{Formula, block_sizes};
pub use inverse::NotInvertible;
pub use mentions::{Mentions, Places};
pub use modules::Modules;
pub use policy::{Policy, Undefined, Unmatched};
pub use regroup::{Example, Regrouping};
pub use resolve::{Planned, plan, plan_stages, plan_stages_after};
pub use undo::plan_inverse;

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{DType, DuplicateKey, IndexMap, IndexSet, MetadataChange, Ties};

/// What becomes of every key of one or more state dicts, the types that some tensors get, and what
/// becomes of the text beside them.
///
/// Within a section no two keys get one name, and order is the file's; the constructors see to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub(crate) sections: Vec<Section>,
    pub(crate) metadata: Vec<MetadataChange>,
    pub(crate) ties: Ties,
    /// Entries of the outermost mapping that are left out, whatever they hold.
    pub(crate) left_out: Vec<String>,
}

/// What becomes of each key; unchanged names are the keys themselves.
pub(crate) type Fates = IndexMap<Arc<str>, Option<Arc<str>>>;

/// What becomes of every key of one state dict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    pub(crate) path: String,
    /// Shared by the plan's copies: files that are yet to be written have one.
    pub(crate) fates: Arc<Fates>,
    /// Tensors that get another element type, by their old keys.
    pub(crate) casts: IndexMap<String, DType>,
    /// Every tensor of the new state dict in order, each under its new key, if any is computed.
    pub(crate) tensors: Option<IndexMap<String, Expression>>,
    /// Pairs of expressions over old tensors that must have the same elements, or something would be
    /// lost.
    pub(crate) checks: Vec<(Expression, Expression)>,
}

impl Plan {
    /// What becomes of each state dict's keys.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section for the state dict at `at`.
    pub fn section(&self, path: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.path == path)
    }

    /// What becomes of the file's metadata: only what changes is named.
    pub fn metadata(&self) -> &[MetadataChange] {
        &self.metadata
    }

    /// The plan with these changes of the file's metadata in place of those it had.
    #[must_use]
    pub fn with_metadata(self, metadata: Vec<MetadataChange>) -> Plan {
        Plan { metadata, ..self }
    }

    /// Entries of the file's outermost mapping that are left out with all that they hold, by their
    /// keys.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The plan that leaves these entries of the outermost mapping out; saved as text it does not.
    #[must_use]
    pub fn without(self, left_out: Vec<String>) -> Plan {
        Plan { left_out, ..self }
    }

    /// True if every key keeps its name, every tensor its type, and the metadata its text.
    pub fn is_identity(&self) -> bool {
        self.left_out.is_empty()
            && self.metadata.is_empty()
            && self.sections.iter().all(Section::is_identity)
    }

    /// True if only keys and metadata change: what a rewrite of the file can do without reading a
    /// tensor, and the only thing that can be done in place.
    pub fn is_renaming(&self) -> bool {
        !self.casts() && !self.computes()
    }

    /// True if tensors are put together from others, or made.
    pub fn computes(&self) -> bool {
        self.sections.iter().any(|section| section.tensors.is_some())
    }

    /// How tensors that share their elements are written when they are encoded again.
    pub fn ties(&self) -> Ties {
        self.ties
    }

    /// The plan with tensors that share their elements written in this way.
    #[must_use]
    pub fn with_ties(self, ties: Ties) -> Plan {
        Plan { ties, ..self }
    }

    /// True if a tensor gets another element type.
    pub fn casts(&self) -> bool {
        self.sections.iter().any(|section| section.casts().next().is_some())
    }

    /// The plan with what is known of the tensors that are combined with constants: whether the
    /// opposites give every bit back. `known` is asked for each by its path and new key.
    #[must_use]
    pub fn returning(mut self, known: impl Fn(&str, &str) -> Option<Returns>) -> Plan {
        for section in &mut self.sections {
            for (key, made) in section.tensors.iter_mut().flatten() {
                if made.is_combined()
                    && let Some(known) = known(&section.path, key)
                {
                    *made = made.clone().returning(known);
                }
            }
        }
        self
    }

    /// True if a key is taken out.
    pub fn drops(&self) -> bool {
        !self.left_out.is_empty()
            || self.sections.iter().any(|section| section.dropped().next().is_some())
    }

    /// Renames the keys of a map, order kept; keys that the plan does not know keep their names.
    ///
    /// Of several sections the first is used, which is the only one for plain keys. Values are not
    /// computed: for that a plan needs a file.
    ///
    /// # Errors
    /// The first name that two entries would get, which a plan made for other keys can lead to.
    pub fn rename<V, M: FromIterator<(String, V)>>(
        &self,
        map: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) -> Result<M, DuplicateKey> {
        let fates = self.sections.first().map(|section| &section.fates);
        let mut taken = IndexSet::<String>::default();
        let mut renamed = Vec::new();
        for (key, value) in map {
            let new = match fates.and_then(|fates| fates.get(key.as_ref())) {
                Some(None) => continue,
                Some(Some(new)) => new.to_string(),
                None => key.as_ref().to_string(),
            };
            if !taken.insert(new.clone()) {
                return Err(DuplicateKey(new));
            }
            renamed.push((new, value));
        }
        Ok(renamed.into_iter().collect())
    }
}

impl From<Section> for Plan {
    fn from(section: Section) -> Plan {
        Plan { sections: [section].into(), ..Plan::default() }
    }
}

impl Section {
    /// The part of the section that speaks of these keys, in their order.
    ///
    /// It looks at no other keys: what is about a thousand files is taken apart in one go.
    pub fn restricted_to<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Section {
        let fates = keys.into_iter().filter_map(|key| self.fates.get_key_value(key));
        let fates: Fates = fates.map(|(old, new)| (old.clone(), new.clone())).collect();
        let casts = fates.keys().filter_map(|key| self.casts.get_key_value(&**key));
        let casts = casts.map(|(key, to)| (key.clone(), to.clone())).collect();
        Section { path: self.path.clone(), fates: fates.into(), casts, ..Section::default() }
    }

    /// The same for the state dict where the checkpoint is one of several, below a path of its own.
    #[must_use]
    pub fn below(self, path: &str) -> Section {
        let path = if self.path.is_empty() {
            path.to_string()
        } else {
            alloc::format!("{path}/{}", self.path)
        };
        Section { path, ..self }
    }

    /// The path to the state dict.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What becomes of a key: a new name, `Some(None)` if dropped, `None` if it is not in the plan.
    pub fn fate(&self, key: &str) -> Option<Option<&str>> {
        self.fates.get(key).map(|fate| fate.as_deref())
    }

    /// The element type that a key's tensor gets, if that is another one.
    pub fn cast(&self, key: &str) -> Option<&DType> {
        self.casts.get(key)
    }

    /// The keys of tensors that get another element type, with that type.
    pub fn casts(&self) -> impl ExactSizeIterator<Item = (&str, &DType)> {
        self.casts.iter().map(|(key, to)| (key.as_str(), to))
    }

    /// The section with these tensors as the new state dict, in this order.
    #[must_use]
    pub fn with_tensors(self, tensors: IndexMap<String, Expression>) -> Section {
        Section { tensors: Some(tensors), ..self }
    }

    /// Every tensor of the new state dict with what it is made of, if any is computed.
    pub fn tensors(&self) -> Option<&IndexMap<String, Expression>> {
        self.tensors.as_ref()
    }

    /// Pairs of expressions over tensors of the file that must have the same elements, since only
    /// the first of each pair is taken along.
    pub fn checks(&self) -> &[(Expression, Expression)] {
        &self.checks
    }

    /// The computed tensors from which nothing leads back, each with the reason.
    pub fn one_way(&self) -> impl Iterator<Item = (&str, String)> {
        let tensors = self.tensors.iter().flatten();
        tensors.filter_map(|(key, made)| Some((key.as_str(), made.one_way()?)))
    }

    /// Every key with what becomes of it.
    pub fn fates(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.fates.iter().map(|(old, new)| (&**old, new.as_deref()))
    }

    /// The keys that stay, with their new names.
    pub fn kept(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fates().filter_map(|(old, new)| Some((old, new?)))
    }

    /// Every new key that there is an old one for, with that, or with the first of those whose
    /// tensors it is made of.
    pub fn first_sources(&self) -> impl Iterator<Item = (&str, &str)> {
        let made = self.tensors.iter().flatten();
        let made = made.filter_map(|(new, made)| Some((new.as_str(), made.first_source()?)));
        self.kept().map(|(old, new)| (new, old)).chain(made)
    }

    /// The keys of which tensors are taken apart, joined or turned, and how many are made of them.
    pub fn regrouped(&self) -> (IndexSet<&str>, usize) {
        let (mut old, mut new) = (IndexSet::default(), 0);
        for made in self.tensors.iter().flatten().map(|(_, made)| made) {
            if made.is_regrouped() {
                old.extend(made.source_keys());
                new += 1;
            }
        }
        (old, new)
    }

    /// The keys that get another name, with it.
    pub fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.kept().filter(|(old, new)| old != new)
    }

    /// The keys that are taken out.
    pub fn dropped(&self) -> impl Iterator<Item = &str> {
        self.fates().filter(|(_, new)| new.is_none()).map(|(old, _)| old)
    }

    /// True if every key keeps its name.
    pub fn keeps_names(&self) -> bool {
        self.fates().all(|(old, new)| new == Some(old))
    }

    /// True if every key keeps its name and every tensor its type.
    pub fn is_identity(&self) -> bool {
        self.casts.is_empty() && self.tensors.is_none() && self.keeps_names()
    }
}
