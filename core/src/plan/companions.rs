//! What belongs to a weight and must go where it goes: scales of quantized weights, LoRA's factors.
//!
//! A rule that cuts, joins or turns a weight must take them along, or they mean other elements than
//! before.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{Catalog, Expression, IndexMap, IndexSet, SEPARATOR, StateDict, casting};

/// How many of a tensor's scales are looked at: each has the same place in its own block.
const PROBES: u64 = 64;

/// For each weight of a state dict what belongs to it, by the keys of the file.
#[derive(Default)]
pub(super) struct Companions {
    of: IndexMap<String, Vec<String>>,
}

/// What the rules of a stage do to the tensors of the file, by their keys.
#[derive(Default)]
pub(super) struct Moves {
    /// Those that rules take apart or put together.
    pub(super) regrouped: IndexSet<String>,
    /// Those that stay, under whichever names.
    pub(super) others: IndexSet<String>,
    /// What the rules make over the tensors of the file.
    pub(super) made: IndexMap<String, Expression>,
}

impl Companions {
    pub(super) fn of(catalog: &Catalog, state_dict: &StateDict) -> Companions {
        let mut of = IndexMap::<String, Vec<String>>::default();
        for (weight, companion) in casting::companions(catalog, state_dict) {
            of.entry(weight).or_default().push(companion);
        }
        for key in state_dict.keys() {
            if let Some(weight) = adapted(key).find(|weight| state_dict.contains(weight)) {
                of.entry(weight).or_default().push(key.to_string());
            }
        }
        Companions { of }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// What rules leave behind, or take apart otherwise than the weights that it belongs to.
    ///
    /// `count` says how many elements a tensor has; each reason is given with a tensor that is made.
    pub(super) fn problems<'m>(
        &self,
        moves: &'m Moves,
        count: impl Fn(&str) -> u64,
    ) -> Vec<(&'m str, String)> {
        let mut uses = IndexMap::<&str, usize>::default();
        for made in moves.made.values() {
            made.source_keys().into_iter().for_each(|key| *uses.entry(key).or_default() += 1);
        }
        let mut problems = Vec::new();
        let mut left = IndexSet::<&str>::default();
        for (name, expression) in &moves.made {
            let sources: IndexSet<&str> = expression.source_keys().into_iter().collect();
            // Weights that are joined have one scale beside them.
            let mut kept = IndexMap::<String, bool>::default();
            for weight in &sources {
                for companion in self.of.get(*weight).into_iter().flatten() {
                    let companion = companion.as_str();
                    if sources.contains(companion) {
                        // A formula has made one of both.
                        continue;
                    }
                    if moves.regrouped.contains(companion) {
                        let pair = (*weight, companion);
                        let problem =
                            self.misplaced(pair, (name, expression), &moves.made, &mut kept);
                        problems.extend(problem.map(|problem| (name.as_str(), problem)));
                        continue;
                    }
                    let is_whole = sources.len() == 1 && count(companion) <= 1;
                    let is_alone = is_whole && uses.get(weight) == Some(&1);
                    if moves.others.contains(companion) && !is_alone && left.insert(companion) {
                        let problem = format!(
                            "'{companion}' belongs to '{weight}' and would not be taken along; name \
                             both in one rule, or drop it"
                        );
                        problems.push((name.as_str(), problem));
                    }
                }
            }
        }
        problems
    }

    /// That a scale is no longer beside the elements that it scales.
    fn misplaced(
        &self,
        (weight, companion): (&str, &str),
        (name, made): (&str, &Expression),
        all: &IndexMap<String, Expression>,
        kept: &mut IndexMap<String, bool>,
    ) -> Option<String> {
        let beside = beside(name, weight, companion)?;
        let Some(scale) = all.get(beside.as_str()) else {
            return Some(format!(
                "'{companion}' belongs to '{weight}', and '{beside}' is not made"
            ));
        };
        let is_kept = *kept.entry(beside).or_insert_with(|| self.keeps_blocks(made, scale));
        (!is_kept).then(|| {
            format!(
                "'{companion}' has a scale for each block of '{weight}', and blocks are taken apart"
            )
        })
    }

    /// True if each scale that is looked at is beside the block that it had.
    fn keeps_blocks(&self, made: &Expression, scale: &Expression) -> bool {
        let (shape, of_scale) = (made.shape(), scale.shape());
        let scales = of_scale.iter().try_fold(1u64, |all, size| all.checked_mul(*size));
        let Some(scales) = scales.filter(|scales| shape.len() == of_scale.len() && *scales > 1)
        else {
            return true;
        };
        let step = (scales / PROBES).max(1);
        (0..PROBES.min(scales)).all(|probe| {
            let index = unravelled((probe * step).min(scales - 1), &of_scale);
            self.is_kept((made, &shape), (scale, &of_scale), &index).unwrap_or(true)
        })
    }

