//! Names of members and what goes with them: none climbs, none appears twice, none is a link.

use std::collections::HashSet;

use statedict_core::Finding;

use crate::{Archive, extra};

const CLIMBS: &str = "unpacked by name it lands outside the folder it is unpacked into";
const TWICE: &str = "some readers take the first, some the last";

const FOLDER: &str = "some readers see a folder, some a file";
const LINK: &str = "unpacked it leads to any place that it names";
const EXTRA: &str = "readers differ on where the next one starts";

/// The last version of the format, 6.3, as headers write it (4.4.3).
const LAST_VERSION: u16 = 63;

pub(super) fn check(archive: &Archive) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = HashSet::new();
    for entry in archive.entries() {
        let name = entry.name();
        if climbs(name) {
            findings.push(Finding::malformed(name, "the member's name climbs", CLIMBS));
        }
        if !seen.insert(name) {
            findings.push(Finding::malformed(name, "two members have this name", TWICE));
        }
        if entry.is_folder() && entry.size() > 0 {
            findings.push(Finding::malformed(name, "a folder that has bytes", FOLDER));
        }
        if entry.attributes.is_link() {
            findings.push(Finding::malformed(name, "the member is a link", LINK));
        }
        if u64::from(entry.volume) != archive.end().volume {
            let what = format!("the member is said to be in volume {}", entry.volume);
            findings.push(Finding::malformed(name, what, "there is no such volume"));
        }
        // The upper byte of the field is a system, not a version.
        let needed = entry.attributes.needed & 0xff;
        if needed > LAST_VERSION {
            let what = format!("version {}.{} of zip is needed", needed / 10, needed % 10);
            findings.push(Finding::malformed(name, what, "6.3 is the last that there is"));
        }
        if extra::is_cut(entry.extra()) {
            findings.push(Finding::malformed(name, "an extra field is truncated", EXTRA));
        }
        if let Some(other) = extra::unicode_path(entry.extra())
            && other != entry.raw_name()
        {
            let what = format!("the member is also named '{}'", String::from_utf8_lossy(other));
            findings.push(Finding::malformed(name, what, "readers differ on which name counts"));
        }
    }
    findings
}

/// True for names of members that are absolute, have a drive, or go up, in the manner of Unix or
/// Windows.
pub fn climbs(name: &str) -> bool {
    let has_drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    name.starts_with(['/', '\\']) || has_drive || name.split(['/', '\\']).any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_reported() {
        for name in ["../x", "m/../../x", "/x", "\\x", "C:\\x", "c:x", "m\\..\\x", ".."] {
            assert!(climbs(name), "{name}");
        }
        for name in ["m/data.pkl", "m/.data/x", "a..b", "...", "layer/0.weight.npy", ""] {
            assert!(!climbs(name), "{name}");
        }
    }
}
