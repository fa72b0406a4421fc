//! Keys and shapes that are not those of the model.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::explain::diagnosis::context::{COUNTER, Left, LoadContext};
use crate::explain::diagnosis::filling::{has_other_rows, is_embedding, other_dimension, patterns};
use crate::explain::diagnosis::renaming::{self, Found, has_wrapper};
use crate::explain::error::CONTAINERS;
use crate::rules::wrapping::{wrapper_names, wrapping};
use crate::{
    Catalog, IndexSet, Remap, Rule, SEPARATOR, StateDict, Template, Undefined,
    explain::{Cause, Diagnosis, Mismatch, Remedy, Shapes},
    generalise::generalise,
};

/// What trainers keep beside a state dict.
const TRAINER_KEYS: [&str; 24] = [
    "epoch",
    "epochs",
    "optimizer",
    "optimizer_state_dict",
    "optimizer_states",
    "optim",
    "optimizers",
    "scheduler",
    "lr_scheduler",
    "lr_schedulers",
    "scheduler_state_dict",
    "scaler",
    "amp",
    "step",
    "global_step",
    "iteration",
    "iter",
    "args",
    "config",
    "cfg",
    "meta",
    "hyper_parameters",
    "pytorch-lightning_version",
    "best_acc1",
];

/// Parameters that models tie to their embeddings, by the ends of their keys.
const TIED: [&str; 6] = [
    "lm_head.weight",
    "predictions.decoder.weight",
    "predictions.decoder.bias",
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
    "proj_out.weight",
];

/// Keys that are named in a sentence, or in a command that drops them; the rest is counted.
const NAMED: usize = 3;

/// Keys that a command names one by one.
const MAX_DROPPED: usize = 12;

/// Shapes that differ beyond their rows, from which on the model is another one.
const MANY: usize = 3;

pub(super) fn diagnose(mismatch: &Mismatch, held: Option<&Catalog>) -> Diagnosis {
    if let Some(diagnosis) = trainer(mismatch, held) {
        return diagnosis;
    }
    if let Some(shapes) = mismatch.misfits.iter().find(|shapes| is_partitioned(shapes)) {
        return partitioned(shapes);
    }
    if let Some(diagnosis) = held.and_then(|catalog| elsewhere(catalog, mismatch)) {
        return diagnosis;
    }
    let stated = Catalog::of_keys(&mismatch.unexpected).unwrap_or_default();
    let meant = held.map(|catalog| (catalog, meant(catalog, mismatch)));
    let (catalog, state_dict, caveat) = match (meant, stated.state_dicts.first()) {
        (Some((catalog, Ok(state_dict))), _) => (catalog, state_dict, None),
        (Some((_, Err(caveat))), Some(stated_keys)) => (&stated, stated_keys, Some(caveat)),
        (None, Some(stated_keys)) => (&stated, stated_keys, None),
        (_, None) => return nothing_known(),
    };
    let mut scene = LoadContext::new(catalog, state_dict, mismatch);
    scene.is_held = held.is_some() && caveat.is_none();
    let mut diagnosis = judge(&scene, mismatch);
    diagnosis.caveat = caveat.or(diagnosis.caveat);
    diagnosis.path = held.and_then(|catalog| needed_path(catalog, state_dict));
    diagnosis
}

/// The state dict that the text is about, or why it is none of them.
fn meant<'a>(catalog: &'a Catalog, mismatch: &Mismatch) -> Result<&'a StateDict, String> {
    let keys = || {
        let misfits = mismatch.misfits.iter().map(|shapes| &shapes.key);
        mismatch.unexpected.iter().chain(misfits).map(String::as_str)
    };
    let chosen = catalog.select(None).ok().and_then(|all| all.first().copied());
    let count = |state_dict: &StateDict| keys().filter(|key| state_dict.contains(key)).count();
    let mut best = chosen.or(catalog.state_dicts.first()).ok_or("the file holds no state dict")?;
    for state_dict in &catalog.state_dicts {
        if count(state_dict) > count(best) {
            best = state_dict;
        }
    }
    match keys().find(|key| !best.contains(key)) {
        Some(key) if !mismatch.is_cut => Err(format!("the file has no key '{key}'")),
        _ => match mismatch.missing.iter().find(|key| best.contains(key)) {
            Some(key) => Err(format!("the file has the key '{key}'")),
            None => Ok(best),
        },
    }
}

