//! The job file: JSON, with a version.

use std::path::Path;

use serde::{Deserialize, Serialize};
use statedict_checkpoint::InputFile;

use crate::jobs::error::Error;
use crate::jobs::parts::request::Request;
use crate::jobs::parts::texts::absolute;
use crate::jobs::text_file::{self, RECIPE};

/// What says that a file is one of these.
const KIND: &str = "parts";

/// The version of the form that is written; no other is read.
const VERSION: u32 = 1;

/// The job file as it is written.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    statedict_job: String,
    version: u32,
    /// The version of the program that planned the job.
    pub(super) planned_by: String,
    /// What this job alone is called.
    pub(super) id: String,
    pub(super) request: Request,
    pub(super) inputs: Vec<Input>,
    pub(super) parts: Vec<Part>,
    /// The file that leads to the others, which `finish` writes.
    pub(super) index: Option<String>,
}

/// A file that is read, by every part.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub(super) file: String,
    bytes: u64,
    header_sha256: String,
}

/// What one part reads and writes.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) part: usize,
    pub(super) bytes: u64,
    pub(super) reads: Vec<Read>,
    pub(super) writes: Vec<Write>,
}

/// Elements that a part needs of an input.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    pub(super) file: String,
    pub(super) bytes: u64,
}

/// A file that a part writes into the output folder.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Write {
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) header_sha256: String,
}

/// What is looked at first, whatever else there may be.
#[derive(Deserialize)]
struct Head {
    statedict_job: String,
    version: u32,
}

impl Document {
    pub(super) fn new(
        id: String,
        request: Request,
        inputs: Vec<Input>,
        parts: Vec<Part>,
        index: Option<String>,
    ) -> Document {
        Document {
            statedict_job: KIND.into(),
            version: VERSION,
            planned_by: env!("CARGO_PKG_VERSION").into(),
            id,
            request,
            inputs,
            parts,
            index,
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("texts and numbers serialise");
        text.push('\n');
        text
    }

    /// Reads a job file.
    ///
    /// # Errors
    /// A file that is none, or of another version.
    pub(super) fn read(path: &Path) -> Result<Document, Error> {
        let text = text_file::text(path, &RECIPE)?;
        Document::parse(&text).map_err(|error| Error::in_file(path, error))
    }

    pub(super) fn parse(text: &str) -> Result<Document, String> {
        let bad = |error: serde_json::Error| format!("not a job file: {error}");
        let head: Head = serde_json::from_str(text).map_err(bad)?;
        if head.statedict_job != KIND || head.version != VERSION {
            let Head { statedict_job, version } = head;
            return Err(format!(
                "a job file of the kind '{statedict_job}', version {version}; expected '{KIND}', \
                 version {VERSION}"
            ));
        }
        let document: Document = serde_json::from_str(text).map_err(bad)?;
        // Of no parts all would be done, and only the index would be written.
        if document.parts.is_empty() {
            return Err("parts: expected one or more".into());
        }
        let is_id = document.id.len() == 2 * ID_BYTES
            && document.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Err(format!("id '{}': expected {} digits", document.id, 2 * ID_BYTES));
        }
        Ok(document)
    }
}

/// As many bytes as no two jobs have in common by chance.
pub(super) const ID_BYTES: usize = 8;

impl Input {
    pub(super) fn of(input: &InputFile) -> Result<Input, Error> {
        Ok(Input {
            file: absolute(&input.path)?,
            bytes: input.bytes,
            header_sha256: hex(&input.header),
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_job_file_says_what_is_wrong() {
        let check = |text: &str, expected: &str| {
            let message = Document::parse(text).expect_err("bad");
            assert!(message.contains(expected), "{message}");
        };
        check("", "not a job file");
        check("[]", "not a job file");
        check("{}", "missing field `statedict_job`");
        check(r#"{"statedict_job":"parts","version":2}"#, "version 2; expected 'parts', version 1");
        check(r#"{"statedict_job":"x","version":1}"#, "the kind 'x'");
        check(r#"{"statedict_job":"parts","version":1}"#, "missing field");
    }
}
