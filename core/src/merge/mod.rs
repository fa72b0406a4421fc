//! Adapters of low rank (LoRA) merged into the weights they were trained for.
//!
//! The tensors of an adapter are read by their names (see `names`), find the weights they belong to
//! (see `modules`), and become [formulas](crate::Formula) over both; what finds none is refused.

mod config;
mod modules;
mod names;

pub use config::AdapterConfig;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use thiserror::Error;

use crate::catalog::tensor::count_of;
use crate::diff::Side;
use crate::plan::Fates;
use crate::{Expression, Formula, IndexMap, IndexSet, Origination, Section, Template, Tensor};

use modules::Modules;
use names::{Piece, Role, unwrapped};

/// An adapter, and how it is merged.
#[derive(Clone, Copy, Debug)]
pub struct Adapter<'a> {
    /// Its tensors; the base's own where both are in one file.
    pub side: Side<'a>,
    /// What its configuration says, if it has one.
    pub config: Option<&'a AdapterConfig>,
    /// The numbers of the tensors named `….alpha`, by their keys.
    pub alphas: &'a IndexMap<String, f64>,
    /// Keys of it that are left out.
    pub drop: &'a [Template],
    /// What every product is multiplied by, besides its own scale; 1 merges the adapter as it is.
    pub weight: f64,
}

/// What merging makes of a base.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What every tensor is made of.
    pub section: Section,
    /// The weights that have an adapter merged, in the order of the base.
    pub adapted: Vec<AdaptedTensor>,
    /// The tensors that the adapter has in place of the base's own.
    pub replaced: Vec<String>,
    /// Keys of the adapter that were left out, as was asked for.
    pub dropped: Vec<String>,
}

/// A weight that has an adapter merged.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptedTensor {
    /// Its key in the new file.
    pub key: String,
    /// The rank of what is added.
    pub rank: u64,
    /// What the product is multiplied by.
    pub scale: f64,
}

/// Why an adapter cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .problems.join("\n"))]
pub struct NotMerged {
    /// At least one: what is wrong with which tensor.
    pub problems: Vec<String>,
}

/// Plans the merging of an adapter into a base.
///
/// Where both are in one file, as PEFT keeps a model in training, the names of the new tensors are
/// those that they had before.
///
/// # Errors
/// Every tensor of the adapter that belongs to no weight or to several, that is of another kind, or
/// whose shape is not that of its weight's adapter.
pub fn merge(base: Side, adapter: Adapter) -> Result<Merged, NotMerged> {
    Merger::new(base, adapter).merged()
}

/// The parts of one adapter.
#[derive(Default)]
struct Parts<'a> {
    down: Option<&'a str>,
    up: Option<&'a str>,
    alpha: Option<&'a str>,
    is_embedding: bool,
    /// True for PEFT's names, whose scale is in the configuration.
    is_configured: bool,
}

struct Merger<'a> {
    base: Side<'a>,
    adapter: Adapter<'a>,
    /// True if both are in one file.
    is_within: bool,
    modules: Modules<'a>,
    problems: Vec<String>,
}

