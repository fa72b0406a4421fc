//! The list of commands, and the task that each of them means.

pub(crate) mod completion;
mod examples;
pub(crate) mod headings;
pub(crate) mod numbers;
pub(crate) mod talk;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use statedict::Rules;
use statedict::core::{RuleKind, Separators};
use statedict::jobs::library;
use statedict::jobs::recipe::{self, Direction};

use crate::args::talk::TalkArgs;
use crate::commands::cat::CatRequest;
use crate::commands::cat::args::CatArgs;
use crate::commands::check::CheckRequest;
use crate::commands::check::args::CheckArgs;
use crate::commands::derive::DeriveRequest;
use crate::commands::derive::args::DeriveArgs;
use crate::commands::diff::DiffRequest;
use crate::commands::diff::args::DiffArgs;
use crate::commands::explain::ExplainRequest;
use crate::commands::explain::args::ExplainArgs;
use crate::commands::fit::FitRequest;
use crate::commands::fit::args::FitArgs;
use crate::commands::index::IndexRequest;
use crate::commands::index::args::IndexArgs;
use crate::commands::join::args::JoinArgs;
use crate::commands::ls::ListRequest;
use crate::commands::ls::args::LsArgs;
use crate::commands::parts::args::{FinishArgs, RunPartArgs};
use crate::commands::parts::{FinishRequest, RunPartRequest};
use crate::commands::prune::PruneRequest;
use crate::commands::prune::args::PruneArgs;
use crate::commands::recipes::args::RecipesArgs;
use crate::commands::recipes::{self, RecipesRequest};
use crate::commands::recover::RecoverRequest;
use crate::commands::recover::args::RecoverArgs;
use crate::commands::rename::RenameRequest;
use crate::commands::rename::args::{ConvertArgs, FilesArgs, LastFileArgs, RenameArgs, RuleArgs};
use crate::commands::rename::merge_args::MergeArgs;
use crate::commands::several::Several;
use crate::commands::shell::ShellRequest;
use crate::commands::split::SplitRequest;
use crate::commands::split::args::SplitArgs;
use crate::commands::stats::StatsRequest;
use crate::commands::stats::args::StatsArgs;
use crate::commands::view::ViewRequest;
use crate::commands::view::args::ViewArgs;
use crate::failure::Failure;
use crate::guesses;
use crate::terminal::OutputFormat;
use crate::terminal::progress::Following;