/// The path of a state dict, where a command needs it.
pub(super) fn needed_path(catalog: &Catalog, state_dict: &StateDict) -> Option<String> {
    let is_default =
        matches!(catalog.select(None).as_deref(), Ok([only]) if only.path == state_dict.path);
    let path = if state_dict.path.is_empty() { "/" } else { &state_dict.path };
    (!is_default && catalog.state_dicts.len() > 1).then(|| path.to_string())
}

fn nothing_known() -> Diagnosis {
    let message = "A key of the message is listed twice, so nothing can be concluded.";
    Diagnosis::new(Cause::OtherModel, message, Remedy::Nothing)
}

/// What a mismatch between one state dict and the model means.
fn judge(scene: &LoadContext, mismatch: &Mismatch) -> Diagnosis {
    let Some(found) = renaming::find(scene) else {
        let left = scene.untouched();
        return if found_nothing(mismatch, &left) {
            strangers(scene, mismatch)
        } else {
            filled(scene, mismatch, &left)
        };
    };
    let (cause, sentence) = renamed(scene, &found);
    let Found { rule, undefined, left } = found;
    let rename = Remedy::Rename { rule, undefined, alone: false };
    // Of lists that were cut short no more can be asked than that some of the keys are met.
    let is_all = left.is_nothing() || scene.is_open && scene.catalog.rows.is_empty();
    if is_all && mismatch.misfits.is_empty() {
        return Diagnosis::new(cause, sentence, rename);
    }
    let rest = filled(scene, mismatch, &left);
    let mut diagnosis =
        Diagnosis::new(rest.cause, format!("{sentence} {}", rest.message), rest.remedy);
    match diagnosis.remedy {
        Remedy::Nothing => {
            diagnosis.caveat =
                left.missing.first().map(|key| format!("'{key}' would still be missing"));
            diagnosis.remedy = rename;
        }
        // What is dropped has other names in the file, and a fit does both.
        Remedy::Rename { .. } => {
            diagnosis.remedy = Remedy::Fit { init: Vec::new(), resize: Vec::new() };
        }
        _ => {}
    }
    diagnosis
}

/// True if keys are missing and unexpected, and no two of them are alike.
fn found_nothing(mismatch: &Mismatch, left: &Left) -> bool {
    !mismatch.missing.is_empty()
        && !left.unexpected.is_empty()
        && mismatch.missing.len() == left.missing.len()
}

/// What a rule shows to have happened.
fn renamed(scene: &LoadContext, found: &Found) -> (Cause, String) {
    let extra = match found.undefined {
        Undefined::Drop => " The keys that are not below it are not the model's, and are dropped.",
        _ => "",
    };
    let first = scene.sources.first().copied().unwrap_or_default();
    match &found.rule {
        Rule::Unwrap(_) => {
            let names = wrapper_names(&wrapping(scene.sources.iter().copied()));
            let message = format!(
                "The checkpoint was saved from a model wrapped in {names}, which puts its own \
                 segment into the keys ('{first}'); the model that loads it is not wrapped."
            );
            (Cause::Wrapped, message)
        }
        Rule::Remap(Remap::Strip(prefix)) => {
            let prefix = prefix.text();
            let message = format!(
                "The keys of the checkpoint begin with '{prefix}.', under which another program \
                 kept the model; the model that loads it has them without.{extra}"
            );
            (Cause::Prefix, message)
        }
        Rule::Remap(Remap::Add(prefix)) => added(prefix.text()),
        _ => {
            let wanted = scene.wanted.iter().next().copied().unwrap_or_default();
            let is_wrapper = !scene.sources.iter().any(|key| has_wrapper(key))
                && scene.wanted.iter().all(|key| has_wrapper(key));
            let names = wrapper_names(&wrapping(scene.wanted.iter().copied()));
            if is_wrapper {
                let message = format!(
                    "A part of the model is wrapped in {names}, so its keys have one more segment \
                     ('{wanted}'); the checkpoint was saved without."
                );
                return (Cause::Unwrapped, message);
            }
            let message = format!(
                "The checkpoint and the model have different names for the same tensors \
                 ('{first}' there, '{wanted}' here).{extra}"
            );
            (Cause::Renamed, message)
        }
    }
}

