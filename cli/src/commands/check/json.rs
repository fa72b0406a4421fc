//! What was found of files, as JSON.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use statedict::checkpoint::{Checkable, Checked};
use statedict::core::{Finding, Verdict};

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, path_bytes, put};

/// The files of a folder that were not looked at.
pub(crate) fn unread(folder: &Path, found: &Checkable, out: &mut dyn Write) -> Result<(), Failure> {
    let names = found.unread_names.iter().map(|path| path.display().to_string());
    let names: Vec<String> = names.collect();
    let folder = folder.display().to_string();
    let unread = found.unread;
    let object = serde_json::json!({
        "schema_version": SCHEMA_VERSION,
        "folder": folder,
        "not_looked_at": unread,
        "names": names,
    });
    put(&object, out)?;
    Ok(writeln!(out)?)
}

/// The contract of `check --json`: one object a line for each file; `notes`, if there are
/// any, are not faults.
pub(crate) fn checked(checked: &Checked, out: &mut dyn Write) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown<'a> {
        r#where: &'a str,
        what: &'a str,
        why: &'a str,
        verdict: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Counts {
        dangerous: usize,
        malformed: usize,
        unknown: usize,
    }
    #[derive(Serialize)]
    struct Report<'a> {
        schema_version: u32,
        file: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_bytes: Option<String>,
        verdict: &'static str,
        counts: Counts,
        findings: Vec<Shown<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        notes: Vec<Shown<'a>>,
    }
    fn shown(findings: &[Finding]) -> Vec<Shown<'_>> {
        let shown = findings.iter().map(|Finding { verdict, place, what, why, name }| {
            let (verdict, name) = (verdict.name(), name.as_deref());
            Shown { r#where: place, what, why, verdict, name }
        });
        shown.collect()
    }
    let report = Report {
        schema_version: SCHEMA_VERSION,
        file: checked.path.display().to_string(),
        file_bytes: path_bytes(&checked.path),
        verdict: checked.verdict().name(),
        counts: Counts {
            dangerous: checked.count(Verdict::Dangerous),
            malformed: checked.count(Verdict::Malformed),
            unknown: checked.count(Verdict::Unknown),
        },
        findings: shown(&checked.findings),
        notes: shown(&checked.notes),
    };
    put(&report, out)?;
    Ok(writeln!(out)?)
}
