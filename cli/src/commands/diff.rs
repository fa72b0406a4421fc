//! `diff`: what differs between two files.

use std::io::Write;
use std::path::PathBuf;

use statedict_checkpoint::{Checkpoint, compare};
use statedict_core::{Diff, Matching, NotSelected, Side, StateDict};

use crate::difference::{json, remedy, report};
use crate::failure::Failure;
use crate::hints;
use crate::opening::open;
use crate::request::{Form, Talk};
use crate::selected::say_choice;
use crate::text::say;

/// What to compare, and how to show what differs.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) a: Subject,
    pub(crate) b: Subject,
    pub(crate) depth: Depth,
    pub(crate) form: Form,
    pub(crate) talk: Talk,
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
    /// Elements too.
    Elements,
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
}

pub(crate) fn run(comparison: &Comparison, out: &mut dyn Write) -> Result<(), Failure> {
    let a = open(&comparison.a.file)?;
    let b = open(&comparison.b.file)?;
    let ours = comparison.a.only(a.catalog().select(comparison.a.at.as_deref()), "--at")?;
    let theirs = counterpart(&comparison.a, &comparison.b, &b, ours)?;
    let (a, b) = (
        Examined { checkpoint: &a, state_dict: ours },
        Examined { checkpoint: &b, state_dict: theirs },
    );
    let difference = Difference::of(a, b, comparison.depth)?;
    if comparison.talk == Talk::All {
        comparison.a.say_choice(a, "--at");
        comparison.b.say_choice(b, "--at-b");
    }
    match (comparison.form, comparison.talk) {
        (Form::Json, _) => json::difference(&difference, out)?,
        (Form::Text, Talk::All) => report::difference(&difference, out)?,
        (Form::Text, Talk::Errors) => {}
    }
    out.flush()?;
    if comparison.talk == Talk::All
        && let Some(command) = remedy::command(&difference)
    {
        say("this renames the keys of the first as they are in the second:");
        say(&format!("  {command}"));
    }
    if difference.diff.is_same() { Ok(()) } else { Err(Failure::no(Vec::new())) }
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
    fn of(a: Examined<'a>, b: Examined<'a>, depth: Depth) -> Result<Difference<'a>, Failure> {
        let matching = Matching::new(a.side(), b.side());
        let mut diff = match depth {
            Depth::Keys => matching.diff(),
            Depth::Elements => compare(&matching, a.checkpoint, b.checkpoint)?,
        };
        let ordered = |examined: Examined<'_>| examined.checkpoint.format().orders_keys();
        diff.reordered &= ordered(a) && ordered(b);
        Ok(Difference { a, b, depth, common: matching.common.len(), diff })
    }
}

impl<'a> Examined<'a> {
    pub(crate) fn side(self) -> Side<'a> {
        Side { catalog: self.checkpoint.catalog(), state_dict: self.state_dict }
    }

    /// The file's name as it is shown.
    pub(crate) fn name(self) -> String {
        self.checkpoint.path().display().to_string()
    }
}
