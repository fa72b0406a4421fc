//! From the objects of a pickle to what they say.

use std::sync::Arc;

use statedict_core::{DType, Fault, Step};
use statedict_pth::torch_dtype;

use super::places::Places;
use super::{Chunked, Entry, Metadata, Transforms};
use crate::pickle::{Built, Info, Kind, Names, Placed, SizesId, TextId, Value};

/// How many steps a path into nested state dicts may have.
const MAX_STEPS: usize = 128;

/// What the pickle of a metadata file says.
pub(super) fn metadata(built: Built) -> Result<Metadata, Fault> {
    let Built { root, mut names } = built;
    let mut metadata = Metadata::default();
    let Placing { mut placed, pending, transforms } = Objects { names: &names }.placed(&root)?;
    for (item, path) in pending {
        placed[item].file = names.add_file(path);
    }
    metadata.transforms = transforms;
    let places = Places::new(placed, &names);
    let objects = Objects { names: &names };
    let root = objects.object(&root, "Metadata")?;
    for (name, entry) in objects.entries(root.get("state_dict_metadata"), "state_dict_metadata")? {
        let entry = objects.entry(&name, &entry, &places)?;
        metadata.entries.insert(objects.text(&name)?.into(), entry);
    }
    for (name, path) in objects.entries(root.get("planner_data"), "planner_data")? {
        // Other planners keep what they like there.
        let (Ok(name), Some(path)) = (objects.text(&name), objects.path(&path)) else { continue };
        if path.len() > MAX_STEPS {
            let what = format!("the path of '{name}' has over {MAX_STEPS} steps, the limit");
            return Err(Fault::TooLarge { at: None, what });
        }
        metadata.paths.insert(name.into(), path);
    }
    metadata.files = names.files().map(Arc::from).collect();
    (metadata.items, metadata.order) = (places.placed, places.order);
    metadata.sizes = names.into_sizes();
    Ok(metadata)
}

/// Where everything is.
struct Placing {
    placed: Vec<Placed>,
    /// The paths of items whose files have no numbers yet.
    pending: Vec<(usize, TextId)>,
    transforms: Transforms,
}

struct Objects<'a> {
    names: &'a Names,
}

/// The attributes of an object.
struct Attributes(Vec<(String, Value)>);

impl Attributes {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl Objects<'_> {
    fn entry(&self, key: &Value, entry: &Value, places: &Places) -> Result<Entry, Fault> {
        let Value::Text(id) = key else { return Err(Fault::broken("a name that is not a text")) };
        let name = self.names.text(id.id);
        if self.is(entry, "BytesStorageMetadata") {
            let missing = || Fault::broken(format!("no file is said to have '{name}'"));
            return Ok(Entry::Object(places.object(id.id).ok_or_else(missing)?));
        }
        let attributes = self.object(entry, "TensorStorageMetadata")?;
        let shape = self.sizes(attributes.get("size"), name)?.to_vec();
        let dtype = self.dtype(attributes.get("properties"), name)?;
        let chunks = self.chunks(attributes.get("chunks"), name)?;
        let items = places.items(id.id, &chunks);
        Ok(Entry::Tensor(Chunked { dtype, shape, chunks, items }))
    }

    /// The offsets and sizes of chunks.
    fn chunks(&self, list: Option<&Value>, name: &str) -> Result<Vec<(SizesId, SizesId)>, Fault> {
        if let Some(Value::Node(node)) = list
            && let Some(chunks) = node.take_chunks()
        {
            return Ok(chunks);
        }
        let chunks = self.items(list, name)?.into_iter().map(|chunk| {
            if let Value::Chunk(at, size) = chunk {
                return Ok((at, size));
            }
            let attributes = self.object(&chunk, "ChunkStorageMetadata")?;
            let at = self.sizes_id(attributes.get("offsets"), name)?;
            Ok((at, self.sizes_id(attributes.get("sizes"), name)?))
        });
        chunks.collect()
    }

    /// Where everything is, and how it was transformed.
    fn placed(&self, root: &Value) -> Result<Placing, Fault> {
        let root = self.object(root, "Metadata")?;
        let data = root.get("storage_data");
        let mut placed = match data {
            Some(Value::Node(node)) => node.take_placed(),
            _ => Vec::new(),
        };
        let (mut pending, mut transforms) = (Vec::new(), Transforms::default());
        transforms.insert(Arc::default());
        for (index, info) in self.entries(data, "storage_data")? {
            let (name, at) = self.index(&index)?;
            if let Value::Info(info) = &info {
                placed.push(Placed::plain(name, at, info));
                continue;
            }
            let what = self.names.text(name);
            let (path, info, list) = self.info(&info, what)?;
            let number = match list {
                None => 0,
                Some(list) => transforms.insert_full(self.texts(Some(&list), what)?).0,
            };
            let transforms = u32::try_from(number).unwrap_or(u32::MAX);
            pending.push((placed.len(), path));
            placed.push(Placed { transforms, ..Placed::plain(name, at, &info) });
        }
        Ok(Placing { placed, pending, transforms })
    }

    fn index(&self, index: &Value) -> Result<(TextId, Option<SizesId>), Fault> {
        if let Value::Index(name, at) = index {
            return Ok((*name, *at));
        }
        let index = self.object(index, "MetadataIndex")?;
        let name = self.text_id(index.get("fqn"), "fqn")?;
        let at = match index.get("offset") {
            None | Some(Value::None) => None,
            offset => Some(self.sizes_id(offset, self.names.text(name))?),
        };
        Ok((name, at))
    }

