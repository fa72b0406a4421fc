//! What is worth knowing of a file, the worst first, each with the command that mends it.

use std::path::{Path, PathBuf};

use statedict::core::{Finding as Fault, StateDict, Verdict, sorting, wrapper_names};
use statedict::jobs::check::{self, Found, salvage};
use statedict::jobs::list::Wrapped;
use statedict::jobs::stats::Flaw;
use statedict::jobs::target::{sibling, stem};
use statedict::{Prune, silent};

use crate::commands::ls::wrapped;
use crate::commands::view::{Depth, Known, precision};
use crate::failure::Failure;
use crate::hints::command_line;
use crate::page::{Finding, Grade};
use crate::terminal::text::{count, shell_path, size};

/// All findings, the worst first; those of one grade in the order in which they are looked for.
pub(super) fn all(file: &Path, known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(verdict(file, &known.checked));
    findings.extend(interrupted(known));
    findings.extend(left_out(file, known));
    findings.extend(flaws(file, known));
    findings.extend(strays(file, known));
    findings.extend(known.listed.wrapped.as_ref().map(|it| wrapped_keys(file, known, it)));
    findings.extend(training(file, known));
    findings.extend(precision::copies(file, known));
    findings.extend(precision::wide(file, known));
    findings.extend(notes(file, known));
    sorting::sort_by_key(&mut findings, |finding| finding.grade);
    findings
}

/// What is known of a file that cannot be opened; nothing if `check` finds no fault with it.
pub(super) fn unopened(file: &Path, why: &Failure, checked: &check::Outcome) -> Vec<Finding> {
    let mut findings = verdict(file, checked);
    if !findings.is_empty() {
        let check = format!("statedict check {}", shell_path(file));
        let lines = why.errors.iter().chain(&why.hints).cloned();
        let finding = Finding::new(Grade::Danger, "it cannot be opened");
        findings.insert(0, finding.bounded(lines.collect()).remedy("shows all of it", check));
    }
    findings
}

/// What was looked at, and what would look at the rest.
pub(super) fn looked_at(file: &Path, depth: Depth) -> String {
    match depth {
        Depth::Values => {
            "Looked at: structure, checksums, what unpickling would execute, every value.".into()
        }
        Depth::Structure => format!(
            "Looked at: structure, and what unpickling would execute. Values and checksums were not \
             read: statedict view --stats {} -o PAGE.html looks for NaN and shades the map by them.",
            shell_path(file)
        ),
    }
}

/// What `check` says against the file.
fn verdict(file: &Path, checked: &check::Outcome) -> Vec<Finding> {
    let mut findings = Vec::new();
    for found in &checked.results {
        let Found::Checked(checked) = found else { continue };
        for verdict in [Verdict::Dangerous, Verdict::Malformed, Verdict::Unknown] {
            let faults = checked.findings.iter().filter(|fault| fault.verdict == verdict);
            let faults: Vec<&Fault> = faults.collect();
            if !faults.is_empty() {
                findings.push(of_verdict(file, verdict, &faults));
            }
        }
    }
    findings
}

fn of_verdict(file: &Path, verdict: Verdict, faults: &[&Fault]) -> Finding {
    let (grade, what) = match verdict {
        Verdict::Dangerous => (Grade::Danger, "loading this file runs code"),
        Verdict::Malformed => (Grade::Danger, "the file contradicts itself or its format"),
        _ => (Grade::Fault, "loading this file needs classes that are not known to be safe"),
    };
    let finding = Finding::new(grade, what).bounded(described(faults));
    match salvage::conversion(file).filter(|_| verdict != Verdict::Malformed) {
        Some(convert) => finding
            .remedy("takes the tensors out, and runs nothing", command_line::of_convert(&convert)),
        None => finding.remedy("shows all of it", format!("statedict check {}", shell_path(file))),
    }
}

/// Faults in a line each, as many as there is room for.
fn described(faults: &[&Fault]) -> Vec<String> {
    let lines = faults.iter().map(|Fault { place, what, why, .. }| {
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        format!("{place}{what}: {why}")
    });
    lines.collect()
}

fn interrupted(known: &Known) -> Option<Finding> {
    let checkpoint = &known.listed.checkpoint;
    let all: Vec<String> = checkpoint.interrupted().iter().map(ToString::to_string).collect();
    let recover = format!("statedict recover {}", shell_path(checkpoint.path()));
    let finding = Finding::new(Grade::Fault, "an edit of the file was interrupted");
    (!all.is_empty()).then(|| finding.bounded(all).remedy("restores the file", recover))
}

/// Tensors that are not whole.
fn left_out(file: &Path, known: &Known) -> Option<Finding> {
    let left_out = known.listed.checkpoint.left_out();
    let lines: Vec<String> = left_out.iter().map(|it| format!("{}: {}", it.path, it.why)).collect();
    let what = format!("{} not whole, and left out", count(left_out.len(), "tensor"));
    let out = tensors(file, "-whole");
    let convert = format!("statedict convert --partial {} {}", shell_path(file), shell_path(&out));
    let finding = Finding::new(Grade::Fault, what).bounded(lines);
    (!left_out.is_empty()).then(|| finding.remedy("takes what is whole", convert))
}