    /// True if the block of a scale is the block that it had.
    fn is_kept(
        &self,
        (made, shape): (&Expression, &[u64]),
        (scale, of_scale): (&Expression, &[u64]),
        index: &[u64],
    ) -> Option<bool> {
        let (old_scale, old_index) = scale.located(index)?;
        let Expression::Key { key: scale_key, shape: old_scale_shape, .. } = old_scale else {
            return None;
        };
        let blocks = shape.iter().zip(of_scale).map(|(all, scales)| all.div_ceil((*scales).max(1)));
        let blocks: Vec<u64> = blocks.collect();
        let first = index.iter().zip(&blocks).map(|(at, block)| at * block);
        let last = index.iter().zip(&blocks).zip(shape);
        let last = last.map(|((at, block), all)| ((at + 1) * block).min(*all).saturating_sub(1));
        let corners: [Vec<u64>; 2] = [first.collect(), last.collect()];
        Some(corners.iter().all(|corner| {
            if corner.iter().zip(shape).any(|(at, size)| at >= size) {
                return true;
            }
            let Some((Expression::Key { key, shape: old_shape, .. }, old)) = made.located(corner)
            else {
                return true;
            };
            let belongs = self.of.get(key).is_some_and(|all| all.contains(scale_key));
            let sizes = old_shape.iter().zip(old_scale_shape);
            let blocks = sizes.map(|(all, scales)| all.div_ceil((*scales).max(1)).max(1));
            let own = old.iter().zip(blocks).map(|(at, block)| at / block);
            belongs && own.eq(old_index.iter().copied())
        }))
    }
}

/// The name that a weight's companion has beside a new name of the weight.
fn beside(name: &str, weight: &str, companion: &str) -> Option<String> {
    if let Some(rest) = companion.strip_prefix(weight) {
        return Some(format!("{name}{rest}"));
    }
    if adapted(companion).next().is_some() {
        return None;
    }
    let (_, last) = companion.rsplit_once(SEPARATOR)?;
    let (path, _) = name.rsplit_once(SEPARATOR)?;
    Some(format!("{path}{SEPARATOR}{last}"))
}

/// The keys of the weight that a key of LoRA's factors may belong to.
fn adapted(key: &str) -> impl Iterator<Item = String> {
    const FACTORS: [&str; 5] =
        ["lora_A", "lora_B", "lora_down", "lora_up", "lora_magnitude_vector"];
    let mut end = None;
    for (at, _) in key.match_indices(SEPARATOR) {
        let segment = key[at + 1..].split(SEPARATOR).next().unwrap_or_default();
        if FACTORS.contains(&segment) {
            end = Some(at);
        }
    }
    let path = end.map(|end| key[..end].to_string());
    let names = ["weight", "base_layer.weight"].into_iter();
    names.filter_map(move |name| Some(format!("{}{SEPARATOR}{name}", path.as_ref()?)))
}

fn unravelled(mut number: u64, shape: &[u64]) -> Vec<u64> {
    let mut index = alloc::vec![0; shape.len()];
    for (at, size) in index.iter_mut().zip(shape).rev() {
        *at = number % (*size).max(1);
        number /= (*size).max(1);
    }
    index
}

impl Expression {
    /// The tensor that an element comes from, and its index there.
    fn located(&self, index: &[u64]) -> Option<(&Expression, Vec<u64>)> {
        match self {
            Expression::Key { .. } => Some((self, index.to_vec())),
            Expression::Slice { of, axis, range } => {
                let mut index = index.to_vec();
                *index.get_mut(*axis)? += range.start;
                of.located(&index)
            }
            Expression::Permute { of, axes } => {
                let mut old = alloc::vec![0; axes.len()];
                for (axis, at) in axes.iter().zip(index) {
                    *old.get_mut(*axis)? = *at;
                }
                of.located(&old)
            }
            Expression::Reshape { of, shape } => {
                let number = index
                    .iter()
                    .zip(shape)
                    .try_fold(0u64, |all, (at, size)| all.checked_mul(*size)?.checked_add(*at))?;
                of.located(&unravelled(number, &of.shape()))
            }
            Expression::Concat { axis, parts } => {
                let mut index = index.to_vec();
                for part in parts {
                    let size = part.shape().get(*axis).copied()?;
                    let at = index.get_mut(*axis)?;
                    if *at < size {
                        return part.located(&index);
                    }
                    *at -= size;
                }
                None
            }
            Expression::Stack { axis, parts } => {
                let mut index = index.to_vec();
                let at = if *axis < index.len() { index.remove(*axis) } else { return None };
                parts.get(usize::try_from(at).ok()?)?.located(&index)
            }
            _ => None,
        }
    }
}
