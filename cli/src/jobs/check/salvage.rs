//! Taking the tensors out of a file that nobody should load.

use std::path::{Path, PathBuf};

use statedict_checkpoint::Checkpoint;

use crate::jobs::Convert;
use crate::jobs::observer::silent;
use crate::jobs::target::stem;

/// The conversion of a file to safetensors that works, tried up to the writing; `None` if none does.
pub fn conversion(file: &Path) -> Option<Convert> {
    let convert = Convert {
        file: file.to_path_buf(),
        output: Some(output(file)),
        dry_run: true,
        ..Convert::default()
    };
    let works = |convert: &Convert| convert.run(&silent()).is_ok();
    if works(&convert) {
        return Some(Convert { dry_run: false, ..convert });
    }
    let checkpoint = Checkpoint::open(file).ok()?;
    let paths = checkpoint.catalog().state_dicts.iter().map(|it| it.path.as_str());
    let at = paths.map(|at| Some(if at.is_empty() { "/" } else { at }.to_string()));
    let mut all = at.map(|at| Convert { at, ..convert.clone() });
    Some(Convert { dry_run: false, ..all.find(works)? })
}

/// `net.safetensors` for `net.pth`, or a name that is not taken.
fn output(file: &Path) -> PathBuf {
    let stem = stem(file);
    let beside = file.with_file_name(format!("{stem}.safetensors"));
    if beside.exists() {
        file.with_file_name(format!("{stem}.tensors.safetensors"))
    } else {
        beside
    }
}
