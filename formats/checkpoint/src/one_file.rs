//! A checkpoint that is one file, seen as a folder's files are.

use statedict_core::{
    Container, Fault, Folder, Format, Manner, Opened, PendingFiles, Plan, Section, TensorSet,
    UnsupportedTensors,
};

use crate::error::{Action, Cause, Error};
use crate::identify::identify;
use crate::registry::FORMATS;
use crate::source::FileSource;

use std::path::Path;

/// An opened file of some format.
pub(crate) struct OneFile {
    format: &'static dyn Format,
    container: Box<dyn Container>,
}

impl OneFile {
    /// What a file is by its bytes; the path only helps to name what is not a checkpoint.
    pub(crate) fn open(source: &FileSource, path: &Path) -> Result<OneFile, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        for &format in FORMATS {
            let container = format.open(source).map_err(|fault| failed(fault.into()))?;
            if let Some(container) = container {
                return Ok(OneFile { format, container });
            }
        }
        Err(failed(match identify(source, path) {
            Ok(what) => Cause::Foreign(what),
            Err(fault) => fault.into(),
        }))
    }
}

impl Folder for OneFile {
    fn opened(&self) -> &dyn Opened {
        self.container.as_ref()
    }

    fn format(&self) -> &'static dyn Format {
        self.format
    }

    /// None that has a name of its own in a folder.
    fn files(&self) -> Vec<&str> {
        Vec::new()
    }

    fn container_at(&self, _start: u64) -> Option<&dyn Container> {
        Some(self.container.as_ref())
    }

    fn rewrite(&self, plan: &Plan, manner: Manner) -> Result<PendingFiles, Fault> {
        let (layout, renamed) = manner.rewrite(self.container.as_ref(), 0, plan.clone())?;
        Ok(PendingFiles::File { layout, renamed })
    }

    fn encode(
        &self,
        contents: TensorSet,
        _section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        self.format.encode(&contents)
    }
}
