//! One checkpoint in several new files, by its keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Existing, Staged};
use statedict_core::{
    IndexMap, MetadataEdits, Opening, Policy, Remap, SEPARATOR, StateDict, Table, Template,
    Undefined, Unmatched,
};

use crate::jobs::error::{Advice, Error};
use crate::jobs::observer::Observer;
use crate::jobs::opening::{joined, open_as};
use crate::jobs::rename::{Destination, Encoding, Extent, Outcome, Prepared, Rename, Strictness};
use crate::jobs::rules::Rules;
use crate::jobs::selection::{Input, Role};
use crate::jobs::target;

/// Splits a checkpoint into several new files, by the names of its keys.
///
/// Tensors are copied as they are. All files are written before the first takes its place.
///
/// # Example
/// ```no_run
/// use statedict::jobs::split::SplitPart;
/// use statedict::{Input, Split, silent};
///
/// let split = Split {
///     input: Input::file("all.safetensors"),
///     parts: vec![
///         SplitPart::parse("text.**=text.safetensors")?,
///         SplitPart::below_prefix("vision=vision.safetensors")?,
///     ],
///     ..Split::default()
/// };
/// println!("{} files", split.run(&silent())?.outputs.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Split {
    /// What is split.
    pub input: Input,
    /// The keys of each new file; the first that takes a key decides.
    pub parts: Vec<SplitPart>,
    /// What becomes of tensors that none of them takes.
    pub rest: Rest,
    /// How a checkpoint of many files is opened.
    pub opening: Opening,
    /// How tensors are encoded.
    pub encoding: Encoding,
    /// What is to change of the text beside the tensors, which each file has.
    pub metadata: MetadataEdits,
    /// Whether what cannot be done wholly is refused.
    pub strictness: Strictness,
    /// What to do if a file to be written exists.
    pub existing: Existing,
    /// Do all but the writing.
    pub dry_run: bool,
}

/// What becomes of tensors that no part takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    /// There must be none.
    #[default]
    Refused,
    /// They are left out.
    LeftOut,
}

/// Some of the keys, and the file that they go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitPart {
    /// The keys.
    pub keys: Taken,
    /// The file, whose extension chooses the format; a folder for several files each.
    pub output: PathBuf,
}

/// Which keys a part takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Those that match, under the names they have.
    Matching(Template),
    /// Those that begin with a prefix and a dot, without it.
    Below(String),
}

/// What was done, or would be.
pub struct SplitOutcome {
    /// What became of the keys of each new file, in the order in which the files were named.
    pub outputs: Vec<(PathBuf, Outcome)>,
    /// Keys that are in none of them.
    pub in_no_file: Vec<String>,
}

impl SplitPart {
    /// Parses `PATTERN=FILE`.
    ///
    /// # Errors
    /// No file, or a pattern that cannot be read.
    pub fn parse(text: &str) -> Result<SplitPart, String> {
        let (pattern, output) = divided(text)
            .ok_or_else(|| format!("expected PATTERN=FILE, such as '{text}=new.safetensors'"))?;
        let pattern = Template::parse(pattern, SEPARATOR).map_err(|error| error.to_string())?;
        Ok(SplitPart { keys: Taken::Matching(pattern), output: output.into() })
    }

    /// Parses `PREFIX=FILE`.
    ///
    /// # Errors
    /// No file, or no prefix.
    pub fn below_prefix(text: &str) -> Result<SplitPart, String> {
        let parts = text.split_once('=').map(|(prefix, file)| (prefix.trim_end_matches('.'), file));
        match parts {
            Some((prefix, output)) if !prefix.is_empty() && !output.is_empty() => {
                Ok(SplitPart { keys: Taken::Below(prefix.to_string()), output: output.into() })
            }
            _ => Err("expected PREFIX=FILE, such as text=text.safetensors".into()),
        }
    }

    /// The name that a key gets in this part, if it takes it.
    fn name<'k>(&self, key: &'k str) -> Option<&'k str> {
        match &self.keys {
            Taken::Matching(pattern) => pattern.matches(key).then_some(key),
            Taken::Below(prefix) => key.strip_prefix(&**prefix)?.strip_prefix(SEPARATOR),
        }
    }
}

/// A pattern and what is behind the first `=` outside of braces.
fn divided(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (place, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '=' if depth == 0 => {
                let (pattern, file) = (&text[..place], &text[place + 1..]);
                return (!pattern.is_empty() && !file.is_empty()).then_some((pattern, file));
            }
            _ => {}
        }
    }
    None
}

/// The keys of one new file: old names and new ones.
type Renamed = Vec<(String, String)>;

