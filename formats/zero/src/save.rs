//! What a rank of tensor parallelism saved: its model states, and the optimizer states of its ranks.

use std::collections::HashSet;

use statedict_core::{Fault, IndexMap, Node, Tensor, Which};
use statedict_pth::SavedFile;

use crate::flat::{Flat, Made, count, cut, first, made};
use crate::names::{Files, MAX_RANKS, of_rank};
use crate::partitions::{Parameter, Ranks, partition_count};
use crate::states::shapes;
use crate::{partitions, shards};

/// The files of a rank of tensor parallelism.
pub(crate) struct Save {
    pub(crate) models: Models,
    experts: Vec<SavedFile>,
    optimizers: IndexMap<u64, SavedFile>,
    /// The name of a file of the optimizer, if there is one.
    pub(crate) like: Option<String>,
}

impl Save {
    /// Opens the files of a rank of tensor parallelism.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn load(
        files: &Files,
        tensor_rank: u64,
        which: Which,
        load: impl Fn(&String) -> Result<SavedFile, Fault>,
    ) -> Result<Save, Fault> {
        let models = Models::load(files, tensor_rank, &load)?;
        let experts = files.experts.iter().map(&load).collect::<Result<Vec<_>, _>>()?;
        let optimizers = files.optimizers.iter().filter(|_| which == Which::Masters);
        let optimizers: IndexMap<u64, SavedFile> = optimizers
            .map(|(rank, name)| Ok((*rank, load(name)?)))
            .collect::<Result<_, Fault>>()?;
        let like = optimizers.keys().next().and_then(|rank| files.optimizers.get(rank)).cloned();
        Ok(Save { models, experts, optimizers, like })
    }

    /// Its files, in the order in which they were opened.
    pub(crate) fn files(&self) -> impl Iterator<Item = &SavedFile> {
        self.models.all().chain(&self.experts).chain(self.optimizers.values())
    }

    /// Everything that it holds, as the optimizer or the model has it.
    ///
    /// # Errors
    /// What does not fit together.
    pub(crate) fn whole(&self, which: Which, shared: &Shared) -> Result<Whole, Fault> {
        match which {
            Which::Masters => whole(self, shared),
            Which::Module => module(&self.models, &self.experts),
        }
    }

    /// What its states of the optimizer say beside the parameters.
    pub(crate) fn of_optimizer(&self, key: &str) -> Option<(&SavedFile, Node<'_>)> {
        let states = self.optimizers.values().next()?;
        Some((states, states.root().get("optimizer_state_dict")?.get(key)?))
    }
}

/// What a save holds, put together.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) parameters: IndexMap<String, (Vec<u64>, Made)>,
    /// By parameter and what it is of it.
    pub(crate) moments: IndexMap<(String, &'static str), (Vec<u64>, Made)>,
}

impl Whole {
    /// Adds a tensor that one file has whole.
    pub(crate) fn add(&mut self, name: &str, tensor: &Tensor) {
        let whole = (tensor.shape.clone(), Ok(tensor.clone()));
        self.parameters.insert(name.to_string(), whole);
    }

    fn add_parameter(&mut self, name: String, parameter: Parameter) {
        let Parameter { shape, value, moments } = parameter;
        for (moment, value) in moments {
            self.moments.insert((name.clone(), moment), (shape.clone(), value));
        }
        self.parameters.insert(name, (shape, value));
    }

    /// Adds what files of experts have that is not there yet.
    fn add_experts(&mut self, experts: &[SavedFile]) {
        for (key, value) in experts.iter().flat_map(|states| states.root().entries()) {
            if let Some(tensor) = value.tensor()
                && !self.parameters.contains_key(key.as_str())
            {
                self.add(key.as_str(), tensor);
            }
        }
    }

