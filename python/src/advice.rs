//! What would help, in the words of the Python package.

use statedict::Advice;
use statedict::checkpoint::{Error, FORMATS, Kind};
use statedict::jobs::selection::Role;
use statedict::jobs::words::first_few;

/// Keys and names that a line lists.
const NAMED: usize = 8;

/// The hint of an exception, if something would help.
pub(crate) fn of(advice: &[Advice]) -> Option<String> {
    let lines: Vec<String> = advice.iter().map(line).collect();
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
        Kind::AlreadyExists => Some(line(&Advice::ReplaceExisting)),
        _ => None,
    }
}

fn line(advice: &Advice) -> String {
    match advice {
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
        Advice::MeantPath { of, path } => format!("did you mean {}={path:?}?", argument(*of)),
        Advice::Meant(meant) => format!("did you mean '{meant}'?"),
        Advice::FirstSegments(counts) if counts.is_empty() => "the state dict has no keys".into(),
        Advice::FirstSegments(counts) => {
            let segments: Vec<_> =
                counts.iter().map(|(name, n)| format!("'{name}' ({n})")).collect();
            format!("keys start with {}", first_few(&segments, NAMED))
        }
        Advice::AllowUnchanged => "allow_unchanged=True accepts that".into(),
        Advice::Extract { file, at } => {
            let at = at.as_ref().map(|at| format!(", at={at:?}")).unwrap_or_default();
            format!(
                "statedict.load_file({:?}{at}) gives its state dict",
                file.display().to_string()
            )
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
        other => format!("{other:?}"),
    }
}

fn select(of: Role, path: &str) -> String {
    format!("{}={:?}", argument(of), if path.is_empty() { "/" } else { path })
}

/// The argument that names a state dict of a file.
fn argument(role: Role) -> &'static str {
    match role {
        Role::First => "at",
        Role::Second => "at_b",
        Role::Target => "at_target",
    }
}
