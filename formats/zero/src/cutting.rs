//! How the tensors of a save were cut over the ranks of tensor parallelism.
//!
//! The user knows best, then what DeepSpeed writes down (`universal_checkpoint_info`), then the names of
//! known models. What nobody knows has to be the same in all ranks.
//!
//! Source: `deepspeed/module_inject/auto_tp.py` and `checkpoint/ds_to_universal.py`, 0.19.

use std::collections::{HashMap, HashSet};

use statedict_core::{Depth, Fault, Joint, Node, Opening};

use crate::info::Info;
use crate::pieces::{Map, Parts};
use crate::save::{Save, Shared};

/// How a tensor was cut.
#[derive(Debug)]
pub(crate) enum Cutting<'i> {
    /// Not at all, as the save says: every rank has a copy.
    Copied,
    /// Nobody knows.
    Unknown,
    /// Every rank has a share.
    Shared {
        rule: Rule<'i>,
        /// True if the user or the save says so of this very tensor.
        is_said: bool,
    },
}

/// How shares make a whole.
#[derive(Debug)]
pub(crate) enum Rule<'i> {
    /// One after another, along a dimension.
    Along(usize),
    /// The same, after two tensors were put together in each rank.
    Halves,
    /// The same, after several were.
    Parts(Parts<'i>),
    /// As a map of all pieces says.
    Map(Map),
}

impl Rule<'_> {
    /// How shares of these shapes make a whole.
    ///
    /// # Errors
    /// Why they do not.
    pub(crate) fn joint(&self, shapes: &[&[u64]]) -> Result<Joint, String> {
        match self {
            Rule::Along(dimension) => Joint::along(*dimension, shapes),
            Rule::Halves => Joint::halves(0, shapes),
            Rule::Parts(parts) => parts.joint(shapes),
            Rule::Map(map) => map.joint(shapes),
        }
    }
}

/// What linear layers are called in models of which tensor parallelism cuts those along the first
/// dimension, with their biases: Llama, Mistral, Qwen, Gemma and others that go by these names.
const ROWS: [&str; 5] = ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"];

/// The same along the second, whose biases are not cut.
const COLUMNS: [&str; 2] = ["o_proj", "down_proj"];

/// What models have whose heads are dealt out to the ranks in another order (Yuan).
const SHUFFLED: &str = ".lf_gate.";

/// Where experts are, whose names are not those under which DeepSpeed writes down how they were cut.
const EXPERTS: &str = ".deepspeed_experts.";

/// All that is known of how tensors were cut.
pub(crate) struct Rules<'a> {
    opening: &'a Opening,
    info: Option<Info<'a>>,
    /// The key under which a tensor is known, where it has another one too.
    known_as: HashMap<&'a str, &'a str>,
    /// What is not trained, and not known by its name.
    buffers: HashSet<&'a str>,
    is_shuffled: bool,
}

