//! Casting: which tensors of a plan get another element type.
//!
//! A [`CastRule`] is a type, perhaps for the keys that match a pattern; a [`Casting`] is several of
//! them, and [`Casting::apply`] writes what they come to into a [`Plan`], key by key.
//! Only real floating-point tensors are cast.
//! Tensors whose values are meant together with scales that the file records are left as they are
//! (see `scales`), unless a pattern spells out their last segment.

mod scales;
mod spelling;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::diff::Side;
use crate::{
    Catalog, DType, Data, Expression, IndexMap, IndexSet, Key, Origination, Plan, StateDict,
    Template, Tensor,
};

pub use spelling::BadCast;

pub(crate) use scales::companions;

use scales::scaled;

/// A type to cast to.
#[derive(Clone, Debug, PartialEq)]
pub struct CastRule {
    /// The keys it is for, as the file has them; none for all that no pattern matches.
    pub pattern: Option<Template>,
    /// The type.
    pub to: DType,
}

/// Which tensors to cast, and to what.
///
/// Patterns are tried in order and the first that matches decides; a rule without a pattern is for
/// the tensors that none matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Casting {
    /// The rules, in the order in which they are tried.
    pub rules: Vec<CastRule>,
}

/// What came of casting rules beside the casts themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncast {
    /// Tensors that a rule is for and that keep their type.
    pub tensors: Vec<UncastTensor>,
    /// Patterns that match no key, as text.
    pub unused_rules: Vec<String>,
}

/// A tensor that keeps its type though a rule is for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncastTensor {
    /// The path to its state dict.
    pub path: String,
    /// Its key, as the file has it.
    pub key: String,
    /// Why it is not cast.
    pub reason: UncastReason,
}

/// Why a tensor is not cast.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UncastReason {
    /// It is a quantized weight with recorded scales, or one of those scales.
    Scaled,
    /// It has no plain elements; the layout it has instead.
    Layout(String),
    /// Its key is not a string, so that no plan can speak of it.
    Unnamed,
}

impl Casting {
    /// True if nothing is to be cast.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Writes into the plan which of its kept tensors are cast.
    ///
    /// `metadata` is the text that the file keeps beside its tensors, which may name layers that are
    /// quantized.
    pub fn apply(
        &self,
        plan: &mut Plan,
        catalog: &Catalog,
        metadata: &[(String, String)],
    ) -> Uncast {
        let mut uncast = Uncast::default();
        let mut used = alloc::vec![false; self.rules.len()];
        for section in &mut plan.sections {
            let Some(state_dict) = catalog.state_dict_at(&section.path) else {
                continue;
            };
            let scaled = scaled(catalog, state_dict, metadata);
            if let Some(mut tensors) = section.tensors.take() {
                let side = Side { catalog, state_dict };
                let notes = (&mut used[..], &mut uncast);
                let whole = self.cast_computed(&mut tensors, side, &scaled, notes);
                section.tensors = Some(tensors);
                section.casts.extend(whole);
                uncast.tensors.extend(self.unnamed(catalog, state_dict));
                continue;
            }
            let mut casts = IndexMap::default();
            for (key, _) in section.fates.iter().filter(|(_, new)| new.is_some()) {
                self.note_used(key, &mut used);
                let Some((tensor, rule)) = self.wanted(catalog, state_dict, key) else { continue };
                let reason = match &tensor.data {
                    Data::Opaque { layout, .. } => Some(UncastReason::Layout(layout.clone())),
                    Data::View(_) | Data::Blocks(_) | Data::Unlocated
                        if scaled.contains(&**key) && !rule.spells_out(key) =>
                    {
                        Some(UncastReason::Scaled)
                    }
                    Data::View(_) | Data::Blocks(_) | Data::Unlocated => None,
                };
                match reason {
                    Some(reason) => uncast.tensors.push(UncastTensor {
                        path: section.path.clone(),
                        key: key.to_string(),
                        reason,
                    }),
                    None => drop(casts.insert(key.to_string(), rule.to.clone())),
                }
            }
            section.casts.extend(casts);
            uncast.tensors.extend(self.unnamed(catalog, state_dict));
        }
        let unused = self.rules.iter().zip(used).filter(|(_, used)| !used);
        let unused = unused.filter_map(|(rule, _)| Some(rule.pattern.as_ref()?.to_string()));
        uncast.unused_rules = unused.collect();
        uncast
    }