    /// Keys that share the elements of others get them, too.
    pub(crate) fn share(&mut self, shared: &Shared, model: &SavedFile) -> Result<(), Fault> {
        for (alias, name) in shared {
            let Some(value) = self.parameters.get(name).cloned() else {
                let what = format!("'{alias}' is shared with '{name}', which is not there");
                return Err(model.broken(what));
            };
            self.parameters.insert(alias.to_string(), value);
        }
        Ok(())
    }
}

/// Keys that share the elements of others, with the keys of those.
pub(crate) type Shared = IndexMap<String, String>;

/// The keys that share the elements of others, as the model states of the very first rank alone say.
pub(crate) fn shared(model: &SavedFile) -> Shared {
    let shared = model.root().get("shared_params").filter(|it| it.is_record());
    let entries = shared.map(|it| it.entries()).into_iter().flatten();
    entries
        .map(|(alias, name)| (alias.to_string(), name.text().unwrap_or_default().to_string()))
        .collect()
}

/// The model states: of all ranks together, or of each.
pub(crate) struct Models {
    states: IndexMap<u64, SavedFile>,
    /// True if each rank has its own.
    pub(crate) of_ranks: bool,
    /// How many ranks there were.
    world: u64,
}

impl Models {
    /// Opens those of a rank of tensor parallelism.
    ///
    /// # Errors
    /// What is wrong with them, and that none is there that says which parameters are shared.
    fn load(
        files: &Files,
        tensor_rank: u64,
        load: impl Fn(&String) -> Result<SavedFile, Fault>,
    ) -> Result<Models, Fault> {
        let of_ranks = !files.rank_models.is_empty();
        let all: Vec<(u64, &String)> = match &files.model {
            Some(model) if !of_ranks => vec![(0, model)],
            _ => files.rank_models.iter().map(|(rank, name)| (*rank, name)).collect(),
        };
        let states = all.into_iter().map(|(rank, name)| Ok((rank, load(name)?)));
        let mut states = states.collect::<Result<IndexMap<_, _>, Fault>>()?;
        states.sort_keys();
        let highest = states.keys().max().map_or(1, |rank| rank + 1);
        let mut models = Models { states, of_ranks, world: highest };
        if tensor_rank == 0 && !models.states.contains_key(&0) {
            let missing = of_rank(&models.first().name, 0);
            let what = "is missing, and alone says which parameters are shared";
            return Err(Fault::broken(what).in_file(missing));
        }
        let written = models.first().root().get("dp_world_size").and_then(Node::count);
        models.world = within_limit(written.unwrap_or(highest), models.first())?.max(highest);
        Ok(models)
    }

