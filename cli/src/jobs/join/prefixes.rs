//! Which prefix is for which file or state dict.

use crate::jobs::error::Error;
use crate::jobs::join::sources::Source;

/// A prefix as it is given: `text=`, for the file whose turn it is, or `text=a.safetensors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPrefix {
    /// What comes before the keys; nothing if it is empty.
    pub prefix: String,
    /// The file or the path of the state dict that it is for; none for the next in order.
    pub of: Option<String>,
}

impl GivenPrefix {
    /// Parses `PREFIX=` and `PREFIX=SOURCE`.
    ///
    /// # Errors
    /// A text without `=`.
    pub fn parse(text: &str) -> Result<GivenPrefix, String> {
        let Some((prefix, of)) = text.split_once('=') else {
            return Err(format!("expected PREFIX= or PREFIX=FILE, such as {text}="));
        };
        let of = Some(of).filter(|of| !of.is_empty()).map(String::from);
        Ok(GivenPrefix { prefix: prefix.trim_end_matches('.').to_string(), of })
    }
}

/// What prefixes are given to one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The files.
    Files,
    /// The state dicts of the only file.
    StateDicts,
}

/// Gives the sources their prefixes; `files` are the names of their files, as they were typed.
pub(super) fn assign(
    given: &[GivenPrefix],
    turn: Turn,
    files: &[String],
    sources: &mut [Source],
) -> Result<(), Error> {
    let mut of_files: Vec<Option<&str>> = vec![None; files.len()];
    let mut of_sources: Vec<Option<&str>> = vec![None; sources.len()];
    for GivenPrefix { prefix, of } in given {
        let Some(of) = of else { continue };
        let file = files.iter().position(|file| file == of || ends_with_name(file, of));
        let source = sources.iter().position(|source| source.path == of.trim_matches('/'));
        let place = match (file, source) {
            (Some(file), _) => &mut of_files[file],
            (None, Some(source)) => &mut of_sources[source],
            (None, None) => return Err(unknown(of, files, sources)),
        };
        if place.replace(prefix).is_some() {
            return Err(Error::failed(format_args!("--prefix: '{of}' is given two prefixes")));
        }
    }
    let turns = match turn {
        Turn::Files => &mut of_files,
        Turn::StateDicts => &mut of_sources,
    };
    let mut next = turns.iter_mut().filter(|place| place.is_none());
    let in_order: Vec<&str> =
        given.iter().filter(|it| it.of.is_none()).map(|it| it.prefix.as_str()).collect();
    for prefix in &in_order {
        let Some(place) = next.next() else {
            let what = match turn {
                Turn::Files => "files",
                Turn::StateDicts => "state dicts",
            };
            let number = in_order.len();
            return Err(Error::failed(format_args!(
                "--prefix: {number} prefixes in order are more than there are {what} without one"
            )));
        };
        *place = Some(prefix);
    }
    for (source, own) in sources.iter_mut().zip(of_sources) {
        let own = own.map_or_else(|| std::mem::take(&mut source.prefix), String::from);
        let file = of_files[source.file].unwrap_or_default();
        let both = [file, &own].into_iter().filter(|prefix| !prefix.is_empty());
        source.prefix = both.collect::<Vec<_>>().join(".");
    }
    Ok(())
}

/// True for the last part of a path.
fn ends_with_name(file: &str, name: &str) -> bool {
    file.strip_suffix(name).is_some_and(|rest| rest.ends_with('/'))
}

fn unknown(of: &str, files: &[String], sources: &[Source]) -> Error {
    let paths = sources.iter().map(|source| source.path.as_str()).filter(|path| !path.is_empty());
    let known: Vec<&str> = files.iter().map(String::as_str).chain(paths).collect();
    let known = known.join(", ");
    Error::failed(format_args!("--prefix: no file or state dict '{of}'; expected one of {known}"))
}
