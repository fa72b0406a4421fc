//! Which mapping is a state dict, and which state dict is meant; the rule is [`Catalog::select`]'s.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{Catalog, IndexSet, NotSelected, SEPARATOR, StateDict};

/// The last part of paths to models.
const MODEL_NAMES: [&str; 15] = [
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
    "model_state",
    "model_weights",
    "model_dict",
    "net_state_dict",
    "network_state_dict",
    "module_state_dict",
    "state",
];

/// Words of paths to averages of models.
const AVERAGE_WORDS: [&str; 6] = ["ema", "swa", "averaged", "average", "avg", "shadow"];

/// Words of paths to what is not a model's.
const TRAINING_WORDS: [&str; 8] =
    ["optim", "optims", "optimstate", "rng", "scaler", "sampler", "dataloader", "datamodule"];

/// The same, as parts of longer words.
const TRAINING_STEMS: [&str; 4] = ["optimizer", "optimiser", "scheduler", "callback"];

/// The same, as whole parts of paths.
const TRAINING_PARTS: [&str; 12] = [
    "args",
    "cfg",
    "config",
    "extra_state",
    "frozen_param_fragments",
    "hparams",
    "hyper_parameters",
    "hyperparameters",
    "loops",
    "message_hub",
    "meta",
    "sched",
];

/// The last part of keys under which modules keep what is not a tensor.
const EXTRA: &str = "_extra_state";

/// What the path to a state dict says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Model,
    Average,
    Other,
    Training,
}

/// A state dict with what the rule asks.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    state_dict: &'a StateDict,
    role: Role,
    tensors: usize,
    /// Most of its values are tensors, and not all of these single numbers.
    holds_weights: bool,
    /// It has a tensor that is more than a single number.
    has_array: bool,
}

impl Catalog {
    /// The state dicts at `at`: all of them for `*`, and if `None` the one that is clearly meant.
    ///
    /// A path may be cut down to its last parts where these lead to one mapping alone. Any mapping
    /// that holds a tensor under a text can be asked for.
    ///
    /// A mapping is a *state dict* if most of its values are tensors and not all of these are single
    /// numbers; `_extra_state` entries do not count. What belongs to an optimizer, a scheduler, a
    /// callback, hyper-parameters or random states is none, whatever it holds.
    ///
    /// Without a path, one is *meant* only where that is clear:
    ///
    /// 1. A state dict covers all that is nested in it, and the only one of these is meant.
    /// 2. Of several, the one with a model's name is meant (`state_dict`, `model`, `params` …), unless
    ///    another has such a name, is an average (`ema…`, `swa…`), or has mostly the same keys.
    /// 3. Not clear is a state dict around one that has a model's name and more tensors, and one
    ///    without such a name in a mapping that has weights of its own.
    /// 4. If no mapping is a state dict, the only one that holds tensors is meant.
    ///
    /// # Errors
    /// None is there, several could be meant, or the path leads to none.
    pub fn select(&self, path: Option<&str>) -> Result<Vec<&StateDict>, NotSelected> {
        if self.state_dicts.is_empty() {
            return Err(NotSelected::None);
        }
        match path {
            Some("*") => Ok(self.all()),
            Some(path) => self.select_at(path).map(|found| [found].into()),
            None => self.meant().map(|found| [found].into()),
        }
    }

    /// The state dicts whose tensors are a model's: the one that is meant, or all where that is not
    /// clear. An average of a model counts where there is nothing else.
    pub fn models(&self) -> Vec<&StateDict> {
        if let Ok(meant) = self.meant() {
            return [meant].into();
        }
        let candidates = self.candidates();
        let models = candidates.iter().filter(|it| it.is_of_a_model());
        let (own, averages): (Vec<&Candidate>, Vec<&Candidate>) =
            models.partition(|it| matches!(it.role, Role::Model | Role::Other));
        let models = if own.is_empty() { averages } else { own };
        models.into_iter().map(|it| it.state_dict).collect()
    }

