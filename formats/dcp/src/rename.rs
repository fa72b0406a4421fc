//! Other names for what a checkpoint holds: its metadata is written again, and nothing else.

use statedict_core::{
    Assembled, Catalog, Fault, Folder, Format, IndexMap, IndexSet, Layout, LeftOut, Manifest,
    Manner, Mentions, NewFile, Opened, Opening, PendingFiles, Plan, Section, Source, Step, Store,
    TensorSet, UnsupportedTensors, Value,
};

use crate::encode::encode;
use crate::metadata::{Meaning, Metadata, is_admitted, meanings};
use crate::names::{METADATA, metadata_files};
use crate::open;
use crate::pickle::{Detail, Edits, edited, follow};

/// The key under which an optimizer lists its parameters.
const PARAMETERS: &str = "params";

/// What stands for the folder that a checkpoint was saved to: nobody else needs to know.
const HERE: &str = ".";

/// An opened folder whose metadata can get other names.
pub(crate) struct Renamable {
    pub(crate) assembled: Assembled,
    pub(crate) metadata: Metadata,
    /// The metadata, where it is one file; why nothing is renamed, where it is not.
    pub(crate) manifest: Result<MetadataFile, String>,
    /// The data files: their names, and where they start in the address space and end.
    pub(crate) data: Vec<(String, std::ops::Range<u64>)>,
}

/// The one file of metadata.
pub(crate) struct MetadataFile {
    pub(crate) name: String,
    pub(crate) source: Box<dyn Source>,
}

/// The metadata, to be written.
#[derive(Clone, Debug)]
struct NewMetadata {
    name: String,
    bytes: Vec<u8>,
}

impl Manifest for NewMetadata {
    fn name(&self) -> &str {
        &self.name
    }

    fn rename_file(&mut self, _from: &str, _to: &str) {
        // Data files stay as they are, and so do their names.
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    fn boxed(&self) -> Box<dyn Manifest> {
        Box::new(self.clone())
    }
}

/// A new name, and the last step of the path that it stands for.
struct NewName {
    name: String,
    last: String,
}

impl Renamable {
    /// Opens a folder.
    pub(crate) fn open(
        store: &dyn Store,
        manifest: &str,
        opening: &Opening,
    ) -> Result<Renamable, Fault> {
        let opened = open::open(store, manifest, opening)?;
        let open::Opened { assembled, metadata, data, has_names_in_data } = opened;
        let is_of_ranks = metadata_files(manifest, &store.list()?)?.len() > 1;
        let manifest = if is_of_ranks {
            Err("each rank has metadata of its own; write another format".to_string())
        } else if has_names_in_data {
            Err("its data files are safetensors and have the names, too; write another format"
                .to_string())
        } else {
            let source = store.open(manifest)?.source;
            Ok(MetadataFile { name: manifest.to_string(), source })
        };
        Ok(Renamable { assembled, metadata, manifest, data })
    }

    /// The new names of everything that a plan renames.
    ///
    /// # Errors
    /// Entries that are dropped, and names that two would have.
    fn new_names(&self, plan: &Plan) -> Result<IndexMap<String, NewName>, Fault> {
        let mut names = IndexMap::default();
        for (name, _) in &self.metadata.entries {
            let path = self.metadata.path(name);
            let Some((Step::Key(last), above)) = path.split_last() else { continue };
            let at = Step::joined(above);
            let Some(section) = plan.section(&at) else { continue };
            match section.fate(last) {
                Some(None) => {
                    let what = format!(
                        "'{name}' would be dropped, and its elements would stay in the data files; \
                         write another format without it"
                    );
                    return Err(Fault::Unsupported(what));
                }
                Some(Some(new)) if new != &**last => {
                    let renamed = match self.metadata.paths.get(name) {
                        Some(_) => above.iter().cloned().chain([Step::key(new)]).collect(),
                        None => vec![Step::key(new)],
                    };
                    let new = new.to_string();
                    names.insert(name.to_string(), NewName { name: dotted(&renamed), last: new });
                }
                _ => {}
            }
        }
        let kept = self.metadata.entries.keys().filter(|name| !names.contains_key(&***name));
        let mut all: IndexSet<&str> = kept.map(|name| &**name).collect();
        match names.values().find(|new| !all.insert(&new.name)) {
            Some(twice) => {
                Err(Fault::Unsupported(format!("two entries would be named '{}'", twice.name)))
            }
            None => Ok(names),
        }
    }

