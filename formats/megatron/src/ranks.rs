//! The files of ranks of tensor and pipeline parallelism, joined.
//!
//! Source: `megatron/training/checkpointing.py`, the format `torch`.

use statedict_core::{
    Assembled, Depth, Fault, Incomplete, IndexMap, Nested, Node, Opening, Shortfall, Step, Store,
    Tensor, Total, Tree, sorting,
};
use statedict_pth::SavedFile;

use crate::MEGATRON;
use crate::cut::{Cutting, cutting};
use crate::names::{MAX_RANKS, Rank, STATES};

/// The entry that is the model, and where its tensors are listed.
const MODEL: &str = "model";

/// The lowest version whose queries, keys and values are in the order of today.
const LEAST_VERSION: f64 = 2.0;

/// The file of a rank.
struct States(SavedFile);

impl States {
    fn model(&self) -> Result<Node<'_>, Fault> {
        if let Some(model) = self.0.root().get(MODEL) {
            return Ok(model);
        }
        if self.0.root().get("model0").is_some() {
            let what = "its stage has several parts of the model (model0, model1), in an order \
                        that no file says";
            return Err(self.0.unsupported(what));
        }
        Err(self.0.broken("it has no 'model'"))
    }

    /// An argument that the training was started with.
    fn argument(&self, name: &str) -> Option<Node<'_>> {
        self.0.root().get("args")?.attribute(name)
    }

    /// How many ranks an argument says that there were, each of which takes memory; 0 if it is not
    /// there.
    fn ranks(&self, name: &str) -> Result<u64, Fault> {
        match self.argument(name).and_then(Node::count).unwrap_or(0) {
            count if count > MAX_RANKS => Err(self.0.broken(format!("its {name} is {count}"))),
            count => Ok(count),
        }
    }
}

/// All ranks of a save; none where a file is missing.
struct Ranks {
    states: IndexMap<Rank, States>,
    /// How many there are of tensor parallelism, and along the pipeline.
    tensor: u64,
    stages: u64,
    /// The name of a folder of a rank.
    like: String,
}

impl Ranks {
    fn open(store: &dyn Store) -> Result<Ranks, Fault> {
        let folders = store.folders_in("")?;
        let mut ranks: Vec<(Rank, &String)> =
            folders.iter().filter_map(|name| Some((Rank::of(name)?, name))).collect();
        sorting::sort(&mut ranks);
        let mut states = IndexMap::default();
        for (rank, folder) in &ranks {
            if rank.expert > 0 {
                return Err(of_experts().in_file(folder.as_str()));
            }
            let file = format!("{folder}/{STATES}");
            if store.has(&file) {
                states.insert(*rank, States(SavedFile::open(store, &file)?));
            }
        }
        let count = |number: fn(&Rank) -> u64| {
            ranks.iter().map(|(rank, _)| number(rank) + 1).max().unwrap_or(0)
        };
        let written = |name: &str| match states.values().next() {
            Some(first) => first.ranks(name),
            None => Ok(0),
        };
        let tensor = written("tensor_model_parallel_size")?;
        // Without a pipeline the second number of a folder is that of experts.
        if let Some(first) = states.values().next()
            && written("expert_model_parallel_size")? > 1
        {
            return Err(of_experts().in_file(first.0.name.as_str()));
        }
        let stages = written("pipeline_model_parallel_size")?;
        let like = ranks.first().map(|(_, name)| (*name).clone()).unwrap_or_default();
        let tensor = tensor.max(count(|rank| rank.tensor));
        let stages = stages.max(count(|rank| rank.stage));
        Ok(Ranks { tensor, stages, like, states })
    }

    fn first(&self) -> Option<&States> {
        self.states.values().next()
    }

    fn file(&self, rank: Rank) -> String {
        format!("{}/{STATES}", rank.folder_like(&self.like))
    }

    /// The ranks of a stage of the pipeline.
    fn of_stage(&self, stage: u64) -> Vec<(String, Option<&States>)> {
        let ranks = (0..self.tensor).map(|tensor| Rank { stage, tensor, expert: 0 });
        ranks.map(|rank| (self.file(rank), self.states.get(&rank))).collect()
    }
}

/// That ranks hold different experts.
fn of_experts() -> Fault {
    Fault::Unsupported("it is of a rank of experts, which are not put together".into())
}

