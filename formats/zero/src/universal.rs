//! What `ds_to_universal` writes: a folder for each parameter.
//!
//! ```text
//! zero/layers.0.weight/{fp32,exp_avg,exp_avg_sq}.pt
//! mp_rank_00_model_states.pt                          buffers, names, what is shared
//! ```

use std::collections::HashSet;

use statedict_core::{Fault, IndexMap, Node, Store, Tensor, sorting};
use statedict_pth::SavedFile;

use crate::cutting::{Cutting, Rules};
use crate::flat::{Lost, Made, count};
use crate::partitions::MOMENTS;
use crate::save::{Models, Shared, Whole};
use crate::states::shapes;

/// The folder of the parameters.
pub(crate) const FOLDER: &str = "zero";

/// The elements of a parameter in full precision.
const MASTER: &str = "fp32";

/// The parameters of a universal folder, which are whole.
///
/// # Errors
/// What is wrong with a file, and one that is a share of a rank: where a parameter has never had a
/// gradient, `ds_to_universal` writes what the first rank of tensor parallelism has of it.
pub(crate) fn whole(
    store: &dyn Store,
    folder: &str,
    models: &[&Models],
    is_cut: bool,
    rules: &Rules<'_>,
) -> Result<Whole, Fault> {
    let mut known = IndexMap::<String, Vec<u64>>::default();
    for model in models.iter().map(|models| models.first()) {
        for group in model.root().get("param_shapes").map(Node::items).unwrap_or_default() {
            for (name, shape) in shapes(model, group)? {
                known.entry(name).or_insert(shape);
            }
        }
    }
    // The shapes in the model states are those of shares.
    let shape = |name: &str| known.get(name).filter(|_| !is_cut);
    let mut whole = Whole::default();
    let mut parameters = store.folders_in(folder)?;
    sorting::sort(&mut parameters);
    // What was not trained is taken from the model states, of all ranks.
    for name in parameters.into_iter().filter(|name| !is_cut || known.contains_key(name)) {
        let at = format!("{folder}/{name}");
        if let Some((shape, made)) = part(store, &at, MASTER, shape(&name))? {
            let is_share = is_cut && known.get(&name) == Some(&shape);
            if is_share && matches!(rules.of(&name)?, Cutting::Shared { .. }) {
                let what = "it has no more than a rank's share: the parameter had no gradient";
                return Err(Fault::broken(what).in_file(format!("{at}/{MASTER}.pt")));
            }
            whole.parameters.insert(name.clone(), (shape, made));
        }
        for moment in MOMENTS {
            if let Some(made) = part(store, &at, moment, shape(&name))? {
                whole.moments.insert((name.clone(), moment), made);
            }
        }
    }
    for (absent, shape) in &known {
        if !whole.parameters.contains_key(absent) {
            let cause = format!("'{folder}/{absent}/{MASTER}.pt' is missing");
            let lost = Err(Lost { cause, count: count(absent, shape)? });
            whole.parameters.insert(absent.clone(), (shape.clone(), lost));
        }
    }
    Ok(whole)
}

/// What the model states have beside these parameters: buffers, and what was not trained.
///
/// # Errors
/// Shapes that are none.
pub(crate) fn beside(models: &Models, whole: &Whole, shared: &Shared) -> Result<Whole, Fault> {
    let model = models.first();
    let mut beside = Whole::default();
    let buffers = model.root().get("buffer_names").map(Node::items).unwrap_or_default();
    let buffers: HashSet<&str> = buffers.into_iter().filter_map(Node::text).collect();
    let is_known = |name: &str| whole.parameters.contains_key(name) || shared.contains_key(name);
    for (key, value) in model.need(model.root(), "module")?.entries() {
        let Some(tensor) = value.tensor() else { continue };
        let is_buffer = buffers.contains(&key.as_str());
        // In stage 3 a parameter is an empty placeholder here.
        let is_placeholder = models.of_ranks && tensor.shape == [0];
        if is_buffer || (!is_placeholder && !is_known(key.as_str())) {
            beside.add(key.as_str(), tensor);
        }
    }
    let frozen = model.root().get("frozen_param_shapes").filter(|it| it.is_record());
    for (name, shape) in frozen.map_or(Ok(Vec::new()), |it| shapes(model, it))? {
        if !is_known(&name)
            && let Some(made) = models.frozen(&name, &shape)?
        {
            beside.parameters.insert(name, (shape, made));
        }
    }
    Ok(beside)
}

/// One file of a parameter, in the shape that it is known to have.
fn part(
    store: &dyn Store,
    at: &str,
    what: &str,
    known: Option<&Vec<u64>>,
) -> Result<Option<(Vec<u64>, Made)>, Fault> {
    let file = format!("{at}/{what}.pt");
    if !store.has(&file) {
        return Ok(None);
    }
    let states = SavedFile::open(store, &file)?;
    let tensor = states.root().tensor().or_else(|| states.root().get("param")?.tensor());
    let tensor = tensor.ok_or_else(|| states.broken("it holds no tensor"))?;
    let Some(shape) = known.filter(|shape| **shape != tensor.shape) else {
        return Ok(Some((tensor.shape.clone(), Ok(tensor.clone()))));
    };
    let reshaped = reshaped(tensor, shape)?;
    let reshaped = reshaped.ok_or_else(|| {
        states.broken(format!("{:?} elements cannot be of shape {shape:?}", tensor.shape))
    })?;
    Ok(Some((shape.clone(), Ok(reshaped))))
}

/// The elements of a flat tensor in another shape.
fn reshaped(tensor: &Tensor, shape: &[u64]) -> Result<Option<Tensor>, Fault> {
    let Some(view) = tensor.as_view().filter(|view| view.is_contiguous()) else { return Ok(None) };
    if count("parameter", shape)? != tensor.count() {
        return Ok(None);
    }
    let storage = view.storage().clone();
    let made = Tensor::dense(tensor.dtype.clone(), shape.to_vec(), view.offset(), storage);
    Ok(made.ok())
}