/// A prefix that the model has.
fn added(prefix: &str) -> (Cause, String) {
    let first = format!("{prefix}{SEPARATOR}w");
    let layers = wrapping([first.as_str()]);
    if layers.len() == prefix.split(SEPARATOR).count() {
        let message = format!(
            "The model is wrapped in {}, so it wants keys that begin with '{prefix}.'; the \
             checkpoint was saved from the model without it.",
            wrapper_names(&layers)
        );
        return (Cause::Unwrapped, message);
    }
    let message = format!(
        "The model wants keys that begin with '{prefix}.', because it keeps the network under \
         that name; the checkpoint was saved from the network itself."
    );
    (Cause::Prefix, message)
}

/// What helps where names are not all: a fit that makes what is missing.
fn filled(scene: &LoadContext, mismatch: &Mismatch, left: &Left) -> Diagnosis {
    let missing = left.missing.iter().filter(|key| !key.ends_with(COUNTER));
    let missing: Vec<&String> = missing.collect();
    let are_tied = missing.iter().all(|key| TIED.iter().any(|tied| key.ends_with(tied)));
    if !missing.is_empty() && mismatch.misfits.is_empty() && are_tied {
        return tied(&missing);
    }
    if missing.is_empty() && mismatch.misfits.is_empty() {
        return if left.missing.is_empty() {
            extra(scene, &left.unexpected)
        } else {
            counters(left.missing.len())
        };
    }
    if is_other_width(&mismatch.misfits) {
        return other_width(&mismatch.misfits);
    }
    let (rows, others): (Vec<&Shapes>, Vec<&Shapes>) =
        mismatch.misfits.iter().partition(|it| is_embedding(it));
    let made = missing.iter().map(|key| key.as_str());
    let made = made.chain(mismatch.misfits.iter().map(|shapes| shapes.key.as_str()));
    let init = patterns(made).into_iter().map(|pattern| format!("{pattern}=target")).collect();
    let resize = patterns(rows.iter().map(|shapes| shapes.key.as_str()));
    let mut resize: Vec<String> =
        resize.into_iter().map(|pattern| format!("{pattern}=rows")).collect();
    for shapes in &others {
        if let Some(dim) = other_dimension(shapes) {
            resize.push(format!("{}=dim{dim}", Template::literal(&shapes.key, SEPARATOR)));
        }
    }
    let (cause, sentence) = match (rows.first().or(others.first()), missing.first()) {
        (Some(shapes), _) => (Cause::OtherShapes, other_rows(shapes, mismatch.misfits.len())),
        (None, _) => (Cause::Incomplete, incomplete(&missing)),
    };
    Diagnosis::new(cause, sentence, Remedy::Fit { init, resize })
}

