//! Every checkpoint of many files in one folder, whatever else is there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use statedict_core::Fault;

use crate::disk::System;
use crate::error::Cause;
use crate::folder::InFolder;
use crate::model_folder::in_folder::names;
use crate::model_folder::kinds::folder_formats;

/// The checkpoints of many files in a folder, those in folders below left out.
#[derive(Default)]
pub(crate) struct Sets {
    pub(crate) found: Vec<InFolder>,
    /// Files of checkpoints to which nothing leads, as an unfinished save leaves them.
    pub(crate) unfinished: Vec<Fault>,
}

impl Sets {
    /// Goes by the names in a folder; links are followed, as hub caches need.
    pub(crate) fn of(folder: &Path) -> Result<Sets, Cause> {
        let names = names(folder)?;
        let mut sets = Sets::default();
        for format in folder_formats() {
            match format.manifests_among(&names.files) {
                Ok(manifests) => sets.found.extend(manifests.into_iter().map(|manifest| {
                    let folder = folder.to_path_buf();
                    InFolder { folder, format, manifest }
                })),
                Err(fault) => sets.unfinished.push(fault),
            }
        }
        sets.found.retain(is_there);
        Ok(sets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty() && self.unfinished.is_empty()
    }

    /// True if no name of a file leads to what is here, or not to all of it.
    pub(crate) fn is_led_by_the_folder(&self) -> bool {
        !self.unfinished.is_empty() || self.found.iter().any(|found| !is_named(found))
    }

    /// True if everything that only the folder leads to is among these files.
    pub(crate) fn is_among(&self, files: &HashSet<PathBuf>) -> bool {
        let mut led = self.found.iter().filter(|found| !is_named(found));
        self.unfinished.is_empty() && led.all(|found| files.contains(&found.path()))
    }

    /// What each checkpoint is called among several; the only one needs no name.
    pub(crate) fn titled(&self) -> impl Iterator<Item = (&str, &InFolder)> {
        let is_one = self.found.len() + self.unfinished.len() == 1;
        self.found.iter().map(move |found| {
            let title = found.format.title(&found.manifest).filter(|title| !title.is_empty());
            (if is_one { "" } else { title.unwrap_or(&found.manifest) }, found)
        })
    }
}

/// The checkpoint of which a file may be the last, by its name and that of its neighbours.
pub(crate) fn last_of(path: &Path) -> Option<InFolder> {
    let manifest = path.file_name()?.to_str()?.to_string();
    let format = folder_formats().find(|format| format.may_be_the_last_of(&manifest))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let found = InFolder { folder, format, manifest };
    let is_alone = found.files(&System).is_ok_and(|files| files == [found.manifest.as_str()]);
    is_alone.then_some(found)
}

/// True if the name of its manifest says that it leads to other files.
fn is_named(found: &InFolder) -> bool {
    found.format.is_manifest(&found.manifest)
}

/// True if any file is there: names of folders may look like those of ranks.
fn is_there(found: &InFolder) -> bool {
    let is_file = |name: &String| found.folder.join(name).is_file();
    found.path().exists() || found.files(&System).is_ok_and(|files| files.iter().any(is_file))
}
