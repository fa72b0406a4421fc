//! What fits and what does not, as a page.

use std::collections::HashMap;

use statedict::core::Tensor;
use statedict::core::fit::TargetTensor;
use statedict::jobs::fit::Outcome;

use crate::commands::fit::report::{because, counts};
use crate::commands::fit::ribbons::ribbons;
use crate::commands::fit::{FitRequest, refusal, report};
use crate::commands::view::row;
use crate::page::{Fact, Finding, Grade, Label, Page, Sheet, Tensors};
use crate::terminal::text::{count, shell_path};

/// The page of a fit, whether it fits or not.
pub(crate) fn page(request: &FitRequest, outcome: &Outcome) -> Page {
    let (source, target) = (&outcome.source.path, &request.job.target.file);
    let title = format!("{} into {}", source.display(), target.display());
    let sheet = Sheet {
        title: title.clone(),
        summary: counts(request, outcome),
        facts: facts(outcome),
        findings: findings(request, outcome),
        looked_at: "Compared: names, shapes, numbering and order; no values.".into(),
        tensors: tensors(outcome),
        ribbons: Some(ribbons(request, outcome)),
        ..Sheet::default()
    };
    Page { title, sheets: vec![sheet] }
}

fn facts(outcome: &Outcome) -> Vec<Fact> {
    let fit = &outcome.fit;
    let answer = if outcome.result.is_ok() { "yes" } else { "no" };
    let found = fit.pairs.len() + outcome.computed.len();
    let mut facts = vec![
        Fact::new("does it fit?", answer),
        Fact::new("found", found.to_string())
            .note(format!("of {}", count(fit.wanted.len(), "key"))),
    ];
    let made = outcome.result.as_ref().map_or(0, |summary| summary.made.len());
    let casts = fit.pairs.iter().filter(|pair| pair.cast.is_some()).count();
    facts.extend(Fact::numbers([
        ("missing", fit.missing.len()),
        ("of another shape", fit.misfits.len()),
        ("ambiguous", fit.open.iter().map(|open| open.to.len()).sum()),
        ("made", made),
        ("cast", casts),
        ("not wanted", fit.unused.len()),
        ("skipped", fit.skipped.len()),
    ]));
    facts
}

fn findings(request: &FitRequest, outcome: &Outcome) -> Vec<Finding> {
    let mut found = Vec::new();
    match &outcome.result {
        Err(unmet) => {
            let failure = refusal::refusal(outcome, unmet);
            let source = format!("{}: ", outcome.source.path.display());
            let errors = failure.errors.iter();
            let errors =
                errors.map(|error| error.strip_prefix(&source).unwrap_or(error).to_string());
            let finding = Finding::new(Grade::Fault, "it does not fit").bounded(errors.collect());
            found.push(match refusal::options(unmet) {
                Some(options) => {
                    let command = report::fitting(request, outcome, options);
                    finding.remedy("makes it fit, with new tensors where there are none", command)
                }
                None => finding,
            });
            found.extend(failure.hints.into_iter().map(|hint| Finding::new(Grade::Advice, hint)));
        }
        Ok(summary) if outcome.output.is_none() => {
            let finding = Finding::new(Grade::Note, "it fits, and nothing is written yet");
            found.push(finding.remedy("writes it", report::applying(request, outcome, summary)));
        }
        Ok(_) => {}
    }
    let unused = &outcome.fit.unused;
    if !unused.is_empty() {
        let what = format!("{} of the checkpoint not wanted", count(unused.len(), "key"));
        let shows = format!("statedict ls {}", shell_path(&outcome.source.path));
        found.push(
            Finding::new(Grade::Note, what)
                .bounded(report::gone(unused, "not wanted"))
                .remedy("lists what it has", shows),
        );
    }
    found
}

/// The keys of the model, and where each comes from.
fn tensors(outcome: &Outcome) -> Tensors {
    let fit = &outcome.fit;
    let mut from: HashMap<&str, (String, String)> = HashMap::new();
    for open in &fit.open {
        let keys = open.from.join(" | ");
        from.extend(open.to.iter().map(|to| (to.as_str(), ("ambiguous".into(), keys.clone()))));
    }
    for misfit in &fit.misfits {
        let reason = format!("another shape: {:?}", misfit.has);
        from.insert(&misfit.wanted.key, (reason, misfit.from.clone()));
    }
    for made in outcome.result.iter().flat_map(|summary| &summary.made) {
        let others = from.remove(made.wanted.key.as_str()).map(|(_, keys)| keys);
        from.insert(&made.wanted.key, ("made".into(), others.unwrap_or_default()));
    }
    for pair in &fit.pairs {
        from.insert(&pair.to, (because(&pair.reason), pair.from.clone()));
    }
    for computed in &outcome.computed {
        from.insert(&computed.to, ("computed by the recipe".into(), computed.of.join(" + ")));
    }
    let mut table = Tensors::default();
    let (mut reasons, mut keys) = (Vec::new(), Vec::new());
    for TargetTensor { key, dtype, shape } in &fit.wanted {
        table.rows.push(row("", key, &Tensor::unlocated(dtype.clone(), shape.clone())));
        let (reason, key) = from.remove(key.as_str()).unwrap_or(("missing".into(), String::new()));
        reasons.push(reason);
        keys.push(key);
    }
    table.labels = vec![
        Label { name: "reason", title: "reason", values: reasons },
        Label { name: "from", title: "from", values: keys },
    ];
    table
}
