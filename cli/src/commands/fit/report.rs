//! What fits and what does not, as text.
//!
//! A sign begins each line of what is not simply taken over: `+` for tensors that are made, `~` for
//! casts, `-` for keys of the source that go nowhere, `?` for what could be several ways.

use std::cmp::Ordering;
use std::io::Write;

use statedict::core::fit::{Fit, InitSource, Reason};
use statedict::core::init::Init;
use statedict::core::{IndexMap, SEPARATOR};
use statedict::jobs::fit::{Outcome, OutputSummary};
use statedict::jobs::target::{sibling, stem};
use statedict::jobs::words::omitted;

use crate::commands::fit::FitRequest;
use crate::commands::rename::changes::metadata_change;
use crate::commands::rename::report::print_side_files;
use crate::failure::Failure;
use crate::hints::command_line::suggestion;
use crate::terminal::text::{NAMED, count, first_few, printable, say, size};
use statedict::jobs::grouping::{Line, grouped};

/// Lines that are repeated after writing; the rest is counted.
const LINES_SHOWN: usize = 20;

/// Everything that was found.
pub(crate) fn fit(
    request: &FitRequest,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let headline = format!("{}: {}", outcome.source.path.display(), counts(request, outcome));
    for line in [headline].into_iter().chain(lines(outcome)) {
        writeln!(out, "{}", printable(&line))?;
    }
    Ok(())
}

/// What was written, and what is worth knowing about it.
pub(crate) fn print(request: &FitRequest, outcome: &Outcome) {
    let Ok(summary) = &outcome.result else { return };
    if let Some(output) = &outcome.output {
        let (format, bytes) = (summary.to.name(), size(summary.bytes));
        let files = match summary.files {
            1 => String::new(),
            several => format!(", {several} files"),
        };
        let counts = counts(request, outcome);
        say(&format!("wrote {} ({format}, {bytes}{files}): {counts}", output.display()));
        let lines = lines(outcome);
        lines.iter().take(LINES_SHOWN).for_each(|line| say(line));
        if lines.len() > LINES_SHOWN {
            say(&format!("  and {} more", count(lines.len() - LINES_SHOWN, "line")));
        }
    }
    print_side_files(&summary.side_files);
    print_omitted(summary);
    if !outcome.fit.extra_states.is_empty() {
        let keys = first_few(&outcome.fit.extra_states, NAMED);
        say(&format!("note: not in the new file, as they are not tensors in the target: {keys}"));
    }
    if !summary.tied.is_empty() {
        let groups: Vec<String> = summary.tied.iter().map(|keys| keys.join(" = ")).collect();
        say(&format!("note: shared tensors duplicated: {}", first_few(&groups, NAMED)));
    }
    if let Some(recipe) = &request.job.save_recipe {
        say(&format!("saved the recipe as {}", recipe.display()));
    }
    if let Some(plan) = &request.job.save_plan {
        say(&format!("saved the plan as {}", plan.display()));
    }
    if request.job.output.is_none() {
        say("dry run, nothing written; to apply:");
        say(&format!("  {}", applying(request, outcome, summary)));
    }
}

/// What was typed, with these options and an output.
pub(super) fn fitting(request: &FitRequest, outcome: &Outcome, options: Vec<String>) -> String {
    let output = sibling(&outcome.source.path, "-new", outcome.source.format);
    let words = [request.typed.clone(), options].concat();
    suggestion(&words, Some(request.job.output.as_deref().unwrap_or(&output)))
}

/// What was typed, with an output.
pub(super) fn applying(request: &FitRequest, outcome: &Outcome, summary: &OutputSummary) -> String {
    let file = &outcome.source.path;
    let output = match &request.job.sharding {
        Some(_) => file.with_file_name(format!("{}-new", stem(file))),
        None => sibling(file, "-new", summary.to),
    };
    suggestion(&request.typed, Some(&output))
}

fn print_omitted(summary: &OutputSummary) {
    if !summary.omitted.is_empty() {
        let omitted = omitted(&summary.omitted);
        say(&format!("note: not written, a state dict cannot store it: {omitted}"));
    }
}