fn other_rows(shapes: &Shapes, misfits: usize) -> String {
    let Shapes { key, checkpoint, model } = shapes;
    let what = match (has_other_rows(shapes), is_embedding(shapes)) {
        (_, true) => "the model has a different number of words or places".to_string(),
        (true, _) => "the model has a different number of classes".to_string(),
        _ => match other_dimension(shapes) {
            Some(1) if checkpoint.len() > 3 => {
                "the model has a different number of input channels".to_string()
            }
            Some(dim) => format!("the model has a different size in dimension {dim}"),
            None => "the model has different settings".to_string(),
        },
    };
    let others = match misfits {
        1 => String::new(),
        more => format!(", and so in {} more", more - 1),
    };
    let kept = match (is_embedding(shapes), other_dimension(shapes)) {
        (true, _) => {
            "The rows that both have can be kept, and the others made as the model has them"
        }
        (_, Some(_)) => {
            "What both have can be kept, if it comes first in the model, too, and the rest made as \
             the model has it (without --resize all of it is)"
        }
        _ => "Everything else can be loaded, and these can be left as the model has them",
    };
    format!(
        "'{key}' has the shape {checkpoint:?} in the checkpoint and {model:?} in the \
         model{others}: {what}. {kept}."
    )
}

fn incomplete(missing: &[&String]) -> String {
    format!(
        "The checkpoint does not have {}, which the model wants; it was saved from the model \
         without that part. Everything else can be loaded, and these can be left as the model has \
         them.",
        some_of(missing)
    )
}

fn tied(missing: &[&String]) -> Diagnosis {
    let message = format!(
        "The checkpoint leaves out {}, because it is tied to another tensor of the file and was \
         saved once. No rename can put it back: load with strict=False and tie the weights again \
         (model.tie_weights() in transformers).",
        some_of(missing)
    );
    Diagnosis::new(Cause::Tied, message, Remedy::Nothing)
}

fn counters(number: usize) -> Diagnosis {
    let message = format!(
        "The checkpoint lacks {number} '{COUNTER}', which batch norms have counted in since \
         PyTorch 0.4.1; all weights are there. They can be filled with 0, which changes nothing."
    );
    let remedy = Remedy::Fit { init: Vec::new(), resize: Vec::new() };
    Diagnosis::new(Cause::Counters, message, remedy)
}

/// Keys that the model does not know, and nothing else.
fn extra(scene: &LoadContext, unexpected: &[String]) -> Diagnosis {
    let named: Vec<&String> = unexpected.iter().collect();
    let too_many: IndexSet<&str> = unexpected.iter().map(String::as_str).collect();
    if scene.is_held && scene.state_dict.keys().all(|key| too_many.contains(key)) {
        return none_used(&named);
    }
    let message = format!(
        "The checkpoint has {}, which the model does not; all that the model wants is there.",
        some_of(&named)
    );
    let templates = match dropping(scene, unexpected) {
        Some(templates) => templates,
        None => unexpected.iter().map(|key| Template::literal(key, SEPARATOR)).collect(),
    };
    let remedy = match templates.len() {
        // The message names only the first of them, or its list is truncated.
        _ if scene.is_open => Remedy::Fit { init: Vec::new(), resize: Vec::new() },
        1..=MAX_DROPPED => Remedy::Rename {
            rule: Remap::Drop(templates).into(),
            undefined: Undefined::Keep,
            alone: false,
        },
        _ => Remedy::Fit { init: Vec::new(), resize: Vec::new() },
    };
    Diagnosis::new(Cause::Extra, message, remedy)
}

/// A checkpoint of which the model uses nothing: a file without those keys would be empty.
fn none_used(keys: &[&String]) -> Diagnosis {
    let message = format!(
        "The model uses none of the checkpoint's tensors ({}): it has other names for them, or is \
         another model. A file without them would be empty. A fit into the model finds what \
         belongs where by names, shapes and order, and says if the checkpoint is of another \
         model.",
        some_of(keys)
    );
    let remedy = Remedy::Fit { init: Vec::new(), resize: Vec::new() };
    Diagnosis::new(Cause::Renamed, message, remedy)
}