    /// Those of the first rank that is there; of the first rank of tensor parallelism, rank 0.
    pub(crate) fn first(&self) -> &SavedFile {
        self.states.values().next().expect("there is a model")
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &SavedFile> {
        self.states.values()
    }

    /// A parameter that was not trained: whole in one file, or in fragments of all ranks.
    pub(crate) fn frozen(&self, name: &str, shape: &[u64]) -> Result<Option<Made>, Fault> {
        let fragment = |states: &SavedFile| {
            let fragments = states.root().get("frozen_param_fragments")?;
            fragments.get(name)?.tensor().cloned()
        };
        if !self.of_ranks {
            return Ok(fragment(self.first()).map(Ok));
        }
        let size = count(name, shape)?;
        let each = size.div_ceil(self.world.max(1));
        let mut flats = Vec::new();
        for rank in 0..self.world {
            flats.push(match self.states.get(&rank) {
                Some(states) => match fragment(states) {
                    Some(tensor) => {
                        Flat::new(&tensor).map_err(|fault| fault.in_file(&states.name))?
                    }
                    None => return Ok(None),
                },
                None => Flat::Missing { file: of_rank(&self.first().name, rank), len: each },
            });
        }
        let all = flats.iter().map(Flat::len).fold(0, u64::saturating_add);
        made(name, shape, &first(cut(&flats, 0, all), size)).map(Some)
    }
}

/// The parameters as the model computed with them, which model states alone hold.
///
/// # Errors
/// A save of stage 3, of which each parameter has a placeholder without elements there.
fn module(models: &Models, experts: &[SavedFile]) -> Result<Whole, Fault> {
    let model = models.first();
    if models.of_ranks {
        let what = "of stage 3 no parameters are saved but the optimizer's; those that \
                    save_16bit_model gathered are a file of their own";
        return Err(Fault::Unsupported(what.into()).in_file(&model.name));
    }
    let mut whole = Whole::default();
    for (key, value) in model.need(model.root(), "module")?.entries() {
        if let Some(tensor) = value.tensor() {
            whole.add(key.as_str(), tensor);
        }
    }
    whole.add_experts(experts);
    Ok(whole)
}

/// Everything that model and optimizer states hold together, but for keys that share the elements of
/// others.
fn whole(save: &Save, shared: &Shared) -> Result<Whole, Fault> {
    let Save { models, experts, optimizers, like } = save;
    let model = models.first();
    let mut whole = Whole::default();
    let module = model.need(model.root(), "module")?;
    let buffers = model.root().get("buffer_names").map(Node::items).unwrap_or_default();
    let buffers: HashSet<&str> = buffers.into_iter().filter_map(Node::text).collect();
    for (key, value) in module.entries() {
        // In stage 3 a parameter is an empty placeholder here.
        if let Some(tensor) = value.tensor()
            && (!models.of_ranks || buffers.contains(key.as_str()))
        {
            whole.add(key.as_str(), tensor);
        }
    }
    if let Some(like) = like {
        let ranks = ranks(optimizers, like)?;
        let parameters = if models.of_ranks {
            shards::parameters(&ranks, model)?
        } else {
            partitions::parameters(&ranks, model)?
        };
        for (name, parameter) in parameters {
            whole.add_parameter(name, parameter);
        }
    }
    let frozen = model.root().get("frozen_param_shapes").filter(|it| it.is_record());
    for (name, shape) in frozen.map_or(Ok(Vec::new()), |it| shapes(model, it))? {
        if let Some(made) = models.frozen(&name, &shape)? {
            whole.parameters.insert(name, (shape, made));
        }
    }
    whole.add_experts(experts);
    whole.parameters.retain(|name, _| !shared.contains_key(name));
    let is_known = |key: &str| whole.parameters.contains_key(key) || shared.contains_key(key);
    let lacking =
        module.entries().find(|(key, value)| value.tensor().is_some() && !is_known(key.as_str()));
    match lacking {
        Some((key, _)) => Err(model.broken(format!("no file has elements of '{key}'"))),
        None => Ok(whole),
    }
}

/// A number of ranks that a file says, of which each takes memory.
pub(crate) fn within_limit(world: u64, states: &SavedFile) -> Result<u64, Fault> {
    if world > MAX_RANKS {
        return Err(states.broken(format!("it says that there were {world} ranks")));
    }
    Ok(world)
}

/// The optimizer states of as many ranks as the files say there were.
fn ranks<'a>(optimizers: &'a IndexMap<u64, SavedFile>, like: &str) -> Result<Ranks<'a>, Fault> {
    let mut world = 0;
    for states in optimizers.values() {
        let node = states.need(states.root(), "optimizer_state_dict")?;
        let counts = (0..).map_while(|group| partition_count(node, group));
        // One number is the same for every group.
        let counts =
            counts.take(node.get("partition_count").map_or(1, |it| it.items().len().max(1)));
        world = counts.max().unwrap_or(0).max(world);
    }
    if let Some(states) = optimizers.values().next()
        && world == 0
    {
        return Err(states.broken("it has no partition_count: it is not of ZeRO"));
    }
    if let Some(states) = optimizers.values().next() {
        within_limit(world, states)?;
    }
    if let Some((_, beyond)) = optimizers.iter().find(|(rank, _)| **rank >= world) {
        let what = format!("it is of another save: the others are of {world} ranks");
        return Err(beyond.broken(what));
    }
    let states = (0..world).map(|rank| optimizers.get(&rank)).collect();
    Ok(Ranks { states, like: like.to_string() })
}