/// Opens a folder with the folders of all ranks.
pub(crate) fn open(store: &dyn Store, opening: &Opening) -> Result<Assembled, Fault> {
    let ranks = Ranks::open(store)?;
    let Some(first) = ranks.first() else {
        return Err(Fault::broken("is missing").in_file(format!("{}/{STATES}", ranks.like)));
    };
    let version = first.0.root().get("checkpoint_version").and_then(Node::number);
    if version.is_some_and(|version| version < LEAST_VERSION) {
        let what = "checkpoints of versions below 2 have their queries, keys and values in another \
                    order, and are not read";
        return Err(first.0.unsupported(what));
    }
    let mut joining = Joining {
        ranks: &ranks,
        opening,
        is_gated: ["swiglu", "gated_linear_unit"]
            .iter()
            .any(|name| first.argument(name).is_some_and(Node::is_true)),
        tree: Tree::default(),
        shortfall: Shortfall::default(),
        total: Total::default(),
        seen: IndexMap::default(),
    };
    let mut before = Layers::default();
    for stage in 0..ranks.stages {
        for (stack, layers) in joining.add_stage(stage, &before)? {
            *before.entry(stack).or_insert(0) += layers;
        }
    }
    let Joining { mut tree, shortfall, total, .. } = joining;
    if opening.incomplete == Incomplete::Refused {
        shortfall.refuse(total, None)?;
    }
    let mut payload = Nested::default();
    for (key, value) in first.0.root().entries().filter(|(key, _)| key.as_str() != MODEL) {
        let (step, value) = ([Step::key(key.as_str())], value.shown());
        let added = tree.add_object(&step, value.kind());
        added.map_err(|twice| Fault::broken(twice.to_string()))?;
        payload.place(&step, value);
    }
    let payload = payload.into_value();
    Ok(Assembled {
        format: &MEGATRON,
        files: ranks.states.values().map(|states| states.0.name.clone()).collect(),
        catalog: tree.into_catalog(),
        left_out: shortfall.left_out(str::to_string),
        inferred: None,
        payload: Some(Box::new(move || Ok(payload.clone()))),
    })
}

/// The model while it is put together.
struct Joining<'r> {
    ranks: &'r Ranks,
    opening: &'r Opening,
    is_gated: bool,
    tree: Tree,
    shortfall: Shortfall,
    total: Total,
    /// Tensors that are whole in some rank, by their keys.
    seen: IndexMap<String, (&'r States, &'r Tensor)>,
}

/// What all ranks of a stage have under one key.
type Shares<'s, 'r> = Vec<(&'s str, Option<(&'r States, &'r Tensor)>)>;

impl<'r> Joining<'r> {
    /// Adds a stage of the pipeline, before which there are so many layers; gives its own.
    fn add_stage(&mut self, stage: u64, before: &Layers) -> Result<Layers, Fault> {
        let ranks = self.ranks.of_stage(stage);
        let Some(first) = ranks.iter().find_map(|(_, states)| *states) else {
            // Nothing says what the stage should have had.
            let (file, _) = &ranks[0];
            return Err(Fault::broken("is missing, and all others of its stage").in_file(file));
        };
        let mut own = Layers::default();
        for (place, value) in leaves(first.model()?) {
            let key = place.join(SEPARATOR);
            let (name, layer) = renumbered(&place, before);
            if let Some((stack, layer)) = layer {
                let layers = own.entry(stack).or_insert(0);
                *layers = (*layers).max(layer + 1);
            }
            let dicts = place.iter().rev().skip(1).rev().map(|dict| Step::key(*dict));
            let model = [Step::key(MODEL)].into_iter();
            let path: Vec<Step> = model.chain(dicts).chain([Step::key(name.as_str())]).collect();
            if value.tensor().is_none() {
                // Every stage may have one of the same name.
                let _ = self.tree.add_object(&path, value.shown().kind());
                continue;
            }
            let mut shares = Shares::new();
            for (file, states) in &ranks {
                let share = match states {
                    Some(states) => {
                        let below = |node: Node<'r>, key: &&str| node.get(key);
                        let found = place.iter().try_fold(states.model()?, below);
                        let lacking = || states.0.broken(format!("it has no tensor '{key}'"));
                        Some((*states, found.and_then(Node::tensor).ok_or_else(lacking)?))
                    }
                    None => None,
                };
                shares.push((file.as_str(), share));
            }
            self.add(&path, &key, &shares)?;
        }
        Ok(own)
    }

    fn add(&mut self, path: &[Step], key: &str, shares: &Shares<'_, 'r>) -> Result<(), Fault> {
        let name = Step::joined(&path[1..]);
        let there = shares.iter().filter_map(|(_, share)| *share).collect::<Vec<_>>();
        let [(states, tensor), ..] = there.as_slice() else { return Ok(()) };
        if let Some(known) = self.seen.get(&name) {
            // Embeddings are in the first stage, and again in the last where they are tied.
            return refuse_differing(key, *known, &[(states, tensor)]);
        }
        let cutting = match shares.len() {
            1 => Cutting::Copied,
            _ => cutting(key, self.opening, self.is_gated),
        };
        let made = match cutting {
            Cutting::Copied => {
                if self.opening.depth == Depth::Elements {
                    refuse_differing(key, (states, tensor), &there[1..])?;
                }
                self.total.add(tensor.count());
                self.seen.insert(name, (states, tensor));
                (*tensor).clone()
            }
            Cutting::Along(_) | Cutting::Gated => {
                let count = tensor.count().saturating_mul(shares.len() as u64);
                self.total.add(count);
                let missing = shares.iter().filter(|(_, share)| share.is_none());
                let missing: Vec<&str> = missing.map(|(file, _)| *file).collect();
                if let [file, ..] = missing.as_slice() {
                    let lost = tensor.count().saturating_mul(missing.len() as u64);
                    let cause = format!("'{file}' is missing");
                    self.shortfall.tensor(&Step::joined(path), cause, lost);
                    return Ok(());
                }
                let tensors: Vec<&Tensor> = there.iter().map(|(_, tensor)| *tensor).collect();
                let broken = |why: String| states.0.broken(format!("'{key}': {why}"));
                let shapes: Vec<&[u64]> = tensors.iter().map(|it| it.shape.as_slice()).collect();
                let joint = cutting.joint(&shapes);
                joint.and_then(|joint| joint.tensor(&tensors)).map_err(broken)?
            }
        };
        let added = self.tree.add_tensor(path, made);
        added.map_err(|twice| Fault::broken(twice.to_string()))
    }
}

/// What separates the steps of a key.
const SEPARATOR: &str = ".";

/// How deeply the dicts of a model nest at most; those of before Megatron-Core have three levels.
const MAX_LEVELS: usize = 8;

/// How many layers there are of each stack, by what is before their numbers.
type Layers = IndexMap<String, u64>;

/// Everything in a model and in the dicts within it, which those of before Megatron-Core have.
fn leaves<'m>(model: Node<'m>) -> Vec<(Vec<&'m str>, Node<'m>)> {
    let mut leaves = Vec::new();
    for (key, value) in model.entries() {
        add_leaves(&mut vec![key.as_str()], value, &mut leaves);
    }
    leaves
}

