//! How much a rule may ask for: a recipe may come from a stranger.
//!
//! Real rules are a few hundred characters long; each limit is far above what any of them needs,
//! and low enough that what a rule makes is read, checked and printed at once.

/// The longest text of a rule, in bytes.
pub(crate) const MAX_RULE: usize = 64 << 10;
/// The most words of a list.
pub(crate) const MAX_WORDS: usize = 1024;
/// The most captures, lists and wildcards of a template.
pub(crate) const MAX_HOLES: usize = 64;
/// The most digits that a number in a key is filled up to; 20 are those of the largest number.
pub(crate) const MAX_WIDTH: usize = 20;
/// The largest number that is multiplied or added in a template.
pub(crate) const MAX_STEP: i64 = i32::MAX as i64;
/// The most terms of a side, lists written out.
pub(crate) const MAX_TERMS: usize = 1024;
/// The most parts that the sums of a side's places make.
pub(crate) const MAX_PARTS: u64 = 4096;
/// The most constants that a term is combined with.
pub(crate) const MAX_STEPS: usize = 16;
/// The most places of a term.
pub(crate) const MAX_PLACES: usize = 256;
/// The deepest parentheses.
pub(crate) const MAX_DEPTH: usize = 32;
/// The most names and numbers of an expression over sizes.
pub(crate) const MAX_EXPRESSION: usize = 64;
/// The largest size: the whole numbers that JSON's readers agree on.
pub(crate) const MAX_SIZE: u64 = 1 << 53;
/// The most sizes of a recipe.
pub(crate) const MAX_SIZES: usize = 256;