/// `24 of the 26 keys of net.pth found, 2 made`.
pub(super) fn counts(request: &FitRequest, outcome: &Outcome) -> String {
    let fit = &outcome.fit;
    let (found, wanted) = (fit.pairs.len() + outcome.computed.len(), fit.wanted.len());
    let target = request.job.target.file.display();
    let mut text = format!("{found} of the {wanted} keys of {target} found");
    let made = outcome.result.as_ref().map_or(0, |summary| summary.made.len());
    for (number, what) in
        [(made, "made"), (fit.unused.len(), "not wanted"), (fit.skipped.len(), "skipped")]
    {
        if number > 0 {
            text += &format!(", {number} {what}");
        }
    }
    text
}

/// The recipe that was applied, and what it computes.
fn by_recipe(outcome: &Outcome) -> Vec<String> {
    let Some(name) = &outcome.recipe else { return Vec::new() };
    let computed: Vec<String> = outcome.computed.iter().map(|it| it.to.clone()).collect();
    let mut line = format!("  by the recipe {name}");
    if !computed.is_empty() {
        let tensors = count(computed.len(), "tensor");
        line += &format!(", which computes {tensors}: {}", first_few(&computed, NAMED));
    }
    vec![line]
}

fn lines(outcome: &Outcome) -> Vec<String> {
    let fit = &outcome.fit;
    let mut lines = by_recipe(outcome);
    lines.extend(pairs(fit));
    lines.extend(casts(fit));
    lines.extend(outcome.result.iter().flat_map(made));
    lines.extend(gone(&fit.unused, "not wanted"));
    lines.extend(gone(&fit.skipped, "skipped"));
    lines.extend(outcome.result.iter().flat_map(|it| it.metadata.iter().map(metadata_change)));
    lines
}

/// Keys of the checkpoint that go nowhere.
pub(super) fn gone(keys: &[String], why: &str) -> Vec<String> {
    let lines = grouped(keys.iter().map(|key| (key.as_str(), None)));
    lines.iter().map(|line| format!("- {} ({why}){}", line.old, line.number_of_keys())).collect()
}

/// The keys that were found, those of one form and reason in one line.
fn pairs(fit: &Fit) -> Vec<String> {
    let mut reasons = IndexMap::<&Reason, Vec<(&str, Option<&str>)>>::default();
    for pair in &fit.pairs {
        reasons.entry(&pair.reason).or_default().push((&pair.from, Some(&pair.to)));
    }
    let mut lines = Vec::new();
    for (reason, keys) in reasons {
        let why = because(reason);
        if *reason == Reason::SameName {
            lines.push(format!("  {} ({why})", count(keys.len(), "key")));
            continue;
        }
        for (old, new, keys) in joined(&grouped(keys)) {
            let keys = if keys == 1 { String::new() } else { format!(", {keys} keys") };
            lines.push(format!("  {old} -> {new}  ({why}{keys})"));
        }
    }
    lines
}

/// Old and new names with the number of keys; parameters of the same modules share a line.
fn joined(lines: &[Line]) -> Vec<(String, String, usize)> {
    let split = |name| str::rsplit_once(name, SEPARATOR).unwrap_or(("", name));
    let mut modules = IndexMap::<(&str, &str, Option<&str>), (Vec<&str>, usize)>::default();
    for line in lines {
        let ((from, own), (to, new)) = (split(&line.old), split(line.new.as_deref().unwrap_or("")));
        // Those whose own name changes stay on a line of their own.
        let renamed = (own != new || from.is_empty() || to.is_empty()).then_some(own);
        let module = modules.entry((from, to, renamed)).or_default();
        module.0.push(if renamed.is_none() { own } else { line.new.as_deref().unwrap_or("") });
        module.1 += line.keys;
    }
    let lines = modules.into_iter().map(|((from, to, renamed), (names, keys))| {
        match (renamed, names.as_slice()) {
            (Some(own), [new]) => (below(from, own), new.to_string(), keys),
            (_, [one]) => (below(from, one), below(to, one), keys),
            (_, names) => {
                let names = format!("{{{}}}", names.join(","));
                (below(from, &names), below(to, &names), keys)
            }
        }
    });
    lines.collect()
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}{SEPARATOR}{name}") }
}

