//! What can be typed after `fit`, and the request that it means.

use std::path::PathBuf;

use clap::ValueEnum;
use statedict::core::fit::{Casts, FillOptions, MatchBy};
use statedict::core::init::{InitRule, Initialiser, ResizeRule};
use statedict::core::{Name, SEPARATOR, Template};
use statedict::jobs::rename::Destination;
use statedict::jobs::sizes::SizeSources;
use statedict::{Fit, Input};

use crate::args::numbers::whole;
use crate::commands::fit::FitRequest;
use crate::commands::output_args::{OutputArgs, existing};
use crate::commands::rename::args::given_size;
use crate::commands::rename::metadata_args::MetadataArgs;
use crate::commands::several::{Placed, Several, Writing};
use crate::failure::Failure;
use crate::hints::command_line::typed;
use crate::page::PageFile;
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct FitArgs {
    /// The checkpoints to read; several are written into the folder OUT
    #[arg(value_name = "CKPT", required = true)]
    files: Vec<PathBuf>,
    /// The model: a checkpoint of it, or what `ls --json` printed of one
    #[arg(long = "to", value_name = "TARGET")]
    target: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    /// Read the state dict at this path of the checkpoint
    ///
    /// Needed only where it holds several.
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    /// Fit it into the state dict at this path of the target
    #[arg(long, value_name = "PATH")]
    at_target: Option<String>,
    /// Choose the evidence by which keys are found; each adds to those before it but position
    #[arg(long, value_enum, default_value = "auto")]
    by: Evidence,
    /// Skip the keys of the checkpoint that match this pattern; can be repeated
    #[arg(long, value_name = "PATTERN")]
    drop: Vec<String>,
    /// Give a size of a recipe of the library its number: `heads=32`; can be repeated
    ///
    /// Where both sides follow naming conventions that a recipe leads between, that recipe is
    /// applied; sizes are taken from config.json or params.json beside either side, too.
    #[arg(long, value_name = "NAME=N", value_parser = given_size)]
    set: Vec<(Name, u64)>,
    /// Take those sizes from this file instead
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Skip the last N keys of the checkpoint
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<usize>)]
    drop_last: usize,
    /// Make what is missing, or has another shape: 'head.weight=normal(0,0.02)'; can be repeated
    ///
    /// After the pattern comes zeros, ones, constant(c), uniform(low,high),
    /// normal(mean,deviation), xavier_uniform, kaiming_uniform, or target to keep the target's own.
    #[arg(long, value_name = "PATTERN=HOW")]
    init: Vec<String>,
    /// Choose the numbers that are drawn; the same seed gives the same bytes on every machine
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u64>)]
    seed: u64,
    /// Keep what both have where a size differs: 'head.*=rows', 'conv_in.weight=dim1'; can be repeated
    ///
    /// `rows` is the first dimension, dim0; dim1 is that of columns and input channels;
    /// 'PATTERN=dim0,dim1' names several. What both have is the start of the dimension, and what
    /// lies beyond is made by --init. Tied tensors stay tied.
    #[arg(long, value_name = "PATTERN=DIMS")]
    resize: Vec<String>,
    /// Cast floating-point tensors to the target's types
    #[arg(long)]
    cast: bool,
    #[command(flatten)]
    metadata: MetadataArgs,
    /// Save what was found as a recipe to this file, for `apply` on checkpoints of the same kind
    #[arg(long, value_name = "FILE")]
    save_recipe: Option<PathBuf>,
    /// Save what is done to every tensor as JSON to this file, for `apply` on another checkpoint with
    /// the same keys and shapes
    #[arg(long, value_name = "FILE")]
    save_plan: Option<PathBuf>,
    /// Show what was found, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Write a page of what goes where, too; `-` is standard output
    #[arg(long, value_name = "PAGE.html")]
    html: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Evidence {
    /// The same name
    Name,
    /// The same name without wrappers
    Wrapper,
    /// The same ending below another prefix
    Suffix,
    /// The same place, and nothing else
    Position,
    /// Numbers, shapes and order, too; what could be several ways is left open
    Auto,
}

impl FitArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<Several<FitRequest>, Failure> {
        let fill = self.fill()?;
        let existing = existing(self.force);
        let drop = self.drop.iter().map(|text| Template::parse(text, SEPARATOR));
        let job = Fit {
            source: Input { at: self.at, ..Input::default() },
            target: Input { file: self.target, at: self.at_target },
            by: self.by.by(),
            drop: drop.collect::<Result<_, _>>().map_err(Failure::could_not)?,
            drop_last: self.drop_last,
            sizes: SizeSources { set: self.set.into_iter().collect(), config: self.config },
            fill,
            metadata: self.metadata.edits()?,
            format: self.output.place.format.format(),
            companions: self.output.companions(),
            sharding: self.output.place.format.sharding()?,
            output: None,
            save_recipe: self.save_recipe,
            save_plan: self.save_plan,
            existing,
            dry_run: false,
        };
        let output = self.output.place.output.filter(|_| !self.dry_run);
        let destination = output.map_or(Destination::Nowhere, Destination::File);
        let placed = match (self.files.len(), &job.sharding) {
            (1, Some(_)) => Placed::as_said(self.files, destination),
            _ => {
                let writing = if self.dry_run { Writing::Shown } else { Writing::Done };
                Placed::of(self.files, destination, job.format, writing)?
            }
        };
        let page = self.html.map(|path| PageFile { path, existing });
        let saves = job.save_plan.is_some() || job.save_recipe.is_some() || page.is_some();
        if !placed.is_one() && saves {
            let error = "--save-plan, --save-recipe and --html take what one file gives";
            return Err(Failure::could_not(error));
        }
        let typed = typed();
        Ok(placed.into_requests(|file, destination| {
            let source = Input { file, ..job.source.clone() };
            let output = match destination {
                Destination::File(output) => Some(output),
                Destination::Nowhere | Destination::InPlace => None,
            };
            FitRequest {
                job: Fit { source, output, ..job.clone() },
                typed: typed.clone(),
                page: page.clone(),
                output_format: OutputFormat::of(self.json),
                verbosity,
            }
        }))
    }

    fn fill(&self) -> Result<FillOptions, Failure> {
        let rules = self.init.iter().map(|text| InitRule::parse(text, SEPARATOR));
        let rules = rules.collect::<Result<_, _>>().map_err(Failure::could_not)?;
        let resize = self.resize.iter().map(|text| ResizeRule::parse(text, SEPARATOR));
        Ok(FillOptions {
            casts: if self.cast { Casts::Make } else { Casts::Refuse },
            initialiser: Initialiser { rules, seed: self.seed },
            resize: resize.collect::<Result<_, _>>().map_err(Failure::could_not)?,
        })
    }
}

impl Evidence {
    fn by(self) -> MatchBy {
        match self {
            Evidence::Name => MatchBy::Name,
            Evidence::Wrapper => MatchBy::Wrapper,
            Evidence::Suffix => MatchBy::Suffix,
            Evidence::Position => MatchBy::Position,
            Evidence::Auto => MatchBy::Auto,
        }
    }
}
