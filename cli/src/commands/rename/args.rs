//! What can be typed after the commands that write, and the request that it means.

use std::path::PathBuf;

use statedict::core::sizes::{SizeExpression, Sizes};
use statedict::core::{Name, Policy, SEPARATOR, Separators, Undefined, Unmatched};
use statedict::jobs::rename::{Destination, Encoding, Extent, Pickles, Strictness};
use statedict::jobs::sizes::SizeSources;
use statedict::{Rename, Rules};

use crate::commands::copy_args::{CopyArgs, explained};
use crate::commands::folder_args::FolderArgs;
use crate::commands::output_args::{NamedFormat, OutputArgs, existing, formats};
use crate::commands::parts::args::PlanPartsArgs;
use crate::commands::rename::metadata_args::MetadataArgs;
use crate::commands::rename::{Count, RenameRequest};
use crate::commands::several::{self, Placed, Several, Writing};
use crate::failure::Failure;
use crate::hints::command_line::typed;
use crate::terminal::{OutputFormat, Verbosity};

/// The files of a command whose other words are no list.
#[derive(Debug, clap::Args)]
pub(crate) struct FilesArgs {
    /// The files to read; several are edited with -i or written into the folder OUT
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// The file that comes after a list of rules.
#[derive(Debug, clap::Args)]
pub(crate) struct LastFileArgs {
    /// The file to read; several are edited with -i or written into the folder OUT
    ///
    /// Words before it that have the extension of a checkpoint are files, too.
    file: PathBuf,
}

impl LastFileArgs {
    /// These words without those that are files, and the files.
    pub(crate) fn parted(self, words: Vec<String>) -> (Vec<String>, Vec<PathBuf>) {
        several::parted(words, self.file)
    }
}

/// What every command that renames takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RenameArgs {
    #[command(flatten)]
    output: OutputArgs,
    /// Edit the file itself
    ///
    /// Tensors are not moved where the format and the file system allow that; otherwise a new file
    /// takes its place. A symbolic link stays, and what it leads to is edited. A file that is
    /// edited where it is changes under all its names (hard links). A crash leaves the old file
    /// or the new one, at the latest once `statedict recover` has run.
    #[arg(short, long, conflicts_with_all = ["output", "format", "shard_size", "weights_only", "plan_parts"])]
    in_place: bool,
    /// Drop the keys that no rule recognises
    #[arg(long, conflicts_with = "strict")]
    only: bool,
    /// Go on if no rule recognises any key
    #[arg(long)]
    allow_unchanged: bool,
    /// Split keys into segments at this character instead of a dot
    ///
    /// Where the new keys of a rename have another, both: `/,.` for `a/{n} -> a.{n}`.
    #[arg(long, value_name = "CHAR")]
    separator: Option<Separators>,
    #[command(flatten)]
    writing: WritingArgs,
}

/// What commands take whose rules may change tensors.
#[derive(Debug, clap::Args)]
pub(crate) struct RuleArgs {
    /// Print what each rule does, in words
    #[arg(long, conflicts_with = "json")]
    explain: bool,
    /// Give a size of the rules its number: `heads=32`; can be repeated
    ///
    /// A size is a place in a tensor, [(heads 2 x) ..], or a part of a key, {last-i}. What is not
    /// given is taken from the recipe, from config.json or params.json beside the file, and for
    /// places from the shapes.
    #[arg(long, value_name = "NAME=N", value_parser = given_size)]
    set: Vec<(Name, u64)>,
    /// Take sizes from this file instead of the config.json or params.json beside the file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A protocol of pickles that every version of PyTorch loads.
fn protocol(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(2) => Ok(2),
        _ => Err("expected 2, the protocol that every version of PyTorch loads".into()),
    }
}

/// A size as it is typed: `heads=32`.
pub(crate) fn given_size(text: &str) -> Result<(Name, u64), String> {
    let Some((name, number)) = text.split_once('=') else {
        return Err("expected NAME=N, such as heads=32".into());
    };
    let number = SizeExpression::parse(number).map_err(|error| error.to_string())?;
    let number = number.evaluate(&mut |_| Ok(None)).map_err(|error| error.to_string())?;
    match SizeExpression::parse(name) {
        Ok(SizeExpression::Name(name)) => Ok((name, number.ok_or("expected a number behind '='")?)),
        _ => Err("expected a name before '=', such as heads=32".into()),
    }
}

