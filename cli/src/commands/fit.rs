//! `fit`: make a checkpoint load into a model.

use std::io::Write;

use statedict_checkpoint::{Checkpoint, Overflow, PendingFiles, SideFiles};
use statedict_core::{
    Headroom, Plan, Rule, SEPARATOR, StateDict, Template,
    diff::Side,
    fit::{Assembled, Fit, FitError, FitOptions, NotFitted, Ordered, fit},
    generalise::generalise,
    init::Init,
};

use crate::commands::remap::{broken_ties, is_same_file};
use crate::failure::Failure;
use crate::fitting::target::Target;
use crate::fitting::{Fitted, Fitting, Put, json, report};
use crate::nearest::nearest_pattern;
use crate::opening::open;
use crate::output;
use crate::recipe_text;
use crate::report::tell_overflows;
use crate::request::{Form, Talk};
use crate::selected::say_choice;
use crate::text::{quoted, say};
use crate::watch::Watch;

pub(crate) fn run(fitting: &Fitting, out: &mut dyn Write) -> Result<(), Failure> {
    fitting.refuse_to_overwrite()?;
    let mut source = open(&fitting.source.file)?;
    let mut target = Target::open(&fitting.target.file)?;
    if fitting.keeps_the_targets() {
        target = target.adjoined_to(&mut source);
    }
    let work = Work::new(fitting, &source, &target)?;
    if fitting.talk == Talk::All {
        work.say_choice();
        work.idle().iter().for_each(|note| say(note));
    }
    let prepared = work.prepare()?;
    let (fit, recipe, plan) = (prepared.fit, prepared.recipe, prepared.plan);
    let mut overflows = Vec::new();
    let (source, result) = match prepared.result {
        Ok((put, rewritten)) => {
            let (source, watch) = Watch::over(source, put.bytes, fitting.talk)?;
            let writing = fitting.write(&source, (&put, &rewritten), recipe, &plan);
            overflows = watch.settle(writing)?;
            (source, Ok(put))
        }
        Err(unmet) => (source, Err(unmet)),
    };
    let output = fitting.output().filter(|_| result.is_ok());
    let fitted =
        Fitted { source: &source, target: &fitting.target.file, fit: &fit, result, output };
    match (fitting.form, fitting.output()) {
        (Form::Json, _) => json::fit(&fitted, out)?,
        (Form::Text, None) => report::fit(&fitted, out)?,
        (Form::Text, Some(_)) => {}
    }
    out.flush()?;
    if let Err(unmet) = &fitted.result {
        return Err(report::refusal(&fitted, unmet));
    }
    if fitting.talk == Talk::All {
        report::tell(fitting, &fitted);
        tell_overflows(&overflows);
    }
    Ok(())
}

/// What is known before anything is written.
struct Prepared {
    fit: Fit,
    /// What becomes of the keys of the source.
    plan: Plan,
    /// The renames, if they are to be saved.
    recipe: Option<String>,
    /// The new file, or why there can be none.
    result: Result<(Put, PendingFiles), Vec<FitError>>,
}

/// Both sides, opened.
struct Work<'a> {
    fitting: &'a Fitting,
    source: &'a Checkpoint,
    ours: &'a StateDict,
    target: &'a Target,
    theirs: &'a StateDict,
}

impl Fitting {
    /// Does all but the writing, to see whether it can be done.
    pub(crate) fn rehearse(&self) -> Result<(), Failure> {
        self.refuse_to_overwrite()?;
        let mut source = Checkpoint::open(&self.source.file)?;
        let mut target = Target::open(&self.target.file)?;
        if self.keeps_the_targets() {
            target = target.adjoined_to(&mut source);
        }
        let prepared = Work::new(self, &source, &target)?.prepare()?;
        let unmet = prepared.result.err().unwrap_or_default();
        match unmet.is_empty() {
            true => Ok(()),
            false => Err(Failure::no(unmet.iter().map(ToString::to_string).collect())),
        }
    }

    /// Sees to it before any work that nothing is in the way.
    fn refuse_to_overwrite(&self) -> Result<(), Failure> {
        let read = [&self.source.file, &self.target.file];
        if let Some(recipe) = &self.save_recipe
            && (read.iter().any(|file| is_same_file(recipe, file))
                || self.output().is_some_and(|output| is_same_file(recipe, output)))
        {
            let name = recipe.display();
            return Err(Failure::could_not(format_args!("{name}: the recipe would replace it")));
        }
        let new = self.output().into_iter().chain(self.save_recipe.as_deref());
        output::refuse_to_overwrite(new, self.existing)
    }

