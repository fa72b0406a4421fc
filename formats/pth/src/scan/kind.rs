//! What admitted and inert calls make, as far as weights-only loading distinguishes them.

use super::admitted::is_admitted;

/// The kind of what a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `OrderedDict` or `Counter`: takes entries, and attributes.
    Mapping,
    /// A dict that only a loader that trusts the file makes.
    OtherMapping,
    /// A tensor or a parameter.
    Tensor,
    /// A tensor of a class of its own, which takes whatever state it likes.
    Subclass,
    /// A storage.
    Storage,
    /// Bytes, numbers, sizes, devices, layouts: nothing fills or changes them.
    Fixed,
    /// A set or a bytearray, which weights-only loading fills with nothing.
    Bare,
    /// A description of elements, of NumPy's.
    Elements,
    /// A row of numbers that takes no memory itself and much as a list.
    Range,
    /// An array of NumPy's, whose elements may take no memory either.
    Array,
    /// Something else.
    Other,
}

impl Kind {
    /// What calling the thing at a path makes.
    pub(super) fn made_by(path: &str) -> Kind {
        match path {
            "collections.OrderedDict" | "collections.Counter" => Kind::Mapping,
            "collections.defaultdict" | "builtins.dict" => Kind::OtherMapping,
            "builtins.set" | "builtins.bytearray" => Kind::Bare,
            "builtins.complex"
            | "_codecs.encode"
            | "torch.Size"
            | "torch.device"
            | "torch.serialization._get_layout" => Kind::Fixed,
            "builtins.range" => Kind::Range,
            "numpy.dtype" => Kind::Elements,
            "numpy._core.multiarray._reconstruct"
            | "numpy._core.numeric._frombuffer"
            | "numpy.core.multiarray._reconstruct"
            | "numpy.core.numeric._frombuffer" => Kind::Array,
            "torch._tensor._rebuild_from_type_v2" | "torch._utils._rebuild_wrapper_subclass" => {
                Kind::Subclass
            }
            "torch.nn.parameter.Parameter" => Kind::Tensor,
            path if !path.starts_with("torch.") || !is_admitted(path) => Kind::Other,
            path if path.starts_with("torch._utils._rebuild") => Kind::Tensor,
            path if path.ends_with("Tensor") && !path.contains("distributed") => Kind::Tensor,
            path if path.ends_with("Storage") => Kind::Storage,
            _ => Kind::Other,
        }
    }

    /// True if weights-only loading sets entries in it, or if it makes no such thing.
    pub(super) fn takes_entries(self) -> bool {
        matches!(self, Kind::Mapping | Kind::OtherMapping | Kind::Array | Kind::Other)
    }

    /// True if weights-only loading appends to it, which it does to lists alone, or if it makes no
    /// such thing.
    pub(super) fn takes_items(self) -> bool {
        matches!(self, Kind::Array | Kind::Other)
    }

    /// True if weights-only loading fills it with a state, or if it makes no such thing.
    pub(super) fn takes_state(self) -> bool {
        !matches!(self, Kind::Storage | Kind::Fixed | Kind::Bare | Kind::Range)
    }
}

/// How weights-only loading can call what it admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    /// Not at all: it is a value.
    No,
    /// As a function.
    Function,
    /// As a class, which `NEWOBJ` makes too.
    Class,
}

impl Callable {
    /// How what has an admitted path can be called.
    pub(super) fn at(path: &str) -> Callable {
        let name = path.rsplit('.').next().unwrap_or_default();
        let is_class = name.trim_start_matches('_').starts_with(|c: char| c.is_ascii_uppercase());
        match path {
            "torch.device" | "builtins.bytearray" | "builtins.complex" | "builtins.set" => {
                Callable::Class
            }
            "_codecs.encode" | "torch.serialization._get_layout" => Callable::Function,
            "torch.storage.TypedStorage" | "torch.storage.UntypedStorage" => Callable::Class,
            // The classes of old storages are names for dtypes there.
            path if path.ends_with("Storage") => Callable::No,
            _ if is_class => Callable::Class,
            path if path.starts_with("torch._utils.") || path.starts_with("torch._tensor.") => {
                Callable::Function
            }
            // Dtypes and schemes of quantisation.
            _ => Callable::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtypes_and_old_storage_classes_are_values_to_weights_only_loading() {
        let check = |path, expected| {
            assert!(is_admitted(path), "{path}");
            assert_eq!(Callable::at(path), expected, "{path}");
        };
        check("torch.float32", Callable::No);
        check("torch.per_tensor_affine", Callable::No);
        check("torch.FloatStorage", Callable::No);
        check("torch.storage.UntypedStorage", Callable::Class);
        check("torch.FloatTensor", Callable::Class);
        check("torch.Size", Callable::Class);
        check("torch._utils._rebuild_tensor_v2", Callable::Function);
        check("torch._tensor._rebuild_from_type_v2", Callable::Function);
        check("collections.Counter", Callable::Class);
        check("torch.distributed._mesh_layout._MeshLayout", Callable::Class);
    }

    #[test]
    fn what_admitted_calls_make_has_a_kind() {
        let check = |path, expected| assert_eq!(Kind::made_by(path), expected, "{path}");
        check("torch._utils._rebuild_parameter", Kind::Tensor);
        check("torch.FloatTensor", Kind::Tensor);
        check("torch.distributed.tensor.DTensor", Kind::Other);
        check("torch.storage.TypedStorage", Kind::Storage);
        check("torch.optim.adam.Adam", Kind::Other);
        check("some.OrderedDict", Kind::Other);
    }
}
