//! Values separated by commas: a line for each entry of all but the last dimension.

use super::array_text::one;
use super::values::Values;

/// The values of an array of this shape; an array of one dimension has a line for each value.
pub(super) fn text(values: &Values, shape: &[u64]) -> String {
    let columns = match shape {
        [] | [_] => 1,
        [.., last] => usize::try_from(*last).unwrap_or(usize::MAX).max(1),
    };
    let mut text = String::new();
    for place in 0..values.len() {
        text.push_str(&one(values, place));
        text.push(if (place + 1) % columns == 0 { '\n' } else { ',' });
    }
    text
}
