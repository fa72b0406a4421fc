//! The options that say how a checkpoint of many files is put together.

use statedict::core::{Cut, Depth, Incomplete, Opening, SEPARATOR, Template};

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
    let expected = || "expected PATTERN=DIM, such as **.my_proj.weight=1".to_string();
    let (pattern, dimension) = text.rsplit_once('=').ok_or_else(expected)?;
    let dimension = dimension.trim().parse().map_err(|_| expected())?;
    let pattern = Template::parse(pattern.trim(), SEPARATOR).map_err(|error| error.to_string())?;
    Ok(Cut { pattern, dimension })
}

impl FolderArgs {
    /// How it is opened.
    pub(crate) fn opening(self) -> Opening {
        let incomplete = if self.partial { Incomplete::LeftOut } else { Incomplete::Refused };
        Opening { depth: Depth::Elements, incomplete, cuts: self.cut }
    }
}
