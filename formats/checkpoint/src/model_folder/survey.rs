//! What is in a folder, by the names of its files.

use std::path::{Path, PathBuf};

use statedict_core::{FolderFormat, sorting};

use crate::error::Cause;
use crate::model_folder::in_folder::names;
use crate::model_folder::kinds::{folder_formats, led_by};
use crate::model_folder::roles::Role;
use crate::model_folder::series::series_of;

/// The names, without their endings, that loaders look for first.
const MODELS: [&str; 5] =
    ["adapter_model", "consolidated", "diffusion_pytorch_model", "model", "pytorch_model"];

/// How many names an error lists.
const NAMED: usize = 8;

/// The files of a folder that are weights or lead to them, and the folders in it.
#[derive(Default)]
pub(crate) struct Survey {
    folder: PathBuf,
    pub(crate) manifests: Vec<(String, &'static dyn FolderFormat)>,
    pub(crate) weights: Vec<String>,
    folders: Vec<String>,
}

impl Survey {
    /// Looks at the names in a folder; links are followed, as hub caches need.
    pub(crate) fn of(folder: &Path) -> Result<Survey, Cause> {
        let names = names(folder)?;
        let mut survey = Survey { folder: folder.to_path_buf(), ..Survey::default() };
        for format in folder_formats() {
            let manifests = format.manifests_among(&names.files).map_err(Cause::from)?;
            survey.manifests.extend(manifests.into_iter().map(|name| (name, format)));
        }
        sorting::sort_by(&mut survey.manifests, |(a, _), (b, _)| a.cmp(b));
        let is_weights = |name: &String| {
            !name.ends_with('/') && led_by(name).is_none() && Role::of(name) == Role::Weights
        };
        survey.weights = names.files.into_iter().filter(is_weights).collect();
        survey.folders = names.folders;
        Ok(survey)
    }

    /// The one checkpoint of a folder without an index.
    pub(crate) fn only_file(self) -> Result<String, Cause> {
        let shards: Vec<&String> =
            self.weights.iter().filter(|name| series_of(name).is_some()).collect();
        let models: Vec<&String> = self.weights.iter().filter(|name| is_model(name)).collect();
        match (shards.as_slice(), models.as_slice(), self.weights.as_slice()) {
            ([], [only], _) => Ok((*only).clone()),
            ([], _, [only]) => Ok(only.clone()),
            ([], _, []) => Err(self.nothing()),
            ([], _, several) => {
                let what = format!("{} checkpoints and no index", several.len());
                Err(self.several(&what, several.iter().collect(), None))
            }
            (shards, [], _) => {
                let what = format!("{} and no index", count(shards.len(), "shard"));
                Err(self.several(&what, shards.to_vec(), Some(self.folder.clone())))
            }
            (shards, models, _) => {
                let what = format!(
                    "{}, {} and no index",
                    count(models.len(), "checkpoint"),
                    count(shards.len(), "shard")
                );
                let files = [models, shards].concat();
                Err(self.several(&what, files, Some(self.folder.clone())))
            }
        }
    }

    /// Says that a folder has several files that each lead to a checkpoint.
    pub(super) fn several_manifests(&self, all: &[(String, &'static dyn FolderFormat)]) -> Cause {
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let kind = all.first().map_or("manifest", |(_, format)| format.manifest());
        let is_one_kind = all.iter().all(|(_, format)| format.manifest() == kind);
        let kinds = match (is_one_kind, kind) {
            (true, "index") => "indexes",
            _ => "manifests",
        };
        Cause::Folder {
            what: format!("it is a folder with {} {kinds}: {}", all.len(), names.join(", ")),
            files: names.iter().map(|name| self.folder.join(name)).collect(),
            mends: None,
        }
    }

    fn several(&self, what: &str, names: Vec<&String>, mends: Option<PathBuf>) -> Cause {
        Cause::Folder {
            what: format!("it is a folder with {what}: {}", first_few(&names)),
            files: names.iter().map(|name| self.folder.join(name)).collect(),
            mends,
        }
    }

    /// Says what the folder is where it has no checkpoint.
    fn nothing(&self) -> Cause {
        let has = |name: &str| self.folder.join(name).exists();
        let below = |name: &String| {
            let survey = Survey::of(&self.folder.join(name)).unwrap_or_default();
            !survey.weights.is_empty() || !survey.manifests.is_empty()
        };
        let snapshots = self.folder.join("snapshots");
        let below: Vec<&String> = self.folders.iter().filter(|name| below(name)).collect();
        let unzipped = self.folders.iter().find(|name| has(&format!("{name}/data.pkl")));
        let what = if snapshots.is_dir() && has("blobs") {
            let found = Survey::of(&snapshots).unwrap_or_default().folders;
            let names: Vec<String> = found.iter().map(|name| format!("snapshots/{name}")).collect();
            let names = first_few(&names.iter().collect::<Vec<_>>());
            return Cause::Folder {
                what: format!("it is a repository in a hub cache, with the snapshots {names}"),
                files: found.iter().map(|name| snapshots.join(name)).collect(),
                mends: None,
            };
        } else if has("data.pkl") || unzipped.is_some() {
            "it is a PyTorch archive that was unzipped; zip it again without compression"
                .to_string()
        } else if below.is_empty() {
            "it is a folder without checkpoints".to_string()
        } else {
            format!(
                "it is a folder without checkpoints, and there are some in {}",
                first_few(&below)
            )
        };
        let files = below.iter().map(|name| self.folder.join(name)).collect();
        Cause::Folder { what, files, mends: None }
    }
}

/// True for the names that loaders look for first.
fn is_model(name: &str) -> bool {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let plain = name.split('.').count() == 2;
    plain && MODELS.contains(&stem)
}

/// The first few names, and how many there are beyond.
pub(crate) fn first_few(names: &[&String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(|name| name.as_str()).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_folder_has_one_checkpoint_or_says_which_it_has() {
        let check = |names: &[&str], expected: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            for name in names {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().expect("a folder")).expect("can be made");
                fs::write(path, b"").expect("writable");
            }
            let found = Survey::of(folder.path()).expect("readable").only_file();
            let found = found.unwrap_or_else(|cause| cause.to_string());
            assert_eq!(found, expected, "{names:?}");
        };
        check(&["model.safetensors", "config.json"], "model.safetensors");
        check(&["pytorch_model.bin", "training_args.bin", "optimizer.pt"], "pytorch_model.bin");
        check(&["last.ckpt"], "last.ckpt");
        check(&["model.safetensors", "model.fp16.safetensors"], "model.safetensors");
        check(
            &["model.safetensors", "pytorch_model.bin"],
            "it is a folder with 2 checkpoints and no index: model.safetensors, pytorch_model.bin",
        );
        check(
            &["a-1-of-2.bin", "a-2-of-2.bin"],
            "it is a folder with 2 shards and no index: a-1-of-2.bin, a-2-of-2.bin",
        );
        check(
            &["model.bin", "a-1-of-1.bin"],
            "it is a folder with 1 checkpoint, 1 shard and no index: model.bin, a-1-of-1.bin",
        );
        check(&["notes.txt"], "it is a folder without checkpoints");
        check(
            &["unet/a.bin", "vae/b.bin", "docs/c.txt"],
            "it is a folder without checkpoints, and there are some in unet, vae",
        );
        check(
            &["blobs/x", "snapshots/r/model.bin"],
            "it is a repository in a hub cache, with the snapshots snapshots/r",
        );
        check(
            &["archive/data.pkl"],
            "it is a PyTorch archive that was unzipped; zip it again without compression",
        );
    }
}