impl<'a> Merger<'a> {
    fn new(base: Side<'a>, adapter: Adapter<'a>) -> Merger<'a> {
        let is_within = core::ptr::eq(base.state_dict, adapter.side.state_dict);
        let keys = base.state_dict.keys();
        let kept = keys.filter(|key| !is_within || Piece::of(key).role == Role::Whole);
        let names = kept.map(|key| (if is_within { unwrapped(key) } else { key.to_string() }, key));
        let modules = Modules::new(names.collect());
        Merger { base, adapter, is_within, modules, problems: Vec::new() }
    }

    fn merged(mut self) -> Result<Merged, NotMerged> {
        let (mut parts, mut wholes, mut dropped) = (IndexMap::default(), Vec::new(), Vec::new());
        for key in self.adapter.side.state_dict.keys() {
            if self.adapter.drop.iter().any(|pattern| pattern.matches(key)) {
                dropped.push(key.to_string());
            } else {
                self.sort(key, &mut parts, &mut wholes);
            }
        }
        let mut made = self.replaced(&wholes);
        let replaced = made.keys().cloned().collect();
        let mut adapted = IndexMap::default();
        for (module, parts) in &parts {
            match self.adapted(module, parts, &made) {
                Ok((of, tensor)) => {
                    let key = tensor.key.clone();
                    made.insert(key.clone(), of);
                    if adapted.insert(key.clone(), tensor).is_some() {
                        self.problems.push(format!("'{key}' has several adapters"));
                    }
                }
                Err(why) => self.problems.push(why),
            }
        }
        if made.is_empty() && self.problems.is_empty() {
            self.problems.push("there is no adapter of low rank to merge".to_string());
        }
        if !self.problems.is_empty() {
            return Err(NotMerged { problems: self.problems });
        }
        let section = self.section(&dropped, made);
        let order = section.tensors().into_iter().flat_map(IndexMap::keys);
        let adapted = order.filter_map(|key| adapted.swap_remove(key)).collect::<Vec<_>>();
        Ok(Merged { section, adapted, replaced, dropped })
    }

    /// Notes what a tensor of the adapter is.
    fn sort(
        &mut self,
        key: &'a str,
        parts: &mut IndexMap<String, Parts<'a>>,
        wholes: &mut Vec<&'a str>,
    ) {
        let Piece { module, role } = Piece::of(key);
        let slot = match role {
            Role::Whole if self.is_within => return,
            Role::Whole => return wholes.push(key),
            Role::Other(what) => {
                return self
                    .problems
                    .push(format!("'{key}' belongs to {what}, which is not merged"));
            }
            Role::Down { is_embedding } => {
                let parts = parts.entry(module).or_default();
                parts.is_embedding |= is_embedding;
                parts.is_configured |= is_embedding || key.contains(".lora_A.");
                &mut parts.down
            }
            Role::Up => &mut parts.entry(module).or_default().up,
            Role::Alpha => &mut parts.entry(module).or_default().alpha,
        };
        if let Some(other) = slot.replace(key) {
            self.problems.push(format!("'{other}' and '{key}' are parts of two adapters"));
        }
    }

    /// The tensor that has an adapter merged, and what it is made of.
    fn adapted(
        &self,
        module: &str,
        parts: &Parts,
        replaced: &IndexMap<String, Expression>,
    ) -> Result<(Expression, AdaptedTensor), String> {
        let (down_key, up_key) = match (parts.down, parts.up) {
            (Some(down), Some(up)) => (down, up),
            (None, None) => return Err(format!("'{module}.alpha' belongs to no adapter")),
            (Some(one), None) | (None, Some(one)) => {
                return Err(format!("'{one}' lacks the other factor of its adapter"));
            }
        };
        let (new, old) =
            self.modules.weight(module).map_err(|why| format!("'{down_key}' {why}"))?;
        let base = self.tensor(self.base, old)?;
        let (down, up) =
            (self.tensor(self.adapter.side, down_key)?, self.tensor(self.adapter.side, up_key)?);
        let unfit = || {
            format!(
                "'{down_key}' {:?} and '{up_key}' {:?} are no adapter of '{old}' {:?}",
                down.shape, up.shape, base.shape
            )
        };
        let factors = Factors::of(&base.shape, &down.shape, &up.shape).ok_or_else(unfit)?;
        let turned = self.is_turned(factors, parts.is_embedding).ok_or_else(unfit)?;
        let alpha = parts.alpha.and_then(|key| self.adapter.alphas.get(key).copied());
        let scale = match self.adapter.config {
            Some(config) => config.scale(module, factors.rank, alpha)?,
            None if alpha.is_none() && parts.is_configured => {
                return Err(format!(
                    "'{down_key}' has no scale: no configuration says its lora_alpha"
                ));
            }
            None => alpha.map_or(1.0, |alpha| alpha / factors.rank as f64),
        };
        let scale = scale * self.adapter.weight;
        let (down, up) = (self.part(down_key, down), self.part(up_key, up));
        // An adapter may have the weight with it that it was trained on.
        let own = replaced.get(new).cloned().unwrap_or_else(|| Expression::key(old, base));
        let formula = factors.formula(own, (down, up), turned, scale);
        let tensor = AdaptedTensor { key: new.to_string(), rank: factors.rank, scale };
        Ok((Expression::Formula(Box::new(formula)), tensor))
    }

    /// True if the weight is kept with its inputs first; none if neither way goes.
    fn is_turned(&self, factors: Factors, is_embedding: bool) -> Option<bool> {
        let is_said =
            is_embedding || self.adapter.config.is_some_and(|config| config.fan_in_fan_out);
        match (factors.fits, factors.fits_turned) {
            (true, true) => Some(is_said),
            // What an embedding's adapter is for has one shape alone.
            (true, false) => (!is_embedding).then_some(false),
            (false, true) => Some(true),
            (false, false) => None,
        }
    }

    /// The tensors that the adapter has in place of the base's, by their new keys.
    fn replaced(&mut self, wholes: &[&str]) -> IndexMap<String, Expression> {
        let mut replaced = IndexMap::default();
        for key in wholes {
            match self.whole(key) {
                Ok((new, of)) => {
                    if replaced.insert(new, of).is_some() {
                        self.problems.push(format!("'{key}' is another's in the adapter, too"));
                    }
                }
                Err(why) => self.problems.push(format!("'{key}' {why}")),
            }
        }
        replaced
    }

    /// A tensor of the adapter that stands for one of the base.
    fn whole(&self, key: &str) -> Result<(String, Expression), String> {
        let tensor = self.tensor(self.adapter.side, key)?;
        let (new, old) = self.modules.key(&unwrapped(key))?;
        let own = self.tensor(self.base, old)?;
        if own.shape != tensor.shape {
            return Err(format!("has shape {:?}, and '{old}' has {:?}", tensor.shape, own.shape));
        }
        let part = self.part(key, tensor);
        let is_cast = own.dtype != tensor.dtype && own.dtype.is_float();
        let of = if is_cast { part.cast(own.dtype.clone()) } else { part };
        Ok((new.to_string(), of))
    }

    fn tensor(&self, side: Side<'a>, key: &str) -> Result<&'a Tensor, String> {
        let found = side.catalog.tensor(side.state_dict, key);
        found.ok_or_else(|| format!("'{key}' is not a tensor"))
    }

    /// A tensor of the adapter.
    fn part(&self, key: &str, tensor: &Tensor) -> Expression {
        let of = if self.is_within { Origination::Source } else { Origination::Adapter };
        Expression::Key { of, key: key.to_string(), shape: tensor.shape.clone() }
    }

    fn section(&self, dropped: &[String], mut made: IndexMap<String, Expression>) -> Section {
        let dropped: IndexSet<&str> = dropped.iter().map(String::as_str).collect();
        let mut tensors = IndexMap::default();
        let mut fates = Fates::default();
        for old in self.base.state_dict.shared_keys() {
            let new =
                self.modules.name_of(old).filter(|_| !self.is_within || !dropped.contains(&**old));
            fates.insert(old.clone(), new.map(Arc::from));
            let tensor = self.base.catalog.tensor(self.base.state_dict, old);
            if let (Some(new), Some(tensor)) = (new, tensor) {
                let of = made.swap_remove(new).unwrap_or_else(|| Expression::key(old, tensor));
                tensors.insert(new.to_string(), of);
            }
        }
        let path = self.base.state_dict.path.clone();
        Section { path, fates: fates.into(), ..Section::default() }.with_tensors(tensors)
    }
}

