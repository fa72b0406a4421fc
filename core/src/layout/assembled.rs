//! Checkpoints that are put together from the files of a folder, and only read.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Folder, Format, LeftOut, Manner, Opened, PendingFiles, TensorSet, UnsupportedTensors};
use crate::{Catalog, Fault, Plan, Section, Value};

/// What gives everything that lies beside the tensors, when somebody asks.
pub type ReadPayload = Box<dyn Fn() -> Result<Value, Fault> + Send + Sync>;

/// A checkpoint that is put together from several files.
pub struct Assembled {
    /// The format that reads it.
    pub format: &'static dyn Format,
    /// Its files by name, in the order in which they lie in the address space.
    pub files: Vec<String>,
    /// What they hold together.
    pub catalog: Catalog,
    /// Tensors that are not whole.
    pub left_out: Vec<LeftOut>,
    /// What no file says and the others lead to, in a sentence; `None` if they say it all.
    pub inferred: Option<String>,
    /// What lies beside them; none if nothing does.
    pub payload: Option<ReadPayload>,
}

impl Assembled {
    /// Why it is not written as it is.
    fn unwritable(&self) -> String {
        format!("{} checkpoints are read and not written; write another format", self.kind())
    }
}

impl Opened for Assembled {
    fn kind(&self) -> &'static str {
        self.format.name()
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn payload(&self) -> Result<Option<Value>, Fault> {
        self.payload.as_ref().map(|payload| payload()).transpose()
    }
}

impl Folder for Assembled {
    fn opened(&self) -> &dyn Opened {
        self
    }

    fn format(&self) -> &'static dyn Format {
        self.format
    }

    fn files(&self) -> Vec<&str> {
        self.files.iter().map(String::as_str).collect()
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn inferred(&self) -> Option<&str> {
        self.inferred.as_deref()
    }

    fn rewrite(&self, _plan: &Plan, _manner: Manner) -> Result<PendingFiles, Fault> {
        Err(Fault::Unsupported(self.unwritable()))
    }

    fn encode(
        &self,
        contents: TensorSet,
        _section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        Err(UnsupportedTensors::none_written(&contents, self.unwritable()))
    }
}
