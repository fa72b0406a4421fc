//! Ways out: what to type instead of what was refused.

pub(crate) mod command_line;

use std::path::Path;

use statedict::Advice;
use statedict::checkpoint::{FORMATS, written_formats};
use statedict::jobs::selection::{Choice, Role, Summary};
use statedict::jobs::target::stem;

use crate::terminal::text::{NAMED, count, first_few, quoted, shell_option, shell_path};

/// How to give `explain` more to read.
const WHOLE_TEXT: &str =
    "give it the whole text, from 'Traceback' or 'Error(s) in loading state_dict' on";

/// What advice means to somebody who types commands.
pub(crate) fn of(advice: &[Advice]) -> Vec<String> {
    advice.iter().flat_map(lines).collect()
}

fn lines(advice: &Advice) -> Vec<String> {
    match advice {
        Advice::WholeText(Some(file)) => {
            vec![WHOLE_TEXT.into(), format!("statedict check {} examines the file", file.display())]
        }
        advice => vec![line(advice)],
    }
}

fn line(advice: &Advice) -> String {
    match advice {
        Advice::ReplaceExisting => "add --force to replace it".into(),
        Advice::EditProtected => {
            "add --force to edit it nonetheless, or write another file with -o".into()
        }
        Advice::WriteElsewhere => "write another file with -o, which keeps this one".into(),
        Advice::NameFormat => name_format(),
        Advice::Select { of, path } => select(*of, path),
        Advice::SelectOrAll(path) => {
            format!("{} (or --at '*' for all)", select(Role::First, path))
        }
        Advice::SelectJoined(path) => {
            let option = select(Role::First, path);
            format!("{option} to take all of them as one, with dots in the keys, into a new file")
        }
        Advice::SelectOne(of) => format!("expected one state dict: {} PATH", option_of(*of)),
        Advice::MeantPath { of, path } => {
            format!("did you mean {}?", shell_option(option_of(*of), path))
        }
        Advice::Meant(meant) => format!("did you mean {}?", quoted(meant)),
        Advice::ListKeys(file) => format!("statedict ls {} lists the keys", shell_path(file)),
        Advice::FirstSegments(counts) => first_segments(counts),
        Advice::AllowUnchanged => "add --allow-unchanged if that is fine".into(),
        Advice::Extract { file, at } => extraction(file, at.as_deref()),
        Advice::CastLess => "--alone writes the state dict by itself, and --cast 'PATTERN=DTYPE' \
                             leaves some tensors out"
            .into(),
        Advice::CastWithinRange => "bf16 has the range of f32; --cast 'PATTERN=f32' keeps some \
                                    tensors as they are"
            .into(),
        Advice::AdapterConfig => "--config FILE names adapter_config.json, --alpha N gives its \
                                  lora_alpha, and --drop PATTERN leaves keys of the adapter out"
            .into(),
        Advice::SelectEach => {
            "with --at once for each file each has its own: --at / for a file that \
                               is one state dict"
                .into()
        }
        Advice::TakeRest => {
            "'**=rest.safetensors' last takes the rest, --only leaves it out".into()
        }
        Advice::TellApart => {
            "--prefix NAME=, once for each file, puts NAME. before its keys".into()
        }
        Advice::DropUnsupported => {
            "statedict drop KEY... FILE -o OUT leaves tensors out and converts the others".into()
        }
        Advice::LeaveMentions => "without --strict these names stay as they are".into(),
        Advice::FormatWithMetadata => "safetensors and .pth have one".into(),
        Advice::SavePlan => "save a plan when the recipe is applied (--save-plan plan.json); \
                             statedict apply plan.json --inverse leads back"
            .into(),
        Advice::TargetKinds => {
            "a target is a checkpoint, or what 'statedict ls --json' prints of one".into()
        }
        Advice::OtherEvidence => "the other evidence needs no order: leave --by position out, and \
                                  --drop PATTERN skips keys by name"
            .into(),
        Advice::DropKeys => "--drop PATTERN and --drop-last N skip keys of the checkpoint, and \
                             keys that --init makes do not count"
            .into(),
        Advice::WholeText(_) => WHOLE_TEXT.into(),
        other => format!("{other:?}"),
    }
}

/// The option that takes another state dict of a file.
pub(crate) fn option_of(role: Role) -> &'static str {
    match role {
        Role::First => "--at",
        Role::Second => "--at-b",
        Role::Target => "--at-target",
    }
}

/// Which of several state dicts was taken, and how to take another.
pub(crate) fn choice(choice: &Choice, file: &Path, of: Role) -> String {
    let others: Vec<String> = choice.others.iter().map(state_dict).collect();
    let (file, taken, others) =
        (file.display(), state_dict(&choice.taken), first_few(&others, NAMED));
    format!("note: {file}: taking {taken}; {} PATH takes another: {others}", option_of(of))
}

/// `'model' (12 tensors)`; the root is `'/'`, as options name it.
pub(crate) fn state_dict(state_dict: &Summary) -> String {
    let at = if state_dict.path.is_empty() { "/" } else { &state_dict.path };
    format!("'{at}' ({})", count(state_dict.tensors, "tensor"))
}

/// How to name one state dict.
fn select(of: Role, path: &str) -> String {
    format!("add {}", shell_option(option_of(of), if path.is_empty() { "/" } else { path }))
}

fn name_format() -> String {
    let extensions = FORMATS.iter().flat_map(|format| format.facts().extensions);
    let extensions: Vec<_> = extensions.map(|extension| format!(".{extension}")).collect();
    let formats: Vec<&str> = written_formats().map(|format| format.name()).collect();
    let formats = formats.join(", ");
    format!("use one of {}, or add --format FORMAT ({formats})", extensions.join(", "))
}

fn first_segments(counts: &[(String, usize)]) -> String {
    if counts.is_empty() {
        return "the state dict has no keys".into();
    }
    let segments: Vec<_> = counts.iter().map(|(name, n)| format!("'{name}' ({n})")).collect();
    format!("keys start with {}", first_few(&segments, 8))
}

/// The command that takes a state dict out of an object whose keys are fixed.
fn extraction(file: &Path, at: Option<&str>) -> String {
    let output = file.with_file_name(format!("{}-state-dict.pth", stem(file)));
    let at = at.map(|at| format!(" {}", shell_option("--at", at))).unwrap_or_default();
    format!("statedict convert{at} {} {}", shell_path(file), shell_path(&output))
}
