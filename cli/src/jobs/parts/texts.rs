//! What a job file writes as texts: patterns, numbers, paths.

use std::path::{self, Path};

use serde::{Deserialize, Serialize};
use statedict_core::{SEPARATOR, Template};

use crate::jobs::error::Error;

/// A template of keys.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pattern {
    pattern: String,
    #[serde(default = "usual_separator", skip_serializing_if = "is_usual")]
    separator: char,
}

fn usual_separator() -> char {
    SEPARATOR
}

fn is_usual(separator: &char) -> bool {
    *separator == SEPARATOR
}

impl Pattern {
    pub(super) fn of(template: &Template) -> Pattern {
        Pattern { pattern: template.to_string(), separator: template.separator() }
    }

    pub(super) fn template(&self) -> Result<Template, String> {
        Template::parse(&self.pattern, self.separator).map_err(said)
    }
}

/// A number that can be calculated with.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|number: &f64| number.is_finite());
    read.ok_or_else(|| format!("'{text}' is not a finite number"))
}

/// An error as what it says.
pub(super) fn said(error: impl ToString) -> String {
    error.to_string()
}

/// A path that leads to the same file from everywhere on this machine.
pub(super) fn absolute(path: &Path) -> Result<String, Error> {
    let absolute = path::absolute(path).map_err(|error| Error::unreadable(path, error))?;
    let text = absolute.into_os_string().into_string();
    text.map_err(|_| Error::in_file(path, "the path is not UTF-8, which a job file has to be"))
}