impl<'a> Rules<'a> {
    /// What the user, the files of the first of so many ranks and known models say.
    ///
    /// # Errors
    /// What is wrong with what the files say.
    pub(crate) fn new(
        first: &'a Save,
        shared: &'a Shared,
        world: u64,
        opening: &'a Opening,
    ) -> Result<Rules<'a>, Fault> {
        let model = first.models.first().root();
        let buffers = model.get("buffer_names").map(Node::items).unwrap_or_default();
        let module = model.get("module").map(|it| it.entries()).into_iter().flatten();
        let mut known_as: HashMap<&str, &str> = HashMap::new();
        let mut places = HashMap::<_, &str>::new();
        let mut is_shuffled = false;
        for (key, value) in module {
            is_shuffled |= key.as_str().contains(SHUFFLED);
            // Without ZeRO no file says which parameters are shared, but they are in one place.
            let Some(tensor) = value.tensor().filter(|tensor| tensor.count() > 0) else { continue };
            let Some(view) = tensor.as_view() else { continue };
            let place = (view.storage().location.range().start, view.offset(), &tensor.shape);
            if let Some(name) = places.get(&place) {
                known_as.insert(key.as_str(), name);
            } else {
                places.insert(place, key.as_str());
            }
        }
        known_as.extend(shared.iter().map(|(alias, name)| (alias.as_str(), name.as_str())));
        Ok(Rules {
            opening,
            info: if world > 1 { Info::of(first)? } else { None },
            known_as,
            buffers: buffers.into_iter().filter_map(Node::text).collect(),
            is_shuffled,
        })
    }

    /// How much is looked up.
    pub(crate) fn depth(&self) -> Depth {
        self.opening.depth
    }

    /// How many rows of a vocabulary are no padding, if that is said.
    pub(crate) fn vocabulary_rows(&self) -> Option<u64> {
        self.info.as_ref()?.vocabulary_rows
    }

    /// True for a tensor that has a row for each word, of which no map and no user says how it was
    /// cut.
    ///
    /// # Errors
    /// Patterns that contradict each other.
    pub(crate) fn is_vocabulary(&self, name: &str) -> Result<bool, Fault> {
        let name = self.known_as(name);
        let Some(info) = self.info.as_ref().filter(|_| self.opening.cut(name).is_none()) else {
            return Ok(false);
        };
        Ok(info.is_vocabulary(name)? && info.map(name)?.is_none())
    }

    fn known_as<'n>(&'n self, name: &'n str) -> &'n str {
        self.known_as.get(name).copied().unwrap_or(name)
    }

    /// How a tensor was cut.
    ///
    /// # Errors
    /// One of which DeepSpeed says that it cannot be joined, and what is wrong with what it says.
    pub(crate) fn of(&self, name: &str) -> Result<Cutting<'_>, Fault> {
        let known = self.known_as(name);
        let cut = self.opening.cut(name).or_else(|| self.opening.cut(known));
        if let Some(dimension) = cut {
            return Ok(Cutting::Shared { rule: Rule::Along(dimension), is_said: true });
        }
        if self.buffers.contains(known) {
            return Ok(Cutting::Unknown);
        }
        match &self.info {
            Some(info) => match info.cutting(known)? {
                Some(cutting) => Ok(cutting),
                // DeepSpeed cuts what it has no word for along the first dimension; where it draws
                // maps, it has one for everything.
                None if info.draws_maps() || known.contains(EXPERTS) => Ok(Cutting::Unknown),
                None => Ok(Cutting::Shared { rule: Rule::Along(0), is_said: false }),
            },
            None if self.is_shuffled => Ok(Cutting::Unknown),
            None => Ok(of_known_models(known)),
        }
    }
}

/// How the tensors of known models are cut, where nothing is written down.
fn of_known_models(name: &str) -> Cutting<'static> {
    let mut segments = name.rsplit('.');
    let (what, layer) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    let dimension = match what {
        "weight" | "bias" if ROWS.contains(&layer) => 0,
        "weight" if COLUMNS.contains(&layer) => 1,
        _ => return Cutting::Unknown,
    };
    Cutting::Shared { rule: Rule::Along(dimension), is_said: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_known_models_are_cut_and_nothing_else_is_guessed() {
        let check = |name: &str, expected: Option<usize>| {
            let dimension = match of_known_models(name) {
                Cutting::Shared { rule: Rule::Along(dimension), is_said: false } => Some(dimension),
                _ => None,
            };
            assert_eq!(dimension, expected, "{name}");
        };
        check("model.layers.0.self_attn.q_proj.weight", Some(0));
        check("model.layers.0.self_attn.k_proj.bias", Some(0));
        check("model.layers.0.mlp.down_proj.weight", Some(1));
        check("model.layers.0.mlp.experts.3.up_proj.weight", Some(0));
        check("model.layers.0.mlp.down_proj.bias", None);
        check("model.layers.0.self_attn.qkv_proj.weight", None);
        check("model.layers.0.mlp.gate_up_proj.weight", None);
        check("model.embed_tokens.weight", None);
        check("lm_head.weight", None);
        check("model.norm.weight", None);
        check("weight", None);
    }
}
