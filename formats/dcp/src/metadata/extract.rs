//! From the objects of a pickle to what they say.

use std::sync::Arc;

use statedict_core::{DType, Fault, IndexMap, Step};
use statedict_pth::torch_dtype;

use super::{Chunk, Chunked, Entry, Item, Metadata};
use crate::pickle::{Built, Kind, Names, SizesId, Value};

/// How many steps a path into nested state dicts may have.
const MAX_STEPS: usize = 128;

/// Where items are, by the name of what they hold and for chunks their first element.
type Places = IndexMap<(Arc<str>, Option<SizesId>), Item>;

/// What the pickle of a metadata file says.
pub(super) fn metadata(built: &Built) -> Result<Metadata, Fault> {
    let objects = Objects { names: &built.names };
    let root = objects.object(&built.root, "Metadata")?;
    let mut metadata = Metadata::default();
    let places = objects.places(root.get("storage_data"), &mut metadata)?;
    for (name, entry) in objects.entries(root.get("state_dict_metadata"), "state_dict_metadata")? {
        let name: Arc<str> = objects.text(&name)?.into();
        let entry = objects.entry(&name, &entry, &places)?;
        metadata.entries.insert(name, entry);
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
    Ok(metadata)
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
    fn entry(&self, name: &Arc<str>, entry: &Value, places: &Places) -> Result<Entry, Fault> {
        if self.is(entry, "BytesStorageMetadata") {
            let place = places.get(&(name.clone(), None)).cloned();
            let missing = || Fault::broken(format!("no file is said to have '{name}'"));
            return Ok(Entry::Object(place.ok_or_else(missing)?));
        }
        let attributes = self.object(entry, "TensorStorageMetadata")?;
        let shape = self.sizes(attributes.get("size"), name)?;
        let dtype = self.dtype(attributes.get("properties"), name)?;
        let mut chunks = Vec::new();
        for chunk in self.items(attributes.get("chunks"), name)? {
            let attributes = self.object(&chunk, "ChunkStorageMetadata")?;
            let at = self.sizes_id(attributes.get("offsets"), name)?;
            let size = self.sizes(attributes.get("sizes"), name)?.into();
            let item = places.get(&(name.clone(), Some(at))).cloned();
            chunks.push(Chunk { at: self.names.sizes(at).into(), size, item });
        }
        Ok(Entry::Tensor(Chunked { dtype, shape: shape.to_vec(), chunks }))
    }

    /// Where everything is.
    fn places(&self, data: Option<&Value>, metadata: &mut Metadata) -> Result<Places, Fault> {
        let mut places = Places::default();
        let mut known: Option<Arc<str>> = None;
        let mut untransformed: Option<Arc<[Arc<str>]>> = None;
        for (index, info) in self.entries(data, "storage_data")? {
            let index = self.object(&index, "MetadataIndex")?;
            let name = self.text_of(index.get("fqn"), "fqn")?;
            // Chunks of one tensor mostly follow each other.
            let name = match known.filter(|known| **known == *name) {
                Some(known) => known,
                None => Arc::from(name),
            };
            known = Some(name.clone());
            let at = match index.get("offset") {
                None | Some(Value::None) => None,
                offset => Some(self.sizes_id(offset, &name)?),
            };
            let info = self.object(&info, "_StorageInfo")?;
            let file = self.text_of(info.get("relative_path"), "relative_path")?;
            let file = match metadata.files.get_index_of(file) {
                Some(number) => number,
                None => metadata.files.insert_full(Arc::from(file)).0,
            };
            let offset = number(info.get("offset"), &name)?;
            let length = number(info.get("length"), &name)?;
            let transforms = match info.get("transform_descriptors") {
                None | Some(Value::None) => untransformed.get_or_insert_default().clone(),
                list => self.texts(list, &name)?,
            };
            places.insert((name, at), Item { file, offset, length, transforms });
        }
        Ok(places)
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
                Kind::Dict(entries) => Ok(entries.clone()),
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

    fn text_of(&self, text: Option<&Value>, what: &str) -> Result<&str, Fault> {
        text.and_then(|text| self.text(text).ok())
            .ok_or_else(|| Fault::broken(format!("{what} is not a text")))
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
