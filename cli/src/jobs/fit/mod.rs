//! Making a checkpoint load into a model.

mod files;
mod outcome;
mod target;
mod through;

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Existing, Overflow};
use statedict_core::{
    Format, MetadataEdits, Rule, SEPARATOR, StateDict, Template,
    diff::Side,
    fit::{FillOptions, FitError, FitOptions, MatchBy, NotFitted, Ordered, fit},
    generalise::generalise,
    init::Init,
};

use crate::jobs::error::{Advice, Error};
use crate::jobs::library;
use crate::jobs::observer::{Notice, Observer};
use crate::jobs::opening::{joined, open};
use crate::jobs::recipe;
use crate::jobs::rename::FileSummary;
use crate::jobs::selection::{Input, Role};
use crate::jobs::sizes::SizeSources;
use crate::jobs::suggestions::near_pattern;
use crate::jobs::target::{
    Companions, Sharding, refuse_to_overwrite, refuse_to_save_over, stage_text,
};

use files::NewFile;
pub(crate) use target::Target;
use through::Through;

pub use outcome::{Outcome, OutputSummary};
pub use through::ComputedTensor;

/// Makes a checkpoint load into a model: the new file has the model's keys, shapes and types.
///
/// # Example
/// ```no_run
/// use statedict::{Fit, Input, silent};
///
/// let fit = Fit {
///     source: Input::file("pretrained.pth"),
///     target: Input::file("model.safetensors"),
///     output: Some("fitted.pth".into()),
///     ..Fit::default()
/// };
/// let outcome = fit.run(&silent())?;
/// println!("{} of {} keys found", outcome.fit.pairs.len(), outcome.fit.wanted.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Fit {
    /// The checkpoint to read.
    pub source: Input,
    /// The model: a checkpoint of it, or what `ls --json` printed of one.
    pub target: Input,
    /// The evidence by which keys are matched.
    pub by: MatchBy,
    /// Keys of the checkpoint to skip.
    pub drop: Vec<Template>,
    /// How many of the last keys of the checkpoint to skip.
    pub drop_last: usize,
    /// Where the numbers come from that recipes of the library know by name.
    pub sizes: SizeSources,
    /// What is made where the checkpoint has nothing, or something of another shape or type.
    pub fill: FillOptions,
    /// What is to change of the text beside the tensors.
    pub metadata: MetadataEdits,
    /// The file to write, whose extension chooses the format; none to see what would be done.
    pub output: Option<PathBuf>,
    /// The format, if not the one that the output's name chooses.
    pub format: Option<&'static dyn Format>,
    /// What becomes of the files beside the weights in a model folder.
    pub companions: Companions,
    /// Several files instead of one.
    pub sharding: Option<Sharding>,
    /// Where to save the renames as a recipe.
    pub save_recipe: Option<PathBuf>,
    /// Where to save the plan, which makes the same of another checkpoint with the same keys and
    /// shapes.
    pub save_plan: Option<PathBuf>,
    /// What to do if a file to be written exists.
    pub existing: Existing,
    /// Do all but the writing.
    pub dry_run: bool,
}

impl Default for Fit {
    fn default() -> Fit {
        Fit {
            source: Input::default(),
            target: Input::default(),
            by: MatchBy::Auto,
            drop: Vec::new(),
            drop_last: 0,
            sizes: SizeSources::default(),
            fill: FillOptions::default(),
            metadata: MetadataEdits::default(),
            output: None,
            format: None,
            companions: Companions::default(),
            sharding: None,
            save_recipe: None,
            save_plan: None,
            existing: Existing::Refuse,
            dry_run: false,
        }
    }
}