/// How the shapes of an adapter's factors go with that of its weight.
#[derive(Clone, Copy)]
struct Factors {
    rank: u64,
    /// The numbers of the down factor for each of the rank, and of the up factor.
    inputs: u64,
    outputs: u64,
    fits: bool,
    /// Fits a weight of two dimensions whose inputs come first.
    fits_turned: bool,
}

impl Factors {
    fn of(base: &[u64], down: &[u64], up: &[u64]) -> Option<Factors> {
        let (rank, inputs) = (*down.first()?, count_of(down.get(1..)?)?);
        let (outputs, of_rank) = (*up.first()?, count_of(up.get(1..)?)?);
        let (rows, columns) = (*base.first()?, count_of(base.get(1..)?)?);
        let is_plain = |shape: &[u64]| shape.iter().skip(2).all(|size| *size == 1);
        let fits = rows == outputs && columns == inputs;
        let fits_turned = rows == inputs && columns == outputs && base.len() == 2;
        (rank == of_rank && is_plain(up)).then_some(Factors {
            rank,
            inputs,
            outputs,
            fits,
            fits_turned,
        })
    }

    fn formula(
        self,
        base: Expression,
        (down, up): (Expression, Expression),
        is_turned: bool,
        scale: f64,
    ) -> Formula<Expression> {
        let down = down.reshape([self.rank, self.inputs].into());
        let up = up.reshape([self.outputs, self.rank].into());
        if is_turned {
            Formula::LowRank { base, up: turned(down), down: turned(up), scale }
        } else {
            Formula::LowRank { base, up, down, scale }
        }
    }
}

fn turned(of: Expression) -> Expression {
    Expression::Permute { of: Box::new(of), axes: [1, 0].into() }
}