impl Split {
    /// Does it, or all but the writing where that is wanted.
    ///
    /// # Errors
    /// Tensors that no part takes, parts that take nothing, and whatever keeps the files from being
    /// written; nothing has been changed then.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<SplitOutcome, Error> {
        let outputs = self.outputs()?;
        let checkpoint = open_as(&self.input.file, &self.opening, observer)?;
        let mut checkpoint = joined(checkpoint, self.input.at.as_deref())?;
        let state_dict = self.input.select(&checkpoint)?;
        self.input.notice_choice(checkpoint.catalog(), state_dict, Role::First, observer);
        let (files, in_no_file) = self.assigned(&checkpoint, state_dict, outputs)?;
        let at = if state_dict.path.is_empty() { "/".into() } else { state_dict.path.clone() };
        let mut all = Vec::new();
        for (output, keys) in files {
            let rename = self.of_file(at.clone(), output, keys)?;
            let prepared = rename.prepare(&mut checkpoint, observer)?;
            all.push((rename, prepared));
        }
        let outputs = self.written(&checkpoint, all, observer)?;
        Ok(SplitOutcome { outputs, in_no_file })
    }

    /// The files to write, each once, none of which is in the way of another.
    fn outputs(&self) -> Result<IndexMap<&Path, Renamed>, Error> {
        let mut outputs = IndexMap::<&Path, Renamed>::default();
        for part in &self.parts {
            if target::is_same_file(&part.output, &self.input.file) {
                let output = part.output.display();
                let why = format_args!("cannot write '{output}': it is the file to split");
                return Err(Error::failed(why));
            }
            outputs.entry(&part.output).or_default();
        }
        target::refuse_to_overwrite(outputs.keys().copied(), self.existing)?;
        Ok(outputs)
    }

    /// The keys of each file, and those of none.
    fn assigned<'s>(
        &'s self,
        checkpoint: &Checkpoint,
        state_dict: &StateDict,
        mut files: IndexMap<&'s Path, Renamed>,
    ) -> Result<(IndexMap<&'s Path, Renamed>, Vec<String>), Error> {
        let mut taken = vec![0; self.parts.len()];
        let (mut rest, mut in_no_file) = (Vec::new(), Vec::new());
        for key in state_dict.keys() {
            let mut names = self.parts.iter().enumerate();
            match names.find_map(|(number, part)| Some((number, part.name(key)?))) {
                Some((number, name)) => {
                    taken[number] += 1;
                    let file = files.entry(&self.parts[number].output).or_default();
                    file.push((key.to_string(), name.to_string()));
                }
                None if checkpoint.catalog().tensor(state_dict, key).is_some() => {
                    rest.push(key.to_string());
                }
                None => in_no_file.push(key.to_string()),
            }
        }
        let file = self.input.file.display();
        let unused = self.parts.iter().zip(taken).filter(|(_, taken)| *taken == 0);
        let mut problems: Vec<String> = unused
            .map(|(part, _)| {
                let output = part.output.display();
                match &part.keys {
                    Taken::Matching(pattern) => {
                        format!("{file}: no key is left for '{pattern}={output}'")
                    }
                    Taken::Below(prefix) => {
                        format!("{file}: no key is left for --prefix '{prefix}={output}'")
                    }
                }
            })
            .collect();
        if self.rest == Rest::Refused {
            problems.extend(rest.iter().map(|key| format!("{file}: '{key}' goes to no file")));
        }
        if !problems.is_empty() {
            let advice = (!rest.is_empty()).then_some(Advice::TakeRest);
            return Err(Error::refused(problems).advise(advice));
        }
        in_no_file.extend(rest);
        Ok((files, in_no_file))
    }

    /// What makes one of the files.
    fn of_file(&self, at: String, output: &Path, keys: Renamed) -> Result<Rename, Error> {
        let policy = Policy { undefined: Undefined::Drop, unmatched: Unmatched::Allow };
        Ok(Rename {
            file: self.input.file.clone(),
            at: Some(at),
            rules: Rules::Stages(vec![Remap::Table(Table::new(keys)?).into()]),
            policy,
            metadata: self.metadata.clone(),
            destination: Destination::File(output.to_path_buf()),
            encoding: Encoding { extent: Extent::Tensors, ..self.encoding.clone() },
            strictness: self.strictness,
            existing: self.existing,
            dry_run: self.dry_run,
            ..Rename::default()
        })
    }

    /// Writes all files, and puts them in their places together.
    fn written(
        &self,
        checkpoint: &Checkpoint,
        all: Vec<(Rename, Prepared)>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Vec<(PathBuf, Outcome)>, Error> {
        let bytes = all.iter().map(|(_, prepared)| prepared.bytes).sum();
        if !self.dry_run {
            observer.begin_writing(bytes);
        }
        let (mut files, mut outcomes) = (None::<Staged>, Vec::new());
        for (rename, prepared) in all {
            let mut written = Default::default();
            if !self.dry_run {
                let mut ready = rename.stage(checkpoint, &prepared, observer.as_ref())?;
                files = match (files, ready.output.take()) {
                    (Some(files), Some(more)) => Some(files.with(more)),
                    (files, more) => files.or(more),
                };
                written = rename.commit(checkpoint, ready, &prepared.work)?;
            }
            let Destination::File(output) = rename.destination.clone() else { continue };
            outcomes.push((output, rename.outcome(checkpoint, prepared, written)));
        }
        if let Some(files) = files {
            files.commit()?;
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_behind_the_first_sign_outside_of_braces() {
        assert_eq!(divided("a.**=b.pth"), Some(("a.**", "b.pth")));
        assert_eq!(divided("a.**=epoch=3.pth"), Some(("a.**", "epoch=3.pth")));
        assert_eq!(divided("{p=q,k}.**=b.pth"), Some(("{p=q,k}.**", "b.pth")));
        assert_eq!(divided("a.**"), None);
        assert_eq!(divided("a.**="), None);
    }
}
