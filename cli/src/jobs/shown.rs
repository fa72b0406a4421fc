//! Which of a file's tensors a job looks at.

use statedict_checkpoint::Checkpoint;
use statedict_core::{Catalog, IndexSet, NotSelected, SEPARATOR, Template, TensorEntry};

use crate::jobs::error::{Advice, Error};
use crate::jobs::nearest::nearest_pattern;
use crate::jobs::selection::Role;
use crate::jobs::suggestions;
use crate::jobs::words::{NAMED, first_few};

/// The other separator of keys, which JAX writes.
const SLASH: char = '/';

/// Some of a file's tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The path to look below; none for the whole file.
    pub at: Option<String>,
    /// Patterns of keys, or of paths to them, one of which matches; none for every tensor.
    ///
    /// A module stands for everything below it.
    pub patterns: Vec<String>,
    /// Types of elements as people write them, one of which a tensor has; none for any.
    pub dtypes: Vec<String>,
}

/// A pattern, and the same with everything below it.
struct Pattern {
    typed: String,
    templates: Vec<Template>,
}

impl Shown {
    /// Positions in the catalog of the tensors that are meant, in file order.
    ///
    /// # Errors
    /// A path that leads nowhere, and patterns that cannot be read or match nothing.
    pub(crate) fn rows(&self, checkpoint: &Checkpoint) -> Result<Vec<usize>, Error> {
        let catalog = checkpoint.catalog();
        let rows = rows(catalog, self.at.as_deref()).map_err(|nowhere| {
            let meant = suggestions::near_path(&nowhere);
            Error::in_file(checkpoint.path(), &nowhere)
                .advise(meant.map(|path| Advice::MeantPath { of: Role::First, path }))
        })?;
        let rows = self.of_dtypes(checkpoint, rows)?;
        let patterns = self.patterns.iter().map(|typed| Pattern::read(typed));
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        if patterns.is_empty() {
            return Ok(rows);
        }
        let mut is_used = vec![false; patterns.len()];
        let mut matching = Vec::new();
        for row in rows {
            let mut is_meant = false;
            for (pattern, is_used) in patterns.iter().zip(&mut is_used) {
                let matches = pattern.matches(&catalog.rows[row]);
                is_meant |= matches;
                *is_used |= matches;
            }
            matching.extend(is_meant.then_some(row));
        }
        match patterns.iter().zip(is_used).find(|(_, is_used)| !is_used) {
            None => Ok(matching),
            Some((unused, _)) => Err(unused.matches_nothing(checkpoint)),
        }
    }

    /// True if every tensor of the file is meant.
    pub(crate) fn is_everything(&self) -> bool {
        self.at.is_none() && self.patterns.is_empty() && self.dtypes.is_empty()
    }

    fn of_dtypes(&self, checkpoint: &Checkpoint, rows: Vec<usize>) -> Result<Vec<usize>, Error> {
        if self.dtypes.is_empty() {
            return Ok(rows);
        }
        let dtype = |row: &usize| checkpoint.catalog().rows[*row].tensor.dtype.name();
        let names: IndexSet<&str> = rows.iter().map(dtype).collect();
        let is_there = |wanted: &str| names.iter().any(|name| spelled(name) == wanted);
        let wanted: Vec<String> = self.dtypes.iter().map(|dtype| spelled(dtype)).collect();
        if let Some(absent) = wanted.iter().position(|wanted| !is_there(wanted)) {
            let (typed, names) = (&self.dtypes[absent], names.into_iter().map(String::from));
            let there = match first_few(&names.collect::<Vec<_>>(), NAMED) {
                none if none.is_empty() => "there are no tensors".to_string(),
                some => format!("there are {some}"),
            };
            let problem = format_args!("no tensor of type '{typed}'; {there}");
            return Err(Error::in_file(checkpoint.path(), problem));
        }
        let is_wanted = |row: &usize| wanted.contains(&spelled(dtype(row)));
        Ok(rows.into_iter().filter(is_wanted).collect())
    }
}

