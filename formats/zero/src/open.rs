//! A save of all ranks, opened.

use std::collections::{BTreeMap, HashSet};

use statedict_core::{
    Assembled, Fault, Incomplete, Nested, Node, Opening, Shortfall, Step, Store, Total, Tree, Which,
};
use statedict_pth::SavedFile;

use crate::ZERO;
use crate::cutting::Rules;
use crate::flat::{Lost, Made, count};
use crate::join::{TensorRanks, join};
use crate::names::{Files, of_tensor_rank};
use crate::save::{Save, Whole, shared, within_limit};
use crate::universal;

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

/// Opens a folder that holds the files of a save.
pub(crate) fn open(store: &dyn Store, at: &str, opening: &Opening) -> Result<Assembled, Fault> {
    let files = Files::of(&store.list_in(at)?)?;
    let path = |name: &str| if at.is_empty() { name.to_string() } else { format!("{at}/{name}") };
    let load = |name: &String| SavedFile::open(store, &path(name));
    refuse_headless(&files, path)?;
    let mut saves = BTreeMap::new();
    for (rank, files) in files.iter().filter(|(_, files)| files.has_model()) {
        saves.insert(*rank, Save::load(files, *rank, opening.which, load)?);
    }
    let first = saves.get(&0).ok_or_else(|| Fault::broken("it has no model states"))?;
    let model = first.models.first();
    let world = world(&saves)?;
    let shared = shared(model);
    let is_universal = opening.which == Which::Masters
        && store.folders_in(at)?.iter().any(|folder| folder == universal::FOLDER);
    let ranks = TensorRanks::new(&saves, world, is_universal);
    let rules = Rules::new(first, &shared, world, opening)?;
    let mut whole = if is_universal {
        let folder = path(universal::FOLDER);
        let models: Vec<_> = saves.values().map(|save| &save.models).collect();
        let mut whole = universal::whole(store, &folder, &models, world > 1, &rules)?;
        let beside = join(&ranks, &rules, |save| universal::beside(&save.models, &whole, &shared))?;
        whole.parameters.extend(beside.parameters);
        whole
    } else {
        join(&ranks, &rules, |save| save.whole(opening.which, &shared))?
    };
    if opening.which == Which::Masters {
        whole.share(&shared, model)?;
    }
    let files = saves.values().flat_map(Save::files).map(|states| states.name.clone()).collect();
    assembled(whole, model, files, opening)
}

/// Refuses files without the model states of the first rank of tensor parallelism.
fn refuse_headless(
    files: &BTreeMap<u64, Files>,
    path: impl Fn(&str) -> String,
) -> Result<(), Fault> {
    if files.get(&0).is_some_and(Files::has_model) {
        return Ok(());
    }
    let model = |files: &Files| files.model.clone().or(files.rank_models.values().next().cloned());
    if let Some(other) = files.values().find_map(model) {
        let what = "is missing, and alone says which parameters are shared";
        return Err(Fault::broken(what).in_file(path(&of_tensor_rank(&other, 0))));
    }
    let missing = match files.values().any(|files| !files.optimizers.is_empty()) {
        true => "mp_rank_00_model_states.pt",
        false => "its model states",
    };
    let what = "is missing, and has the names and shapes of the parameters";
    Err(Fault::broken(what).in_file(path(missing)))
}

/// How many ranks of tensor parallelism there were.
///
/// # Errors
/// Ranks that are not of one save.
fn world(saves: &BTreeMap<u64, Save>) -> Result<u64, Fault> {
    let number = |save: &Save, key: &str| save.models.first().root().get(key).and_then(Node::count);
    let highest = saves.keys().max().map_or(1, |rank| rank + 1);
    let Some(first) = saves.get(&0) else { return Ok(highest) };
    let name = &first.models.first().name;
    for key in ["mp_world_size", "dp_world_size", "global_steps"] {
        let own = number(first, key);
        if let Some(other) = saves.values().find(|save| number(save, key) != own) {
            let said = |number: Option<u64>| number.map_or("nothing".into(), |it| it.to_string());
            let what = format!(
                "it is of another save than '{name}': its {key} is {}, and not {}",
                said(number(other, key)),
                said(own)
            );
            return Err(other.models.first().broken(what));
        }
    }
    let written = number(first, "mp_world_size").unwrap_or(highest);
    let world = within_limit(written, first.models.first())?;
    match saves.last_key_value().filter(|(rank, _)| **rank >= world) {
        Some((_, beyond)) => {
            let what = format!(
                "it is of another save than '{name}', which is of {world} ranks of tensor \
                 parallelism"
            );
            Err(beyond.models.first().broken(what))
        }
        None => Ok(world.max(1)),
    }
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
    for ((name, moment), (shape, made)) in &whole.moments {
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
