//! A word on which state dict was taken, where the command line named none.

use std::path::Path;

use statedict_core::{Catalog, StateDict};

use crate::terminal::text::{count, first_few, say};

/// State dicts that a sentence names; the rest is counted.
pub(crate) const NAMED: usize = 6;

/// Says what else could have been taken, if anything could.
pub(crate) fn say_choice(catalog: &Catalog, file: &Path, chosen: &StateDict, option: &str) {
    let others: Vec<String> = catalog.others(chosen).map(shown).collect();
    if !others.is_empty() {
        let (file, chosen, others) = (file.display(), shown(chosen), first_few(&others, NAMED));
        say(&format!("note: {file}: taking {chosen}; {option} PATH takes another: {others}"));
    }
}

/// `'model' (12 tensors)`; the root is `'/'`, as options name it.
pub(crate) fn shown(state_dict: &StateDict) -> String {
    let at = if state_dict.at.is_empty() { "/" } else { &state_dict.at };
    format!("'{at}' ({})", count(state_dict.tensors(), "tensor"))
}