impl RuleArgs {
    /// The request with what was typed of its rules.
    pub(crate) fn complete(&self, request: RenameRequest) -> RenameRequest {
        let set = self.set.iter().cloned().collect::<Sizes>();
        let sizes = SizeSources { set, config: self.config.clone() };
        let explanation = if self.explain { request.job.rules.in_words() } else { Vec::new() };
        RenameRequest { job: Rename { sizes, ..request.job }, explanation, ..request }
    }
}

/// What is typed for --cast here.
const CAST: &str =
    "Cast floating-point tensors: `bf16`, `float16`, `model.**=float32`; can be repeated";

const CAST_MORE: &str = "\
Types are f16, bf16, f32, f64, f8_e4m3 and f8_e5m2, also by the names they have in PyTorch. Values \
are rounded as `.to()` rounds them; those beyond the range of f8_e4m3 become its largest, as there. \
Patterns are for keys as the file has them (of tensors that rules compute, as the new file has them) \
and are tried in order, the first that matches decides; a DTYPE alone is for the tensors that no \
pattern matches. Everything else in the file stays as it is, an optimizer's state included. Quantized \
weights with recorded scales keep their type, unless a pattern spells out their last segment: \
'**.weight=f16'.";

const STRICT: &str = "Refuse what is otherwise done with a note";

const STRICT_MORE: &str = "\
That is: keys that no rule recognises, tensors that are not cast, values beyond the range of the type \
they are cast to.";

const TIES: &str = "Choose how a conversion writes tensors that several keys share";

const RESERVE_MORE: &str = "Otherwise 64 KiB, or 1 % of the tensors if that is less.";

/// What every command that writes takes.
#[derive(Debug, clap::Args)]
#[command(mut_arg("cast", |cast| explained(cast.help(CAST), CAST_MORE)))]
#[command(mut_arg("strict", |strict| explained(strict.help(STRICT), STRICT_MORE)))]
#[command(mut_arg("ties", |ties| ties.help(TIES)))]
#[command(mut_arg("reserve", |reserve| explained(reserve, RESERVE_MORE)))]
pub(super) struct WritingArgs {
    /// Work on the state dict at this path, whose last part may do; `*` for all of them
    ///
    /// A state dict is a mapping of which most values are tensors, and not all of these single
    /// numbers. Without --at the one that is clearly the model is taken: the outermost, and of
    /// several the one called state_dict, model, module, net, params, weights or the like, unless
    /// another has such a name, mostly the same keys, or is an average (ema, swa). What is an
    /// optimizer's, a scheduler's or a callback's is never meant. Where several could be meant, the
    /// error lists them. A path to mappings in mappings, such as Megatron's `model`, takes all that
    /// is below it as one state dict with dots in its keys, which can be written to a new file.
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    #[command(flatten)]
    folder: FolderArgs,
    /// Write only the state dict, without optimizer and other entries, on the CPU
    #[arg(long)]
    alone: bool,
    #[command(flatten)]
    copy: CopyArgs,
    /// Rewrite the pickle of a .pth in this protocol, which PyTorch 2.6 and later load by default
    #[arg(long, value_name = "N", value_parser = protocol)]
    protocol: Option<u8>,
    #[command(flatten)]
    metadata: MetadataArgs,
    /// Save the plan to this file, for `apply`
    #[arg(long, value_name = "FILE", conflicts_with = "plan_parts")]
    save_plan: Option<PathBuf>,
    #[command(flatten)]
    parts: PlanPartsArgs,
    /// Show what would be done, and write nothing
    #[arg(short = 'n', long, conflicts_with = "plan_parts")]
    dry_run: bool,
    /// Replace files that exist, and edit read-only or linked ones in place
    #[arg(long)]
    force: bool,
    /// Print one JSON object that says what was done
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConvertArgs {
    /// The file to read
    #[arg(value_name = "IN")]
    file: PathBuf,
    /// The file to write, whose extension chooses the format; with -o, more files to read
    ///
    /// Several files are written into a folder, each in the format of --format or its own.
    #[arg(value_name = "OUT")]
    operands: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// The older name of --format
    #[arg(long, hide = true, value_name = "FORMAT", value_parser = formats(), conflicts_with = "format")]
    to: Option<NamedFormat>,
    #[command(flatten)]
    writing: WritingArgs,
}

impl RenameArgs {
    /// What segments are joined by.
    pub(crate) fn separators(&self) -> Separators {
        self.separator.unwrap_or_default()
    }