    /// The path of the file that something is in, where it is, and the list of its transforms.
    fn info(&self, info: &Value, name: &str) -> Result<(TextId, Info, Option<Value>), Fault> {
        let info = self.object(info, "_StorageInfo")?;
        let path = self.text_id(info.get("relative_path"), "relative_path")?;
        let offset = number(info.get("offset"), name)?;
        let length = number(info.get("length"), name)?;
        let transforms = info.get("transform_descriptors").cloned();
        let transforms = transforms.filter(|list| !matches!(list, Value::None));
        Ok((path, Info { file: u32::MAX, offset, length }, transforms))
    }

    fn path(&self, path: &Value) -> Option<Vec<Step>> {
        let Value::Node(node) = path else { return None };
        let Kind::Sequence(steps) = &*node.kind() else { return None };
        let step = |step: &Value| match step {
            Value::Text(text) => Some(Step::Key(self.names.text(text.id).into())),
            Value::Int(index) => u64::try_from(*index).ok().map(Step::Index),
            _ => None,
        };
        steps.iter().map(step).collect::<Option<Vec<Step>>>().filter(|steps| !steps.is_empty())
    }

    fn dtype(&self, properties: Option<&Value>, name: &str) -> Result<DType, Fault> {
        let unknown = || Fault::broken(format!("'{name}' has no element type"));
        let Some(Value::Node(node)) = properties else { return Err(unknown()) };
        let Kind::Object { state, .. } = &*node.kind() else { return Err(unknown()) };
        let Value::Node(state) = state else { return Err(unknown()) };
        let Kind::Sequence(parts) = &*state.kind() else { return Err(unknown()) };
        let Some(Value::Global(dtype)) = parts.first() else { return Err(unknown()) };
        let path = self.names.global(*dtype);
        path.strip_prefix("torch.").and_then(torch_dtype).ok_or_else(unknown)
    }

    /// True if a value is an object of a class of this name.
    fn is(&self, value: &Value, class: &str) -> bool {
        let Value::Node(node) = value else { return false };
        match &*node.kind() {
            Kind::Object { class: own, .. } => {
                let path = self.names.global(*own);
                path.strip_suffix(class).is_some_and(|module| module.ends_with('.'))
            }
            _ => false,
        }
    }

    /// The attributes of an object of a class of this name.
    fn object(&self, value: &Value, class: &str) -> Result<Attributes, Fault> {
        if !self.is(value, class) {
            return Err(Fault::broken(format!("expected a {class}")));
        }
        let Value::Node(node) = value else { return Ok(Attributes(Vec::new())) };
        let Kind::Object { state, .. } = &*node.kind() else { return Ok(Attributes(Vec::new())) };
        let entries = match state {
            Value::None => Vec::new(),
            state => self.entries(Some(state), class)?,
        };
        let named = entries.into_iter().map(|(name, value)| Ok((self.text(&name)?.into(), value)));
        Ok(Attributes(named.collect::<Result<_, Fault>>()?))
    }

    /// The entries of a dict; none of what is not there.
    fn entries(&self, dict: Option<&Value>, what: &str) -> Result<Vec<(Value, Value)>, Fault> {
        match dict {
            None | Some(Value::None) => Ok(Vec::new()),
            Some(Value::Node(node)) => match &*node.kind() {
                Kind::Dict(entries, _) => Ok(entries.clone()),
                _ => Err(Fault::broken(format!("{what} is not a dict"))),
            },
            Some(_) => Err(Fault::broken(format!("{what} is not a dict"))),
        }
    }

    fn items(&self, list: Option<&Value>, name: &str) -> Result<Vec<Value>, Fault> {
        let Some(Value::Node(node)) = list else {
            return Err(Fault::broken(format!("'{name}' has no list of chunks")));
        };
        match &*node.kind() {
            Kind::Sequence(items) => Ok(items.clone()),
            _ => Err(Fault::broken(format!("'{name}' has no list of chunks"))),
        }
    }

    fn texts(&self, list: Option<&Value>, name: &str) -> Result<Arc<[Arc<str>]>, Fault> {
        let items = self.items(list, name)?;
        items.iter().map(|item| Ok(Arc::from(self.text(item)?))).collect()
    }

    fn sizes(&self, sizes: Option<&Value>, name: &str) -> Result<&[u64], Fault> {
        self.sizes_id(sizes, name).map(|id| self.names.sizes(id))
    }

    fn sizes_id(&self, sizes: Option<&Value>, name: &str) -> Result<SizesId, Fault> {
        match sizes {
            Some(Value::Sizes(id)) => Ok(*id),
            _ => Err(Fault::broken(format!("'{name}' has a size or place that is no torch.Size"))),
        }
    }

    fn text_id(&self, text: Option<&Value>, what: &str) -> Result<TextId, Fault> {
        match text {
            Some(Value::Text(text)) => Ok(text.id),
            _ => Err(Fault::broken(format!("{what} is not a text"))),
        }
    }

    fn text(&self, text: &Value) -> Result<&str, Fault> {
        match text {
            Value::Text(text) => Ok(self.names.text(text.id)),
            _ => Err(Fault::broken("a name that is not a text")),
        }
    }
}

/// A place or length in a file.
fn number(number: Option<&Value>, name: &str) -> Result<u64, Fault> {
    match number {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| Fault::broken(format!("'{name}' is at a place that is not a number from 0 on")))
}