/// One spelling for all that a type is called: `BF16`, `torch.bfloat16`.
fn spelled(dtype: &str) -> String {
    let lower = dtype.to_lowercase().replace('_', "");
    let name = lower.trim_start_matches("torch.");
    let pairs = [("bfloat", "bf"), ("float", "f"), ("half", "f16"), ("uint", "u"), ("int", "i")];
    let mut name = name.replace("complex", "c");
    for (long, short) in pairs {
        name = name.replace(long, short);
    }
    name.strip_suffix("fn").map(String::from).unwrap_or(name)
}

impl Pattern {
    fn read(typed: &str) -> Result<Pattern, Error> {
        let (mut templates, mut refused) = (Vec::new(), None);
        for separator in [SEPARATOR, SLASH] {
            let below = format!("{}{separator}**", typed.trim_end_matches(separator));
            for text in [typed, &below] {
                match Template::parse(text, separator) {
                    Ok(template) => templates.push(template),
                    // `a.**` has no whole segments where they end at a slash.
                    Err(bad) => refused = refused.or(Some(bad)),
                }
            }
        }
        match refused {
            Some(bad) if templates.is_empty() => Err(Error::failed(bad)),
            _ => Ok(Pattern { typed: typed.to_string(), templates }),
        }
    }

    fn matches(&self, row: &TensorEntry) -> bool {
        let path = if row.path.is_empty() { None } else { Some(row.full_path()) };
        let names = [Some(row.key.as_str()), path.as_deref()];
        names.into_iter().flatten().any(|name| self.templates.iter().any(|it| it.matches(name)))
    }

    fn matches_nothing(&self, checkpoint: &Checkpoint) -> Error {
        let keys = checkpoint.catalog().rows.iter().map(|row| row.key.as_str());
        let meant = nearest_pattern(&self.typed, SEPARATOR, keys);
        Error::in_file(checkpoint.path(), format_args!("no tensor matches '{}'", self.typed))
            .advise(meant.map_or_else(|| Advice::ListKeys(checkpoint.path().into()), Advice::Meant))
    }
}

/// The rows at a path, or if there are none, below it.
fn rows(catalog: &Catalog, at: Option<&str>) -> Result<Vec<usize>, NotSelected> {
    let Some(at) = at.filter(|at| *at != "*") else { return Ok((0..catalog.rows.len()).collect()) };
    let selected = catalog.select(Some(at)).map(|found| found.into_iter().next());
    let path = match &selected {
        Ok(Some(state_dict)) => state_dict.path.as_str(),
        _ => at.trim_end_matches('/'),
    };
    let exact = rows_where(catalog, |row_at| row_at == path);
    if !exact.is_empty() {
        return Ok(exact);
    }
    let below = rows_where(catalog, |row_at| {
        row_at.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
    });
    if below.is_empty() { selected.map(|_| below) } else { Ok(below) }
}

fn rows_where(catalog: &Catalog, is_wanted: impl Fn(&str) -> bool) -> Vec<usize> {
    let rows = catalog.rows.iter().enumerate().filter(|(_, row)| is_wanted(&row.path));
    rows.map(|(position, _)| position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_whole_segments_may_be_of_dots_or_of_slashes() {
        let count = |typed: &str| Pattern::read(typed).map(|pattern| pattern.templates.len());
        assert_eq!(count("**.weight").ok(), Some(2));
        assert_eq!(count("model/**").ok(), Some(2));
        assert_eq!(count("*.weight").ok(), Some(4));
        assert!(count("a**").is_err());
    }

    #[test]
    fn types_have_one_spelling() {
        for (typed, name) in [
            ("torch.bfloat16", "BF16"),
            ("float32", "F32"),
            ("f8_e4m3", "F8_E4M3"),
            ("float8_e4m3fn", "F8_E4M3"),
            ("int64", "I64"),
            ("uint8", "U8"),
            ("complex64", "C64"),
            ("half", "F16"),
        ] {
            assert_eq!(spelled(typed), spelled(name), "{typed}");
        }
    }
}