/// Patterns of the keys that go and none that stay; `None` where it is not known which stay.
fn dropping(scene: &LoadContext, unexpected: &[String]) -> Option<Vec<Template>> {
    let kept: Vec<_> = scene.common().map(|key| (key.to_string(), key.to_string())).collect();
    match generalise(&kept, unexpected).stages.as_slice() {
        [Rule::Remap(Remap::Drop(templates))] if !kept.is_empty() => Some(templates.clone()),
        _ => None,
    }
}

/// True if so many shapes differ in so many ways that the model is another one.
fn is_other_width(misfits: &[Shapes]) -> bool {
    let beyond_rows = misfits.iter().filter(|shapes| !has_other_rows(shapes)).count();
    beyond_rows >= MANY
}

fn other_width(misfits: &[Shapes]) -> Diagnosis {
    let Shapes { key, checkpoint, model } = &misfits[0];
    let message = format!(
        "{} tensors have different shapes in the model, such as '{key}': {checkpoint:?} in the \
         checkpoint, {model:?} in the model. The checkpoint is of a model of another size, and no \
         renaming can help: build the model with the settings that the checkpoint was trained \
         with.",
        misfits.len()
    );
    Diagnosis::new(Cause::OtherModel, message, Remedy::Nothing)
}

/// Keys that are missing and unexpected, of which no two are alike.
fn strangers(scene: &LoadContext, mismatch: &Mismatch) -> Diagnosis {
    let (first, wanted) =
        (scene.sources.first().copied().unwrap_or_default(), &mismatch.missing[0]);
    let sentence = format!(
        "The checkpoint has {} keys that the model does not know ('{first}'), and lacks {} that it \
         wants ('{wanted}'); names alone do not show which belong together. A fit goes by shapes \
         and order, too, and says if the checkpoint is of another model.",
        scene.sources.len(),
        mismatch.missing.len()
    );
    let remedy = Remedy::Fit { init: Vec::new(), resize: Vec::new() };
    Diagnosis::new(Cause::Renamed, sentence, remedy)
}

/// True if one side's parameter is a placeholder of DeepSpeed's, which keeps the elements elsewhere.
fn is_partitioned(shapes: &Shapes) -> bool {
    shapes.checkpoint == [0] || shapes.model == [0]
}

fn partitioned(shapes: &Shapes) -> Diagnosis {
    let key = &shapes.key;
    let message = if shapes.checkpoint == [0] {
        format!(
            "'{key}' has the shape [0] in the checkpoint: it was saved while DeepSpeed ZeRO-3 \
             kept the parameters in parts, so the file has their names and not their elements. \
             Those are in the folder of the checkpoint (zero_pp_rank_*), where DeepSpeed puts \
             zero_to_fp32.py, which joins them; stage3_gather_16bit_weights_on_model_save saves \
             them whole."
        )
    } else {
        format!(
            "'{key}' has the shape [0] in the model: DeepSpeed ZeRO-3 keeps its parameters in \
             parts, so a whole tensor cannot be copied into it. Load the checkpoint before the \
             model is partitioned, or within deepspeed.zero.GatheredParameters(..., \
             modifier_rank=0)."
        )
    };
    Diagnosis::new(Cause::Partitioned, message, Remedy::Nothing)
}

/// Keys that are said to be missing, and are in the file under other prefixes.
///
/// Loaders that only warn name what they initialised, and not what they ignored. `load_state_dict`,
/// which names its model, names both: where it calls no key unexpected, the model uses all others.
fn elsewhere(catalog: &Catalog, mismatch: &Mismatch) -> Option<Diagnosis> {
    if mismatch.model.is_some() {
        return None;
    }
    if !mismatch.unexpected.is_empty()
        || mismatch.missing.is_empty()
        || !mismatch.misfits.is_empty()
    {
        return None;
    }
    let selected = catalog.select(None).ok()?;
    let [state_dict] = selected.as_slice() else { return None };
    if mismatch.missing.iter().any(|key| state_dict.contains(key)) {
        return None;
    }
    let mut scene = LoadContext::inside(catalog, state_dict, mismatch);
    scene.is_open = true;
    let found = renaming::find(&scene).filter(|found| found.left.missing.is_empty())?;
    let (cause, sentence) = renamed(&scene, &found);
    let Found { rule, undefined, .. } = found;
    let remedy = Remedy::Rename { rule, undefined, alone: false };
    let mut diagnosis = Diagnosis::new(cause, sentence, remedy);
    diagnosis.path = needed_path(catalog, state_dict);
    Some(diagnosis)
}

