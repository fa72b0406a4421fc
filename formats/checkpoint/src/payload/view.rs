//! What an object of a pickle is to a reader who knows no classes.

use std::borrow::Cow;

use statedict_core::Key;
use statedict_core::objects::{Object, ObjectId, Objects, Record, Scalar};

use super::numpy;

/// Objects around a value that are passed through to it.
const MAX_WRAPPERS: usize = 8;

/// An object among those of its file.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) objects: &'a Objects,
    pub(super) id: ObjectId,
}

/// An object as a value, if it is one.
pub(super) enum View<'a> {
    None,
    Bool(bool),
    Int(i128),
    Unsigned(u128),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Sequence(Cow<'a, [ObjectId]>),
    Map(Vec<(&'a Key, ObjectId)>),
    /// No value, and what it is instead.
    Other(String),
}

impl<'a> Node<'a> {
    pub(super) fn at(self, id: ObjectId) -> Node<'a> {
        Node { id, ..self }
    }

    fn object(self) -> &'a Object {
        self.objects.get(self.id)
    }

    pub(super) fn view(self) -> View<'a> {
        self.unwrapped(MAX_WRAPPERS)
    }

    /// The value below at most so many objects that only wrap it.
    fn unwrapped(self, wrappers: usize) -> View<'a> {
        match self.object() {
            Object::Scalar(scalar) => of_scalar(scalar),
            Object::Sequence(_, items) => View::Sequence(Cow::Borrowed(items)),
            Object::Record(record) => self.of_record(record, wrappers),
            Object::Tensor(tensor) => {
                View::Other(format!("a tensor, {} {:?}", tensor.dtype, tensor.shape))
            }
            Object::Unknown(why) => {
                View::Other(format!("an object that cannot be followed: {why}"))
            }
        }
    }

    fn of_record(self, record: &'a Record, wrappers: usize) -> View<'a> {
        let entries = || record.entries.iter().map(|(key, id)| (key, *id)).collect();
        let Some(class) = record.class else {
            if self.is_set(record) {
                return View::Sequence(record.entries.values().copied().collect());
            }
            return View::Map(entries());
        };
        let class = self.at(class).name().unwrap_or("a class without a name");
        let arguments = record.arguments.map_or(&[][..], |id| self.at(id).items());
        if let Some(view) = self.of_known(class, arguments) {
            return view;
        }
        if class == "collections.defaultdict" || !record.entries.is_empty() {
            return View::Map(entries());
        }
        if class == "collections.deque" || !record.elements.is_empty() {
            return View::Sequence(Cow::Borrowed(&record.elements));
        }
        let attributes = self.attributes(record);
        let is_made_by_arguments = record.states.is_empty() && is_class(class);
        match (wrapped(class, &attributes), arguments) {
            (Some(inner), _) if wrappers > 0 => self.at(inner).unwrapped(wrappers - 1),
            (None, [value]) if is_made_by_arguments && wrappers > 0 => {
                self.at(*value).unwrapped(wrappers - 1)
            }
            (None, [_, _, ..]) if is_made_by_arguments => View::Sequence(Cow::Borrowed(arguments)),
            (None, _) if !attributes.is_empty() => View::Map(attributes),
            (None, []) if record.states.is_empty() => View::Map(attributes),
            _ => View::Other(format!("an instance of {class}")),
        }
    }

    /// Instances of classes that everyone knows.
    fn of_known(self, class: &str, arguments: &'a [ObjectId]) -> Option<View<'a>> {
        match (class, arguments) {
            ("torch.Size" | "builtins.tuple" | "builtins.list", [items]) => {
                Some(View::Sequence(Cow::Borrowed(self.at(*items).items())))
            }
            ("numpy.core.multiarray.scalar", [dtype, value]) => {
                numpy::scalar(self.at(*dtype), self.at(*value))
            }
            ("numpy.core.multiarray._reconstruct", _) => {
                Some(View::Other("an array of NumPy".to_string()))
            }
            ("_codecs.encode", [text, ..]) => {
                let bytes = self.at(*text).text()?.chars().map(u8::try_from);
                Some(View::Bytes(bytes.collect::<Result<Vec<u8>, _>>().ok()?.into()))
            }
            ("torch.device", parts) => {
                let parts = parts.iter().map(|part| match self.at(*part).view() {
                    View::Text(text) => Some(text.into_owned()),
                    View::Int(number) => Some(number.to_string()),
                    _ => None,
                });
                Some(View::Text(parts.collect::<Option<Vec<_>>>()?.join(":").into()))
            }
            _ if is_path(class) => {
                let parts = arguments.iter().map(|part| self.at(*part).text());
                let path = parts.collect::<Option<Vec<_>>>()?.join("/");
                // An absolute path begins with a part that is a slash.
                let path = path.strip_prefix("//").map_or(path.clone(), |it| format!("/{it}"));
                Some(View::Text(path.into()))
            }
            _ => None,
        }
    }

    /// True if every element is under itself as a key, which distinguishes sets from dicts.
    fn is_set(self, record: &Record) -> bool {
        let mut entries = record.entries.iter();
        !record.entries.is_empty()
            && entries.all(|(key, id)| is_text_of(key, self.at(*id).object()))
    }

    /// What an instance was given as its state: a dict, or one with another of slots.
    fn attributes(self, record: &'a Record) -> Vec<(&'a Key, ObjectId)> {
        let states = record.states.iter().flat_map(|id| match self.at(*id).object() {
            Object::Sequence(_, both) => both.as_slice(),
            _ => std::slice::from_ref(id),
        });
        let dicts = states.filter_map(|id| match self.at(*id).object() {
            Object::Record(state) => Some(state),
            _ => None,
        });
        dicts.flat_map(|state| state.entries.iter().map(|(key, id)| (key, *id))).collect()
    }

    pub(super) fn items(self) -> &'a [ObjectId] {
        match self.object() {
            Object::Sequence(_, items) => items,
            _ => &[],
        }
    }

    /// The class and the arguments of an instance, and its state.
    pub(super) fn record(self) -> Option<&'a Record> {
        match self.object() {
            Object::Record(record) => Some(record),
            _ => None,
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match self.object() {
            Object::Scalar(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn name(self) -> Option<&'a str> {
        match self.object() {
            Object::Scalar(Scalar::Name(name)) => Some(name),
            _ => None,
        }
    }
}

fn of_scalar(scalar: &Scalar) -> View<'_> {
    match scalar {
        Scalar::None => View::None,
        Scalar::Bool(value) => View::Bool(*value),
        Scalar::Int(number) => View::Int(i128::from(*number)),
        Scalar::Float(number) => View::Float(*number),
        Scalar::Text(text) | Scalar::Name(text) => View::Text(Cow::Borrowed(text)),
        Scalar::Bytes(bytes) => View::Bytes(Cow::Borrowed(bytes)),
        Scalar::BigInt(digits) => {
            let hexadecimal = digits.strip_prefix("0x").map(|it| u128::from_str_radix(it, 16));
            match (digits.parse(), hexadecimal) {
                (Ok(number), _) => View::Int(number),
                (_, Some(Ok(number))) => View::Unsigned(number),
                _ => View::Other("a whole number of more than 128 bits".to_string()),
            }
        }
    }
}

/// True if a key is how a value is shown.
fn is_text_of(key: &Key, value: &Object) -> bool {
    match (key, value) {
        (Key::Text(key), Object::Scalar(Scalar::Text(text))) => **key == **text,
        (Key::Other(key), Object::Scalar(Scalar::Int(number))) => **key == *number.to_string(),
        (Key::Other(key), Object::Scalar(Scalar::Float(number))) => **key == *format!("{number:?}"),
        _ => false,
    }
}

/// What an object of OmegaConf wraps: its nodes refer to their parents, too.
fn wrapped(class: &str, attributes: &[(&Key, ObjectId)]) -> Option<ObjectId> {
    let inner = attributes.iter().find(|(key, _)| matches!(key.as_str(), "_content" | "_val"));
    inner.filter(|_| class.starts_with("omegaconf.")).map(|(_, id)| *id)
}

/// True for what is called as classes are: an enum or a named tuple is what it is made of, and what
/// a function makes of its arguments is not known.
fn is_class(name: &str) -> bool {
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    name.starts_with(char::is_uppercase)
}

/// `pathlib.PosixPath` and its kin.
fn is_path(class: &str) -> bool {
    class.starts_with("pathlib.") && class.ends_with("Path")
}
