//! Saves that are made here: files as `torch.save` writes them, in a folder that is memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use statedict_core::{
    Data, Fault, Folder, FolderFormat, Opening, Part, Source, Store, StoreFile, Tensor,
    row_major_strides,
};
use statedict_zero::ZERO;
use statedict_zip::Writer;

/// What a file is made of.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Dict(Vec<(Value, Value)>),
    List(Vec<Value>),
    Int(i64),
    Float(f64),
    Text(String),
    Tensor { class: &'static str, shape: Vec<u64>, bytes: Vec<u8> },
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(values: Vec<V>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl<V: Into<Value> + Clone, const N: usize> From<[V; N]> for Value {
    fn from(values: [V; N]) -> Value {
        Value::from(values.to_vec())
    }
}

/// A dict with keys that are text.
pub(crate) fn dict<K: Into<Value>, V: Into<Value>>(
    entries: impl IntoIterator<Item = (K, V)>,
) -> Value {
    Value::Dict(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

/// A tensor of numbers in 32 bits.
pub(crate) fn tensor(shape: &[u64], numbers: &[i32]) -> Value {
    let bytes = numbers.iter().flat_map(|it| (*it as f32).to_le_bytes()).collect();
    Value::Tensor { class: "FloatStorage", shape: shape.to_vec(), bytes }
}

impl Value {
    /// With another entry in front of those that a dict has.
    pub(crate) fn with(self, key: &str, value: impl Into<Value>) -> Value {
        let Value::Dict(mut entries) = self else { panic!("no dict") };
        entries.retain(|(known, _)| !matches!(known, Value::Text(text) if text == key));
        entries.push((key.into(), value.into()));
        Value::Dict(entries)
    }

    /// The file that `torch.save` writes of it.
    pub(crate) fn saved(&self) -> Vec<u8> {
        let (mut pickle, mut storages) = (b"\x80\x02".to_vec(), Vec::new());
        self.write(&mut pickle, &mut storages);
        pickle.push(b'.');
        let mut writer = Writer::torch(1);
        writer.bytes("a/data.pkl", pickle);
        for (number, bytes) in storages.into_iter().enumerate() {
            writer.bytes(&format!("a/data/{number}"), bytes);
        }
        let layout = writer.finish();
        let parts = layout.parts().iter().map(|part| match part {
            Part::New(bytes) => &bytes[..],
            _ => panic!("all bytes are at hand"),
        });
        parts.collect::<Vec<_>>().concat()
    }

    fn write(&self, pickle: &mut Vec<u8>, storages: &mut Vec<Vec<u8>>) {
        match self {
            Value::Dict(entries) => {
                pickle.extend(b"}(");
                for (key, value) in entries {
                    key.write(pickle, storages);
                    value.write(pickle, storages);
                }
                pickle.push(b'u');
            }
            Value::List(values) => {
                pickle.extend(b"](");
                values.iter().for_each(|value| value.write(pickle, storages));
                pickle.push(b'e');
            }
            Value::Int(number) => pickle.extend(format!("I{number}\n").into_bytes()),
            Value::Float(number) => {
                pickle.push(b'G');
                pickle.extend(number.to_be_bytes());
            }
            Value::Text(text) => {
                pickle.push(b'X');
                pickle.extend((text.len() as u32).to_le_bytes());
                pickle.extend(text.as_bytes());
            }
            Value::Tensor { class, shape, bytes } => {
                let count: u64 = shape.iter().product();
                let tuple = |sizes: &[u64]| {
                    let sizes = sizes.iter().map(|size| format!("I{size}\n"));
                    format!("({}t", sizes.collect::<String>())
                };
                let key = storages.len().to_string();
                pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage");
                pickle.extend(format!("ctorch\n{class}\n").into_bytes());
                Value::Text(key).write(pickle, storages);
                pickle.extend(format!("X\x03\0\0\0cpuI{count}\ntQI0\n").into_bytes());
                pickle.extend(tuple(shape).into_bytes());
                pickle.extend(tuple(&row_major_strides(shape)).into_bytes());
                pickle.extend(b"\x89}tR");
                storages.push(bytes.clone());
            }
        }
    }
}

/// A folder in memory.
#[derive(Default)]
pub(crate) struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    /// All files that were opened, one after another.
    space: Mutex<Vec<u8>>,
}

/// The bytes of a file.
struct Bytes(Arc<[u8]>);

impl Source for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.0[..].read_at(offset, buffer)
    }
}

impl Store for Memory {
    fn list_in(&self, folder: &str) -> Result<Vec<String>, Fault> {
        let below = |name: &String| match folder {
            "" => Some(name.clone()),
            folder => Some(name.strip_prefix(folder)?.strip_prefix('/')?.to_string()),
        };
        Ok(self.files.keys().filter_map(below).filter(|name| !name.contains('/')).collect())
    }

    fn folders_in(&self, folder: &str) -> Result<Vec<String>, Fault> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below = self.files.keys().filter_map(|name| name.strip_prefix(&prefix));
        let mut folders: Vec<String> =
            below.filter_map(|name| Some(name.split_once('/')?.0.to_string())).collect();
        folders.dedup();
        Ok(folders)
    }

    fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    fn read(&self, name: &str, _limit: u64) -> Result<Vec<u8>, Fault> {
        Ok(self.files.get(name).expect("there").clone())
    }

    fn open(&self, name: &str) -> Result<StoreFile, Fault> {
        let mut space = self.space.lock().expect("not poisoned");
        let (start, bytes) = (space.len() as u64, self.files.get(name).expect("there"));
        space.extend(bytes);
        Ok(StoreFile { start, source: Box::new(Bytes(bytes.as_slice().into())) })
    }
}