/// A trainer's checkpoint that was loaded instead of the state dict in it.
fn trainer(mismatch: &Mismatch, held: Option<&Catalog>) -> Option<Diagnosis> {
    let entries = &mismatch.unexpected;
    let has_trainer_key = entries.iter().any(|entry| TRAINER_KEYS.contains(&entry.as_str()));
    let container = CONTAINERS.iter().find(|name| entries.iter().any(|entry| entry == *name));
    let looks_so = !mismatch.missing.is_empty()
        && (has_trainer_key || container.is_some())
        && entries.iter().all(|entry| !entry.contains(SEPARATOR) || entry.contains(' '));
    if !looks_so {
        return None;
    }
    let found = held.and_then(|catalog| inside(catalog, mismatch));
    let path = found.as_ref().map(|(at, ..)| at.clone()).or(container.map(ToString::to_string));
    let entry = path.clone().map_or("...".into(), |path| path.replace('/', "\"][\""));
    let mut sentence = format!(
        "What is loaded is a trainer's whole checkpoint ({}), and the model's state dict is an \
         entry of it. In the program that is checkpoint[\"{entry}\"].",
        some_of(&entries.iter().collect::<Vec<_>>())
    );
    let remedy = match &found {
        Some((_, Some(diagnosis))) => {
            sentence = format!("{sentence} {}", diagnosis.message);
            match diagnosis.remedy.clone() {
                Remedy::Rename { rule, undefined, .. } => {
                    Remedy::Rename { rule, undefined, alone: true }
                }
                other => other,
            }
        }
        _ => Remedy::Extract,
    };
    let mut diagnosis = Diagnosis::new(Cause::Trainer, sentence, remedy);
    diagnosis.path = path;
    if held.is_some() && found.is_none() {
        diagnosis.caveat = Some("no state dict in the file has the keys that are missing".into());
    }
    Some(diagnosis)
}

/// The state dict in a trainer's checkpoint that has what the model wants, and what else is to be
/// done with it.
fn inside(catalog: &Catalog, mismatch: &Mismatch) -> Option<(String, Option<Diagnosis>)> {
    let candidates = catalog.state_dicts.iter().filter(|state_dict| !state_dict.path.is_empty());
    let mut best: Option<(usize, &StateDict, Option<Diagnosis>)> = None;
    for state_dict in candidates {
        let scene = LoadContext::inside(catalog, state_dict, mismatch);
        let untouched = scene.untouched();
        let (left, diagnosis) = if untouched.is_nothing() {
            (0, None)
        } else {
            let found = renaming::find(&scene);
            let left = found.map_or(untouched.missing.len(), |found| found.left.missing.len());
            (left + 1, Some(judge(&scene, mismatch)))
        };
        let is_better = best.as_ref().is_none_or(|(least, other, _)| {
            (left, is_average(state_dict)) < (*least, is_average(other))
        });
        if is_better {
            best = Some((left, state_dict, diagnosis));
        }
    }
    let (left, state_dict, diagnosis) = best?;
    (left <= mismatch.missing.len()).then(|| (state_dict.path.clone(), diagnosis))
}

/// True for the averaged weights that some trainers keep beside the others.
fn is_average(state_dict: &StateDict) -> bool {
    state_dict.path.contains("ema") || state_dict.path.contains("optim")
}

/// `'a', 'b' and 3 more`.
fn some_of(keys: &[&String]) -> String {
    let named: Vec<String> = keys.iter().take(NAMED).map(|key| format!("'{key}'")).collect();
    match keys.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
