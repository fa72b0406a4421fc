//! Texts of JSON, and edits of them.

use std::ops::Range;

/// New text for a range of the old.
pub(crate) type Edit = (Range<usize>, String);

/// A string as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

/// The text with the edits made; they are sorted and do not overlap.
pub(crate) fn apply(text: &str, edits: &[Edit]) -> String {
    let mut new = String::with_capacity(text.len());
    let mut done = 0;
    for (range, replacement) in edits {
        new.push_str(text.get(done..range.start).expect("edits are sorted and on tokens"));
        new.push_str(replacement);
        done = range.end;
    }
    new.push_str(text.get(done..).expect("edits are on tokens"));
    new
}
