//! The command that a remedy stands for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use statedict_checkpoint::format_named_by;
use statedict_core::{
    Format, Remap, Rule, Undefined,
    explain::{Diagnosis, Remedy},
};

use crate::terminal::text::as_operand;

/// What stands for the checkpoint where none was given.
const CHECKPOINT: &str = "CKPT";

/// What stands for a file of the model's own state dict.
pub(crate) const MODEL: &str = "MODEL";

/// The files that a command names.
pub(crate) struct Names {
    file: String,
    target: String,
    /// The output, without its extension.
    output: PathBuf,
    extension: String,
    /// True if the file is a model folder, of which the output is another one.
    is_folder: bool,
}

impl Names {
    /// The files that were given, or words that stand for them.
    pub(crate) fn of(
        file: Option<&Path>,
        target: Option<&Path>,
        format: Option<&'static dyn Format>,
    ) -> Names {
        let shown = as_operand;
        let named = file.filter(|file| format_named_by(file).is_some()).and_then(Path::extension);
        let own = format.and_then(|format| format.extensions().first().copied());
        // An archive whose name ends in `.pth.tar` is no tar archive.
        let named = named.and_then(OsStr::to_str).filter(|extension| *extension != "tar");
        let extension = named.or(own).unwrap_or("pth").to_string();
        let is_folder = file.is_some_and(Path::is_dir);
        let output = match file {
            None => PathBuf::from("OUT"),
            Some(file) => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let stem = name.split_once('.').map_or(&*name, |(stem, _)| stem);
                let stem = if is_folder { &*name } else { stem };
                let stem = if stem.is_empty() { &*name } else { stem };
                file.with_file_name(format!("{stem}-new"))
            }
        };
        Names {
            file: file.map_or(CHECKPOINT.into(), shown),
            target: target.map_or(MODEL.into(), shown),
            output,
            extension,
            is_folder,
        }
    }

    /// A name for the output that is not taken.
    fn output(&self, extension: &str) -> String {
        let named = |number: usize| {
            let number = if number == 1 { String::new() } else { format!("-{number}") };
            let ending = match self.is_folder && *extension == self.extension {
                true => String::new(),
                false => format!(".{extension}"),
            };
            PathBuf::from(format!("{}{number}{ending}", self.output.display()))
        };
        let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
        let free = (1..100).map(named).find(is_free).unwrap_or_else(|| named(1));
        as_operand(&free)
    }
}

/// True if the command names a model.
pub(crate) fn needs_model(diagnosis: &Diagnosis) -> bool {
    matches!(diagnosis.remedy, Remedy::Fit { .. })
}

/// The command, after the program's name; `None` if nothing helps.
pub(crate) fn words(diagnosis: &Diagnosis, names: &Names) -> Option<Vec<String>> {
    let output = |extension: &str| names.output(extension);
    let mut options: Vec<String> = Vec::new();
    if let Some(at) = &diagnosis.at
        && !matches!(diagnosis.remedy, Remedy::Check | Remedy::Look)
    {
        options.extend(["--at".into(), at.clone()]);
    }
    let file = || names.file.clone();
    let (name, positional) = match &diagnosis.remedy {
        Remedy::Rename { rule, undefined, alone } => {
            let (name, mut words) = renaming(rule)?;
            words.push(file());
            options.extend((*undefined == Undefined::Drop).then(|| "--only".into()));
            options.extend(alone.then(|| "--alone".into()));
            options.extend(["-o".into(), output(&names.extension)]);
            (name, words)
        }
        Remedy::Extract => {
            options.push("--alone".into());
            ("convert", vec![file(), output(&names.extension)])
        }
        Remedy::Fit { init, resize } => {
            options.splice(0..0, ["--to".into(), names.target.clone()]);
            options.extend(init.iter().flat_map(|rule| ["--init".into(), rule.clone()]));
            options.extend(resize.iter().flat_map(|rule| ["--resize".into(), rule.clone()]));
            options.extend(["-o".into(), output(&names.extension)]);
            ("fit", vec![file()])
        }
        Remedy::Protocol => {
            options.extend(["--protocol".into(), "2".into()]);
            ("convert", vec![file(), output("pth")])
        }
        Remedy::Convert(extension) => ("convert", vec![file(), output(extension)]),
        Remedy::Cast(dtype) => {
            options.extend(["--cast".into(), dtype.to_string()]);
            ("convert", vec![file(), output(&names.extension)])
        }
        Remedy::Metadata(pair) => {
            options.splice(0..0, ["--metadata".into(), pair.to_string()]);
            options.extend(["-o".into(), output(&names.extension)]);
            ("rename", vec![file()])
        }
        Remedy::Check => ("check", vec![file()]),
        Remedy::Look => ("ls", vec![file()]),
        Remedy::Nothing => return None,
    };
    Some(joined(name, positional, options))
}

/// Options come last, as people write them, unless a word would be taken for one.
fn joined(name: &str, positional: Vec<String>, options: Vec<String>) -> Vec<String> {
    let mut words = vec![name.to_string()];
    match positional.iter().any(|word| word.starts_with('-')) {
        true => {
            words.extend(options);
            words.push("--".into());
            words.extend(positional);
        }
        false => {
            words.extend(positional);
            words.extend(options);
        }
    }
    words
}

/// The command of a rule, and the words that stand before the file.
fn renaming(rule: &Rule) -> Option<(&'static str, Vec<String>)> {
    Some(match rule {
        Rule::Unwrap(_) => ("unwrap", Vec::new()),
        Rule::Remap(Remap::Strip(prefix)) => ("strip", vec![prefix.text().to_string()]),
        Rule::Remap(Remap::Add(prefix)) => ("add", vec![prefix.text().to_string()]),
        Rule::Remap(Remap::Drop(templates)) => {
            ("drop", templates.iter().map(ToString::to_string).collect())
        }
        rules => {
            let one = |rule: &Rule| match rule {
                Rule::Remap(Remap::Rename(rename)) => Some(rename.pair().to_string()),
                Rule::Rewrite(pair) => Some(pair.to_string()),
                _ => None,
            };
            ("rename", rules.alternatives().iter().map(one).collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::explain::{LoadError, diagnose};

    fn check(text: &str, file: Option<&str>, expected: &str) {
        let complaint = LoadError::read(text).expect("it is known");
        let diagnosis = diagnose(&complaint, None);
        let words = words(&diagnosis, &Names::of(file.map(Path::new), None, None));
        assert_eq!(words.map(|words| words.join(" ")).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn commands_name_the_files_or_words_that_stand_for_them() {
        let text = r#"Missing key(s) in state_dict: "a.w". Unexpected key(s) in state_dict: "module.a.w". "#;
        check(text, None, "unwrap CKPT -o OUT.pth");
        check(text, Some("d/net.bin"), "unwrap d/net.bin -o d/net-new.bin");
        check(text, Some("net.pth.tar"), "unwrap net.pth.tar -o net-new.pth");
        let head = "size mismatch for fc.w: copying a param with shape torch.Size([9, 4]) from \
                    checkpoint, the shape in current model is torch.Size([5, 4]).";
        check(head, None, "fit CKPT --to MODEL --init fc.w=target -o OUT.pth");
        check("invalid load key, 'v'.", Some("net.pth"), "check net.pth");
    }

    #[test]
    fn words_that_look_like_options_stand_behind_a_mark() {
        let text =
            r#"Missing key(s) in state_dict: "a". Unexpected key(s) in state_dict: "-x.a". "#;
        check(text, None, "strip -o OUT.pth -- -x CKPT");
    }
}