impl Fit {
    /// Does it, or all but the writing where that is wanted.
    ///
    /// That the checkpoint does not fit is not an error: the outcome says why.
    ///
    /// # Errors
    /// What keeps the files from being matched or written; nothing has been changed then.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        self.refuse_to_overwrite()?;
        let source = open(&self.source.file, observer)?;
        let mut source = joined(source, self.source.at.as_deref())?;
        let mut target = Target::open(&self.target.file, observer)?;
        if self.keeps_the_targets() {
            target = target.appended_to(&mut source);
        }
        let work = Work::new(self, &source, &target)?;
        work.notice_choices(observer);
        work.notice_unused_patterns(observer);
        let recipes = work.recipes();
        let Prepared { fit, through, recipe, result } = work.prepare(&recipes)?;
        let (mut overflows, mut output) = (Vec::new(), None);
        let result = match result {
            Err(unmet) => Err(unmet),
            Ok(new) => {
                if !self.dry_run {
                    observer.begin_writing(new.summary.bytes);
                    overflows = self.write(&source, &new, recipe)?;
                    output.clone_from(&self.output);
                }
                Ok(new.summary)
            }
        };
        let (composites, recipes) = match &result {
            Ok(_) => (Vec::new(), Vec::new()),
            Err(_) => (composites(&source, &fit), recipes),
        };
        let source = FileSummary::of(&source);
        let (recipe, computed) = through.unzip();
        let computed = computed.unwrap_or_default();
        Ok(Outcome {
            source,
            fit,
            recipe,
            computed,
            composites,
            recipes,
            result,
            output,
            overflows,
        })
    }

    /// Sees to it before any work that nothing is in the way.
    fn refuse_to_overwrite(&self) -> Result<(), Error> {
        let files = [self.source.file.as_path(), &self.target.file];
        let files = files.into_iter().chain(self.output.as_deref());
        refuse_to_save_over(self.save_recipe.as_deref(), "recipe", files.clone())?;
        let files = files.chain(self.save_recipe.as_deref());
        refuse_to_save_over(self.save_plan.as_deref(), "plan", files)?;
        if self.save_plan.is_some() && self.keeps_the_targets() {
            let problem =
                "a plan cannot hold the target's own tensors, which --init ...=target takes";
            return Err(Error::failed(problem));
        }
        let saved = self.save_recipe.as_deref().into_iter().chain(self.save_plan.as_deref());
        refuse_to_overwrite(self.output.as_deref().into_iter().chain(saved), self.existing)
    }

    /// Writes the output, the recipe and the plan, so far as they are wanted, each wholly or not at
    /// all; gives the tensors of which casts made finite numbers infinite.
    fn write(
        &self,
        source: &Checkpoint,
        NewFile { summary, pending, plan }: &NewFile,
        recipe: Option<String>,
    ) -> Result<Vec<Overflow>, Error> {
        let output = match &self.output {
            Some(path) => {
                Some(source.stage_model(pending, &summary.side_files, path, self.existing)?)
            }
            None => None,
        };
        let recipe = match self.save_recipe.as_deref().zip(recipe) {
            Some((path, recipe)) => Some(stage_text(recipe, path, self.existing)?),
            None => None,
        };
        let saved = match &self.save_plan {
            Some(path) => Some(stage_text(plan.to_json(), path, self.existing)?),
            None => None,
        };
        let overflows = match &output {
            Some(staged) => source.overflows(staged, plan)?,
            None => Vec::new(),
        };
        for staged in output.into_iter().chain(recipe).chain(saved) {
            staged.commit()?;
        }
        Ok(overflows)
    }

    /// True if elements of the target may be wanted.
    fn keeps_the_targets(&self) -> bool {
        self.fill.initialiser.rules.iter().any(|rule| rule.init == Init::Target)
    }
}

/// What is known before anything is written.
struct Prepared {
    fit: statedict_core::fit::Fit,
    /// The recipe of the library that was applied before, and what it computes.
    through: Option<(String, Vec<ComputedTensor>)>,
    /// The renames, if they are to be saved.
    recipe: Option<String>,
    /// The new file, or why there can be none.
    result: Result<NewFile, Vec<FitError>>,
}

/// Both sides, opened.
struct Work<'a> {
    request: &'a Fit,
    source: &'a Checkpoint,
    ours: &'a StateDict,
    target: &'a Target,
    theirs: &'a StateDict,
}