    /// The other state dicts of the file, those nested in the chosen one included.
    pub fn others<'a>(&'a self, chosen: &'a StateDict) -> impl Iterator<Item = &'a StateDict> {
        let candidates = self.candidates().into_iter();
        let others = candidates.filter(Candidate::is_of_a_model);
        others.map(|other| other.state_dict).filter(|other| other.path != chosen.path)
    }

    /// The entries of the file's outermost mapping without which its models are whole, by their
    /// keys: all that lead to no model's state dict, or, where the outermost mapping is one itself,
    /// those of training.
    pub fn beside_models(&self) -> Vec<&str> {
        let models = self.all();
        let is_root = models.iter().any(|model| model.path.is_empty());
        let is_needed = |entry: &str| {
            if is_root {
                return Role::of(entry) != Role::Training;
            }
            models.iter().any(|it| it.path == entry || is_within(&it.path, entry))
        };
        self.outermost().filter(|entry| !is_needed(entry)).collect()
    }

    /// The keys of the file's outermost mapping: first of what is not a tensor, then of tensors.
    pub fn outermost(&self) -> impl Iterator<Item = &str> {
        let entries = self.payload.iter().map(|thing| &*thing.path);
        let tensors = self.rows.iter().filter(|row| row.path.is_empty());
        let tensors = tensors.map(|row| row.key.as_str());
        entries.filter(|path| !path.contains('/')).chain(tensors)
    }

    fn all(&self) -> Vec<&StateDict> {
        let candidates = self.candidates();
        let models = candidates.iter().filter(|it| it.is_of_a_model());
        let models: Vec<_> = models.map(|it| it.state_dict).collect();
        if models.is_empty() { self.state_dicts.iter().collect() } else { models }
    }

    fn select_at(&self, path: &str) -> Result<&StateDict, NotSelected> {
        if let Some(found) = self.state_dict_at(path) {
            return Ok(found);
        }
        let wanted = path.trim_matches('/');
        let ends_so = |path: &str| {
            let rest = path.strip_suffix(wanted).filter(|_| !wanted.is_empty());
            rest.is_some_and(|rest| rest.ends_with('/'))
        };
        let ending: Vec<&StateDict> = self
            .state_dicts
            .iter()
            .filter(|it| ends_so(&it.path) || it.aliases.iter().any(|alias| ends_so(alias)))
            .collect();
        match ending.as_slice() {
            [only] => Ok(only),
            [] => {
                let below = self.state_dicts.iter().filter(|it| is_within(&it.path, wanted));
                let below = known(below);
                let all = || known(self.state_dicts.iter());
                let (path, known) =
                    (path.to_string(), if below.is_empty() { all() } else { below });
                Err(NotSelected::Nowhere { path, known })
            }
            several => Err(NotSelected::Several(known(several.iter().copied()))),
        }
    }

    fn meant(&self) -> Result<&StateDict, NotSelected> {
        let candidates = self.candidates();
        let models: Vec<Candidate> = candidates
            .iter()
            .filter(|it| it.holds_weights && it.role != Role::Training)
            .copied()
            .collect();
        if models.is_empty() {
            let rest = candidates.iter().filter(|it| it.role != Role::Training);
            let (arrays, numbers) = rest.partition::<Vec<&Candidate>, _>(|it| it.has_array);
            return match (arrays.as_slice(), numbers.as_slice()) {
                ([only], _) | ([], [only]) => Ok(only.state_dict),
                _ => Err(unclear(&candidates)),
            };
        }
        let outer = outermost(&models);
        let chosen = match outer.as_slice() {
            [only] => *only,
            several => match clear_model(several) {
                Some(model) => model,
                None => return Err(unclear(&models)),
            },
        };
        if chosen.is_rivalled_by_what_it_holds(&models) || chosen.is_in_weights(&candidates) {
            return Err(unclear(&candidates));
        }
        Ok(chosen.state_dict)
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        self.state_dicts.iter().map(|state_dict| self.candidate(state_dict)).collect()
    }

