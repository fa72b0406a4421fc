//! What a file is, in a sentence and a few numbers.

use statedict::core::{TensorEntry, Verdict};
use statedict::jobs::check;
use statedict::jobs::list::Outcome;

use crate::commands::view::Known;
use crate::page::Fact;
use crate::terminal::numbers::amount;
use crate::terminal::text::{count, size};

/// Bytes for each parameter while it is trained with Adam: weights and gradients, and two moments; in
/// half precision it is as many, since a copy in F32 is kept beside.
const BYTES_TO_TRAIN: u64 = 16;

/// `pth, 54.5 MB on disk · epoch 3 · EMA weights · names of Llama`.
pub(super) fn summary(listed: &Outcome) -> String {
    let checkpoint = &listed.checkpoint;
    let mut parts = vec![format!("{}, {} on disk", checkpoint.kind(), size(checkpoint.len()))];
    parts.extend(listed.glance.facts.iter().cloned());
    let recognised = &listed.recognised;
    if !recognised.conventions.is_empty() {
        parts.push(format!("names of {}", recognised.conventions.join(" or ")));
    }
    parts.join(" · ")
}

/// Parameters, the memory that they take, and whether it is safe to load them.
pub(super) fn facts(known: &Known) -> Vec<Fact> {
    let glance = &known.listed.glance;
    let mut facts = vec![
        Fact::new("parameters", amount(glance.parameters))
            .note(format!("in {}", count(glance.tensors, "tensor"))),
        Fact::new("weights", size(glance.bytes())),
        Fact::new("to load", size(glance.load_bytes)).note("memory for all tensors of the file"),
    ];
    let half = glance.parameters.saturating_mul(2);
    if half < glance.bytes() {
        facts.push(Fact::new("as BF16", size(half)).note("memory for the weights alone"));
    }
    let trained = glance.parameters.saturating_mul(BYTES_TO_TRAIN);
    let note = format!(
        "weights, gradients, Adam: {BYTES_TO_TRAIN} bytes for each parameter, and activations"
    );
    facts.push(Fact::new("to train", size(trained)).note(note));
    facts.push(loading(&known.checked));
    facts
}

/// Whether it is safe to load the file.
pub(super) fn loading(checked: &check::Outcome) -> Fact {
    let verdict = checked.verdict();
    Fact::new("loading it is", verdict.name()).note(executed(verdict))
}

/// What a verdict means to somebody who is about to load the file.
fn executed(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Safe => "nothing in it is executed",
        Verdict::Unknown => "it needs classes that are not known to be safe",
        Verdict::Malformed => "the file is not whole",
        Verdict::Dangerous => "loading it runs code",
    }
}

/// The bytes of the model's tensors by type.
pub(super) fn types(listed: &Outcome) -> Vec<(String, u64)> {
    listed.glance.dtypes.clone()
}

/// The tensors of a file as the catalog has them.
pub(super) fn entries(listed: &Outcome) -> impl Iterator<Item = &TensorEntry> {
    listed.tensors().map(|listed| listed.entry)
}
