//! Folders of trainers, which keep checkpoints of many files in folders below.

use std::path::Path;

use statedict_core::{Fault, FolderFormat};

use crate::error::Cause;
use crate::folder::InFolder;
use crate::model_folder::in_folder::names;
use crate::model_folder::{Located, Several};
use crate::registry::FOLDER_FORMATS;

/// The kinds of checkpoints that trainers leave in folders.
fn formats() -> impl Iterator<Item = &'static dyn FolderFormat> {
    FOLDER_FORMATS.iter().filter_map(|format| format.folders())
}

/// The checkpoint in a folder below which a format keeps its files in, beside what was made of them.
pub(super) fn in_subfolder(path: &Path) -> Result<Option<InFolder>, Cause> {
    for format in formats() {
        let Some(folder) = format.subfolder().map(|name| path.join(name)) else { continue };
        if folder.is_dir()
            && let Some(manifest) = format.manifests_among(&names(&folder)?.files)?.pop()
        {
            return Ok(Some(InFolder { folder, format, manifest }));
        }
    }
    Ok(None)
}

/// Several checkpoints of one kind in one folder, each under a title of its own.
pub(super) fn titled(
    path: &Path,
    manifests: &[(String, &'static dyn FolderFormat)],
) -> Option<Several> {
    if manifests.len() < 2 {
        return None;
    }
    let part = |(manifest, format): &(String, &'static dyn FolderFormat)| {
        let title = format.title(manifest)?.to_string();
        let (folder, manifest) = (path.to_path_buf(), manifest.clone());
        Some((title, InFolder { folder, format: *format, manifest }))
    };
    let parts = manifests.iter().map(part).collect::<Option<_>>()?;
    Some(Several { folder: path.to_path_buf(), parts })
}

/// What there is in the folders below one that holds no checkpoint itself; links are followed.
pub(super) fn below(path: &Path, depth: usize) -> Result<Option<Located>, Cause> {
    let mut found = Vec::new();
    descend(path, depth, &mut found)?;
    let Some((first, others)) = found.split_first() else { return Ok(None) };
    if others.is_empty() {
        return Ok(found.pop().map(Located::Folder));
    }
    let mut common = first.folder.clone();
    while !others.iter().all(|other| other.folder.starts_with(&common)) {
        common.pop();
    }
    let part = |part: InFolder| {
        // The only one of its kind in a folder has none.
        let title = part.format.title(&part.manifest).filter(|title| !title.is_empty());
        let title = title.map(String::from);
        let below = part.folder.strip_prefix(&common).unwrap_or(&part.folder);
        let steps = below.iter().map(|step| step.to_string_lossy().into_owned()).chain(title);
        (steps.collect::<Vec<_>>().join("/"), part)
    };
    let parts = found.into_iter().map(part).collect();
    Ok(Some(Located::Several(Several { folder: common, parts })))
}

fn descend(path: &Path, depth: usize, found: &mut Vec<InFolder>) -> Result<(), Cause> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    for name in names(path)?.folders {
        let folder = path.join(&name);
        // What cannot be looked at is none of the checkpoint's.
        let Ok(below) = names(&folder) else { continue };
        let mut own = Vec::new();
        for format in formats() {
            let manifests = format.manifests_among(&below.files);
            let manifests = manifests.map_err(|fault: Fault| fault.in_file(name.as_str()))?;
            let opened = manifests.into_iter().map(|manifest| InFolder {
                folder: folder.clone(),
                format,
                manifest,
            });
            own.extend(opened);
        }
        if own.is_empty() {
            descend(&folder, depth, found)?;
        } else {
            found.extend(own);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The titles of what is found below a folder of empty files, and where they begin.
    fn found(files: &[&str]) -> Option<Vec<String>> {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("can be made");
            fs::write(path, b"").expect("writable");
        }
        let relative = |path: &std::path::PathBuf| {
            path.strip_prefix(root.path()).expect("below").display().to_string()
        };
        Some(match below(root.path(), 3).expect("readable")? {
            Located::Folder(found) => vec![relative(&found.folder)],
            Located::Several(several) => {
                let titles = several.parts.into_iter().map(|(title, _)| title);
                [relative(&several.folder)].into_iter().chain(titles).collect()
            }
            Located::File(_) => Vec::new(),
        })
    }

    #[test]
    fn checkpoints_are_found_below_and_called_by_their_folders() {
        let check = |files: &[&str], expected: Option<&[&str]>| {
            let expected = expected.map(|names| names.iter().map(|it| (*it).to_string()).collect());
            assert_eq!(found(files), expected, "{files:?}");
        };
        check(&["step-10/.metadata"], Some(&["step-10"]));
        check(
            &["checkpoint-5/model_0/.metadata", "checkpoint-5/optimizer_0/.metadata"],
            Some(&["checkpoint-5", "model_0", "optimizer_0"]),
        );
        check(&["a/b/.metadata", "c/rank0.pt", "c/rank1.pt"], Some(&["", "a/b", "c"]));
        check(&["a/b/c/d/.metadata"], None);
        check(&["docs/readme.txt"], None);
    }
}