impl<'a> Work<'a> {
    /// The state dicts that are meant.
    fn new(
        request: &'a Fit,
        source: &'a Checkpoint,
        target: &'a Target,
    ) -> Result<Work<'a>, Error> {
        let ours = source.catalog().select(request.source.at.as_deref());
        let ours = request.source.only(ours, Role::First)?;
        let theirs = target.catalog().select(request.target.at.as_deref());
        let theirs = request.target.only(theirs, Role::Target)?;
        Ok(Work { request, source, ours, target, theirs })
    }

    /// Does all but the writing.
    fn prepare(&self, recipes: &[String]) -> Result<Prepared, Error> {
        if let Some(through) = self.through(recipes)? {
            return self.prepare_through(through);
        }
        let fit = self.fit()?;
        let result = match fit.assemble(self.side(), self.elements(), &self.request.fill) {
            Ok(assembled) => Ok(self.lay_out(&fit, None, assembled)?),
            Err(unmet) => Err(unmet),
        };
        let recipe = self.request.save_recipe.is_some().then(|| self.recipe(&fit));
        Ok(Prepared { fit, through: None, recipe, result })
    }

    /// The same where a recipe of the library leads to what the model wants.
    fn prepare_through(&self, through: Through) -> Result<Prepared, Error> {
        let Through { recipe: name, fit, assembled, section, computed } = through;
        if self.request.save_recipe.is_some() {
            return Err(Error::failed(format_args!(
                "the recipe is there already: {name} of the library (statedict recipes {name}); \
                 --save-plan saves what it does to this checkpoint"
            )));
        }
        let new = self.lay_out(&fit, Some(section), assembled)?;
        Ok(Prepared { fit, through: Some((name, computed)), recipe: None, result: Ok(new) })
    }

    /// Says which state dicts were taken, where none was named.
    fn notice_choices(&self, observer: &Arc<dyn Observer>) {
        let sides = [
            (&self.request.source, self.source.catalog(), self.ours, Role::First),
            (&self.request.target, self.target.catalog(), self.theirs, Role::Target),
        ];
        for (input, catalog, taken, of) in sides {
            input.notice_choice(catalog, taken, of, observer);
        }
    }

    /// Says which patterns match no key.
    fn notice_unused_patterns(&self, observer: &Arc<dyn Observer>) {
        let Fit { drop, fill, .. } = self.request;
        let drop = drop.iter().map(|pattern| ("drop", pattern, self.ours));
        let init = fill.initialiser.rules.iter().map(|it| ("init", &it.pattern, self.theirs));
        let resize = fill.resize.iter().map(|it| ("resize", &it.pattern, self.theirs));
        for (field, pattern, state_dict) in drop.chain(init).chain(resize) {
            if !state_dict.keys().any(|key| pattern.matches(key)) {
                let meant = near_pattern(pattern, state_dict.keys());
                let pattern = pattern.to_string();
                observer.notice(&Notice::UnusedPattern { field, pattern, meant });
            }
        }
        for pattern in self.request.metadata.unused(&self.source.metadata()) {
            let (field, pattern) = ("drop-metadata", pattern.to_string());
            observer.notice(&Notice::UnusedPattern { field, pattern, meant: None });
        }
    }

    fn side(&self) -> Side<'a> {
        Side { catalog: self.source.catalog(), state_dict: self.ours }
    }

    /// The target, if its elements lie beside those of the source.
    fn elements(&self) -> Option<Side<'a>> {
        let side = Side { catalog: self.target.catalog(), state_dict: self.theirs };
        self.target.is_appended().then_some(side)
    }

    fn fit(&self) -> Result<statedict_core::fit::Fit, Error> {
        self.fit_side(self.side(), self.request.by)
    }

    /// How the tensors of a side fit into the model.
    fn fit_side(&self, source: Side, by: MatchBy) -> Result<statedict_core::fit::Fit, Error> {
        let Fit { drop, drop_last, fill, .. } = self.request;
        let made = fill.initialiser.rules.iter().map(|rule| rule.pattern.clone());
        let options = FitOptions {
            by,
            drop: drop.clone(),
            drop_last: *drop_last,
            made: made.collect(),
            ordered: Ordered {
                source: self.source.format().facts().orders_keys,
                target: self.target.orders_keys(),
            },
        };
        let target = Side { catalog: self.target.catalog(), state_dict: self.theirs };
        fit(source, target, &options).map_err(|error| {
            let advice = match error {
                NotFitted::Unordered(_) => Advice::OtherEvidence,
                NotFitted::Counts { .. } => Advice::DropKeys,
            };
            let problem = format!("{}: {error}", self.source.path().display());
            Error::refused(vec![problem]).advise(advice)
        })
    }

    /// The recipes of the library that lead from the one side's names to the other's.
    fn recipes(&self) -> Vec<String> {
        let [own, theirs] =
            [self.ours, self.theirs].map(|state_dict| library::recognise(state_dict.keys()));
        library::leading(&own, &theirs)
    }

    /// The renames as a recipe; keys that go nowhere are dropped.
    fn recipe(&self, fit: &statedict_core::fit::Fit) -> String {
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
        recipe::to_text(&stages).expect("rules that were found are not a plan")
    }
}

/// What the one side has joined, stacked or transposed of the other.
fn composites(
    source: &Checkpoint,
    fit: &statedict_core::fit::Fit,
) -> Vec<statedict_core::fit::Composite> {
    let catalog = source.catalog();
    let sides = catalog.state_dicts.iter().map(|state_dict| Side { catalog, state_dict });
    let found = sides.map(|side| fit.composites(side)).find(|found| !found.is_empty());
    found.unwrap_or_default()
}
