//! Files beside the weights, which belong to the model and are carried along.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use statedict_core::sorting;

use crate::error::Cause;
use crate::model_folder::kinds::led_by;
use crate::model_folder::roles::Role;

/// The longest configuration that is read, in bytes.
const MAX_CONFIG: u64 = 16 << 20;

/// How deep folders are descended.
const MAX_DEPTH: usize = 16;

/// Files beside the weights of a model's folder.
#[derive(Clone, Debug, Default)]
pub struct SideFiles {
    /// The folder they are in.
    pub(crate) folder: PathBuf,
    /// What is carried along, relative to the folder, sorted.
    pub carried: Vec<PathBuf>,
    /// Weights that are not part of the checkpoint, and what cannot be carried, relative to the
    /// folder, sorted.
    pub left: Vec<PathBuf>,
}

impl SideFiles {
    /// The same without what is in a folder that is written to.
    pub fn outside(mut self, out: &Path) -> SideFiles {
        let Ok(out) = fs::canonicalize(out) else { return self };
        let Ok(folder) = fs::canonicalize(&self.folder) else { return self };
        let is_outside = |path: &PathBuf| !folder.join(path).starts_with(&out);
        self.carried.retain(is_outside);
        self.left.retain(is_outside);
        self
    }
}

/// Everything in a folder but the checkpoint itself, whose files `is_part` knows.
///
/// Links to files are followed, as hub caches need, and links to folders are not; hidden folders
/// are version control and caches.
pub(crate) fn side_files(
    folder: &Path,
    is_part: impl Fn(&str) -> bool,
) -> Result<SideFiles, Cause> {
    let mut found = SideFiles { folder: folder.to_path_buf(), ..SideFiles::default() };
    descend(folder, Path::new(""), 0, &mut found)?;
    let is_part = |path: &PathBuf| path.to_str().is_some_and(&is_part);
    found.carried.retain(|path| !is_part(path));
    found.left.retain(|path| !is_part(path));
    sorting::sort(&mut found.carried);
    sorting::sort(&mut found.left);
    Ok(found)
}

fn descend(folder: &Path, below: &Path, depth: usize, found: &mut SideFiles) -> Result<(), Cause> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let name = name.to_string_lossy();
        let path = below.join(entry.file_name());
        let is_regular = fs::metadata(entry.path()).is_ok_and(|there| there.is_file());
        let is_manifest = led_by(&name).is_some();
        match Role::of(&name) {
            _ if kind.is_dir() && name.starts_with('.') => {}
            _ if name.starts_with(".statedict-") => {}
            _ if kind.is_dir() && depth < MAX_DEPTH => descend(folder, &path, depth + 1, found)?,
            // That of the checkpoint is rewritten, and any other leads to other weights.
            _ if is_manifest && below.as_os_str().is_empty() => {}
            Role::Side if is_regular && !is_manifest => found.carried.push(path),
            _ => found.left.push(path),
        }
    }
    Ok(())
}

/// The type of numbers that `config.json` in a folder says its weights have: `float32`.
pub(crate) fn declared_dtype(folder: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(folder.join("config.json")).ok()?;
    file.take(MAX_CONFIG).read_to_string(&mut text).ok()?;
    let config: serde_json::Value = serde_json::from_str(&text).ok()?;
    let dtype = config.get("dtype").or_else(|| config.get("torch_dtype"))?.as_str()?;
    Some(dtype.strip_prefix("torch.").unwrap_or(dtype).to_string())
}
