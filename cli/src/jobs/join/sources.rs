//! What is joined: files, which of their state dicts, and the keys that these get.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, JoinedPart};
use statedict_core::{
    Catalog, Collision, IndexMap, Opening, Policy, Rule, RuleKind, SEPARATOR, Section, StateDict,
    Unmatched, plan_stages,
};

use crate::jobs::error::{Advice, Error};
use crate::jobs::join::prefixes::{GivenPrefix, Turn, assign};
use crate::jobs::observer::Observer;
use crate::jobs::opening::{joined, open_as};
use crate::jobs::selection::{Input, Role};
use crate::jobs::target::is_same_file;

/// What takes all state dicts of a file, each below its path.
const ALL: &str = "*";

/// Files to be joined, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The files, in the order of the new one.
    pub files: Vec<PathBuf>,
    /// Which state dicts: none for the one of each file that is clearly meant, one path for all
    /// files (`*` for all of their state dicts), one for each file, or several of a single file.
    pub at: Vec<String>,
    /// What comes before the keys.
    pub prefixes: Vec<GivenPrefix>,
}

/// A state dict that was joined with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedSource {
    /// Its file.
    pub file: PathBuf,
    /// Its path there, empty at the root.
    pub at: String,
    /// What comes before its keys; nothing if it is empty.
    pub prefix: String,
    /// How many tensors it has.
    pub keys: usize,
}

/// A state dict to be joined.
pub(super) struct Source {
    /// The number of its file.
    pub(super) file: usize,
    pub(super) path: String,
    pub(super) prefix: String,
    keys: usize,
}

impl Sources {
    /// Opens the files as one checkpoint, with a state dict at its root that is all of them.
    pub(crate) fn open(
        &self,
        opening: &Opening,
        observer: &Arc<dyn Observer>,
    ) -> Result<(Checkpoint, Vec<JoinedSource>), Error> {
        let (mut checkpoints, mut sources) = (Vec::new(), Vec::new());
        for (file, path) in self.files.iter().enumerate() {
            let mut checkpoint = open_as(path, opening, observer)?;
            for at in self.paths(file)? {
                checkpoint = joined(checkpoint, at)?;
                sources.extend(self.selected(file, at, checkpoint.catalog(), observer)?);
            }
            checkpoints.push(checkpoint);
        }
        self.refuse_twice(&sources)?;
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        let is_one = files.len() == 1 && self.at.len() > 1;
        let turn = if is_one { Turn::StateDicts } else { Turn::Files };
        assign(&self.prefixes, turn, &files, &mut sources)?;
        let mut parts = Vec::new();
        for (file, (checkpoint, title)) in checkpoints.into_iter().zip(titles(&files)).enumerate() {
            let own = sources.iter().filter(|source| source.file == file);
            let sections = own.map(|source| self.section(source, checkpoint.catalog()));
            let sections = sections.collect::<Result<_, _>>()?;
            parts.push(JoinedPart { title, checkpoint, sections });
        }
        let joined = Checkpoint::joined(parts).map_err(|collisions| refused(&collisions))?;
        let summary = sources.into_iter().map(|Source { file, path, prefix, keys }| JoinedSource {
            file: self.files[file].clone(),
            at: path,
            prefix,
            keys,
        });
        Ok((joined.observed_by(observer.clone()), summary.collect()))
    }

    /// Refuses an output that is one of the files.
    pub(crate) fn refuse_output(&self, output: &Path) -> Result<(), Error> {
        if !self.files.iter().any(|file| is_same_file(file, output)) {
            return Ok(());
        }
        let output = output.display();
        Err(Error::failed(format_args!("cannot write '{output}': it is one of the files to join")))
    }

    /// The paths of state dicts to take of a file.
    fn paths(&self, file: usize) -> Result<Vec<Option<&str>>, Error> {
        let (files, paths) = (self.files.len(), self.at.iter().map(|at| Some(at.as_str())));
        match self.at.len() {
            0 => Ok(vec![None]),
            1 => Ok(paths.collect()),
            _ if files == 1 => Ok(paths.collect()),
            several if several == files => Ok(paths.skip(file).take(1).collect()),
            several => Err(Error::failed(format_args!(
                "--at: {several} paths for {files} files; expected one path for all, or one for each"
            ))),
        }
    }

