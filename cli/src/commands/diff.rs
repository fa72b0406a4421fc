//! `diff`: what differs between two files.

use std::io::Write;
use std::path::PathBuf;

use statedict_checkpoint::{Checkpoint, Scope, compare, compare_beside};
use statedict_core::{
    Catalog, NotSelected, StateDict,
    diff::{Diff, Matching, Side},
    objects::Uncompared,
};

use crate::difference::{json, remedy, report};
use crate::failure::Failure;
use crate::hints;
use crate::opening::open;
use crate::selected::say_choice;
use crate::terminal::text::say;
use crate::terminal::{OutputFormat, Verbosity};

/// What to compare, and how to show what differs.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) a: Subject,
    pub(crate) b: Subject,
    pub(crate) depth: Depth,
    pub(crate) form: OutputFormat,
    pub(crate) talk: Verbosity,
}

/// A state dict of a file.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) file: PathBuf,
    /// The path to it; none where that is plain.
    pub(crate) at: Option<String>,
}

/// How much of the files is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Keys, types and shapes.
    Keys,
    /// Tensors, with their elements.
    Weights,
    /// What lies beside them, too.
    All,
}

/// What was found.
pub(crate) struct Difference<'a> {
    pub(crate) a: Examined<'a>,
    pub(crate) b: Examined<'a>,
    pub(crate) depth: Depth,
    /// Keys that both have.
    pub(crate) common: usize,
    pub(crate) diff: Diff,
}

/// A state dict that was compared, and its file.
#[derive(Clone, Copy)]
pub(crate) struct Examined<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) state_dict: &'a StateDict,
    pub(crate) catalog: &'a Catalog,
}

pub(crate) fn run(comparison: &Comparison, out: &mut dyn Write) -> Result<(), Failure> {
    let a = open(&comparison.a.file)?;
    let b = open(&comparison.b.file)?;
    let ours = comparison.a.only(a.catalog().select(comparison.a.at.as_deref()), "--at")?;
    let theirs = counterpart(&comparison.a, &comparison.b, &b, ours)?;
    let (own_a, own_b) =
        (with_recorded_ties(&a, ours, theirs), with_recorded_ties(&b, theirs, ours));
    let (a, b) = (examined(&a, ours, own_a.as_ref()), examined(&b, theirs, own_b.as_ref()));
    let is_selected = comparison.a.at.is_some() || comparison.b.at.is_some();
    let difference = Difference::of(a, b, comparison.depth, is_selected)?;
    if comparison.talk == Verbosity::All {
        comparison.a.say_choice(a, "--at");
        comparison.b.say_choice(b, "--at-b");
    }
    match (comparison.form, comparison.talk) {
        (OutputFormat::Json, _) => json::difference(&difference, out)?,
        (OutputFormat::Text, Verbosity::All) => report::difference(&difference, out)?,
        (OutputFormat::Text, Verbosity::Errors) => {}
    }
    out.flush()?;
    if comparison.talk == Verbosity::All
        && let Some(command) = remedy::command(&difference)
    {
        say("this renames the keys of the first as they are in the second:");
        say(&format!("  {command}"));
    }
    let not_compared = &difference.diff.not_compared;
    match (difference.diff.is_same(), not_compared.is_empty()) {
        (false, _) => Err(Failure::no(Vec::new())),
        (true, true) => Ok(()),
        (true, false) => {
            let line = |it: &Uncompared| format!("could not compare '{}': {}", it.path, it.why);
            let mut failure = Failure::could_not("");
            failure.errors = not_compared.iter().map(line).collect();
            Err(failure)
        }
    }
}

/// The catalog of a file with the keys that its metadata says share another key's elements, so far
/// as the other state dict has them; none where there are none.
fn with_recorded_ties(file: &Checkpoint, own: &StateDict, other: &StateDict) -> Option<Catalog> {
    let mut catalog = file.catalog().clone();
    let place = file.catalog().state_dicts.iter().position(|it| std::ptr::eq(it, own))?;
    let mut found = false;
    for (alias, kept) in file.metadata() {
        let row = catalog.rows.iter().position(|row| row.at == own.at && row.key.as_str() == kept);
        if other.contains(&alias) && !own.contains(&alias) {
            let inserted = row.map(|row| catalog.state_dicts[place].insert(alias, Some(row)));
            found |= inserted.is_some_and(|inserted| inserted.is_ok());
        }
    }
    found.then_some(catalog)
}