impl Memory {
    pub(crate) fn of(files: impl IntoIterator<Item = (String, Value)>) -> Memory {
        let files = files.into_iter().map(|(name, value)| (name, value.saved())).collect();
        Memory { files, space: Mutex::default() }
    }

    pub(crate) fn without(mut self, name: &str) -> Memory {
        self.files.remove(name).expect("there");
        self
    }

    pub(crate) fn opened(&self, opening: &Opening) -> Result<Box<dyn Folder>, Fault> {
        self.space.lock().expect("not poisoned").clear();
        let manifest = self.files.keys().find(|name| !name.contains('/')).expect("a file");
        ZERO.open(self, manifest, opening)
    }

    /// The tensors by path and key, each with its shape and its numbers.
    pub(crate) fn tensors(&self, folder: &dyn Folder) -> BTreeMap<String, (Vec<u64>, Vec<i32>)> {
        let rows = folder.opened().catalog().rows.iter().map(|row| {
            let key = if row.path.is_empty() {
                row.key.to_string()
            } else {
                format!("{}/{}", row.path, row.key)
            };
            (key, (row.tensor.shape.clone(), self.numbers(&row.tensor)))
        });
        rows.collect()
    }

    fn numbers(&self, tensor: &Tensor) -> Vec<i32> {
        let count = usize::try_from(tensor.count()).expect("few");
        let mut numbers = vec![i32::MIN; count];
        let (inner, parts) = match &tensor.data {
            Data::Blocks(blocks) => (
                blocks.shape().to_vec(),
                blocks.parts().iter().map(|part| (part.at.clone(), &part.tensor)).collect(),
            ),
            _ => (tensor.shape.clone(), vec![(vec![0; tensor.shape.len()], tensor)]),
        };
        let of = |at: &[u64], strides: &[u64]| -> u64 {
            at.iter().zip(strides).map(|(at, stride)| at * stride).sum()
        };
        for (at, part) in parts {
            let view = part.as_view().expect("a view");
            for index in indices(&part.shape) {
                let to =
                    of(&at, &row_major_strides(&inner)) + of(&index, &row_major_strides(&inner));
                let from = view.offset() + of(&index, view.strides());
                let at = view.storage().location.range().start + from * 4;
                let at = usize::try_from(at).expect("few");
                let space = self.space.lock().expect("not poisoned");
                let number = space[at..at + 4].try_into().expect("four bytes");
                numbers[usize::try_from(to).expect("few")] = f32::from_le_bytes(number) as i32;
            }
        }
        numbers
    }
}

fn indices(shape: &[u64]) -> Vec<Vec<u64>> {
    let longer = |all: Vec<Vec<u64>>, size: &u64| {
        let each = |index: Vec<u64>| (0..*size).map(move |last| [&index[..], &[last]].concat());
        all.into_iter().flat_map(each).collect()
    };
    shape.iter().fold(vec![vec![]], longer)
}