    /// The state dicts at a path of a file.
    fn selected(
        &self,
        file: usize,
        at: Option<&str>,
        catalog: &Catalog,
        observer: &Arc<dyn Observer>,
    ) -> Result<Vec<Source>, Error> {
        let input = Input { file: self.files[file].clone(), at: at.map(String::from) };
        let selected = match catalog.select(at) {
            Ok(selected) => selected,
            Err(error) if self.files.len() == 1 => {
                return input.only(Err(error), Role::First).map(|_| Vec::new());
            }
            Err(error) => {
                return Err(Error::in_file(&input.file, error).advise(Advice::SelectEach));
            }
        };
        if let (None, [taken]) = (at, selected.as_slice()) {
            input.notice_choice(catalog, taken, Role::First, observer);
        }
        let source = |state_dict: &StateDict| {
            let path = state_dict.path.clone();
            let prefix = if at == Some(ALL) { path.replace('/', ".") } else { String::new() };
            Source { file, path, prefix, keys: state_dict.tensors() }
        };
        Ok(selected.into_iter().map(source).collect())
    }

    fn refuse_twice(&self, sources: &[Source]) -> Result<(), Error> {
        for (number, source) in sources.iter().enumerate() {
            let is_same = |it: &Source| it.file == source.file && it.path == source.path;
            if sources[..number].iter().any(is_same) {
                let path = if source.path.is_empty() { "/" } else { &source.path };
                let problem = format!("the state dict '{path}' is named twice");
                return Err(Error::in_file(&self.files[source.file], problem));
            }
        }
        Ok(())
    }

    /// What becomes of the keys of a source.
    fn section(&self, source: &Source, catalog: &Catalog) -> Result<Section, Error> {
        let found = catalog.state_dicts.iter().find(|it| it.path == source.path);
        let mut state_dict = found.expect("it was selected").clone();
        // Its keys are free in a new file.
        state_dict.fixed = None;
        let policy = Policy { unmatched: Unmatched::Allow, ..Policy::default() };
        let planned = plan_stages(&added(&source.prefix)?, catalog, &[&state_dict], policy);
        let planned = planned.map_err(|it| Error::impossible(&self.files[source.file], it))?;
        Ok(planned.plan.sections()[0].clone())
    }
}

/// The rule that puts a prefix before keys.
fn added(prefix: &str) -> Result<Vec<Rule>, Error> {
    if prefix.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![RuleKind::Add.rule(&[prefix.to_string()], SEPARATOR)?])
}

/// A title for each file: its name, and where two have one name, its path with a number if need be.
fn titles(files: &[String]) -> Vec<String> {
    let name = |file: &str| {
        let name = file.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        name.to_string()
    };
    let mut known = IndexMap::<String, usize>::default();
    let mut titles = Vec::new();
    for file in files {
        let is_shared = files.iter().filter(|other| name(other) == name(file)).count() > 1;
        let title = if is_shared { file.trim_matches('/').to_string() } else { name(file) };
        let times = known.entry(title.clone()).or_default();
        *times += 1;
        titles.push(if *times == 1 { title } else { format!("{title} ({times})") });
    }
    titles
}

/// That several tensors would have one key, for each such key.
fn refused(collisions: &[Collision]) -> Error {
    let lines = collisions
        .iter()
        .map(|Collision { key, paths }| format!("'{key}' is in {}", paths.join(" and in ")));
    Error::refused(lines.collect()).advise(Advice::TellApart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_names_as_long_as_these_are_different() {
        let check = |files: &[&str], expected: &[&str]| {
            let files: Vec<String> = files.iter().map(|file| file.to_string()).collect();
            assert_eq!(titles(&files), expected);
        };
        check(&["x/a.pth", "b.pth"], &["a.pth", "b.pth"]);
        check(&["x/a.pth", "y/a.pth"], &["x/a.pth", "y/a.pth"]);
        check(&["a.pth", "a.pth"], &["a.pth", "a.pth (2)"]);
        check(&["run/"], &["run"]);
    }
}
