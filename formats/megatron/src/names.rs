//! What Megatron calls its folders.
//!
//! ```text
//! latest_checkpointed_iteration.txt             which save is the newest
//! iter_0000100/mp_rank_01_002/model_optim_rng.pt
//! ```

/// The file that says which save is the newest.
pub(crate) const LATEST: &str = "latest_checkpointed_iteration.txt";

/// The file of a rank.
pub(crate) const STATES: &str = "model_optim_rng.pt";

/// A number of ranks that neither names of folders nor what is in files are trusted to exceed.
pub(crate) const MAX_RANKS: u64 = 1 << 20;

/// A rank, by the name of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rank {
    /// Along the pipeline: first, since layers are counted along it.
    pub(crate) stage: u64,
    /// Of tensor parallelism.
    pub(crate) tensor: u64,
    /// Of expert parallelism.
    pub(crate) expert: u64,
}

impl Rank {
    /// `mp_rank_01`, `mp_rank_01_002`, `mp_rank_01_002_003`.
    pub(crate) fn of(folder: &str) -> Option<Rank> {
        let mut numbers = folder.strip_prefix("mp_rank_")?.split('_').map(|text| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number| is_number && *number < MAX_RANKS)
        });
        let tensor = numbers.next()??;
        let stage = numbers.next().unwrap_or(Some(0))?;
        let expert = numbers.next().unwrap_or(Some(0))?;
        numbers.next().is_none().then_some(Rank { stage, tensor, expert })
    }

    /// The name of the folder of a rank, spelled like this one's.
    pub(crate) fn folder_like(&self, like: &str) -> String {
        let Rank { tensor, stage, .. } = self;
        if like.matches('_').count() > 2 {
            format!("mp_rank_{tensor:02}_{stage:03}")
        } else {
            format!("mp_rank_{tensor:02}")
        }
    }
}

/// The folder of a save, by what the newest is said to be: a number, or a release.
pub(crate) fn folder_of(text: &str) -> Option<String> {
    match text.trim() {
        "release" => Some("release".into()),
        number => number.parse::<u64>().ok().map(|number| format!("iter_{number:07}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_known_by_their_folders() {
        let check = |name: &str, expected: Option<[u64; 3]>| {
            let found = Rank::of(name).map(|it| [it.tensor, it.stage, it.expert]);
            assert_eq!(found, expected, "{name}");
        };
        check("mp_rank_01", Some([1, 0, 0]));
        check("mp_rank_01_002", Some([1, 2, 0]));
        check("mp_rank_01_002_003", Some([1, 2, 3]));
        check("mp_rank_", None);
        check("mp_rank_00_model_states.pt", None);
        let rank = Rank { tensor: 1, stage: 2, expert: 0 };
        assert_eq!(rank.folder_like("mp_rank_00_000"), "mp_rank_01_002");
        assert_eq!(rank.folder_like("mp_rank_00"), "mp_rank_01");
    }

    #[test]
    fn the_newest_save_has_seven_digits() {
        assert_eq!(folder_of("7\n").as_deref(), Some("iter_0000007"));
        assert_eq!(folder_of("release").as_deref(), Some("release"));
        assert_eq!(folder_of("../7"), None);
    }
}