    /// Tensors by the data files that they were in, those of no file last.
    fn by_file(&self, contents: TensorSet, section: &Section) -> Vec<TensorSet> {
        let mut files = IndexMap::<&str, usize>::default();
        for (name, entry) in &self.metadata.entries {
            let path = self.metadata.path(name);
            if let Some((Step::Key(last), above)) = path.split_last()
                && let Some(Some(new)) = section.fate(last)
                && Step::joined(above) == section.path()
            {
                files.extend(self.metadata.first_file(entry).map(|file| (new, file)));
            }
        }
        let mut sets: IndexMap<usize, TensorSet> = IndexMap::default();
        for (key, elements) in contents.tensors {
            let file = files.get(&*key).copied().unwrap_or(usize::MAX);
            sets.entry(file).or_default().tensors.push((key, elements));
        }
        sets.sort_keys();
        let mut sets: Vec<TensorSet> = sets.into_values().collect();
        if let Some(first) = sets.first_mut() {
            first.ties = contents.ties;
        }
        sets
    }

    /// The metadata with other names.
    fn renamed(&self, file: &MetadataFile, plan: &Plan) -> Result<Vec<u8>, Fault> {
        let names = self.new_names(plan)?;
        let pickle = file.source.bytes(0..file.source.len())?;
        let built = follow(&pickle.as_slice(), is_admitted, Detail::Everything)?;
        let mut edits = Edits::default();
        for (push, meaning) in meanings(&built)? {
            let new = match &meaning {
                Meaning::Name(name) => names.get(name).map(|new| new.name.clone()),
                Meaning::LastStep(name) => names.get(name).map(|new| new.last.clone()),
                Meaning::SavedTo => Some(HERE.to_string()),
            };
            edits.extend(new.map(|new| (push, new)));
        }
        let bytes = edited(&pickle, &edits)?;
        self.verify(&bytes, &names)?;
        Ok(bytes)
    }

    /// Reads what is to be written, and holds it against what it should say.
    fn verify(&self, bytes: &[u8], names: &IndexMap<String, NewName>) -> Result<(), Fault> {
        let written = Metadata::read(&bytes)?;
        let new = |name: &str| names.get(name).map_or(name.to_string(), |new| new.name.clone());
        let same = self.metadata.entries.len() == written.entries.len()
            && self.metadata.entries.iter().all(|(name, entry)| {
                written.entries.get(new(name).as_str()).is_some_and(|it| it == entry)
            })
            && self.metadata.paths.iter().all(|(name, path)| {
                let mut path = path.clone();
                if let (Some(new), Some(last)) = (names.get(&**name), path.last_mut()) {
                    *last = Step::key(new.last.as_str());
                }
                written.paths.get(new(name).as_str()) == Some(&path)
            });
        if same {
            return Ok(());
        }
        let what =
            "the metadata spells names in a way that cannot be changed; write another format";
        Err(Fault::Unsupported(what.into()))
    }
}

/// A name of a path: its steps, joined by dots.
fn dotted(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => key.to_string(),
        Step::Index(index) => index.to_string(),
    });
    steps.collect::<Vec<_>>().join(".")
}

