//! The job behind a remedy.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use statedict_checkpoint::format_named_by;
use statedict_core::{
    Format, MetadataEdits, Policy, SEPARATOR,
    casting::{CastRule, Casting},
    explain::{Diagnosis, Remedy},
    fit::FillOptions,
    init::{InitRule, ResizeRule},
};

use crate::jobs::explain::Explain;
use crate::jobs::rename::{Destination, Encoding, Extent, Pickles};
use crate::jobs::selection::Input;
use crate::jobs::{Convert, Fit, Rename, Rules};

/// The name of the checkpoint where none was given.
pub const CHECKPOINT: &str = "CKPT";

/// The name of a file of the model's own state dict, where none was given.
pub const MODEL: &str = "MODEL";

/// A job that makes a file load, or shows more of it.
///
/// Files that were not given are called [`CHECKPOINT`] and [`MODEL`].
#[derive(Clone)]
pub enum Fix {
    /// Other keys.
    Rename(Rename),
    /// Another format, type or protocol, or the state dict alone.
    Convert(Convert),
    /// A fit into the model.
    Fit(Fit),
    /// An examination of this file.
    Check(PathBuf),
    /// A look at the keys of this file.
    List(PathBuf),
}

impl Explain {
    /// What helps; `None` if nothing does.
    pub(super) fn fix(
        &self,
        diagnosis: &Diagnosis,
        format: Option<&'static dyn Format>,
    ) -> Option<Fix> {
        let names = Names::of(self.file.as_deref(), format);
        let (file, at) = (names.file.clone(), diagnosis.path.clone());
        let own = || names.output(&names.extension);
        let convert = |extension: &str, encoding: Encoding| {
            let (file, at) = (names.file.clone(), diagnosis.path.clone());
            let output = Some(names.output(extension));
            Some(Fix::Convert(Convert { file, at, output, encoding, ..Convert::default() }))
        };
        match &diagnosis.remedy {
            Remedy::Rename { rule, undefined, alone } => Some(Fix::Rename(Rename {
                file,
                at,
                rules: Rules::together([rule.clone()]),
                policy: Policy { undefined: *undefined, ..Policy::default() },
                destination: Destination::File(own()),
                encoding: Encoding {
                    extent: if *alone { Extent::Alone } else { Extent::Whole },
                    ..Encoding::default()
                },
                ..Rename::default()
            })),
            Remedy::Extract => {
                convert(&names.extension, Encoding { extent: Extent::Alone, ..Encoding::default() })
            }
            Remedy::Fit { init, resize } => {
                let target = self.target.clone().unwrap_or_else(|| MODEL.into());
                Some(Fix::Fit(Fit {
                    source: Input { file, at },
                    target: Input::file(target),
                    fill: fill(init, resize)?,
                    output: Some(own()),
                    ..Fit::default()
                }))
            }
            Remedy::Protocol => {
                convert("pth", Encoding { pickles: Pickles::Protocol2, ..Encoding::default() })
            }
            Remedy::Convert(extension) => convert(extension, Encoding::default()),
            Remedy::Cast(dtype) => {
                let casting = Casting { rules: vec![CastRule::parse(dtype, SEPARATOR).ok()?] };
                convert(&names.extension, Encoding { casting, ..Encoding::default() })
            }
            Remedy::Metadata(pair) => Some(Fix::Rename(Rename {
                file,
                at,
                metadata: MetadataEdits::parse([*pair], Vec::new()).ok()?,
                destination: Destination::File(own()),
                ..Rename::default()
            })),
            Remedy::Check => Some(Fix::Check(file)),
            Remedy::Look => Some(Fix::List(file)),
            Remedy::Nothing => None,
        }
    }
}

fn fill(init: &[String], resize: &[String]) -> Option<FillOptions> {
    let mut fill = FillOptions::default();
    for text in init {
        fill.initialiser.rules.push(InitRule::parse(text, SEPARATOR).ok()?);
    }
    for text in resize {
        fill.resize.push(ResizeRule::parse(text, SEPARATOR).ok()?);
    }
    Some(fill)
}

/// The files that a job names.
struct Names {
    file: PathBuf,
    /// The output, without its extension.
    output: PathBuf,
    extension: String,
    /// True if the file is a model folder, of which the output is another one.
    is_folder: bool,
}

impl Names {
    /// The file that was given, or a placeholder.
    fn of(file: Option<&Path>, format: Option<&'static dyn Format>) -> Names {
        let named = file.filter(|file| format_named_by(file).is_some()).and_then(Path::extension);
        let own = format.and_then(|format| format.facts().extensions.first().copied());
        // An archive whose name ends in `.pth.tar` is not a tar archive.
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
        let file = file.map_or_else(|| PathBuf::from(CHECKPOINT), Path::to_path_buf);
        Names { file, output, extension, is_folder }
    }

    /// A name for the output that is not taken.
    fn output(&self, extension: &str) -> PathBuf {
        let named = |number: usize| {
            let number = if number == 1 { String::new() } else { format!("-{number}") };
            let ending = if self.is_folder && *extension == self.extension {
                String::new()
            } else {
                format!(".{extension}")
            };
            PathBuf::from(format!("{}{number}{ending}", self.output.display()))
        };
        let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
        (1..100).map(named).find(is_free).unwrap_or_else(|| named(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_beside_the_file_and_keeps_the_ending_of_its_format() {
        let check = |file: Option<&str>, expected: &str| {
            let names = Names::of(file.map(Path::new), None);
            assert_eq!(names.output(&names.extension), Path::new(expected), "{file:?}");
        };
        check(None, "OUT.pth");
        check(Some("d/net.bin"), "d/net-new.bin");
        check(Some("net.pth.tar"), "net-new.pth");
    }
}
