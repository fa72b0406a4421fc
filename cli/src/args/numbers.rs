//! Numbers that are typed.

use std::str::FromStr;

/// A whole number that is not below 0.
pub(crate) fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "expected a whole number that is not below 0".into())
}
