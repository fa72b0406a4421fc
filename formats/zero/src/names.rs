//! What DeepSpeed calls its files.
//!
//! | name | what |
//! |---|---|
//! | `mp_rank_00_model_states.pt` | model states of a rank of tensor parallelism; stages 0, 1, 2 |
//! | `zero_pp_rank_1_mp_rank_00_model_states.pt` | model states of a rank; stage 3 |
//! | `bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt` | optimizer states of a rank |
//! | `layer_0_expert_3_mp_rank_00_model_states.pt` | one expert |
//! | `layer_01-model_00-model_states.pt` | one layer of a pipeline |

use std::collections::BTreeMap;

use statedict_core::{Fault, IndexMap};

/// A number of ranks that neither names of files nor what is in them are trusted to exceed.
pub(crate) const MAX_RANKS: u64 = 1 << 20;

/// A file, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Model states of all ranks.
    Model { tensor_rank: u64 },
    /// Model states of one rank.
    RankModel { rank: u64, tensor_rank: u64 },
    /// Optimizer states of one rank.
    Optimizer { rank: u64, tensor_rank: u64 },
    /// The weights of one expert.
    Expert { tensor_rank: u64 },
    /// One layer of a pipeline.
    Layer,
}

/// What a file is by its name.
pub(crate) fn role(name: &str) -> Option<Role> {
    if let Some(rest) = name.strip_suffix("_optim_states.pt") {
        let rest = ["bf16_", "fp16_"].iter().find_map(|it| rest.strip_prefix(it)).unwrap_or(rest);
        let (rank, tensor_rank) = ranks(rest.strip_prefix("zero_pp_rank_")?)?;
        return Some(Role::Optimizer { rank, tensor_rank });
    }
    if name.starts_with("layer_") && name.ends_with("-model_states.pt") {
        return Some(Role::Layer);
    }
    let rest = name.strip_suffix("_model_states.pt")?;
    if let Some(ranked) = rest.strip_prefix("zero_pp_rank_") {
        let (rank, tensor_rank) = ranks(ranked)?;
        return Some(Role::RankModel { rank, tensor_rank });
    }
    if rest.contains("expert_") {
        let tensor_rank =
            rest.rsplit_once("_mp_rank_").map_or(Some(0), |(_, rank)| number(rank))?;
        return Some(Role::Expert { tensor_rank });
    }
    let tensor_rank = number(rest.strip_prefix("mp_rank_")?)?;
    Some(Role::Model { tensor_rank })
}

/// `1_mp_rank_00`, perhaps with more behind it.
fn ranks(text: &str) -> Option<(u64, u64)> {
    let (rank, rest) = text.split_once("_mp_rank_")?;
    Some((number(rank)?, number(rest)?))
}

/// The number at the front, which another may follow.
fn number(text: &str) -> Option<u64> {
    let digits = text.split('_').next()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| is_number && *number < MAX_RANKS)
}

/// The files of a rank of tensor parallelism, by what they are.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) model: Option<String>,
    /// By rank.
    pub(crate) rank_models: IndexMap<u64, String>,
    pub(crate) optimizers: IndexMap<u64, String>,
    pub(crate) experts: Vec<String>,
}

impl Files {
    /// Tells the files of a folder apart, by ranks of tensor parallelism.
    ///
    /// # Errors
    /// Two files of one rank, and parts of a pipeline.
    pub(crate) fn of(names: &[String]) -> Result<BTreeMap<u64, Files>, Fault> {
        let mut ranks = BTreeMap::<u64, Files>::new();
        for name in names {
            let Some(role) = role(name) else { continue };
            let tensor_rank = match role {
                Role::Layer => {
                    let what = format!(
                        "'{name}' is a layer of a pipeline, which is not read: its files have \
                         names of their own for layers"
                    );
                    return Err(Fault::Unsupported(what));
                }
                Role::Model { tensor_rank }
                | Role::RankModel { tensor_rank, .. }
                | Role::Optimizer { tensor_rank, .. }
                | Role::Expert { tensor_rank } => tensor_rank,
            };
            let files = ranks.entry(tensor_rank).or_default();
            let before = match role {
                Role::Model { .. } => files.model.replace(name.clone()),
                Role::RankModel { rank, .. } => files.rank_models.insert(rank, name.clone()),
                Role::Optimizer { rank, .. } => files.optimizers.insert(rank, name.clone()),
                Role::Expert { .. } | Role::Layer => {
                    files.experts.push(name.clone());
                    None
                }
            };
            if let Some(before) = before {
                let what = format!("'{before}' and '{name}' are of two saves in one folder");
                return Err(Fault::broken(what));
            }
        }
        Ok(ranks)
    }

    /// True if there is a model.
    pub(crate) fn has_model(&self) -> bool {
        self.model.is_some() || !self.rank_models.is_empty()
    }
}

/// The name of another rank's file like this one's.
pub(crate) fn of_rank(name: &str, rank: u64) -> String {
    renumbered(name, "zero_pp_rank_", &rank.to_string())
}

/// The name of the file like this one's of another rank of tensor parallelism.
pub(crate) fn of_tensor_rank(name: &str, rank: u64) -> String {
    renumbered(name, "mp_rank_", &format!("{rank:02}"))
}

/// A name with another number behind a word.
fn renumbered(name: &str, word: &str, number: &str) -> String {
    match name.split_once(word) {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}{word}{number}{rest}")
        }
        None => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        let check = |name: &str, expected: Option<Role>| assert_eq!(role(name), expected, "{name}");
        let tensor_rank = 0;
        check("mp_rank_00_model_states.pt", Some(Role::Model { tensor_rank }));
        check("mp_rank_01_model_states.pt", Some(Role::Model { tensor_rank: 1 }));
        check(
            "zero_pp_rank_12_mp_rank_00_model_states.pt",
            Some(Role::RankModel { rank: 12, tensor_rank }),
        );
        for name in [
            "bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt",
            "zero_pp_rank_3_mp_rank_00_optim_states.pt",
        ] {
            check(name, Some(Role::Optimizer { rank: 3, tensor_rank }));
        }
        check("layer_0_expert_3_mp_rank_01_model_states.pt", Some(Role::Expert { tensor_rank: 1 }));
        check("layer_01-model_00-model_states.pt", Some(Role::Layer));
        check("model_states.pt", None);
        check("rng_state_0.pth", None);
    }

    #[test]
    fn the_file_of_another_rank_has_another_number() {
        let name = "bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt";
        assert_eq!(of_rank(name, 12), "bf16_zero_pp_rank_12_mp_rank_00_optim_states.pt");
        assert_eq!(of_tensor_rank(name, 1), "bf16_zero_pp_rank_3_mp_rank_01_optim_states.pt");
        assert_eq!(of_tensor_rank("mp_rank_00_model_states.pt", 12), "mp_rank_12_model_states.pt");
    }
}
