//! What becomes of keys that no rule mentions.

/// What to do with keys that the rules say nothing about, and with rules that do nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// For keys that no rule recognises.
    pub undefined: Undefined,
    /// For rules that recognise no key at all.
    pub unmatched: Unmatched,
}

/// What to do with a key that no rule recognises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undefined {
    /// Keep it under its own name, as PyTorch's prefix function does.
    #[default]
    Keep,
    /// Refuse the plan.
    Refuse,
    /// Take it out.
    Drop,
}

/// What to do when no rule recognises any key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// Refuse the plan.
    #[default]
    Refuse,
    /// Let everything stay as it is.
    Allow,
}
