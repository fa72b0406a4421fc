//! The one list of formats.

use std::path::Path;

use statedict_core::Format;
use statedict_npz::NPZ;
use statedict_pth::PTH;
use statedict_safetensors::SAFETENSORS;

/// Every format, in the order in which they are asked whether a file is theirs.
pub static FORMATS: [&dyn Format; 3] = [&PTH, &NPZ, &SAFETENSORS];

/// The format that a file name's ending asks for.
pub fn format_named_by(path: &Path) -> Option<&'static dyn Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    let named = |format: &&&dyn Format| format.extensions().contains(&extension.as_str());
    FORMATS.iter().find(named).copied()
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
    }
}
