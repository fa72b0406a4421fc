//! Where the numbers of sizes come from: what was given, a recipe, a configuration beside the file.

use std::path::{Path, PathBuf};

use serde_json::Value;
use statedict_core::sizes::{Entry, SizeExpression, SizeTable, Sizes};
use statedict_core::{IndexSet, Name, Rule};

use crate::jobs::error::Error;
use crate::jobs::text_file::{self, CONFIGURATION};

/// The names that configurations have beside a file, the first that knows an entry first.
const BESIDE: [&str; 2] = ["config.json", "params.json"];

/// What is given of sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SizeSources {
    /// Numbers, which go before all others.
    pub set: Sizes,
    /// The configuration, instead of those beside the file.
    pub config: Option<PathBuf>,
}

impl SizeSources {
    /// The rules with the sizes put in that they speak of.
    pub(crate) fn bind(
        &self,
        table: &SizeTable,
        rules: &[&Rule],
        file: &Path,
    ) -> Result<Vec<Rule>, Error> {
        self.refuse_unused(table, rules)?;
        let mut table = table.clone();
        let unbound = rules.iter().flat_map(|rule| rule.unbound_sizes());
        for name in unbound.collect::<IndexSet<Name>>() {
            if table.iter().all(|(known, _)| *known != name) {
                // A size that nobody defines is the entry of its own name.
                let entry = vec![SizeExpression::Name(name.clone())];
                table.insert(name, entry).map_err(Error::failed)?;
            }
        }
        for (name, path) in rules.iter().flat_map(|rule| rule.usual_sizes()) {
            if table.iter().all(|(known, _)| **known != *name) {
                let entry = vec![SizeExpression::Name(path.into())];
                table.insert(name.into(), entry).map_err(Error::failed)?;
            }
        }
        let needs_more = table.iter().any(|(name, _)| self.set.get(name).is_none());
        let configs = if needs_more { self.configs(file)? } else { Vec::new() };
        let sizes = table.resolve(&self.set, &|path| entry(&configs, path));
        let sizes = sizes.map_err(|error| Error::refused(vec![error.to_string()]))?;
        let bound = rules.iter().map(|rule| rule.with_sizes(&sizes));
        bound.collect::<Result<_, _>>().map_err(|error| Error::refused(vec![error.to_string()]))
    }

    fn refuse_unused(&self, table: &SizeTable, rules: &[&Rule]) -> Result<(), Error> {
        let mut names: IndexSet<Name> = rules.iter().flat_map(|rule| rule.size_names()).collect();
        for (name, is) in table.iter() {
            names.insert(name.clone());
            names.extend(is.iter().flat_map(SizeExpression::names).cloned());
        }
        match self.set.iter().find(|(name, _)| !names.contains(*name)) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Error::failed(format_args!("no rule has a size or a place '{name}' (--set)")))
            }
        }
    }

    /// The configurations that there are, each with its path.
    fn configs(&self, file: &Path) -> Result<Vec<(PathBuf, Value)>, Error> {
        if let Some(config) = &self.config {
            return Ok(vec![(config.clone(), read(config)?)]);
        }
        let beside = SizeSources::beside(file).into_iter().filter(|path| path.is_file());
        beside.map(|path| read(&path).map(|value| (path, value))).collect()
    }

    /// Where the configuration of a checkpoint may be.
    pub(crate) fn beside(file: &Path) -> Vec<PathBuf> {
        let folder = text_file::folder_of(file);
        BESIDE.iter().map(|name| folder.join(name)).collect()
    }
}

fn read(path: &Path) -> Result<Value, Error> {
    let text = text_file::bytes(path, &CONFIGURATION)?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::in_file(path, format_args!("not JSON: {error}")))
}

/// How a path ends that asks for the number of entries of a list: `block_out_channels.length`.
const LENGTH: &str = ".length";

/// What is at a path in a configuration.
fn at<'a>(config: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(config, |within, name| match within {
        Value::Object(entries) => entries.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// What the first configuration that has it says of an entry, `text_config.hidden_size`.
fn entry(configs: &[(PathBuf, Value)], path: &str) -> Option<Entry> {
    configs.iter().find_map(|(file, config)| {
        let list = path.strip_suffix(LENGTH).and_then(|list| at(config, list));
        if let Some(Value::Array(items)) = list {
            return u64::try_from(items.len()).ok().map(Entry::Number);
        }
        match at(config, path)? {
            // `null` is how configurations leave an entry out.
            Value::Null => None,
            found => Some(number(found).map_or_else(|| other(found, file), Entry::Number)),
        }
    })
}

/// The largest whole number of a JSON document that every reader agrees on.
const MAX_NUMBER: u64 = 1 << 53;

fn number(value: &Value) -> Option<u64> {
    value.as_u64().filter(|number| *number <= MAX_NUMBER)
}

fn other(value: &Value, file: &Path) -> Entry {
    let what = match value {
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "a table".to_string(),
        other => other.to_string().chars().take(40).collect(),
    };
    Entry::Other(format!("{what} in {}", file.display()))
}