    /// The same if it was typed.
    pub(crate) fn own_separators(&self) -> Option<Separators> {
        self.separator
    }

    /// What was asked for, with these rules for these files.
    pub(crate) fn request(
        self,
        files: Vec<PathBuf>,
        rules: Rules,
        verbosity: Verbosity,
    ) -> Result<Several<RenameRequest>, Failure> {
        let undefined = match (self.writing.copy.strictness(), self.only) {
            (Strictness::Refuse, _) => Undefined::Refuse,
            (_, true) => Undefined::Drop,
            _ => Undefined::Keep,
        };
        let unmatched = if self.allow_unchanged { Unmatched::Allow } else { Unmatched::Refuse };
        let policy = Policy { undefined, unmatched };
        let separator = self.separators().left;
        let mut request = self.writing.request(self.output, separator, verbosity)?;
        if self.in_place {
            request.job.destination = Destination::InPlace;
        }
        request.job = Rename { rules, policy, ..request.job };
        request.of_each(files)
    }
}

impl ConvertArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<Several<RenameRequest>, Failure> {
        let ConvertArgs { file, mut operands, mut output, to, writing } = self;
        // Without -o the last operand is the output, as for `cp`.
        let place = &mut output.place;
        place.output = place.output.take().or_else(|| operands.pop());
        place.format.format = place.format.format.or(to);
        let request = writing.request(output, SEPARATOR, verbosity)?;
        let policy = Policy { unmatched: Unmatched::Allow, ..Policy::default() };
        let request = RenameRequest { job: Rename { policy, ..request.job }, ..request };
        request.of_each([file].into_iter().chain(operands).collect())
    }
}

impl RenameRequest {
    /// The same for each of these files.
    fn of_each(self, files: Vec<PathBuf>) -> Result<Several<RenameRequest>, Failure> {
        let Encoding { format, sharding, .. } = &self.job.encoding;
        let destination = self.job.destination.clone();
        let writing = if self.job.dry_run { Writing::Shown } else { Writing::Done };
        let placed = match (files.len(), sharding) {
            (1, Some(_)) => Placed::as_said(files, destination),
            _ => Placed::of(files, destination, *format, writing)?,
        };
        if !placed.is_one() && self.job.save_plan.is_some() {
            return Err(Failure::could_not("--save-plan takes the plan of one file"));
        }
        if !placed.is_one() && self.parts.is_some() {
            return Err(Failure::could_not("--plan-parts plans the job of one file"));
        }
        let count = if placed.is_one() { Count::One } else { Count::Several };
        Ok(placed.into_requests(|file, destination| RenameRequest {
            job: Rename { file, destination, ..self.job.clone() },
            count,
            ..self.clone()
        }))
    }
}

impl WritingArgs {
    pub(super) fn request(
        self,
        output: OutputArgs,
        separator: char,
        verbosity: Verbosity,
    ) -> Result<RenameRequest, Failure> {
        let job = Rename {
            at: self.at,
            opening: self.folder.opening()?,
            metadata: self.metadata.edits()?,
            encoding: Encoding {
                extent: if self.alone { Extent::Alone } else { Extent::Whole },
                pickles: self.protocol.map_or(Pickles::Kept, |_| Pickles::Protocol2),
                companions: output.companions(),
                ..self.copy.encoding(&output.place.format, separator)?
            },
            destination: output.place.output.map_or(Destination::Nowhere, Destination::File),
            strictness: self.copy.strictness(),
            existing: existing(self.force),
            save_plan: self.save_plan,
            dry_run: self.dry_run,
            ..Rename::default()
        };
        Ok(RenameRequest {
            job,
            parts: self.parts.parts(),
            typed: typed(),
            explanation: Vec::new(),
            count: Count::One,
            output_format: OutputFormat::of(self.json),
            verbosity,
        })
    }
}