    fn candidate<'a>(&'a self, state_dict: &'a StateDict) -> Candidate<'a> {
        let rows = state_dict.rows().filter_map(|row| self.rows.get(row));
        let (mut tensors, mut has_array) = (0, false);
        for row in rows {
            tensors += 1;
            has_array |= !row.tensor.shape.is_empty() || !row.tensor.has_elements();
        }
        let values = state_dict.keys().filter(|key| !is_extra_state(key)).count();
        // Of a listing of keys alone nothing is known, and nothing else can be meant.
        let is_bare = self.rows.is_empty();
        let holds_weights = is_bare || has_array && tensors * 2 > values;
        let role = Role::of(&state_dict.path);
        Candidate { state_dict, role, tensors, holds_weights, has_array }
    }
}

/// The refusal to choose between these.
fn unclear(candidates: &[Candidate]) -> NotSelected {
    NotSelected::Several(known(candidates.iter().map(|it| it.state_dict)))
}

/// Paths with the number of tensors that each leads to.
fn known<'a>(state_dicts: impl Iterator<Item = &'a StateDict>) -> Vec<(String, usize)> {
    state_dicts.map(|it| (it.path.clone(), it.rows().count())).collect()
}

impl Candidate<'_> {
    /// True for a model's weights, also where a callback keeps an average of them.
    fn is_of_a_model(&self) -> bool {
        let is_kept = || self.state_dict.path.to_lowercase().split('/').any(is_of_average);
        self.holds_weights && (self.role != Role::Training || is_kept())
    }

    /// True if it holds a state dict that has a model's name and more tensors.
    fn is_rivalled_by_what_it_holds(&self, models: &[Candidate]) -> bool {
        let mut inner =
            models.iter().filter(|it| is_within(&it.state_dict.path, &self.state_dict.path));
        inner.any(|it| it.role == Role::Model && it.tensors > self.tensors)
    }

    /// True if nothing says that it is the model, and a mapping around it has weights, too.
    fn is_in_weights(&self, all: &[Candidate]) -> bool {
        let mut around =
            all.iter().filter(|it| is_within(&self.state_dict.path, &it.state_dict.path));
        self.role != Role::Model && around.any(|it| it.has_array)
    }

    /// True if most keys of the smaller of the two are keys of the other.
    fn has_keys_of(&self, other: &Candidate) -> bool {
        let (small, large) = if self.state_dict.len() <= other.state_dict.len() {
            (self.state_dict, other.state_dict)
        } else {
            (other.state_dict, self.state_dict)
        };
        small.keys().filter(|key| large.contains(key)).count() * 2 > small.len()
    }
}

/// True for keys under which a module keeps what is not a tensor.
pub(crate) fn is_extra_state(key: &str) -> bool {
    key.rsplit(SEPARATOR).next() == Some(EXTRA)
}

/// Those that are nested in no other.
fn outermost<'a>(all: &[Candidate<'a>]) -> Vec<Candidate<'a>> {
    let paths: IndexSet<&str> = all.iter().map(|it| it.state_dict.path.as_str()).collect();
    let is_inner =
        |it: &&Candidate<'a>| ancestors(&it.state_dict.path).any(|at| paths.contains(at));
    all.iter().filter(|it| !is_inner(it)).copied().collect()
}

/// The one of several that is clearly the model.
fn clear_model<'a>(several: &[Candidate<'a>]) -> Option<Candidate<'a>> {
    let mut models = several.iter().filter(|it| it.role == Role::Model);
    let (Some(model), None) = (models.next(), models.next()) else { return None };
    let is_rival = |other: &&Candidate| {
        let is_other = other.state_dict.path != model.state_dict.path;
        is_other && (other.role == Role::Average || other.has_keys_of(model))
    };
    several.iter().find(is_rival).is_none().then_some(*model)
}

