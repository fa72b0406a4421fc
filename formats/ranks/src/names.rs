//! What files of ranks are called: `model_world_size_4_rank_2.pt`, `pytorch_model_fsdp_rank0.bin`.

use statedict_core::IndexMap;

/// The endings of such files.
const ENDINGS: [&str; 3] = [".pt", ".pth", ".bin"];

/// What is no part of a model, though each rank has its own.
const RANDOM_STATES: [&str; 3] = ["rng_state", "random_states", "rng"];

/// A number of ranks that no name of a file is trusted to exceed.
const MAX_RANK: u64 = 1 << 20;

/// A file of one rank, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RankFile<'n> {
    /// What stands before the number.
    before: &'n str,
    pub(crate) rank: u64,
    ending: &'n str,
}

impl<'n> RankFile<'n> {
    /// A name, if it is that of a rank's file.
    pub(crate) fn of(name: &'n str) -> Option<RankFile<'n>> {
        let ending = ENDINGS.into_iter().find(|ending| name.ends_with(ending))?;
        let stem = name.strip_suffix(ending)?;
        let before = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        let rank = stem[before.len()..].parse().ok().filter(|rank| *rank < MAX_RANK)?;
        let is_ranked = before.trim_end_matches(['_', '-']).ends_with("rank");
        let is_random = RANDOM_STATES.iter().any(|name| before.starts_with(name));
        // DeepSpeed's files are something else.
        let is_other = name.starts_with("mp_rank_") || name.contains("zero_pp_rank_");
        (is_ranked && !is_random && !is_other).then_some(RankFile { before, rank, ending })
    }

    /// How many ranks there were, where the name says so: `world_size_4`.
    pub(crate) fn world(&self) -> Option<u64> {
        let (_, rest) = self.before.split_once("world_size_")?;
        rest.split('_').next()?.parse().ok().filter(|world| *world <= MAX_RANK)
    }

    /// The name of another rank's file.
    pub(crate) fn of_rank(&self, rank: u64) -> String {
        format!("{}{rank}{}", self.before, self.ending)
    }

    /// What the files hold, by their names: `model`, `optim`.
    pub(crate) fn title(&self) -> &'n str {
        let title = self.before.split("world_size").next().unwrap_or_default();
        let title = title.trim_end_matches(['_', '-']);
        title.strip_suffix("rank").unwrap_or(title).trim_end_matches(['_', '-'])
    }
}

/// The first file of each set among names: two or more ranks, or one of several.
pub(crate) fn sets(names: &[String]) -> Vec<String> {
    let mut sets = IndexMap::<(&str, &str), Vec<RankFile<'_>>>::default();
    for file in names.iter().filter_map(|name| RankFile::of(name)) {
        sets.entry((file.before, file.ending)).or_default().push(file);
    }
    let firsts = sets.into_values().filter_map(|files| {
        let first = files.iter().min_by_key(|file| file.rank)?;
        let is_several = files.len() > 1 || first.world().is_some_and(|world| world > 1);
        is_several.then(|| first.of_rank(first.rank))
    });
    firsts.collect()
}

/// All files of the set that a file is of, by rank.
pub(crate) fn set_of(name: &str, names: &[String]) -> IndexMap<u64, String> {
    let Some(own) = RankFile::of(name) else { return IndexMap::default() };
    let files = names.iter().filter_map(|name| RankFile::of(name));
    let files = files.filter(|it| it.before == own.before && it.ending == own.ending);
    let mut files: IndexMap<u64, String> =
        files.map(|file| (file.rank, file.of_rank(file.rank))).collect();
    files.sort_keys();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_ranks_are_known_by_their_names() {
        let check = |name: &str, expected: Option<(u64, Option<u64>, &str)>| {
            let file = RankFile::of(name);
            let found = file.as_ref().map(|it| (it.rank, it.world(), it.title()));
            assert_eq!(found, expected, "{name}");
        };
        check("model_world_size_3_rank_1.pt", Some((1, Some(3), "model")));
        check("pytorch_model_fsdp_0_rank12.bin", Some((12, None, "pytorch_model_fsdp_0")));
        check("rank0.pt", Some((0, None, "")));
        check("rng_state_0.pth", None);
        check("rng_state_rank_0.pt", None);
        check("model-00001-of-00002.bin", None);
        check("zero_pp_rank_0_mp_rank_00_model_states.pt", None);
    }

    #[test]
    fn a_set_is_several_ranks_or_one_of_several() {
        let check = |names: &[&str], expected: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
            assert_eq!(sets(&names), expected, "{names:?}");
        };
        check(&["rank1.pt", "rank0.pt", "a.pt"], &["rank0.pt"]);
        check(&["rank0.pt"], &[]);
        check(&["model_world_size_2_rank_1.pt"], &["model_world_size_2_rank_1.pt"]);
        check(&["model_world_size_1_rank_0.pt"], &[]);
    }
}