/// Why two keys belong together, in a few words.
pub(super) fn because(reason: &Reason) -> String {
    match reason {
        Reason::SameName => "the same name".into(),
        Reason::Wrapper => "the same name without wrappers".into(),
        Reason::Prefix { from, to } if to.is_empty() => format!("without '{from}'"),
        Reason::Prefix { from, to } if from.is_empty() => format!("below '{to}'"),
        Reason::Prefix { from, to } => format!("'{from}' is '{to}'"),
        Reason::Suffix => "unique suffix".into(),
        Reason::Template => "same numbering and shapes".into(),
        Reason::Recipe => "the recipe".into(),
        Reason::Alone => "no other has its shape".into(),
        Reason::Joined => "the same name but for dots and underscores".into(),
        Reason::Sibling => "beside others that belong together".into(),
        Reason::Likeness => "closest name".into(),
        Reason::Order => "by order between matched neighbours".into(),
        Reason::Position => "the same place".into(),
    }
}

/// The key as it is shown for machines.
pub(crate) fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::SameName => "same name",
        Reason::Wrapper => "wrapper",
        Reason::Prefix { .. } => "prefix",
        Reason::Suffix => "suffix",
        Reason::Template => "template",
        Reason::Recipe => "recipe",
        Reason::Alone => "shape",
        Reason::Joined => "joined",
        Reason::Sibling => "sibling",
        Reason::Likeness => "likeness",
        Reason::Order => "order",
        Reason::Position => "position",
    }
}

fn casts(fit: &Fit) -> Vec<String> {
    let mut casts = IndexMap::<String, Vec<&str>>::default();
    for pair in &fit.pairs {
        if let Some((from, to)) = &pair.cast {
            casts.entry(format!("{from} -> {to}")).or_default().push(&pair.to);
        }
    }
    marked("~", casts)
}

fn made(summary: &OutputSummary) -> Vec<String> {
    let mut made = IndexMap::<String, Vec<&str>>::default();
    for tensor in &summary.made {
        let how = match &tensor.how {
            InitSource::Init(Init::Target) => "the target's own".into(),
            InitSource::Init(init) => init.to_string(),
            InitSource::Rows { kept, new: 0 } => format!("the first {kept} rows"),
            InitSource::Rows { kept, new } => format!("{kept} rows, and {new} made"),
            InitSource::Resized { from } => lengths(from, &tensor.wanted.shape),
            InitSource::Counter => "0, for the file counts no batches".into(),
        };
        let what = format!("{how} {:?}", tensor.wanted.shape);
        made.entry(what).or_default().push(&tensor.wanted.key);
    }
    marked("+", made)
}

/// The dimensions that differ, as `--resize` names them.
pub(crate) fn resized(from: &[u64], to: &[u64]) -> String {
    let differ = (0..to.len()).filter(|at| from.get(*at) != to.get(*at));
    differ.map(|at| format!("dim{at}")).collect::<Vec<_>>().join(",")
}

/// What is kept and made in each dimension that differs.
fn lengths(from: &[u64], to: &[u64]) -> String {
    let lengths =
        from.iter().zip(to).enumerate().filter_map(|(at, (has, wants))| match has.cmp(wants) {
            Ordering::Equal => None,
            Ordering::Greater => Some(format!("the first {wants} of dim{at}")),
            Ordering::Less => Some(format!("{has} of dim{at}, and {} made", wants - has)),
        });
    lengths.collect::<Vec<_>>().join("; ")
}

/// A line for each thing that is said of keys, with a sign.
fn marked(sign: &str, said: IndexMap<String, Vec<&str>>) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, keys) in said {
        let all = grouped(keys.into_iter().map(|key| (key, None)));
        lines.extend(
            all.iter().map(|line| format!("{sign} {}: {what}{}", line.old, line.number_of_keys())),
        );
    }
    lines
}
