//! The options of how tensors are written, which all commands that write them take.

use clap::{Arg, ValueEnum};
use statedict::core::casting::{CastRule, Casting};
use statedict::core::{Headroom, Ties};
use statedict::jobs::rename::{Encoding, Strictness};

use crate::commands::output_args::FormatArgs;
use crate::failure::Failure;
use crate::terminal::size;

/// How tensors are written.
#[derive(Debug, clap::Args)]
pub(crate) struct CopyArgs {
    /// Cast floating-point tensors: `bf16`, `text.**=float32`; can be repeated
    #[arg(long, value_name = "[PATTERN=]DTYPE")]
    cast: Vec<String>,
    /// Refuse what is otherwise done with a note: tensors that are not cast, values out of range
    #[arg(long)]
    strict: bool,
    /// Choose how tensors are written that several keys share
    #[arg(long, value_enum, default_value = "each")]
    ties: TiesWritten,
    /// Reserve this much header space, so that later in-place renames fit
    #[arg(long, value_name = "SIZE", value_parser = size::reserve)]
    reserve: Option<u64>,
}

impl CopyArgs {
    /// How the tensors are encoded in this format, where this separates the segments of keys.
    pub(crate) fn encoding(
        &self,
        format: &FormatArgs,
        separator: char,
    ) -> Result<Encoding, Failure> {
        let casts = self.cast.iter().map(|text| CastRule::parse(text, separator));
        Ok(Encoding {
            casting: Casting { rules: casts.collect::<Result<_, _>>()? },
            ties: self.ties.ties(),
            headroom: self.reserve.map_or(Headroom::Usual, Headroom::Bytes),
            format: format.format(),
            sharding: format.sharding()?,
            ..Encoding::default()
        })
    }

    /// Whether what cannot be done wholly is refused.
    pub(crate) fn strictness(&self) -> Strictness {
        if self.strict { Strictness::Refuse } else { Strictness::Note }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TiesWritten {
    /// Under each key
    Each,
    /// Under the first key, recording the others
    One,
}

impl TiesWritten {
    fn ties(self) -> Ties {
        match self {
            TiesWritten::Each => Ties::Each,
            TiesWritten::One => Ties::One,
        }
    }
}

/// The option `cast`, with the keys that its patterns are for in its long help.
pub(crate) fn patterns_are_for(cast: Arg, keys: &str) -> Arg {
    explained(cast, &format!("Patterns are for {keys}."))
}

/// An option with more to say in its long help.
pub(crate) fn explained(option: Arg, more: &str) -> Arg {
    let help = option.get_help().cloned().unwrap_or_default();
    option.long_help(format!("{help}\n\n{more}"))
}
