//! The wrappers that a file was saved under, and the command that takes them off.

use statedict_checkpoint::Checkpoint;
use statedict_core::{Policy, Rule, StateDict, plan, wrapper_names, wrapping};

use crate::terminal::text::{shell_option, shell_path};

/// `saved under DataParallel, which this takes off: statedict unwrap net.pth`; `None` if the file
/// was saved under no wrapper, or its keys cannot be without.
pub(crate) fn line(checkpoint: &Checkpoint) -> Option<String> {
    let catalog = checkpoint.catalog();
    let wrapped: Vec<&StateDict> = catalog
        .state_dicts
        .iter()
        .filter(|state_dict| state_dict.fixed.is_none() && !wrapping(state_dict.keys()).is_empty())
        .collect();
    let first = wrapped.first()?;
    plan(&[Rule::unwrap_all()], catalog, &wrapped, Policy::default()).ok()?;
    let names = wrapper_names(&wrapping(first.keys()));
    let is_plain = matches!(catalog.select(None).as_deref(), Ok([only]) if only.at == first.at);
    let at = match (wrapped.len(), is_plain) {
        (1, true) => String::new(),
        (1, false) => {
            let at = if first.at.is_empty() { "/" } else { &first.at };
            format!(" {}", shell_option("--at", at))
        }
        _ => " --at '*'".to_string(),
    };
    let file = shell_path(checkpoint.path());
    Some(format!("saved under {names}; to take that off: statedict unwrap {file}{at}"))
}
