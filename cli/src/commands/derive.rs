//! `derive`: the recipe that turns the keys of one file into those of another, told by the elements.

use std::io::Write;
use std::path::PathBuf;

use statedict::jobs::target;
use statedict_checkpoint::{Existing, match_contents};
use statedict_core::{derive::Derivation, diff::Entry};

use crate::commands::diff::{Examined, Subject, counterpart};
use crate::commands::output_args::refuse_standard_output;
use crate::derivation::{json, report};
use crate::failure::Failure;
use crate::opening::open;
use crate::terminal::text::say;
use crate::terminal::{OutputFormat, Verbosity};

/// Two files of the same weights, and where the recipe goes.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) a: Subject,
    pub(crate) b: Subject,
    pub(crate) save_recipe: Option<PathBuf>,
    pub(crate) existing: Existing,
    pub(crate) form: OutputFormat,
    pub(crate) talk: Verbosity,
}

/// What was found.
pub(crate) struct Answer<'a> {
    pub(crate) a: Examined<'a>,
    pub(crate) b: Examined<'a>,
    pub(crate) derivation: Derivation,
}

pub(crate) fn run(question: &Question, out: &mut dyn Write) -> Result<(), Failure> {
    question.refuse_to_overwrite()?;
    let (a, b) = (open(&question.a.file)?, open(&question.b.file)?);
    let ours = question.a.only(a.catalog().select(question.a.at.as_deref()), "--at")?;
    let theirs = counterpart(&question.a, &question.b, &b, ours)?;
    let (a, b) = (
        Examined { checkpoint: &a, state_dict: ours, catalog: a.catalog() },
        Examined { checkpoint: &b, state_dict: theirs, catalog: b.catalog() },
    );
    let (in_a, in_b): (Vec<Entry>, Vec<Entry>) =
        (a.side().entries().collect(), b.side().entries().collect());
    let evidence = match_contents((a.checkpoint, &in_a), (b.checkpoint, &in_b))?;
    let derivation = Derivation::new(&in_a, &in_b, &evidence);
    let answer = Answer { a, b, derivation };
    let recipe = report::recipe(&answer);
    match (question.form, &question.save_recipe) {
        (OutputFormat::Json, _) => json::answer(&answer, &recipe, out)?,
        (OutputFormat::Text, None) => out.write_all(recipe.as_bytes())?,
        (OutputFormat::Text, Some(_)) => {}
    }
    out.flush()?;
    if question.talk == Verbosity::All {
        question.a.say_choice(a, "--at");
        question.b.say_choice(b, "--at-b");
        report::lines(&answer).iter().for_each(|line| say(line));
    }
    question.save(recipe)?;
    if answer.derivation.is_complete() { Ok(()) } else { Err(Failure::no(Vec::new())) }
}

impl Question {
    fn refuse_to_overwrite(&self) -> Result<(), Failure> {
        let saved = self.save_recipe.as_deref();
        refuse_standard_output(saved)?;
        let read = [self.a.file.as_path(), &self.b.file];
        Ok(target::refuse_to_save(saved, "recipe", read, self.existing)?)
    }

    fn save(&self, recipe: String) -> Result<(), Failure> {
        let Some(path) = &self.save_recipe else { return Ok(()) };
        target::stage_text(recipe, path, self.existing)?.commit()?;
        if self.talk == Verbosity::All {
            say(&format!("saved the recipe as {}", path.display()));
        }
        Ok(())
    }
}