/// The paths that lead to what holds the thing at a path, outwards; the root is in nothing.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let root = (!path.is_empty()).then_some("");
    path.rmatch_indices('/').map(|(end, _)| &path[..end]).chain(root)
}

/// True if what `inner` leads to is nested in what `outer` leads to.
pub(crate) fn is_within(inner: &str, outer: &str) -> bool {
    ancestors(inner).any(|at| at == outer)
}

impl Role {
    fn of(path: &str) -> Role {
        let lower = path.to_lowercase();
        let has = |is_such: fn(&str) -> bool| lower.split('/').any(is_such);
        let last = lower.rsplit('/').next().unwrap_or_default();
        if has(is_of_training) {
            Role::Training
        } else if has(is_of_average) {
            Role::Average
        } else if MODEL_NAMES.contains(&last) {
            Role::Model
        } else {
            Role::Other
        }
    }
}

/// True for a part of a path to what is not a model's.
pub(crate) fn is_of_training(part: &str) -> bool {
    TRAINING_PARTS.contains(&part)
        || has_word(part, &TRAINING_WORDS)
        || TRAINING_STEMS.iter().any(|stem| part.contains(stem))
}

/// True for a part of a path that a whole model, or an average of one, goes by.
pub(crate) fn is_of_a_model(part: &str) -> bool {
    let part = part.to_lowercase();
    MODEL_NAMES.contains(&part.as_str()) || is_of_average(&part)
}

fn is_of_average(part: &str) -> bool {
    part.starts_with("ema") || has_word(part, &AVERAGE_WORDS)
}