/// Rename, match, convert and check the keys of model checkpoints
///
/// Reads PyTorch archives (.pth, .pt, .ckpt, .bin), safetensors and npz; runs no pickle and loads
/// no weight. With neither --output nor --in-place nothing is written: the plan is shown.
///
/// Exit status: 0 success, 1 refused or different, 2 error.
///
/// A command that is interrupted while it writes (Ctrl-C, SIGTERM, SIGHUP) leaves every file as it
/// was and exits with 128 plus the signal's number. A signal that it was started to ignore stays
/// ignored: under `nohup` it goes on when the terminal closes, and in the background of a script
/// Ctrl-C does not reach it.
#[derive(Debug, Parser)]
#[command(name = "statedict", version, max_term_width = 100)]
#[command(disable_help_flag = true)]
#[command(disable_version_flag = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    talk: TalkArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List keys with their dtypes, shapes and sizes; also `statedict FILE`
    ///
    /// Other names of this command are info, list, show and inspect.
    ///
    /// First come the parameters, and what else is known: what a trainer left, EMA, LoRA,
    /// quantisation, the memory that loading takes. The states of an optimizer share a line.
    // A shell would offer the least of visible ones in place of the name.
    #[command(aliases = ["info", "list", "show", "inspect"])]
    Ls(LsArgs),
    /// Show figures of tensors: mean, deviation, extremes, norm, zeros, NaN, a histogram
    ///
    /// One pass over the file on all processors, in bounded memory, whatever the types and however
    /// the tensors are stored. Mean to norm and the histogram are of the finite elements; of complex
    /// numbers they are of the magnitudes. Tensors of one type and shape whose keys differ in numbers
    /// alone share a line; --each has one for every tensor, and so have --csv and --json.
    ///
    /// Exit status: 0 done, 1 --fail-on found what it looks for, 2 error.
    Stats(StatsArgs),
    /// Write a page that shows what files hold: findings, maps, every tensor in a table
    ///
    /// One HTML file that needs no network and no server: what is found wrong with the command that
    /// mends it, where the bytes are, parts by layers, a table to sort and filter, training state,
    /// shards, metadata. With --stats every value is read, and the map of parts and layers is
    /// shaded by how far values are spread; NaN stand out.
    View(ViewArgs),
    /// Print the values of one tensor
    ///
    /// As NumPy prints them: of more than 1000 values the first and last three along each
    /// dimension, unless --full is given. BF16 and 8-bit floats are printed as F32.
    Cat(CatArgs),
    /// Remove a leading prefix from keys
    Strip {
        /// Whole leading segments: `module` and `module.` mean the same
        prefix: String,
        #[command(flatten)]
        files: FilesArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Put a prefix in front of keys
    Add {
        /// Whole leading segments: `module` and `module.` mean the same
        prefix: String,
        #[command(flatten)]
        files: FilesArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Remove the segments that wrappers add, at any depth
    ///
    /// They are `module` (DataParallel, DistributedDataParallel), `_orig_mod` (torch.compile),
    /// `_fsdp_wrapped_module`, `_checkpoint_wrapped_module` and `_forward_module` (DeepSpeed).
    Unwrap {
        /// Remove this segment instead of the usual ones; can be repeated
        #[arg(long = "wrapper", value_name = "NAME")]
        wrappers: Vec<String>,
        #[command(flatten)]
        files: FilesArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Rename keys by templates or regular expressions
    ///
    /// Templates work on segments: `*` is one segment, `**` any number, `{i}` one that is
    /// captured, `{r..}` the rest, `{i+1}` a number shifted:
    /// 'layers.{i}.attn.{r..} -> blocks.{i+1}.attention.{r..}'. `{p=q,k,v}` is one of a list, which
    /// the other side may spell otherwise, `{3-i}` and `{last-i}` count from the other end.
    ///
    /// With places in brackets a rule changes tensors, too: what has the same name on both sides is
    /// the same. 'a.kernel[i o] -> a.weight[o i]' transposes, and
    /// 'qkv.{t}[(p o) ..] -> {p=q,k,v}.{t}[o ..]' splits; docs/tensor-rules.md has the rest.
    ///
    /// After `re:` comes a regular expression: 're:\.gamma$ -> .weight'.
    /// All rules see the original key, and the first that matches wins.
    /// With --metadata or --drop-metadata no rule is needed:
    /// 'statedict rename lora.safetensors -i --metadata author=me'.
    #[command(allow_missing_positional = true)]
    Rename {
        /// What becomes of keys of one form
        #[arg(value_name = "FROM -> TO", required_unless_present_any = ["metadata", "drop_metadata"])]
        rules: Vec<String>,
        #[command(flatten)]
        last: LastFileArgs,
        #[command(flatten)]
        given: RuleArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Keep the keys that match a pattern and drop the others
    Keep {
        /// Templates: `encoder.**`, `*.weight`
        #[arg(value_name = "PATTERN", required = true)]
        patterns: Vec<String>,
        #[command(flatten)]
        last: LastFileArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Drop the keys that match a pattern
    Drop {
        /// Templates: `head.**`, `*.bias`
        #[arg(value_name = "PATTERN", required = true)]
        patterns: Vec<String>,
        #[command(flatten)]
        last: LastFileArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Turn quantized weights into numbers, by the scales beside them
    ///
    /// Each element is multiplied by the scale of its block, in double precision, and rounded. Scales
    /// are those named `weight_scale_inv` (DeepSeek), `weight_scale` (compressed-tensors, ModelOpt),
    /// `scale_weight` and `scale`; how large a block is, their shapes say, or weight_block_size in
    /// config.json, or --set block_rows=128 --set block_columns=128. Weights that are quantized in
    /// other ways are refused by name. Nothing leads back.
    ///
    /// 'statedict dequantise bf16 deepseek/ -o deepseek-bf16/'
    #[command(visible_alias = "dequantize")]
    Dequantise {
        /// The type of the new tensors, also for some keys alone: `bf16`, `**.experts.**=f32`
        #[arg(value_name = "[PATTERN=]DTYPE", required = true)]
        types: Vec<String>,
        #[command(flatten)]
        last: LastFileArgs,
        #[command(flatten)]
        given: RuleArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Fold weight norms: a direction and its magnitude become one weight
    ///
    /// `X_g` and `X_v`, or `parametrizations.X.original0` and `original1`, become `X`: the direction
    /// times its magnitude, divided by its norm over the dimensions in which the magnitude has one
    /// entry; calculated in double precision and rounded once. Nothing leads back.
    FoldWeightNorm {
        /// Fold these weights, by the keys they get, instead of all called weight; can be repeated
        #[arg(long = "weight", value_name = "PATTERN")]
        weights: Vec<String>,
        #[command(flatten)]
        files: FilesArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Add tensors that are made of constants: zeros, ones, constant(c), arange, triangle
    ///
    /// 'h.{i}.k.weight[o d] -> h.{i}.k.bias[o] = zeros' adds a bias for each weight, of its type and
    /// with as many elements as it has rows; 'h.{i}.ln.weight -> h.{i}.mask[1 1 n n] = triangle BOOL'
    /// a causal mask of the size n; 'position_ids[1 512] = arange I64' one tensor. What is on the
    /// left stays as it is.
    Fill {
        /// What is added, and for what
        #[arg(value_name = "[FROM ->] KEY[places] = WHAT [DTYPE]", required = true)]
        fillings: Vec<String>,
        #[command(flatten)]
        last: LastFileArgs,
        #[command(flatten)]
        given: RuleArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Leave out of a trainer's file what is not needed to use the model
    ///
    /// Entries of the file's outermost dict that lead to a model's state dict stay; optimizer,
    /// schedulers, callbacks, random states, counters and everything else go, but for what --keep
    /// names. The pickle is edited: everything that stays is, byte for byte, as it was. With neither
    /// -o nor -i nothing is written: what would be left out is shown.
    ///
    /// Exit status: 0 done, 1 there is nothing to leave out, 2 error.
    Prune(PruneArgs),
    /// Apply a recipe of stages (TOML), one of the library, or a plan saved earlier (JSON)
    ///
    /// `statedict recipes` lists the library.
    /// A recipe has one `[[stage]]` after another, each with one of strip, add, unwrap, rename,
    /// keep, drop, table, dequantise, fold-weight-norm or fill, or with drop and rename; the first
    /// may be merge-lora. `[size]` says what the sizes are that its rules speak of, `[cut]` along
    /// which dimension ranks cut tensors, and `expect` which keys are not there before it is applied.
    Apply {
        /// The file of a recipe or plan, or the name of a recipe of the library: hf-to-meta:llama
        recipe: PathBuf,
        #[command(flatten)]
        files: FilesArgs,
        /// Go back: apply what undoes the recipe or plan
        #[arg(long)]
        inverse: bool,
        /// The adapter, for a recipe with the stage merge-lora, and a plan that `merge` saved
        #[arg(long, value_name = "ADAPTER")]
        adapter: Option<PathBuf>,
        #[command(flatten)]
        given: RuleArgs,
        #[command(flatten)]
        rest: RenameArgs,
    },
    /// Write a file of another format
    ///
    /// OUT is given with -o or as the second operand; without it nothing is written, and the plan
    /// is shown.
    Convert(ConvertArgs),
    /// Merge an adapter of low rank (LoRA) into the model it was trained for
    ///
    /// Each adapted weight W becomes W + scale * (up @ down), calculated in double precision and
    /// rounded once, to the type of W; the scale is lora_alpha / r, or lora_alpha / sqrt(r) with
    /// use_rslora. Adapters are those of PEFT (a folder with adapter_config.json, or a model in
    /// training), of diffusers, and of kohya, whose names are held against the model's with
    /// underscores for dots. What an adapter has beside its factors, such as modules_to_save,
    /// replaces the model's own. A tensor of the adapter that belongs to no weight, or could
    /// belong to several, is refused, and so are DoRA, LoHa, LoKr and others.
    ///
    /// 'statedict merge llama/ lora/ -o merged/' merges a PEFT folder into a sharded model;
    /// 'statedict merge sd.safetensors style.safetensors --drop 'lora_te_*.**' -o new.safetensors'
    /// a kohya file without its text encoder.
    Merge(MergeArgs),
    /// Join files, or state dicts of one, in one new file
    ///
    /// Tensors are copied as they are, whatever the formats; two that would have one key are refused
    /// and listed, and so is whatever is no tensor. With no --output nothing is written: what would
    /// be in the file is shown.
    Join(JoinArgs),
    /// Split a file into several, by the names of its keys
    ///
    /// Tensors are copied as they are. Every tensor must go to a file, unless --only leaves the rest
    /// out. All files are written before the first takes its place.
    Split(SplitArgs),
    /// Compare the keys, dtypes, shapes and values of two files of any formats
    ///
    /// Keys whose elements the other file has under another key are shown as renames. Numbers are
    /// compared as numbers: NaN equals NaN, and -0 equals 0. A relative difference is
    /// |a - b| / max(|a|, |b|); rel L2 is the norm of the difference, of the norm of the first. The
    /// order of keys does not count as a difference.
    ///
    /// What lies beside the tensors is compared, too: numbers, texts, containers, optimizers,
    /// objects of any class by what they are made of, and metadata. What one file has and the
    /// other's format has no place for is named and does not count. With --at only state dicts
    /// are compared, with --weights-only only their tensors.
    ///
    /// Exit status: 0 the same, or within --atol and --rtol, 1 they differ, 2 could not compare, or
    /// not all of it: the list of what could not be compared is printed as errors.
    Diff(DiffArgs),
    /// Check integrity and what unpickling would execute; nothing is executed
    ///
    /// Checks structure, lengths, checksums and geometry, and follows every pickle, whatever the
    /// file's parts are called. What PyTorch's weights-only loading admits is safe, and so are some
    /// classes that do nothing. What can run code, reach files or the network, or is called without
    /// being known makes a file dangerous. A file that only needs classes of a package that is not
    /// known here, as whole models and trainers' files do, is unknown: what those classes do when
    /// they are loaded depends on what is installed.
    ///
    /// The files of one checkpoint, such as shards, ranks, or what DeepSpeed, Megatron and
    /// torch.distributed.checkpoint leave in a folder, are held against each other as well: where
    /// one is missing, or the save did not finish, the checkpoint is malformed.
    ///
    /// Exit status: 0 all safe, 1 something is dangerous or unknown, 2 something is malformed or
    /// unreadable.
    Check(CheckArgs),
    /// Find the recipe that turns the keys of one file into those of another of the same weights
    ///
    /// Keys are matched by the contents of their tensors alone; contents that several keys share
    /// (zeros, ties) follow the rules found for the others, or are left unresolved. The recipe is
    /// printed, for `apply`. What renaming cannot do is named beside it: tensors that are
    /// transposed, reshaped, rows or columns of others; keys that are unresolved.
    ///
    /// Exit status: 0 the recipe gives all of the second file, 1 not all, 2 could not compare.
    Derive(DeriveArgs),
    /// Make a checkpoint load into a model
    ///
    /// The new file has exactly the keys of TARGET, in its order, with its shapes and types. Keys
    /// are matched by name, without wrappers, below other prefixes, by the same numbering and
    /// shapes, and by order between matched neighbours. Ambiguous matches are left unresolved, and
    /// what is missing is refused unless --init says how to make it. With no --output nothing is
    /// written: what was found is shown.
    ///
    /// Exit status: 0 it fits, 1 it does not, 2 error.
    Fit(FitArgs),
    /// Explain a PyTorch loading error and print the fix
    ///
    /// Reads the error text on standard input, with whatever is around it, and prints what happened
    /// and the one command that fixes it: 'python train.py 2>&1 | statedict explain CKPT'. With CKPT
    /// the command is tried on that file, up to the writing; without, the command names a file CKPT.
    ///
    /// Exit status: 0 there is a command (verified, if CKPT is given), 1 there is none or it does not
    /// help, 2 unknown text.
    Explain(ExplainArgs),
    /// Make or correct the index of a folder of shards
    ///
    /// The shards are the files whose names make them one series, such as
    /// model-00001-of-00002.safetensors, or those that are named. A series with a missing file and
    /// keys that several files hold are refused. An index that is there and says something else is
    /// replaced with --force; without, what differs is shown.
    Index(IndexArgs),
    /// Do one part of a job that was planned with --plan-parts
    ///
    /// Everything is planned once more from the same input, which must not have changed, and the files
    /// of this part alone are written; those that are there stay. A part may be done anywhere and any
    /// number of times, and one that was killed is done again: a file is complete or absent.
    ///
    /// Exit status: 0 the part is done, 1 the input has changed, or the plan, 2 error.
    RunPart(RunPartArgs),
    /// Verify the parts of a job and write the index of their files
    ///
    /// Exit status: 0 the job is done, 1 parts are not done, or the input has changed, 2 error.
    Finish(FinishArgs),
    /// List the recipes that come with the program, or print one
    ///
    /// They are published conversions between the names and layouts of models, each tested against
    /// what the official converter makes: `statedict apply hf-to-meta:llama model/ -o out/`. A name
    /// says FROM-to-TO:FAMILY; most lead back, under the name with FROM and TO exchanged.
    Recipes(RecipesArgs),
    /// Restore a file or shards whose editing in place was interrupted, by a crash or a kill
    ///
    /// Editing with -i leaves a journal beside the file until it is done. Every command reads such
    /// a file as it was before the edit, and the next one with -i restores it; this one does
    /// nothing else. Shards that were edited together all become what they were, or, once their index
    /// has been replaced, what they were to become. Nothing to restore is not an error.
    Recover(RecoverArgs),
    /// Print the completions of a shell
    ///
    /// 'source <(statedict completions bash)' in ~/.bashrc, or for fish:
    /// 'statedict completions fish > ~/.config/fish/completions/statedict.fish'.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder: statedict.1 and one for each command
    Man {
        /// The folder, such as ~/.local/share/man/man1
        folder: PathBuf,
    },
}

/// What is to be done.
pub(crate) enum Task {
    List(ListRequest),
    Rename(Several<RenameRequest>),
    Diff(DiffRequest),
    Check(CheckRequest),
    Derive(DeriveRequest),
    Fit(Several<FitRequest>),
    Explain(ExplainRequest),
    Index(IndexRequest),
    Recipes(RecipesRequest),
    Shell(ShellRequest),
    Split(SplitRequest),
    Stats(Several<StatsRequest>),
    View(ViewRequest),
    Cat(CatRequest),
    Prune(Several<PruneRequest>),
    Recover(Several<RecoverRequest>),
    RunPart(RunPartRequest),
    Finish(FinishRequest),
}

impl Args {
    /// How the work is followed.
    pub(crate) fn following(&self) -> Following {
        self.talk.following()
    }

    /// The task that was typed.
    pub(crate) fn task(self) -> Result<Task, Failure> {
        let Args { command, talk } = self;
        let verbosity = talk.verbosity();
        let (kind, (words, files), rest) = match command {
            Command::Ls(ls) => return Ok(Task::List(ls.request(verbosity)?)),
            Command::Completions { shell } => {
                return Ok(Task::Shell(ShellRequest::Completions(shell)));
            }
            Command::Man { folder } => {
                return Ok(Task::Shell(ShellRequest::Pages(folder, verbosity)));
            }
            Command::Stats(stats) => return Ok(Task::Stats(stats.request(verbosity)?)),
            Command::View(view) => return Ok(Task::View(view.request(verbosity)?)),
            Command::Cat(cat) => return Ok(Task::Cat(cat.request(verbosity)?)),
            Command::Prune(prune) => return Ok(Task::Prune(prune.request(verbosity)?)),
            Command::Diff(diff) => return Ok(Task::Diff(diff.request(verbosity))),
            Command::Check(check) => return Ok(Task::Check(check.request(verbosity))),
            Command::Derive(derive) => return Ok(Task::Derive(derive.request(verbosity))),
            Command::Fit(fit) => return Ok(Task::Fit(fit.request(verbosity)?)),
            Command::Explain(explain) => return Ok(Task::Explain(explain.request(verbosity))),
            Command::Index(index) => return Ok(Task::Index(index.request(verbosity))),
            Command::Recipes(recipes) => return Ok(Task::Recipes(recipes.request(verbosity))),
            Command::RunPart(part) => return Ok(Task::RunPart(part.request(verbosity))),
            Command::Finish(finish) => return Ok(Task::Finish(finish.request(verbosity))),
            Command::Recover(recover) => return Ok(Task::Recover(recover.request(verbosity))),
            Command::Convert(convert) => return Ok(Task::Rename(convert.request(verbosity)?)),
            Command::Join(join) => {
                return Ok(Task::Rename(Several::one(join.request(verbosity)?)));
            }
            Command::Split(split) => return Ok(Task::Split(split.request(verbosity)?)),
            Command::Merge(merge) => {
                return Ok(Task::Rename(Several::one(merge.request(verbosity)?)));
            }
            Command::Apply { recipe, files, inverse, adapter, given, rest } => {
                let direction = if inverse { Direction::Inverse } else { Direction::Forward };
                let rules = recipe_rules(&recipe, direction, rest.own_separators())?;
                let requests = rest.request(files.files, rules, verbosity)?;
                return Ok(Task::Rename(requests.map(|request| {
                    let mut request = given.complete(request);
                    request.job.adapter.clone_from(&adapter);
                    request
                })));
            }
            Command::Rename { rules, last, given, rest } => {
                let (rules, files) = last.parted(rules);
                let stages = match rules.as_slice() {
                    [] => Vec::new(),
                    words => vec![RuleKind::Rename.rule(words, rest.separators())?],
                };
                let requests = rest.request(files, Rules::Stages(stages), verbosity)?;
                return Ok(Task::Rename(requests.map(|request| given.complete(request))));
            }
            Command::Dequantise { types, last, given, rest } => {
                let (types, files) = last.parted(types);
                let stage = RuleKind::Dequantise.rule(&types, rest.separators())?;
                let requests = rest.request(files, Rules::Stages(vec![stage]), verbosity)?;
                return Ok(Task::Rename(requests.map(|request| given.complete(request))));
            }
            Command::Fill { fillings, last, given, rest } => {
                let (fillings, files) = last.parted(fillings);
                let stage = RuleKind::Fill.rule(&fillings, rest.separators())?;
                let requests = rest.request(files, Rules::Stages(vec![stage]), verbosity)?;
                return Ok(Task::Rename(requests.map(|request| given.complete(request))));
            }
            Command::FoldWeightNorm { weights, files, rest } => {
                (RuleKind::FoldWeightNorm, (weights, files.files), rest)
            }
            Command::Strip { prefix, files, rest } => {
                (RuleKind::Strip, (vec![prefix], files.files), rest)
            }
            Command::Add { prefix, files, rest } => {
                (RuleKind::Add, (vec![prefix], files.files), rest)
            }
            Command::Unwrap { wrappers, files, rest } => {
                (RuleKind::Unwrap, (wrappers, files.files), rest)
            }
            Command::Keep { patterns, last, rest } => (RuleKind::Keep, last.parted(patterns), rest),
            Command::Drop { patterns, last, rest } => (RuleKind::Drop, last.parted(patterns), rest),
        };
        let stage = kind.rule(&words, rest.separators())?;
        Ok(Task::Rename(rest.request(files, Rules::Stages(vec![stage]), verbosity)?))
    }
}

/// The command with all that its help, its completions and its manual pages say.
pub(crate) fn command() -> clap::Command {
    completion::given(examples::given(headings::given(Args::command())))
}

/// What these words mean.
pub(crate) fn parse(words: &[OsString]) -> Result<Args, clap::Error> {
    let mut command = command();
    let found = command.try_get_matches_from_mut(words);
    let found = found.map_err(|error| guesses::with_tip(error, &command, words))?;
    Args::from_arg_matches(&found).map_err(|error| error.format(&mut command))
}

/// How the outcome is to be printed, also of words that mean nothing.
pub(crate) fn output_format(words: &[OsString]) -> OutputFormat {
    let options = words.iter().take_while(|word| *word != "--");
    OutputFormat::of(options.into_iter().any(|word| word == "--json"))
}

/// The words that were typed; a file alone is listed.
pub(crate) fn completed(typed: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = typed.collect();
    let is_command = |word: &str| command().find_subcommand(word).is_some() || word == "help";
    if let Some(first) = words.get(1)
        && Path::new(first).exists()
        && !first.to_str().is_some_and(|word| word.starts_with('-') || is_command(word))
    {
        words.insert(1, "ls".into());
    }
    words
}

/// The rules of a recipe or plan in a file, or else of a recipe of the library.
fn recipe_rules(
    recipe: &Path,
    direction: Direction,
    separators: Option<Separators>,
) -> Result<Rules, Failure> {
    let is_name = recipe.components().count() == 1 && recipe.extension().is_none();
    match recipe.to_str() {
        Some(name) if is_name && !recipe.exists() => {
            let found = library::find(name).map_err(|unknown| {
                let error = format!("'{name}' is neither a file nor a recipe of the library");
                Failure { errors: vec![error], ..recipes::unknown(unknown) }
            })?;
            Ok(found.rules(direction)?)
        }
        _ => Ok(recipe::read(recipe, direction, separators)?),
    }
}

#[cfg(test)]
mod tests;
