//! An adapter whose elements lie after those of the file it is merged into.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::Checkpoint;
use statedict_core::diff::Side;
use statedict_core::merge::{Adapter, AdapterConfig, Merged, merge};
use statedict_core::{Catalog, IndexMap, Plan, Planned, StateDict, Tensor};

use crate::jobs::error::{Advice, Error};
use crate::jobs::merge::MergeRules;
use crate::jobs::observer::Observer;
use crate::jobs::opening::open;
use crate::jobs::rename::Rename;
use crate::jobs::selection::{Input, Role};
use crate::jobs::text_file::{self, CONFIGURATION};

/// What PEFT calls the configuration beside an adapter.
const CONFIG: &str = "adapter_config.json";

/// An adapter, opened.
pub(crate) struct OpenAdapter {
    /// As it was named.
    path: PathBuf,
    catalog: Catalog,
    /// The numbers of its tensors named `….alpha`.
    alphas: IndexMap<String, f64>,
}

/// What was merged.
pub struct MergeSummary {
    /// The adapter; none where it is in the file itself.
    pub adapter: Option<PathBuf>,
    /// The weights that have it merged.
    pub adapted: Vec<statedict_core::merge::AdaptedTensor>,
    /// The tensors that it has in place of the model's own.
    pub replaced: Vec<String>,
    /// Its keys that were left out, as was asked for.
    pub dropped: Vec<String>,
}

impl OpenAdapter {
    /// Opens an adapter, and lays its elements after those of the base.
    pub(super) fn beside(
        base: &mut Checkpoint,
        path: &Path,
        observer: &Arc<dyn Observer>,
    ) -> Result<OpenAdapter, Error> {
        let adapter = open(path, observer)?;
        let alphas = alphas(&adapter, selected(path, adapter.catalog())?)?;
        let catalog = base.append_sources(adapter);
        Ok(OpenAdapter { path: path.to_path_buf(), catalog, alphas })
    }

    fn state_dict(&self) -> Result<&StateDict, Error> {
        selected(&self.path, &self.catalog)
    }

    /// A tensor of it by its key.
    pub(super) fn tensor(&self, key: &str) -> Option<&Tensor> {
        self.catalog.tensor(self.state_dict().ok()?, key)
    }
}

impl Rename {
    /// The plan that merges an adapter, or the adapters that the file itself has.
    pub(super) fn merge(
        &self,
        rules: &MergeRules,
        checkpoint: &Checkpoint,
        adapter: Option<&OpenAdapter>,
    ) -> Result<(Planned, MergeSummary), Error> {
        let catalog = checkpoint.catalog();
        let base = Input { file: self.file.clone(), at: self.at.clone() };
        let base = base.only(catalog.select(self.at.as_deref()), Role::First)?;
        let base = Side { catalog, state_dict: base };
        let (path, side, alphas) = match adapter {
            Some(it) => {
                let side = Side { catalog: &it.catalog, state_dict: it.state_dict()? };
                (it.path.as_path(), side, it.alphas.clone())
            }
            None => (self.file.as_path(), base, self::alphas(checkpoint, base.state_dict)?),
        };
        let config = rules.config(path)?;
        let adapter_of = Adapter {
            side,
            config: config.as_ref(),
            alphas: &alphas,
            drop: &rules.drop,
            weight: rules.weight,
        };
        let merged = merge(base, adapter_of).map_err(|refused| {
            let problems = refused.problems.iter();
            let problems = problems.map(|it| format!("{}: {it}", path.display())).collect();
            let advice = config.is_none().then_some(Advice::AdapterConfig);
            Error::refused(problems).advise(advice)
        })?;
        let Merged { section, adapted, replaced, dropped } = merged;
        let unused = rules.drop.iter().filter(|it| !dropped.iter().any(|key| it.matches(key)));
        let unused_rules = unused.map(|pattern| format!("--drop {pattern}")).collect();
        let planned = Planned {
            plan: Plan::from(section),
            unmatched_keys: 0,
            unused_rules,
            regroupings: Vec::new(),
        };
        let adapter = adapter.map(|it| it.path.clone());
        Ok((planned, MergeSummary { adapter, adapted, replaced, dropped }))
    }
}

impl MergeRules {
    /// What is known of the scales of an adapter: what was given, or what lies beside it.
    fn config(&self, adapter: &Path) -> Result<Option<AdapterConfig>, Error> {
        if let Some(alpha) = self.alpha {
            return Ok(Some(AdapterConfig::of_alpha(alpha)));
        }
        let Some(path) = self.configuration(adapter) else { return Ok(None) };
        let text = text_file::text(&path, &CONFIGURATION)?;
        let config = AdapterConfig::from_json(&text).map_err(|why| Error::in_file(&path, why))?;
        Ok(Some(config))
    }

    /// The configuration of an adapter: the one that was given, or the one beside it, if one is.
    pub(super) fn configuration(&self, adapter: &Path) -> Option<PathBuf> {
        let beside = text_file::folder_of(adapter).join(CONFIG);
        self.config.clone().or_else(|| beside.is_file().then_some(beside))
    }
}

fn selected<'a>(path: &Path, catalog: &'a Catalog) -> Result<&'a StateDict, Error> {
    match catalog.select(None).map_err(|error| Error::in_file(path, error))?.as_slice() {
        [one] => Ok(one),
        all => Err(Error::in_file(path, format!("{} state dicts are selected", all.len()))),
    }
}

/// The numbers of the tensors named `….alpha`.
fn alphas(adapter: &Checkpoint, state_dict: &StateDict) -> Result<IndexMap<String, f64>, Error> {
    let mut alphas = IndexMap::default();
    for key in state_dict.keys().filter(|key| key.ends_with(".alpha")) {
        let tensor = adapter.catalog().tensor(state_dict, key);
        let Some(tensor) = tensor.filter(|tensor| tensor.count() == 1) else { continue };
        if tensor.dtype.is_float() {
            let number = adapter.array_as::<f64>(tensor)?;
            alphas.extend(number.first().map(|number| (key.to_string(), *number)));
        }
    }
    Ok(alphas)
}