fn has_word(part: &str, words: &[&str]) -> bool {
    part.split(|c: char| !c.is_ascii_alphabetic()).any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Key, Storage, Tensor, TensorEntry};
    use alloc::sync::Arc;
    use alloc::vec;

    /// A catalog of state dicts; a value is `w` for a matrix, `0` for a number, `-` for no tensor.
    fn catalog(state_dicts: &[(&str, &str)]) -> Catalog {
        let mut catalog = Catalog::default();
        for (path, values) in state_dicts {
            let mut state_dict = StateDict { path: path.to_string(), ..StateDict::default() };
            for (i, value) in values.chars().enumerate() {
                let key = alloc::format!("{i}.weight");
                let shape = if value == 'w' { vec![2, 2] } else { Vec::new() };
                let storage = Arc::new(Storage::stored(0..16));
                let tensor = Tensor::dense(DType::F32, shape, 0, storage).expect("within");
                let row = (value != '-').then_some(catalog.rows.len());
                state_dict.insert(key.clone(), row).expect("unique");
                if row.is_some() {
                    catalog.rows.push(TensorEntry {
                        path: (*path).into(),
                        key: Key::Text(key.into()),
                        tensor,
                    });
                }
            }
            catalog.state_dicts.push(state_dict);
        }
        catalog
    }

    fn check(state_dicts: &[(&str, &str)], expected: Option<&str>) {
        let catalog = catalog(state_dicts);
        let found = catalog.select(None).map(|found| found[0].path.clone());
        assert_eq!(found.ok().as_deref(), expected, "{state_dicts:?}");
    }

    #[test]
    fn models_are_the_one_that_is_meant_or_all_but_averages() {
        let check = |state_dicts: &[(&str, &str)], expected: &[&str]| {
            let catalog = catalog(state_dicts);
            let found: Vec<&str> = catalog.models().iter().map(|it| it.path.as_str()).collect();
            assert_eq!(found, expected, "{state_dicts:?}");
        };
        check(&[("model", "ww"), ("optimizer", "wwww")], &["model"]);
        check(&[("model", "ww"), ("ema", "ww"), ("optimizer/state/0", "ww")], &["model"]);
        check(&[("generator", "ww"), ("critic", "ww")], &["generator", "critic"]);
        check(&[("ema", "ww"), ("swa", "ww")], &["ema", "swa"]);
        check(&[("optimizer/state/0", "ww"), ("optimizer/state/1", "ww")], &[]);
    }

    #[test]
    fn what_holds_weights_is_meant_with_all_that_is_nested_in_it() {
        check(&[("", "wwww-"), ("norm_stats", "ww")], Some(""));
        check(&[("", "wwww-"), ("ema", "wwww")], Some(""));
        check(&[("", "wwww-"), ("state_dict", "ww")], Some(""));
        check(&[("model", "ww-"), ("model/fc._extra_state", "w")], Some("model"));
        check(&[("", "ww"), ("state_dict", "wwww")], None);
    }

    #[test]
    fn a_mapping_with_few_tensors_or_only_numbers_is_a_trainers() {
        check(&[("", "0---"), ("state_dict", "www")], Some("state_dict"));
        check(&[("", "00"), ("net", "www")], Some("net"));
        check(&[("", "w---"), ("state_dict", "www")], Some("state_dict"));
        check(&[("", "w---"), ("stats", "ww")], None);
    }

    #[test]
    fn the_only_mapping_with_tensors_is_meant_whatever_it_holds() {
        check(&[("", "0")], Some(""));
        check(&[("", "w----")], Some(""));
        check(&[("a", "0-"), ("b", "w--")], Some("b"));
        check(&[("a", "0-"), ("b", "0-")], None);
    }

    #[test]
    fn what_is_of_training_is_not_meant() {
        let kth = "callbacks/ModelCheckpoint{'monitor': 'val/loss'}";
        check(&[("state_dict", "www"), (kth, "0--------")], Some("state_dict"));
        check(
            &[("state_dict", "www"), ("callbacks/EMA/ema_state_dict", "www")],
            Some("state_dict"),
        );
        check(&[("generator", "www"), ("optimizer_states/0/x", "www")], Some("generator"));
        check(&[("model", "www"), ("hyper_parameters/class_weights", "w")], Some("model"));
        check(&[("rng_state/0", "ww")], None);
    }

    #[test]
    fn a_models_name_decides_where_nothing_else_could_be_meant() {
        check(&[("model", "www"), ("model_ema", "www")], None);
        check(&[("params_ema", "www"), ("params", "www")], None);
        check(&[("params_ema", "www")], Some("params_ema"));
        check(&[("generator", "www"), ("discriminator", "ww")], None);
        check(&[("model", "www"), ("best_model", "www")], None);
        check(&[("model/state_dict", "www")], Some("model/state_dict"));
        check(&[("model", "www"), ("state_dict", "www")], None);
    }

    #[test]
    fn a_path_leads_to_one_and_a_star_to_all() {
        let two = catalog(&[("model", "ww"), ("callbacks/EMA/ema_state_dict", "ww"), ("x", "0-")]);
        let at = |path| two.select(Some(path)).map(|found| found[0].path.clone());
        assert_eq!(at("model"), Ok("model".into()));
        assert_eq!(at("x"), Ok("x".into()));
        assert_eq!(at("ema_state_dict"), Ok("callbacks/EMA/ema_state_dict".into()));
        assert_eq!(
            at("state_dict").map_err(|error| error.to_string()),
            Err("no state dict at 'state_dict'; the file has: 'model' (2 tensors), \
             'callbacks/EMA/ema_state_dict' (2 tensors), 'x' (1 tensor)"
                .into())
        );
        let below = at("callbacks").map_err(|error| error.to_string());
        let expected = "no state dict at 'callbacks'; the file has: \
                        'callbacks/EMA/ema_state_dict' (2 tensors)";
        assert_eq!(below, Err(expected.into()));
        assert_eq!(two.select(Some("*")).map(|all| all.len()), Ok(2));
    }
}