    /// Casts what tensors are made of, once it is made; a rule's pattern is for the key in the file,
    /// and for the new key where a tensor is computed. Gives the keys that are cast as they are.
    fn cast_computed(
        &self,
        tensors: &mut IndexMap<String, Expression>,
        Side { catalog, state_dict }: Side,
        scaled: &IndexSet<String>,
        (used, uncast): (&mut [bool], &mut Uncast),
    ) -> IndexMap<String, DType> {
        let mut whole = IndexMap::default();
        let tensor = |key: &str| catalog.tensor(state_dict, key);
        for (new, made) in tensors {
            let key = match made {
                Expression::Key { of: Origination::Source, key, .. } => key.clone(),
                _ => new.clone(),
            };
            self.note_used(&key, used);
            let dtype = made.dtype(&|key| tensor(key).map(|tensor| tensor.dtype.clone()));
            let Some(dtype) = dtype.filter(DType::is_float) else { continue };
            let Some(rule) = self.rule(&key).filter(|rule| rule.to != dtype) else { continue };
            let is_calculated = matches!(made, Expression::Formula(_));
            let is_scaled =
                !is_calculated && made.source_keys().iter().any(|it| scaled.contains(*it));
            if is_scaled && !rule.spells_out(&key) {
                let (path, reason) = (state_dict.path.clone(), UncastReason::Scaled);
                uncast.tensors.push(UncastTensor { path, key, reason });
                continue;
            }
            if matches!(made, Expression::Key { .. }) {
                whole.insert(key, rule.to.clone());
            }
            *made = made.clone().cast(rule.to.clone());
        }
        whole
    }

    /// The tensors of a state dict that would be cast if their keys were texts.
    fn unnamed(&self, catalog: &Catalog, state_dict: &StateDict) -> Vec<UncastTensor> {
        let Some(rule) = self.rules.iter().rfind(|rule| rule.pattern.is_none()) else {
            return Vec::new();
        };
        let unnamed = catalog.rows.iter().filter_map(|row| match &row.key {
            Key::Other(key) => Some((key, row)),
            Key::Text(_) => None,
        });
        unnamed
            .filter(|(_, row)| *row.path == *state_dict.path)
            .filter(|(_, row)| row.tensor.dtype.is_float() && row.tensor.dtype != rule.to)
            .map(|(key, row)| UncastTensor {
                path: row.path.to_string(),
                key: key.to_string(),
                reason: UncastReason::Unnamed,
            })
            .collect()
    }

    /// A tensor that a rule gives another type, with the rule.
    fn wanted<'c>(
        &self,
        catalog: &'c Catalog,
        state_dict: &StateDict,
        key: &str,
    ) -> Option<(&'c Tensor, &CastRule)> {
        let tensor = catalog.tensor(state_dict, key).filter(|tensor| tensor.dtype.is_float())?;
        let rule = self.rule(key).filter(|rule| rule.to != tensor.dtype)?;
        Some((tensor, rule))
    }

    /// The rule for a key.
    fn rule(&self, key: &str) -> Option<&CastRule> {
        let mut rules = self.rules.iter();
        let named = rules.find(|rule| rule.pattern.as_ref().is_some_and(|it| it.matches(key)));
        named.or_else(|| self.rules.iter().rfind(|rule| rule.pattern.is_none()))
    }

    fn note_used(&self, key: &str, used: &mut [bool]) {
        for (rule, used) in self.rules.iter().zip(used) {
            *used = *used || rule.pattern.as_ref().is_none_or(|pattern| pattern.matches(key));
        }
    }
}

impl CastRule {
    /// True if the pattern spells out the last segment of the keys it is for.
    fn spells_out(&self, key: &str) -> bool {
        self.pattern.as_ref().is_some_and(|it| it.ends_literally() && it.matches(key))
    }
}
