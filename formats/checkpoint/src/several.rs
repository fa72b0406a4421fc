//! Several checkpoints that are looked at as one: a trainer's folder.

use statedict_core::{
    Catalog, Fault, Folder, Format, LeftOut, Manner, Opened, PendingFiles, Plan, Section,
    TensorSet, UnsupportedTensors, Value,
};

/// Why they are not written as they are.
const UNWRITABLE: &str = "it is a folder of several checkpoints; name one of them, or write a file";

/// Opened checkpoints, each below a path of its own.
pub(crate) struct SeveralFolders {
    parts: Vec<(String, Box<dyn Folder>)>,
    catalog: Catalog,
    files: Vec<String>,
    left_out: Vec<LeftOut>,
}

impl SeveralFolders {
    /// Checkpoints with their paths, and where their files start in the address space.
    pub(crate) fn new(parts: Vec<(String, u64, Box<dyn Folder>)>) -> SeveralFolders {
        let (mut catalog, mut files, mut left_out) = (Catalog::default(), Vec::new(), Vec::new());
        for (prefix, start, part) in &parts {
            catalog.append_below(prefix, part.opened().catalog(), *start);
            files.extend(part.files().into_iter().map(|file| format!("{prefix}/{file}")));
            left_out.extend(
                part.left_out().iter().map(|it| LeftOut {
                    path: format!("{prefix}/{}", it.path),
                    why: it.why.clone(),
                }),
            );
        }
        let parts = parts.into_iter().map(|(prefix, _, part)| (prefix, part)).collect();
        SeveralFolders { parts, catalog, files, left_out }
    }
}

impl Opened for SeveralFolders {
    fn kind(&self) -> &'static str {
        // They are mostly alike.
        self.parts.first().map_or("folder", |(_, part)| part.opened().kind())
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn payload(&self) -> Result<Option<Value>, Fault> {
        let payload = |(prefix, part): &(String, Box<dyn Folder>)| {
            Ok((prefix.clone(), part.opened().payload()?.unwrap_or(Value::None)))
        };
        let all = self.parts.iter().map(payload).collect::<Result<_, Fault>>()?;
        Ok(Some(Value::Map(all)))
    }
}

impl Folder for SeveralFolders {
    fn opened(&self) -> &dyn Opened {
        self
    }

    fn format(&self) -> &'static dyn Format {
        self.parts[0].1.format()
    }

    fn files(&self) -> Vec<&str> {
        self.files.iter().map(String::as_str).collect()
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn rewrite(&self, _plan: &Plan, _manner: Manner) -> Result<PendingFiles, Fault> {
        Err(Fault::Unsupported(UNWRITABLE.into()))
    }

    fn encode(
        &self,
        contents: TensorSet,
        _section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        Err(UnsupportedTensors::none_written(&contents, UNWRITABLE))
    }
}