fn add_leaves<'m>(
    place: &mut Vec<&'m str>,
    value: Node<'m>,
    leaves: &mut Vec<(Vec<&'m str>, Node<'m>)>,
) {
    if !value.is_record() || value.entries().next().is_none() || place.len() >= MAX_LEVELS {
        leaves.push((place.clone(), value));
        return;
    }
    for (key, value) in value.entries() {
        place.push(key.as_str());
        add_leaves(place, value, leaves);
        place.pop();
    }
}

/// The key at a place with the number of its layer counted from the first stage on, and the number it
/// had in its stack: encoder and decoder are counted each by itself.
fn renumbered(place: &[&str], before: &Layers) -> (String, Option<(String, u64)>) {
    let Some((key, dicts)) = place.split_last() else { return (String::new(), None) };
    let Some(at) = key.find("layers.").map(|at| at + "layers.".len()) else {
        return ((*key).to_string(), None);
    };
    let (front, rest) = key.split_at(at);
    let stack = [dicts, &[front]].concat().join(SEPARATOR);
    let digits = rest.split('.').next().unwrap_or_default();
    let before = before.get(&stack).copied().unwrap_or(0);
    match digits.parse::<u64>().ok().and_then(|layer| Some((layer, layer.checked_add(before)?))) {
        Some((layer, number)) => {
            (format!("{front}{number}{}", &rest[digits.len()..]), Some((stack, layer)))
        }
        None => ((*key).to_string(), None),
    }
}

/// Refuses tensors that no rule joins and that are not the same in all ranks.
fn refuse_differing(
    key: &str,
    (first, one): (&States, &Tensor),
    others: &[(&States, &Tensor)],
) -> Result<(), Fault> {
    let one = first.0.copy(one);
    others.iter().try_for_each(|(states, other)| one.refuse_uncut(key, &states.0.copy(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_counted_from_the_first_stage_on() {
        let check = |place: &[&str], expected: (&str, Option<u64>)| {
            let before = ["decoder.layers.", "net.decoder.layers."].map(|it| (it.to_string(), 3));
            let (name, layer) = renumbered(place, &Layers::from_iter(before));
            let layer = layer.map(|(_, layer)| layer);
            assert_eq!((name.as_str(), layer), expected, "{place:?}");
        };
        check(&["decoder.layers.1.mlp.weight"], ("decoder.layers.4.mlp.weight", Some(1)));
        check(&["net", "decoder", "layers.1.weight"], ("layers.4.weight", Some(1)));
        check(&["decoder.layers.norm.weight"], ("decoder.layers.norm.weight", None));
        check(&["embedding", "weight"], ("weight", None));
        check(&["encoder.layers.1.mlp.weight"], ("encoder.layers.1.mlp.weight", Some(1)));
    }
}
