//! The options that say how a checkpoint of many files is put together.

use statedict::core::{Cut, Depth, Incomplete, Opening, SEPARATOR};
use statedict::jobs::recipe::parse_cut;

/// The options that say how a checkpoint of many files is put together.
#[derive(Debug, clap::Args)]
pub(crate) struct FolderArgs {
    /// Take what is whole of a checkpoint some of whose elements are missing, and list the rest
    #[arg(long)]
    partial: bool,
    /// Join the tensors that match along this dimension: `**.my_proj.weight=1`; can be repeated
    ///
    /// For files of ranks of Megatron, which do not say how they were cut. Those of known GPT models
    /// need none.
    #[arg(long, value_name = "PATTERN=DIM", value_parser = cut)]
    cut: Vec<Cut>,
}

/// A dimension as it is typed: `**.my_proj.weight=1`.
fn cut(text: &str) -> Result<Cut, String> {
    parse_cut(text, SEPARATOR)
}

impl FolderArgs {
    /// How it is opened.
    pub(crate) fn opening(self) -> Opening {
        let incomplete = if self.partial { Incomplete::LeftOut } else { Incomplete::Refused };
        Opening { depth: Depth::Elements, incomplete, cuts: self.cut }
    }
}