impl Opened for Renamable {
    fn kind(&self) -> &'static str {
        self.assembled.kind()
    }

    fn catalog(&self) -> &Catalog {
        self.assembled.catalog()
    }

    fn payload(&self) -> Result<Option<Value>, Fault> {
        self.assembled.payload()
    }

    /// The optimizer's entries, which know the parameters by their names and do not follow.
    fn mentions(&self, plan: &Plan) -> Result<Mentions, Fault> {
        let mut mentions = Mentions::default();
        let renamed: IndexSet<&str> = plan
            .sections()
            .iter()
            .flat_map(|section| section.fates())
            .filter(|(old, new)| new.is_none_or(|new| new != *old))
            .map(|(old, _)| old)
            .collect();
        for (name, _) in &self.metadata.entries {
            let path = self.metadata.path(name);
            let Some((last, above)) = path.split_last() else { continue };
            if plan.section(&Step::joined(above)).is_some() {
                continue;
            }
            let is_named = |step: &Step| matches!(step, Step::Key(key) if renamed.contains(&**key));
            let by_step = above.iter().position(is_named);
            let flattened = matches!(last, Step::Key(key) if between(key).is_some_and(|it| renamed.contains(it)));
            if let Some(place) = by_step {
                mentions.not_followed.add(&Step::joined(&above[..place]), 1);
            } else if flattened {
                mentions.not_followed.add(&Step::joined(above), 1);
            }
        }
        if mentions.not_followed.is_empty() {
            return Ok(mentions);
        }
        for (path, names) in parameter_lists(&self.payload()?.unwrap_or(Value::None)) {
            let known = names.iter().filter(|name| renamed.contains(name.as_str())).count();
            mentions.not_followed.add(&path, known);
        }
        Ok(mentions)
    }
}

/// The name of a parameter in a flattened key of an optimizer: `state.<name>.exp_avg`.
fn between(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("state.").or_else(|| key.strip_prefix("param_groups."))?;
    rest.rsplit_once('.').map(|(name, _)| name)
}

/// The lists of parameters in what lies beside the tensors, with the paths to them.
fn parameter_lists(payload: &Value) -> Vec<(String, Vec<String>)> {
    let (mut found, mut open) = (Vec::new(), vec![(String::new(), payload)]);
    while let Some((at, value)) = open.pop() {
        let Value::Map(entries) = value else { continue };
        for (key, value) in entries {
            let path = if at.is_empty() { key.clone() } else { format!("{at}/{key}") };
            match value {
                Value::List(items) if key == PARAMETERS => {
                    let names = items.iter().filter_map(|item| match item {
                        Value::Text(name) => Some(name.clone()),
                        _ => None,
                    });
                    found.push((path, names.collect()));
                }
                value => open.push((path, value)),
            }
        }
    }
    found
}

impl Folder for Renamable {
    fn opened(&self) -> &dyn Opened {
        self
    }

    fn format(&self) -> &'static dyn Format {
        self.assembled.format()
    }

    fn files(&self) -> Vec<&str> {
        self.assembled.files()
    }

    fn left_out(&self) -> &[LeftOut] {
        self.assembled.left_out()
    }

    /// The data files as they are, and metadata with other names.
    fn rewrite(&self, plan: &Plan, _manner: Manner) -> Result<PendingFiles, Fault> {
        let file = self.manifest.as_ref().map_err(|why| Fault::Unsupported(why.clone()))?;
        if !plan.metadata().is_empty() {
            let what = "a distributed checkpoint has no place for metadata";
            return Err(Fault::Unsupported(what.into()));
        }
        let bytes = self.renamed(file, plan).map_err(|fault| fault.in_file(file.name.as_str()))?;
        let files = self.data.iter().map(|(name, range)| {
            let mut layout = Layout::new();
            layout.copy(range.clone());
            NewFile { name: name.clone(), layout, renamed: None, changed: false }
        });
        let manifest: Box<dyn Manifest> = Box::new(NewMetadata { name: file.name.clone(), bytes });
        Ok(PendingFiles::Folder {
            files: files.collect(),
            manifest: Some(manifest),
            gone: Vec::new(),
        })
    }

    fn encode(
        &self,
        contents: TensorSet,
        section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        let mut pending = encode(&self.by_file(contents, section))?;
        // In the place of the old checkpoint nothing leads to its files any more.
        if let PendingFiles::Folder { files, gone, .. } = &mut pending {
            let is_new = |name: &&str| files.iter().any(|file| file.name == **name);
            let old = self.files().into_iter().filter(|name| *name != METADATA && !is_new(name));
            gone.extend(old.map(String::from));
        }
        Ok(pending)
    }
}