/// A state dict that is compared, of the file's catalog or of another one of the same form.
fn examined<'a>(
    checkpoint: &'a Checkpoint,
    state_dict: &'a StateDict,
    own: Option<&'a Catalog>,
) -> Examined<'a> {
    let Some(catalog) = own else {
        return Examined { checkpoint, state_dict, catalog: checkpoint.catalog() };
    };
    let place = checkpoint.catalog().state_dicts.iter().position(|it| std::ptr::eq(it, state_dict));
    let state_dict = place.map_or(state_dict, |place| &catalog.state_dicts[place]);
    Examined { checkpoint, state_dict, catalog }
}

/// The state dict of `b` to hold against that of `a`: the one that is named, the one at the same
/// path, or the only one.
pub(crate) fn counterpart<'a>(
    a: &Subject,
    b: &Subject,
    checkpoint: &'a Checkpoint,
    ours: &StateDict,
) -> Result<&'a StateDict, Failure> {
    if b.at.is_some() {
        return b.only(checkpoint.catalog().select(b.at.as_deref()), "--at-b");
    }
    let path = a.at.as_deref().unwrap_or(&ours.at);
    let mut there = checkpoint.catalog().state_dicts.iter();
    match there.find(|state_dict| state_dict.is_at(path)) {
        Some(same_path) => Ok(same_path),
        None => b.only(checkpoint.catalog().select(None), "--at-b"),
    }
}

impl Subject {
    /// Says which state dict was taken, if none was named.
    pub(crate) fn say_choice(&self, taken: Examined<'_>, option: &str) {
        if self.at.is_none() {
            say_choice(taken.checkpoint.catalog(), &self.file, taken.state_dict, option);
        }
    }

    /// The one state dict that was selected.
    pub(crate) fn only<'a>(
        &self,
        selected: Result<Vec<&'a StateDict>, NotSelected>,
        option: &str,
    ) -> Result<&'a StateDict, Failure> {
        let refused = |error: &dyn std::fmt::Display| {
            Failure::could_not(format_args!("{}: {error}", self.file.display()))
        };
        match selected {
            Ok(selected) => match selected.as_slice() {
                [one] => Ok(one),
                all => Err(refused(&format_args!("{} state dicts are selected", all.len()))
                    .hint(format!("one is expected: {option} PATH"))),
            },
            Err(NotSelected::Several(known)) => {
                let hint = known.first().map(|(at, _)| hints::at(option, at));
                Err(refused(&NotSelected::Several(known)).hints(hint))
            }
            Err(error) => Err(refused(&error).hints(hints::near_path(&error, option))),
        }
    }
}

impl<'a> Difference<'a> {
    fn of(
        a: Examined<'a>,
        b: Examined<'a>,
        depth: Depth,
        is_selected: bool,
    ) -> Result<Difference<'a>, Failure> {
        let matching = Matching::new(a.side(), b.side());
        let mut diff = match depth {
            Depth::Keys => matching.diff(),
            Depth::Weights | Depth::All => compare(&matching, a.checkpoint, b.checkpoint)?,
        };
        let scope = match depth {
            Depth::Keys => None,
            Depth::Weights => Some(Scope::Weights),
            Depth::All if is_selected => Some(Scope::StateDicts),
            Depth::All => Some(Scope::Files),
        };
        if let Some(scope) = scope {
            let (ours, theirs) = ((a.checkpoint, a.side()), (b.checkpoint, b.side()));
            compare_beside(&mut diff, &matching, ours, theirs, scope)?;
        }
        let ordered = |examined: Examined<'_>| examined.checkpoint.format().orders_keys();
        diff.reordered &= ordered(a) && ordered(b);
        Ok(Difference { a, b, depth, common: matching.common.len(), diff })
    }
}

impl<'a> Examined<'a> {
    pub(crate) fn side(self) -> Side<'a> {
        Side { catalog: self.catalog, state_dict: self.state_dict }
    }

    /// The file's name as it is shown.
    pub(crate) fn name(self) -> String {
        self.checkpoint.path().display().to_string()
    }
}
