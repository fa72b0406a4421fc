//! From the objects of a pickle to what they say.

use std::sync::Arc;

use statedict_core::{DType, Fault, Step};
use statedict_pth::torch_dtype;

use super::places::Places;
use super::{Chunked, Entry, Metadata, Transforms, number as number_of};
use crate::pickle::{Built, GlobalId, Info, Kind, Names, Node, Placed, SizesId, TextId, Value};

/// How many steps a path into nested state dicts may have.
const MAX_STEPS: usize = 128;

/// What the pickle of a metadata file says.
pub(super) fn metadata(built: Built) -> Result<Metadata, Fault> {
    let Built { root, mut names } = built;
    let mut metadata = Metadata::default();
    let Placing { mut placed, pending, transforms } = Objects { names: &names }.placed(&root)?;
    let pending: Vec<_> = pending
        .into_iter()
        .map(|(item, path, transforms)| (item, names.add_file(path), transforms))
        .collect();
    metadata.kinds = (0..).zip(names.files()).map(|(file, _)| (file, 0)).collect();
    for (item, file, transforms) in pending {
        placed.places[item].kind = number_of(metadata.kinds.insert_full((file, transforms)).0);
    }
    metadata.transforms = transforms;
    let places = Places::new(placed.of, &names);
    let objects = Objects { names: &names };
    // Each entry is let go as soon as it was looked at, for what it becomes takes as much room.
    let mut attributes = objects.object(&root, "Metadata")?;
    drop(root);
    for (name, entry) in
        objects.taken(attributes.take("state_dict_metadata"), "state_dict_metadata")?
    {
        let entry = objects.entry(&name, &entry, &places)?;
        metadata.entries.insert(objects.text(&name)?.into(), entry);
    }
    for (name, path) in objects.taken(attributes.take("planner_data"), "planner_data")? {
        // Other planners keep what they like there.
        let (Ok(name), Some(path)) = (objects.text(&name), objects.path(&path)) else { continue };
        if path.len() > MAX_STEPS {
            let what = format!("the path of '{name}' has over {MAX_STEPS} steps, the limit");
            return Err(Fault::TooLarge { at: None, what });
        }
        let known = metadata.entries.get_key_value(name).map(|(name, _)| name.clone());
        metadata.paths.insert(known.unwrap_or_else(|| name.into()), path);
    }
    metadata.files = names.files().map(Arc::from).collect();
    (metadata.items, metadata.order) = (placed.places, places.order);
    metadata.sizes = names.into_sizes();
    Ok(metadata)
}

/// Where everything is.
struct Placing {
    placed: Placed,
    /// Items with the paths of their files and the numbers of their transforms, which have no number
    /// yet for both together.
    pending: Vec<(usize, TextId, u32)>,
    transforms: Transforms,
}

/// The offsets and sizes of chunks.
type Chunks = Vec<(SizesId, SizesId)>;

struct Objects<'a> {
    names: &'a Names,
}

/// The attributes of an object.
struct Attributes(Vec<(String, Value)>);

impl Attributes {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().rposition(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
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
        let (dtype, shape, chunks) = match self.stored(entry) {
            Some((dtype, size, chunks)) => (self.dtype(dtype, name)?, size, chunks),
            None => {
                let attributes = self.object(entry, "TensorStorageMetadata")?;
                let size = self.sizes_id(attributes.get("size"), name)?;
                let dtype = self.dtype_in(attributes.get("properties"), name)?;
                (dtype, size, self.chunks(attributes.get("chunks"), name)?)
            }
        };
        let shape = self.names.sizes(shape).to_vec();
        let items = places.items(id.id, &chunks);
        Ok(Entry::Tensor(Chunked { dtype, shape, chunks, items }))
    }

    /// What a tensor is that was read at once.
    fn stored(&self, entry: &Value) -> Option<(GlobalId, SizesId, Chunks)> {
        let Value::Node(node) = entry else { return None };
        let (dtype, size) = match &*node.kind() {
            Kind::Stored(dtype, size, _) => (*dtype, *size),
            _ => return None,
        };
        Some((dtype, size, Node::take_chunks(node)?))
    }

    /// The offsets and sizes of chunks.
    fn chunks(&self, list: Option<&Value>, name: &str) -> Result<Chunks, Fault> {
        if let Some(Value::Node(node)) = list
            && let Some(chunks) = Node::take_chunks(node)
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
            _ => Placed::default(),
        };
        let (mut pending, mut transforms) = (Vec::new(), Transforms::default());
        transforms.insert(Arc::default());
        for (index, info) in self.entries(data, "storage_data")? {
            let (name, at) = self.index(&index)?;
            if let Value::Info(info) = &info {
                placed.push(name, at, info);
                continue;
            }
            let what = self.names.text(name);
            let (path, info, list) = self.info(&info, what)?;
            let number = match list {
                None => 0,
                Some(list) => transforms.insert_full(self.texts(Some(&list), what)?).0,
            };
            pending.push((placed.of.len(), path, number_of(number)));
            placed.push(name, at, &info);
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

    /// The type in the properties of a tensor.
    fn dtype_in(&self, properties: Option<&Value>, name: &str) -> Result<DType, Fault> {
        let dtype = match properties {
            Some(Value::Properties(dtype)) => Some(*dtype),
            Some(Value::Node(node)) => first_built(node),
            _ => None,
        };
        let dtype = dtype.ok_or_else(|| Fault::broken(format!("'{name}' has no element type")))?;
        self.dtype(dtype, name)
    }

    fn dtype(&self, dtype: GlobalId, name: &str) -> Result<DType, Fault> {
        let dtype = self.names.global(dtype).strip_prefix("torch.").and_then(torch_dtype);
        dtype.ok_or_else(|| Fault::broken(format!("'{name}' has no element type")))
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
            return Err(Fault::broken(format!(
                "expected metadata of a checkpoint, with a {class}"
            )));
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

    /// The entries of a dict that is not looked at any more.
    fn taken(&self, dict: Option<Value>, what: &str) -> Result<Vec<(Value, Value)>, Fault> {
        match dict {
            Some(Value::Node(node)) => Node::take_entries(&node)
                .ok_or_else(|| Fault::broken(format!("{what} is not a dict"))),
            dict => self.entries(dict.as_ref(), what),
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

/// The class or type that is the first of the tuple which an object was built of.
fn first_built(node: &Node) -> Option<GlobalId> {
    let Kind::Object { state: Value::Node(state), .. } = &*node.kind() else { return None };
    let Kind::Sequence(parts) = &*state.kind() else { return None };
    match parts.first() {
        Some(Value::Global(first)) => Some(*first),
        _ => None,
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
