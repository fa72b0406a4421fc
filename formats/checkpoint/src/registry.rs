//! The one list of formats, and what names ask for.

use std::path::Path;

use statedict_core::Format;
use statedict_dcp::{DCP, HUB};
use statedict_megatron::MEGATRON;
use statedict_npz::NPZ;
use statedict_pth::PTH;
use statedict_ranks::RANKS;
use statedict_safetensors::SAFETENSORS;
use statedict_zero::ZERO;

/// Every format of files, in the order in which they are asked whether a file is theirs.
pub static FORMATS: &[&dyn Format] = &[
    &PTH,
    &NPZ,
    &SAFETENSORS,
    #[cfg(test)]
    &crate::raw_arrays::RAW_ARRAYS,
];

/// Every format whose checkpoints are always folders of many files; most are only read.
pub static FOLDER_FORMATS: &[&dyn Format] = &[&MEGATRON, &DCP, &HUB, &ZERO, &RANKS];

/// The format that a file name's ending asks for.
pub fn format_named_by(path: &Path) -> Option<&'static dyn Format> {
    ending(path).map(|(format, _)| format)
}

/// The format that a file name's ending asks for, and that ending without its dot: `pth.tar`.
pub fn ending(path: &Path) -> Option<(&'static dyn Format, &'static str)> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let mut known = FORMATS.iter().flat_map(|format| {
        format.facts().extensions.iter().map(move |extension| (*format, *extension))
    });
    known.find(|(_, extension)| {
        let stem = name.strip_suffix(extension).and_then(|stem| stem.strip_suffix('.'));
        stem.is_some_and(|stem| !stem.is_empty())
    })
}

/// Every format that is written.
pub fn written_formats() -> impl DoubleEndedIterator<Item = &'static dyn Format> {
    let folders = FOLDER_FORMATS.iter().filter(|format| format.facts().writes_folders);
    folders.chain(FORMATS).copied()
}

/// The written format of this name.
pub fn format_called(name: &str) -> Option<&'static dyn Format> {
    written_formats().find(|format| format.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_name_asks_for_a_format() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(format_named_by(Path::new(path)).map(|f| f.name()), expected, "{path}");
        };
        check("a/b.safetensors", Some("safetensors"));
        check("B.SafeTensors", Some("safetensors"));
        check("a.PT", Some("pth"));
        check("a.npz", Some("npz"));
        check("safetensors", None);
        check("b.txt", None);
        check("model_best.pth.tar", Some("pth"));
        check("b.tar", None);
        check(".pth", None);
    }
}
