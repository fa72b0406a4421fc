//! What would help, in the words of the Python package.

use statedict::Advice;
use statedict::checkpoint::{Error, FORMATS, Kind};
use statedict::jobs::selection::Role;
use statedict::jobs::words::first_few;

use crate::words::literal;

/// Keys and names that a line lists.
const NAMED: usize = 8;

/// The hint of an exception, if something would help.
pub(crate) fn of(advice: &[Advice]) -> Option<String> {
    let lines: Vec<String> = advice.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The same for what is wrong with a file.
pub(crate) fn of_file(error: &Error) -> Option<String> {
    if let Some(folder) = error.mended_by_index() {
        let folder = folder.display();
        return Some(format!("'statedict index {folder}' makes an index of the shards"));
    }
    if !error.candidates().is_empty() {
        let files = error.candidates().iter().map(|path| format!("'{}'", path.display()));
        let files: Vec<String> = files.collect();
        return Some(format!("name one of them: {}", first_few(&files, NAMED)));
    }
    match error.kind() {
        Kind::Journal => Some("if the file is whole, remove the journal".into()),
        Kind::UntrustedJournal => Some(format!(
            "if an edit of your own was interrupted, 'statedict recover --trust-journal {}' \
             restores the file; if the journal came with the file, remove the journal",
            error.path().display()
        )),
        Kind::AlreadyExists => line(&Advice::ReplaceExisting),
        _ => None,
    }
}

/// What is said; nothing of what the package has no function for.
fn line(advice: &Advice) -> Option<String> {
    Some(match advice {
        Advice::ReplaceExisting => "overwrite=True replaces it".into(),
        Advice::EditProtected => "overwrite=True edits it nonetheless".into(),
        Advice::WriteElsewhere => "write another file, which keeps this one".into(),
        Advice::NameFormat => {
            let extensions = FORMATS.iter().flat_map(|format| format.facts().extensions);
            let extensions: Vec<String> = extensions.map(|it| format!(".{it}")).collect();
            format!("use one of {}", extensions.join(", "))
        }
        Advice::Select { of, path } => select(*of, path),
        Advice::SelectOrAll(path) => format!("{} (or at='*' for all)", select(Role::First, path)),
        Advice::SelectJoined(path) => {
            format!("{} takes all of them as one", select(Role::First, path))
        }
        Advice::SelectOne(of) => format!("{} takes one state dict", argument(*of)),
        Advice::MeantPath { of, path } => {
            format!("did you mean {}={}?", argument(*of), literal(path))
        }
        Advice::Meant(meant) => format!("did you mean '{meant}'?"),
        Advice::ListKeys(file) => {
            format!(
                "print(statedict.open({}).summary()) lists its keys",
                literal(&file.display().to_string())
            )
        }
        Advice::FirstSegments(counts) if counts.is_empty() => "the state dict has no keys".into(),
        Advice::FirstSegments(counts) => {
            let segments: Vec<_> =
                counts.iter().map(|(name, n)| format!("'{name}' ({n})")).collect();
            format!("keys start with {}", first_few(&segments, NAMED))
        }
        Advice::AllowUnchanged => "allow_unchanged=True accepts that".into(),
        Advice::Extract { file, at } => {
            let at = at.as_ref().map(|at| format!(", at={}", literal(at))).unwrap_or_default();
            let file = literal(&file.display().to_string());
            format!("statedict.load_file({file}{at}) gives its state dict")
        }
        Advice::CastLess | Advice::CastWithinRange => {
            "dtype={'PATTERN': 'float32'} casts some tensors alone".into()
        }
        Advice::DropUnsupported => "drop these tensors first: 'drop:KEY'".into(),
        Advice::LeaveMentions => "without strict=True these names stay as they are".into(),
        Advice::FormatWithMetadata => "safetensors and .pth have one".into(),
        Advice::SavePlan => "save_plan='plan.json' keeps what leads back".into(),
        Advice::TargetKinds => "a model is a module, a state dict, or a checkpoint of it".into(),
        Advice::OtherEvidence => {
            "the other evidence needs no order: leave by='position' out".into()
        }
        Advice::DropKeys => {
            "drop=[PATTERN] and drop_last=N skip keys of the checkpoint, and keys that init makes \
             do not count"
                .into()
        }
        Advice::WholeText(_) => "give it the whole text of the error".into(),
        _ => return None,
    })
}

/// Options that messages name, and the arguments that do the same here.
const ARGUMENTS: [(&str, &str); 13] = [
    ("--set block_rows=N --set block_columns=N", "sizes={'block_rows': N, 'block_columns': N}"),
    ("--set NAME=N", "sizes={'NAME': N}"),
    ("--set ", "sizes: "),
    ("(--set)", "(sizes)"),
    ("add --cast f32", "cast it to float32"),
    ("--ties each", "ties='each'"),
    ("--init ...=target", "init={...: 'target'}"),
    ("--at PATH", "at=PATH"),
    ("--at", "at"),
    ("--protocol", "protocol"),
    ("--metadata:", "metadata:"),
    ("--shard-size SIZE", "max_shard_size=SIZE"),
    ("--shard-size", "max_shard_size"),
];

/// The message with arguments in place of the command's options.
pub(crate) fn in_arguments(message: &str) -> String {
    ARGUMENTS.iter().fold(message.to_string(), |message, (option, argument)| {
        // Most messages name none.
        if message.contains(option) { message.replace(option, argument) } else { message }
    })
}

fn select(of: Role, path: &str) -> String {
    format!("{}={}", argument(of), literal(if path.is_empty() { "/" } else { path }))
}

/// The argument that names a state dict of a file.
fn argument(role: Role) -> &'static str {
    match role {
        Role::First => "at",
        Role::Second => "at_b",
        Role::Target => "at_target",
    }
}