    /// Writes the output and the recipe, so far as they are wanted, each wholly or not at all; gives
    /// the tensors of which casts made finite numbers infinite.
    fn write(
        &self,
        source: &Checkpoint,
        (put, rewritten): (&Put, &PendingFiles),
        recipe: Option<String>,
        plan: &Plan,
    ) -> Result<Vec<Overflow>, Failure> {
        let stage = |path| source.stage_model(rewritten, &put.side_files, path, self.existing);
        let output = self.output().map(stage);
        let output = output.transpose()?;
        let recipe = self.save_recipe.as_deref().zip(recipe);
        let recipe = recipe.map(|(path, recipe)| output::stage_text(recipe, path, self.existing));
        let recipe = recipe.transpose()?;
        let overflows = output.as_ref().map(|staged| source.overflows(staged, plan));
        let overflows = overflows.transpose()?.unwrap_or_default();
        for staged in output.into_iter().chain(recipe) {
            staged.commit()?;
        }
        Ok(overflows)
    }

    /// True if elements of the target may be wanted.
    fn keeps_the_targets(&self) -> bool {
        self.filling.initialiser.rules.iter().any(|rule| rule.init == Init::Target)
    }
}

impl<'a> Work<'a> {
    /// The state dicts that are meant.
    fn new(
        fitting: &'a Fitting,
        source: &'a Checkpoint,
        target: &'a Target,
    ) -> Result<Work<'a>, Failure> {
        let ours = source.catalog().select(fitting.source.at.as_deref());
        let ours = fitting.source.only(ours, "--at")?;
        let theirs = target.catalog().select(fitting.target.at.as_deref());
        let theirs = fitting.target.only(theirs, "--at-target")?;
        Ok(Work { fitting, source, ours, target, theirs })
    }

    /// Does all but the writing.
    fn prepare(&self) -> Result<Prepared, Failure> {
        let fit = self.fit()?;
        let result = match fit.assemble(self.side(), self.elements(), &self.fitting.filling) {
            Ok(assembled) => Ok(self.lay_out(&fit, assembled)?),
            Err(unmet) => Err(unmet),
        };
        let recipe = self.fitting.save_recipe.is_some().then(|| self.recipe(&fit));
        let plan = Plan::from(fit.section(self.side()));
        Ok(Prepared { fit, plan, recipe, result })
    }

    /// Says which state dicts were taken, where none was named.
    fn say_choice(&self) {
        let Fitting { source, target, .. } = self.fitting;
        if source.at.is_none() {
            say_choice(self.source.catalog(), &source.file, self.ours, "--at");
        }
        if target.at.is_none() {
            say_choice(self.target.catalog(), &target.file, self.theirs, "--at-target");
        }
    }

    /// What is worth a word of patterns that match no key.
    fn idle(&self) -> Vec<String> {
        let Fitting { drop, filling, .. } = self.fitting;
        let init = filling.initialiser.rules.iter().map(|rule| ("--init", &rule.pattern));
        let resize = filling.resize.iter().map(|rule| ("--resize", &rule.pattern));
        let wanted = init.chain(resize).map(|(option, pattern)| (option, pattern, self.theirs));
        let dropped = drop.iter().map(|pattern| ("--drop", pattern, self.ours));
        let note = |(option, pattern, state_dict): (&str, &Template, &StateDict)| {
            if state_dict.keys().any(|key| pattern.matches(key)) {
                return None;
            }
            let meant = nearest_pattern(&pattern.to_string(), SEPARATOR, state_dict.keys());
            let meant = meant
                .map(|meant| format!("; did you mean {}?", quoted(&meant)))
                .unwrap_or_default();
            Some(format!("note: {option} '{pattern}' matches no key{meant}"))
        };
        dropped.chain(wanted).filter_map(note).collect()
    }

    fn side(&self) -> Side<'a> {
        Side { catalog: self.source.catalog(), state_dict: self.ours }
    }

    /// The target, if its elements lie beside those of the source.
    fn elements(&self) -> Option<Side<'a>> {
        let side = Side { catalog: self.target.catalog(), state_dict: self.theirs };
        self.target.is_adjoined().then_some(side)
    }

    fn fit(&self) -> Result<Fit, Failure> {
        let Fitting { by, drop, drop_last, filling, .. } = self.fitting;
        let made = filling.initialiser.rules.iter().map(|rule| rule.pattern.clone());
        let options = FitOptions {
            by: *by,
            drop: drop.clone(),
            drop_last: *drop_last,
            made: made.collect(),
            ordered: Ordered {
                source: self.source.format().orders_keys(),
                target: self.target.orders_keys(),
            },
        };
        let target = Side { catalog: self.target.catalog(), state_dict: self.theirs };
        fit(self.side(), target, &options).map_err(|error| {
            let hint = match error {
                NotFitted::Unordered(_) => "the other evidence needs no order: leave --by position out, and --drop PATTERN skips keys by name",
                NotFitted::Counts { .. } => "--drop PATTERN and --drop-last N skip keys of the checkpoint, and keys that --init makes do not count",
            };
            Failure::no(vec![format!("{}: {error}", self.source.path().display())]).hint(hint)
        })
    }

    /// The new file: the old one with other keys where that is all, or the tensors written anew.
    fn lay_out(&self, fit: &Fit, assembled: Assembled) -> Result<(Put, PendingFiles), Failure> {
        let Fitting { format, sharding, .. } = self.fitting;
        let output = self.fitting.output();
        let folder = output.filter(|it| output::is_folder(it, self.source, sharding.as_ref()));
        let side_files = match folder {
            Some(folder) => output::side_files(folder, self.source, self.fitting.companions)?,
            None => SideFiles::default(),
        };
        let to = match (sharding, output) {
            (Some(sharding), _) => sharding.format,
            (None, Some(path)) if folder.is_none() => output::format_of(path, *format)?,
            (None, _) => format.unwrap_or_else(|| self.source.format()),
        };
        // One file of a model folder keeps its name in another, or gets the usual one.
        let in_folder = |rewritten: PendingFiles| match folder {
            Some(_) => rewritten.in_folder(output::model_name(self.source, to)),
            None => rewritten,
        };
        let Assembled { mut contents, mut left, made } = assembled;
        let is_renamed_only =
            made.is_empty() && to.name() == self.source.format().name() && sharding.is_none();
        if is_renamed_only && self.keeps_its_form(fit) {
            let plan = Plan::from(fit.section(self.side()));
            let rewritten = self.source.rewrite_plainly(&plan, Headroom::Usual)?;
            let (tied, bytes) = (Vec::new(), rewritten.len());
            let put = Put { made, left, to, tied, bytes, files: 1, side_files };
            return Ok((put, in_folder(rewritten)));
        }
        contents.metadata = self.source.metadata_after(&fit.section(self.side()));
        let recorded = contents.recorded_ties();
        contents.fit_into(to, &mut left);
        let tied = broken_ties(&contents, to, &recorded);
        let rewritten = match sharding {
            Some(sharding) => self.source.encode_shards(to, contents, sharding.limit),
            None => self.source.encode(to, &contents),
        };
        let rewritten =
            rewritten.map_err(|error| Failure::unholdable(self.source.path().display(), &error))?;
        if !left.is_empty()
            && self.fitting.output().is_some_and(|it| is_same_file(it, self.source.path()))
        {
            let error =
                format!("{}: it holds more than the new file would", self.source.path().display());
            return Err(Failure::no(vec![error]).hint("write another file with -o"));
        }
        let (bytes, files) = (rewritten.len(), rewritten.files());
        Ok((Put { made, left, to, tied, bytes, files, side_files }, in_folder(rewritten)))
    }

    /// True if the source is a state dict as it stands, whose tensors are wanted in their order.
    fn keeps_its_form(&self, fit: &Fit) -> bool {
        let section = fit.section(self.side());
        let wanted = fit.pairs.iter().map(|pair| pair.to.as_str());
        self.ours.at.is_empty()
            && self.ours.fixed.is_none()
            && !self.source.is_sharded()
            && !self.target.is_adjoined()
            && fit.pairs.iter().all(|pair| pair.cast.is_none())
            && section.kept().map(|(_, new)| new).eq(wanted)
    }

    /// The renames as a recipe; keys that go nowhere are dropped.
    fn recipe(&self, fit: &Fit) -> String {
        let renames = fit.renames();
        let stays: std::collections::HashSet<&str> =
            renames.iter().map(|(old, _)| old.as_str()).collect();
        let keys = self.ours.keys().filter(|key| !stays.contains(key));
        let gone: Vec<String> = keys.map(String::from).collect();
        let mut stages = generalise(&renames, &gone).stages;
        if stages.is_empty() {
            // A recipe has a stage, if only one that changes nothing.
            stages.extend(Rule::rename("{rest..} -> {rest..}", SEPARATOR));
        }
        recipe_text::recipe(&stages).expect("rules that were found are no plan")
    }
}
