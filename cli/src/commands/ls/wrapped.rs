//! The command that takes the wrappers off that a file was saved under.

use std::path::Path;

use statedict::core::wrapper_names;
use statedict::jobs::list::Wrapped;

use crate::terminal::text::{shell_option, shell_path};

/// `saved under DataParallel; to take that off: statedict unwrap net.pth`.
pub(crate) fn line(wrapped: &Wrapped, file: &Path) -> String {
    let names = wrapper_names(&wrapped.segments);
    let (at, file) = (option(wrapped), shell_path(file));
    format!("saved under {names}; to take that off: statedict unwrap {file}{at}")
}

/// The option that takes these state dicts, with a space before it; nothing where none is needed.
pub(crate) fn option(wrapped: &Wrapped) -> String {
    match wrapped.state_dicts.as_slice() {
        [_] if wrapped.is_plain => String::new(),
        [only] => {
            let at = if only.path.is_empty() { "/" } else { &only.path };
            format!(" {}", shell_option("--at", at))
        }
        _ => " --at '*'".to_string(),
    }
}
