//! Several checkpoints that are looked at as one: a trainer's folder, or files that are joined.

use statedict_core::{
    Catalog, Collision, Fault, Folder, Format, IndexMap, LeftOut, Manner, Opened, Payload,
    PendingFiles, Plan, Section, TensorSet, UnsupportedTensors, Value,
};

/// Why they are not written as they are.
const UNWRITABLE: &str = "it is a folder of several checkpoints; name one of them, or write a file";

/// Opened checkpoints, each below a path of its own.
pub(crate) struct SeveralFolders {
    parts: Vec<(String, Box<dyn Folder>)>,
    catalog: Catalog,
    files: Vec<String>,
    left_out: Vec<LeftOut>,
    /// Text beside the tensors, of all of them.
    metadata: IndexMap<String, String>,
}

/// One of several checkpoints.
pub(crate) struct Part {
    /// The path that it is below.
    pub(crate) prefix: String,
    /// Where its files start in the address space.
    pub(crate) start: u64,
    pub(crate) folder: Box<dyn Folder>,
    /// What it holds, where that is more than its files say.
    pub(crate) catalog: Option<Catalog>,
}

impl SeveralFolders {
    /// Checkpoints as one.
    pub(crate) fn new(parts: Vec<Part>) -> SeveralFolders {
        let (mut catalog, mut files, mut left_out) = (Catalog::default(), Vec::new(), Vec::new());
        for Part { prefix, start, folder: part, catalog: own } in &parts {
            let own = own.as_ref().unwrap_or_else(|| part.opened().catalog());
            catalog.append_below(prefix, own, *start);
            files.extend(part.files().into_iter().map(|file| format!("{prefix}/{file}")));
            left_out.extend(
                part.left_out().iter().map(|it| LeftOut {
                    path: format!("{prefix}/{}", it.path),
                    why: it.why.clone(),
                }),
            );
        }
        let parts = parts.into_iter().map(|part| (part.prefix, part.folder)).collect();
        SeveralFolders { parts, catalog, files, left_out, metadata: IndexMap::default() }
    }

    /// Adds the state dict at the root that sections make of those of the parts.
    pub(crate) fn put_together(&mut self, sections: &[Section]) -> Result<(), Vec<Collision>> {
        self.catalog.put_together(sections)
    }

    /// Adds the text beside the tensors of a part; where another part says something else under the
    /// same name, it is one of the things that are left behind.
    pub(crate) fn add_metadata(&mut self, title: &str, metadata: Vec<(String, String)>) {
        for (key, value) in metadata {
            match self.metadata.get(&key) {
                None => drop(self.metadata.insert(key, value)),
                Some(known) if *known == value => {}
                Some(_) => {
                    let path = format!("{title}/__metadata__/{key}");
                    self.catalog.payload.push(Payload { path, kind: "other text".into() });
                }
            }
        }
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

    fn metadata(&self) -> Vec<(String, String)> {
        self.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
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

    fn inferred(&self) -> Option<&str> {
        self.parts.iter().find_map(|(_, part)| part.inferred())
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
