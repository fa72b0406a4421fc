//! What could be several ways, or is not certain, as text.

use statedict::core::IndexMap;
use statedict::core::fit::{Ambiguous, Uncertainty};
use statedict::jobs::grouping::{first_grouped, grouped};

use crate::terminal::text::NAMED;

/// What is left open, and why.
pub(crate) fn ambiguous(open: &[Ambiguous]) -> Vec<String> {
    let mut lines = uncertain(open);
    for open in open.iter().filter(|open| open.why.is_none()) {
        let [from, to] = [&open.from, &open.to]
            .map(|keys| first_grouped(keys.iter().map(String::as_str), NAMED));
        lines.push(match (open.from.len(), open.to.len()) {
            (1, 1) => format!("ambiguous: {from} could match {to}, by its shape only"),
            _ => format!("ambiguous: {from} could match any of {to}"),
        });
    }
    lines
}

/// The pairs that fit by name and shape and are left open, by the reason for it.
fn uncertain(open: &[Ambiguous]) -> Vec<String> {
    let mut alike = IndexMap::<Uncertainty, Vec<(&str, Option<&str>)>>::default();
    for open in open {
        if let (Some(why), [from], [to]) = (open.why, &open.from[..], &open.to[..]) {
            alike.entry(why).or_default().push((from, Some(to)));
        }
    }
    let mut lines = Vec::new();
    for (why, pairs) in alike {
        for line in grouped(pairs) {
            let (from, keys) = (&line.old, line.number_of_keys());
            let to = line.new.as_deref().unwrap_or_default();
            lines.push(format!("ambiguous: {from} could be {to}{keys}, but {}", doubt(why)));
        }
    }
    lines
}

/// Why the elements of a tensor may be others, in a few words.
fn doubt(why: Uncertainty) -> &'static str {
    match why {
        Uncertainty::Rotary => {
            "its rows may be in another order (rotary embeddings: pairs or halves of a head)"
        }
        Uncertainty::Transposed => "it is square and may be transposed, as others here are",
        Uncertainty::Fused => "it holds several parts, which may be in another order",
        Uncertainty::Unmerged => "an adapter (lora_…) beside it is not merged into it",
        Uncertainty::Numbers => "only the numbers of some of these blocks are the same",
    }
}

/// Why they are left open, as it is shown for machines.
pub(crate) fn uncertainty(why: Uncertainty) -> &'static str {
    match why {
        Uncertainty::Rotary => "rotary",
        Uncertainty::Transposed => "transposed",
        Uncertainty::Fused => "fused",
        Uncertainty::Unmerged => "unmerged adapter",
        Uncertainty::Numbers => "numbers",
    }
}
