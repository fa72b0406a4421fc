//! A save of all ranks, opened.

use std::collections::HashSet;

use statedict_core::{
    Assembled, Fault, Incomplete, IndexMap, Nested, Node, Opening, Shortfall, Step, Store, Tensor,
    Total, Tree, Which,
};
use statedict_pth::SavedFile;

use crate::ZERO;
use crate::flat::{Flat, Lost, Made, count, cut, first, made};
use crate::names::{Files, MAX_RANKS, of_rank};
use crate::partitions::{Parameter, Ranks, partition_count};
use crate::states::shapes;
use crate::{partitions, shards, universal};

/// The entries of model states that are the model, or say where it is.
const MODEL: [&str; 8] = [
    "module",
    "buffer_names",
    "frozen_param_fragments",
    "frozen_param_shapes",
    "optimizer",
    "param_shapes",
    "shared_params",
    "ds_config",
];

/// Where the moments of the optimizer are listed.
const OPTIMIZER: &str = "optimizer";

/// What a save holds, put together.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) parameters: IndexMap<String, (Vec<u64>, Made)>,
    pub(crate) moments: Vec<(String, &'static str, Vec<u64>, Made)>,
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
            self.moments.push((name.clone(), moment, shape.clone(), value));
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
    pub(crate) fn share(&mut self, model: &SavedFile) -> Result<(), Fault> {
        let shared = model.root().get("shared_params").filter(|it| it.is_record());
        for (alias, name) in shared.map(|it| it.entries()).into_iter().flatten() {
            let name = name.text().unwrap_or_default();
            let Some(value) = self.parameters.get(name).cloned() else {
                let what = format!("'{alias}' is shared with '{name}', which is not there");
                return Err(model.broken(what));
            };
            self.parameters.insert(alias.to_string(), value);
        }
        Ok(())
    }
}

/// Opens a folder that holds the files of a save.
pub(crate) fn open(store: &dyn Store, at: &str, opening: &Opening) -> Result<Assembled, Fault> {
    let names = store.list_in(at)?;
    let files = Files::of(&names)?;
    let path = |name: &str| if at.is_empty() { name.to_string() } else { format!("{at}/{name}") };
    if !files.has_model() {
        let missing = match files.optimizers.values().next() {
            Some(_) => "mp_rank_00_model_states.pt",
            None => "its model states",
        };
        let what = "is missing, and has the names and shapes of the parameters";
        return Err(Fault::broken(what).in_file(path(missing)));
    }
    let load = |name: &String| SavedFile::open(store, &path(name));
    let models = Models::load(&files, load)?;
    let experts = files.experts.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    if opening.which == Which::Module {
        let loaded = models.all().chain(&experts).map(|states| states.name.clone()).collect();
        return assembled(module(&models, &experts)?, models.first(), loaded, opening);
    }
    let optimizers = files.optimizers.iter();
    let optimizers: IndexMap<u64, SavedFile> =
        optimizers.map(|(rank, name)| Ok((*rank, load(name)?))).collect::<Result<_, Fault>>()?;
    let whole = if store.folders_in(at)?.iter().any(|folder| folder == universal::FOLDER) {
        universal::whole(store, &path(universal::FOLDER), &models)?
    } else {
        whole(&models, &optimizers, &files, &experts)?
    };
    let loaded = models.all().chain(&experts).chain(optimizers.values());
    let files = loaded.map(|states| states.name.clone()).collect();
    assembled(whole, models.first(), files, opening)
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
    fn load(
        files: &Files,
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
        if !models.states.contains_key(&0) {
            let missing = of_rank(&models.first().name, 0);
            let what = "is missing, and alone says which parameters are shared";
            return Err(Fault::broken(what).in_file(missing));
        }
        let written = models.first().root().get("dp_world_size").and_then(Node::count);
        models.world = within_limit(written.unwrap_or(highest), models.first())?.max(highest);
        Ok(models)
    }

    /// Those of rank 0.
    pub(crate) fn first(&self) -> &SavedFile {
        self.states.values().next().expect("there is a model")
    }

    fn all(&self) -> impl Iterator<Item = &SavedFile> {
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

/// Everything that model and optimizer states hold together.
fn whole(
    models: &Models,
    optimizers: &IndexMap<u64, SavedFile>,
    files: &Files,
    experts: &[SavedFile],
) -> Result<Whole, Fault> {
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
    if let Some((_, like)) = files.optimizers.first() {
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
    whole.share(model)?;
    whole.add_experts(experts);
    let lacking = module.entries().find(|(key, value)| {
        value.tensor().is_some() && !whole.parameters.contains_key(key.as_str())
    });
    match lacking {
        Some((key, _)) => Err(model.broken(format!("no file has elements of '{key}'"))),
        None => Ok(whole),
    }
}

/// A number of ranks that a file says, of which each takes memory.
fn within_limit(world: u64, states: &SavedFile) -> Result<u64, Fault> {
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

/// What was put together, as a checkpoint.
fn assembled(
    whole: Whole,
    model: &SavedFile,
    files: Vec<String>,
    opening: &Opening,
) -> Result<Assembled, Fault> {
    let (mut tree, mut shortfall, mut total) =
        (Tree::default(), Shortfall::default(), Total::default());
    let mut add = |path: &[Step], shape: &[u64], made: &Made| {
        let name = Step::joined(path);
        total.add(count(&name, shape)?);
        match made {
            Ok(tensor) => tree
                .add_tensor(path, tensor.clone())
                .map_err(|twice| Fault::broken(twice.to_string())),
            Err(Lost { cause, count }) => {
                shortfall.tensor(&name, cause.clone(), *count);
                Ok(())
            }
        }
    };
    let module = model.root().get("module");
    let in_module = module.map(|it| it.entries()).into_iter().flatten();
    let order = in_module.map(|(key, _)| key.as_str());
    let mut seen = HashSet::new();
    for name in order.chain(whole.parameters.keys().map(String::as_str)) {
        if let Some((shape, made)) = whole.parameters.get(name)
            && seen.insert(name)
        {
            add(&[Step::key(name)], shape, made)?;
        }
    }
    for (name, moment, shape, made) in &whole.moments {
        let path = [Step::key(OPTIMIZER), Step::key(name.as_str()), Step::key(*moment)];
        add(&path, shape, made)?;
    }
    if opening.incomplete == Incomplete::Refused {
        shortfall.refuse(total, None)?;
    }
    let mut payload = Nested::default();
    let beside = model.root().entries().filter(|(key, _)| !MODEL.contains(&key.as_str()));
    for (key, value) in beside {
        let step = [Step::key(key.as_str())];
        if !whole.parameters.contains_key(key.as_str()) {
            let value = value.shown();
            tree.add_object(&step, value.kind()).map_err(|it| Fault::broken(it.to_string()))?;
            payload.place(&step, value);
        }
    }
    let payload = payload.into_value();
    Ok(Assembled {
        format: &ZERO,
        files,
        catalog: tree.into_catalog(),
        left_out: shortfall.left_out(str::to_string),
        inferred: None,
        payload: Some(Box::new(move || Ok(payload.clone()))),
    })
}