/// What is wrong with values.
fn flaws(file: &Path, known: &Known) -> Vec<Finding> {
    let Some(measured) = &known.measured else { return Vec::new() };
    let flaws = [
        (Flaw::Nan, Grade::Fault, "NaN in", "nan"),
        (Flaw::Inf, Grade::Fault, "infinities in", "inf"),
        (Flaw::Zeros, Grade::Note, "nothing but zeros in", "zeros"),
    ];
    let findings = flaws.into_iter().filter_map(|(flaw, grade, what, name)| {
        let lines = measured.flawed(flaw).map(|tensor| {
            let key = tensor.entry.full_path();
            match (flaw, tensor.measured) {
                (Flaw::Nan, Ok(found)) => format!("{key}: {} of {}", found.nan, found.count),
                (Flaw::Inf, Ok(found)) => format!("{key}: {} of {}", found.inf, found.count),
                _ => key,
            }
        });
        let lines: Vec<String> = lines.collect();
        let what = format!("{what} {}", count(lines.len(), "tensor"));
        let shows = format!("statedict stats {} --each --fail-on {name}", shell_path(file));
        let finding = Finding::new(grade, what).bounded(lines.clone());
        (!lines.is_empty()).then(|| finding.remedy("shows them all", shows))
    });
    findings.collect()
}

/// Weights in the folder that its index does not name.
fn strays(file: &Path, known: &Known) -> Option<Finding> {
    let strays = known.listed.checkpoint.strays();
    let what =
        format!("{} of weights beside it not part of the checkpoint", count(strays.len(), "file"));
    let index = format!("statedict index {} --dry-run", shell_path(file));
    let finding = Finding::new(Grade::Fault, what).bounded(strays.clone());
    (!strays.is_empty())
        .then(|| finding.remedy("shows what an index of all shards would say", index))
}

/// Prefixes that a wrapper left in the keys.
fn wrapped_keys(file: &Path, known: &Known, wrapped: &Wrapped) -> Finding {
    let names = wrapper_names(&wrapped.segments);
    let what = format!("the keys were saved under {names}, and do not load into the bare model");
    let named = wrapped.state_dicts.iter().map(|it| match it.path.as_str() {
        "" => count(it.tensors, "key"),
        path => format!("{path}: {}", count(it.tensors, "key")),
    });
    let (at, path) = (wrapped::option(wrapped), shell_path(file));
    let command = match single_prefix(known, wrapped) {
        Some(prefix) => format!("statedict strip {prefix} {path}{at} -i"),
        None => format!("statedict unwrap {path}{at} -i"),
    };
    Finding::new(Grade::Advice, what)
        .bounded(named.collect())
        .remedy("takes that off, in place", command)
}

/// The wrapper that all keys begin with, if there is no other in them.
fn single_prefix(known: &Known, wrapped: &Wrapped) -> Option<&'static str> {
    let [segment] = wrapped.segments.as_slice() else { return None };
    let catalog = known.listed.checkpoint.catalog();
    let is_wrapped = |it: &&StateDict| wrapped.state_dicts.iter().any(|of| of.path == it.path);
    let mut keys = catalog.state_dicts.iter().filter(is_wrapped).flat_map(StateDict::keys);
    let is_once = |key: &str| {
        let mut segments = key.split('.');
        segments.next() == Some(segment) && !segments.any(|it| it == *segment)
    };
    keys.all(is_once).then_some(*segment)
}

/// What the file has that its models do not need.
fn training(file: &Path, known: &Known) -> Option<Finding> {
    if known.listed.checkpoint.catalog().beside_models().is_empty() {
        return None;
    }
    let prune = Prune { file: file.into(), ..Prune::default() };
    let found = prune.run(&silent()).ok()?;
    let saved = found.bytes.saturating_sub(found.new_bytes);
    let lines = found.left_out.iter().map(|entry| match entry.tensors {
        0 => format!("{} ({})", entry.key, entry.kind),
        tensors => format!("{}: {}, {}", entry.key, count(tensors, "tensor"), size(entry.bytes)),
    });
    let what = format!("{} of {} hold what its models do not need", size(saved), size(found.bytes));
    let out = alike(file, "-pruned", known);
    let command = format!("statedict prune {} -o {}", shell_path(file), shell_path(&out));
    let finding = Finding::new(Grade::Advice, what).bounded(lines.collect());
    Some(finding.remedy("leaves it out", command))
}

/// What `check` found worth noting.
fn notes(file: &Path, known: &Known) -> Option<Finding> {
    let results = known.checked.results.iter();
    let notes = results.filter_map(|found| match found {
        Found::Checked(checked) => Some(&checked.notes),
        _ => None,
    });
    let notes: Vec<&Fault> = notes.flatten().collect();
    let finding =
        Finding::new(Grade::Note, count(notes.len(), "thing") + " to know when it is loaded");
    let shows = format!("statedict check {}", shell_path(file));
    (!notes.is_empty()).then(|| finding.bounded(described(&notes)).remedy("shows them", shows))
}

/// `run-pruned.ckpt` for `run.ckpt`: a file of the same format; what is made of a folder is one file.
pub(super) fn alike(file: &Path, suffix: &str, known: &Known) -> PathBuf {
    let format = known.listed.checkpoint.format();
    if file.is_dir() || format.facts().extensions.is_empty() {
        return tensors(file, suffix);
    }
    sibling(file, suffix, format)
}

/// `run-whole.safetensors` for `run.ckpt`.
pub(super) fn tensors(file: &Path, suffix: &str) -> PathBuf {
    file.with_file_name(format!("{}{suffix}.safetensors", stem(file)))
}
