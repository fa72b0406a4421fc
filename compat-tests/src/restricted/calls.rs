//! What the admitted functions do with their arguments, as far as that is modelled.

use super::Stop;
use super::admitted::Admitted;
use super::machine::Machine;
use super::values::{DictKind, Id, Key, Storage, Value, View, element_size};

/// No dimension of a tensor is looked at beyond this; nobody saves such.
const MOST_DIMENSIONS: usize = 16;

impl Machine<'_> {
    /// `func(*args)`.
    pub(super) fn call(&mut self, path: &str, kind: Admitted, args: Id) -> Result<Value, Stop> {
        let args = match &self.values[args] {
            Value::Tuple(items) | Value::List(items) | Value::Size(items) => items.clone(),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                return Err(Stop::Failed("the arguments are none"));
            }
            _ => return Ok(self.unknown()),
        };
        match (path, kind) {
            (_, Admitted::DType | Admitted::Value) => Err(Stop::Failed("not callable")),
            ("torch.storage.UntypedStorage", _) => Ok(self.unknown()),
            (_, Admitted::Storage(_)) => Err(Stop::Failed("not callable")),
            ("collections.OrderedDict", _) => self.ordered_dict(&args),
            ("collections.Counter", _) if args.is_empty() => {
                Ok(Value::Dict(DictKind::Counter, Vec::new()))
            }
            ("builtins.set", _) if args.is_empty() => Ok(Value::Set),
            ("torch.Size", _) => Ok(self.size(&args)),
            ("torch._utils._rebuild_tensor", _) => self.rebuild(&args, 4),
            ("torch._utils._rebuild_tensor_v2", _) => self.rebuild_v2(&args),
            ("torch._utils._rebuild_parameter", _) => Ok(self.parameter(&args)),
            _ => Ok(self.unknown()),
        }
    }

    fn ordered_dict(&mut self, args: &[Id]) -> Result<Value, Stop> {
        let entries = match args {
            [] => Vec::new(),
            [one] => match self.values[*one].clone() {
                Value::Dict(_, entries) => entries,
                Value::List(pairs) | Value::Tuple(pairs) => {
                    let mut entries = Vec::new();
                    for pair in pairs {
                        let Value::Tuple(pair) = self.values[pair].clone() else {
                            return Ok(self.unknown());
                        };
                        let [key, value] = pair[..] else {
                            return Err(Stop::Failed("an entry is not a pair"));
                        };
                        let key = self.key(key)?;
                        set(&mut entries, key, value);
                    }
                    entries
                }
                _ => return Ok(self.unknown()),
            },
            _ => return Err(Stop::Failed("OrderedDict takes one argument")),
        };
        Ok(Value::Dict(DictKind::Ordered, entries))
    }

    fn size(&mut self, args: &[Id]) -> Value {
        if let [one] = args
            && let Value::Tuple(items) | Value::List(items) = &self.values[*one]
            && items.iter().all(|item| matches!(self.values[*item], Value::Int(_)))
        {
            return Value::Size(items.clone());
        }
        self.unknown()
    }

    fn rebuild_v2(&mut self, args: &[Id]) -> Result<Value, Stop> {
        let (grad, hooks) = match args {
            [_, _, _, _, grad, hooks] => (*grad, *hooks),
            [_, _, _, _, grad, hooks, metadata]
                if self.values[*metadata].truth() == Some(false) =>
            {
                (*grad, *hooks)
            }
            [_, _, _, _, _, _, _] => return Ok(self.unknown()),
            _ => return Err(Stop::Failed("six or seven arguments are expected")),
        };
        let rebuilt = self.rebuild(&args[..4], 4)?;
        let hooks = &self.values[hooks];
        let is_plain = *hooks == Value::None
            || matches!(hooks, Value::Dict(DictKind::Ordered, items) if items.is_empty());
        match (&rebuilt, &self.values[grad]) {
            (Value::Tensor(_), Value::Bool(false)) if is_plain => Ok(rebuilt),
            (Value::Tensor(view), Value::Bool(true))
                if is_plain && is_float(view.storage.dtype) =>
            {
                Ok(rebuilt)
            }
            _ => Ok(self.unknown()),
        }
    }

    /// A tensor over a storage, given offset, size and strides.
    fn rebuild(&mut self, args: &[Id], count: usize) -> Result<Value, Stop> {
        if args.len() != count {
            return Err(Stop::Failed("four arguments are expected"));
        }
        let storage = match &self.values[args[0]] {
            Value::Storage(storage) => *storage,
            Value::Opaque => return Ok(self.unknown()),
            _ => return Err(Stop::Failed("what is looked at is not a storage")),
        };
        match self.view(storage, &args[1..]) {
            Some(view) => Ok(Value::Tensor(view)),
            None => Ok(self.unknown()),
        }
    }

    /// The view of a storage at an offset, of a size and strides, if it is within.
    pub(super) fn view(&self, storage: Storage, geometry: &[Id]) -> Option<View> {
        let [offset, shape, strides] = geometry else { return None };
        let offset = self.unsigned(*offset)?;
        let (shape, strides) = (self.numbers(*shape)?, self.numbers(*strides)?);
        let size = element_size(storage.dtype)?;
        if shape.len() != strides.len() || shape.len() > MOST_DIMENSIONS {
            return None;
        }
        let mut last = u128::from(offset);
        for (size, stride) in shape.iter().zip(&strides) {
            last += u128::from(size.saturating_sub(1)) * u128::from(*stride);
        }
        let needed = if shape.contains(&0) { u128::from(offset) } else { last + 1 };
        let available = u128::from(self.storages[storage.number] / size);
        (needed <= available).then_some(View { storage, offset, shape, strides })
    }

    fn unsigned(&self, id: Id) -> Option<u64> {
        match self.values[id] {
            Value::Int(number) => {
                u64::try_from(number).ok().filter(|number| *number < i64::MAX as u64)
            }
            _ => None,
        }
    }

    fn numbers(&self, id: Id) -> Option<Vec<u64>> {
        match &self.values[id] {
            Value::Tuple(items) | Value::Size(items) => {
                items.iter().map(|item| self.unsigned(*item)).collect()
            }
            _ => None,
        }
    }

    fn parameter(&mut self, args: &[Id]) -> Value {
        if let [data, grad, hooks] = args
            && let Value::Tensor(view) = &self.values[*data]
            && let Value::Bool(grad) = self.values[*grad]
            && matches!(&self.values[*hooks], Value::Dict(DictKind::Ordered, items) if items.is_empty())
            && (!grad || is_float(view.storage.dtype))
        {
            return Value::Parameter(view.clone());
        }
        self.unknown()
    }

    /// True for what legacy files note of a module's source: an archive's loader fails on it by an
    /// assertion, whatever else it admits.
    fn is_source(&self, items: &[Id]) -> bool {
        let is_class = |id: &Id| matches!(self.values[*id], Value::Global(..));
        match items {
            [tag, class, _, _] => {
                let is_named = matches!(&self.values[*tag], Value::Text(text) if text == b"module");
                is_named && is_class(class)
            }
            [class, _, _] => is_class(class),
            _ => false,
        }
    }

    /// The storage that a persistent id names.
    pub(super) fn storage(&mut self, id: Id) -> Result<Value, Stop> {
        let items = match &self.values[id] {
            Value::Tuple(items) => items.clone(),
            Value::Int(_) => return Err(Stop::Failed("the persistent id is not a tuple")),
            Value::Opaque => return Ok(self.unknown()),
            _ => return Err(Stop::Refused("the persistent id is not a tuple")),
        };
        let Some(first) = items.first() else { return Err(Stop::Failed("an empty id")) };
        match &self.values[*first] {
            Value::Text(text) if text == b"storage" => {}
            Value::Opaque => return Ok(self.unknown()),
            _ if self.is_source(&items) => {
                return Err(Stop::Failed("the source of a module, which is not a storage"));
            }
            _ => return Err(Stop::Refused("it is not a storage")),
        }
        let [_, class, key, _, count] = items[..] else {
            return Err(Stop::Failed("a persistent id has five parts"));
        };
        let dtype = match self.values[class] {
            Value::Global(_, Admitted::Storage(dtype)) => dtype,
            Value::Global(..) | Value::Opaque | Value::Storage(_) => return Ok(self.unknown()),
            Value::Tensor(_) | Value::Parameter(_) => return Ok(self.unknown()),
            _ => return Err(Stop::Failed("the class of a storage is none")),
        };
        let (Value::Text(key), Value::Int(count)) = (&self.values[key], &self.values[count]) else {
            return Ok(self.unknown());
        };
        let number = std::str::from_utf8(key).ok().and_then(|key| key.parse::<usize>().ok());
        let canonical = number.filter(|number| number.to_string().as_bytes() == &key[..]);
        let Some(&len) = canonical.and_then(|number| self.storages.get(number)) else {
            return Err(Stop::Failed("there is no such storage"));
        };
        let number = canonical.expect("it was found");
        if self.loaded.insert(number, dtype) == Some(dtype) {
            // The length is not looked at again.
            return Ok(Value::Storage(Storage { number, dtype }));
        }
        let Some(size) = element_size(dtype) else { return Ok(self.unknown()) };
        match count.checked_mul(i128::from(size)) {
            Some(bytes) if bytes == i128::from(len) => {
                Ok(Value::Storage(Storage { number, dtype }))
            }
            _ => Err(Stop::Failed("the storage has another length")),
        }
    }

    /// Sets the state of an object.
    pub(super) fn build(&mut self, object: Id, state: Id) -> Result<(), Stop> {
        match self.values[object].clone() {
            Value::Tensor(view) => {
                self.values[object] = match self.set_to(&view, state) {
                    Some(view) => Value::Tensor(view),
                    None => self.unknown(),
                };
                Ok(())
            }
            Value::Parameter(_) | Value::Opaque => {
                self.values[object] = self.unknown();
                Ok(())
            }
            Value::Dict(DictKind::Ordered | DictKind::Counter, _) => self.attributes(state),
            // Types that are admitted, whose attributes may be set.
            Value::Size(_) | Value::Storage(_) | Value::Set => {
                self.is_doubtful = true;
                Ok(())
            }
            _ => Err(Stop::Refused("it has no state that may be set")),
        }
    }

    /// `__dict__.update(state)`.
    fn attributes(&mut self, state: Id) -> Result<(), Stop> {
        match &self.values[state] {
            Value::Dict(..) => Ok(()),
            Value::Int(_) | Value::Float(_) => Err(Stop::Failed("a state that is not a dict")),
            _ => {
                self.is_doubtful = true;
                Ok(())
            }
        }
    }

    /// `tensor.set_(*state)`.
    fn set_to(&self, view: &View, state: Id) -> Option<View> {
        let Value::Tuple(items) = &self.values[state] else { return None };
        let [storage, geometry @ ..] = &items[..] else { return None };
        match self.values[*storage] {
            Value::Storage(storage) if storage.dtype == view.storage.dtype => {
                self.view(storage, geometry)
            }
            _ => None,
        }
    }

    /// A value as the key of a dict.
    pub(super) fn key(&mut self, id: Id) -> Result<Key, Stop> {
        Ok(match &self.values[id] {
            Value::None => Key::None,
            Value::Bool(false) => Key::Int(0, Some("False")),
            Value::Bool(true) => Key::Int(1, Some("True")),
            Value::Int(number) => Key::Int(*number, None),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Key::Int(*number as i128, Some(""))
            }
            Value::Float(number) if number.is_nan() => Key::Identity(id),
            Value::Float(number) => Key::Float(number.to_bits()),
            Value::Text(text) => Key::Text(text.clone()),
            Value::Tuple(items) | Value::Size(items) => {
                let items = items.clone();
                let keys: Result<_, Stop> = items.iter().map(|item| self.key(*item)).collect();
                Key::Tuple(keys?)
            }
            Value::Global(path, _) => Key::Global(path),
            Value::List(_) | Value::Dict(..) | Value::Set => {
                return Err(Stop::Failed("a key that cannot be hashed"));
            }
            Value::Opaque => {
                self.is_doubtful = true;
                Key::Identity(id)
            }
            Value::Storage(_) | Value::Tensor(_) | Value::Parameter(_) => Key::Identity(id),
        })
    }

    /// A value that is not modelled; from here on nothing is claimed of what is loaded.
    pub(super) fn unknown(&mut self) -> Value {
        self.is_doubtful = true;
        Value::Opaque
    }
}

/// Sets a key, which keeps its place and spelling if it is there.
pub(super) fn set(entries: &mut Vec<(Key, Id)>, key: Key, value: Id) {
    match entries.iter_mut().find(|(known, _)| *known == key) {
        Some((_, old)) => *old = value,
        None => entries.push((key, value)),
    }
}

fn is_float(dtype: &str) -> bool {
    matches!(dtype, "F16" | "BF16" | "F32" | "F64" | "C64" | "C128")
}
