//! The options that say how a checkpoint of many files is put together.

use std::path::PathBuf;

use clap::ValueEnum;
use statedict::core::{Cut, Depth, Incomplete, Opening, SEPARATOR, Which};
use statedict::jobs::recipe::parse_cut;
use statedict::jobs::shapes;
use statedict::silent;

use crate::failure::Failure;

/// The options that say how a checkpoint of many files is put together.
#[derive(Debug, clap::Args)]
pub(crate) struct FolderArgs {
    /// Take what is whole of a checkpoint some of whose elements are missing, and list the rest
    #[arg(long)]
    partial: bool,
    /// Join the tensors that match along this dimension: `**.my_proj.weight=1`; can be repeated
    ///
    /// For ranks of tensor parallelism of Megatron and DeepSpeed, where no file says how they were cut.
    /// Those of known models need none.
    #[arg(long, value_name = "PATTERN=DIM", value_parser = cut)]
    cut: Vec<Cut>,
    /// Take the names and shapes of parameters from this file: a model, or its `ls --json`
    ///
    /// For files of ranks of FSDP's LOCAL_STATE_DICT, which have several parameters as one vector and
    /// do not say which.
    #[arg(long, value_name = "TARGET")]
    shapes: Option<PathBuf>,
    /// Of a DeepSpeed save, take the optimizer's 32-bit masters or the 16-bit module
    ///
    /// `module` reads the model states alone, so it needs no rank's optimizer states. Saves of stage 3
    /// have no 16-bit parameters.
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    which: WhichArg,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum WhichArg {
    #[default]
    Masters,
    Module,
}

/// A dimension as it is typed: `**.my_proj.weight=1`.
fn cut(text: &str) -> Result<Cut, String> {
    parse_cut(text, SEPARATOR)
}

impl FolderArgs {
    /// How it is opened.
    pub(crate) fn opening(self) -> Result<Opening, Failure> {
        let shapes = match &self.shapes {
            Some(target) => shapes::read(target, &silent())?,
            None => Vec::new(),
        };
        let incomplete = if self.partial { Incomplete::LeftOut } else { Incomplete::Refused };
        let which = match self.which {
            WhichArg::Masters => Which::Masters,
            WhichArg::Module => Which::Module,
        };
        Ok(Opening { depth: Depth::Elements, incomplete, cuts: self.cut, shapes, which })
    }
}
