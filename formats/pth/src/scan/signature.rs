//! The arguments that admitted functions take: with others weights-only loading fails.

use std::ops::RangeInclusive;

use statedict_core::Fault;

use super::kind::Kind;
use super::machine::Machine;
use super::value::Value;
use crate::pickle::opcode;

/// How many arguments what has an admitted path takes; `None` if that varies or is not known.
///
/// Source: the functions' definitions in PyTorch 2.15 and CPython.
fn count(path: &str) -> Option<RangeInclusive<u32>> {
    Some(match path {
        "torch._utils._rebuild_tensor_v2" => 6..=7,
        "torch._utils._rebuild_tensor_v3" => 7..=8,
        "torch._utils._rebuild_qtensor" => 7..=7,
        "torch._utils._rebuild_wrapper_subclass" => 8..=8,
        "torch._utils._rebuild_tensor"
        | "torch._utils._rebuild_parameter_with_state"
        | "torch._utils._rebuild_meta_tensor_no_storage"
        | "torch._utils._rebuild_device_tensor_from_numpy"
        | "torch._utils._rebuild_device_tensor_from_cpu_tensor"
        | "torch._tensor._rebuild_from_type_v2" => 4..=4,
        "torch._utils._rebuild_parameter" => 3..=3,
        "torch._utils._rebuild_sparse_tensor" => 2..=2,
        "torch.serialization._get_layout" => 1..=1,
        "_codecs.encode" => 1..=3,
        "collections.OrderedDict" | "collections.Counter" | "builtins.set" | "torch.Size" => 0..=1,
        "builtins.bytearray" => 0..=3,
        "builtins.complex" | "torch.nn.parameter.Parameter" => 0..=2,
        "torch.device" => 1..=2,
        _ => return None,
    })
}

/// What an argument has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    /// A storage with a type.
    Storage,
    /// A whole number.
    Integer,
    /// Whole numbers in a row.
    Sizes,
    /// A tensor, or `None`.
    Tensor,
}

/// What the first arguments of what has an admitted path have to be.
///
/// Source: `torch/_utils.py` and `torch/nn/parameter.py` in PyTorch 2.15.
fn parameters(path: &str) -> &'static [Parameter] {
    use Parameter::{Integer, Sizes, Storage, Tensor};
    match path {
        "torch._utils._rebuild_tensor"
        | "torch._utils._rebuild_tensor_v2"
        | "torch._utils._rebuild_tensor_v3"
        | "torch._utils._rebuild_qtensor" => &[Storage, Integer, Sizes, Sizes],
        "torch._utils._rebuild_parameter"
        | "torch._utils._rebuild_parameter_with_state"
        | "torch.nn.parameter.Parameter" => &[Tensor],
        _ => &[],
    }
}

/// Where the metadata of a tensor are among the arguments.
fn metadata(path: &str) -> Option<usize> {
    match path {
        "torch._utils._rebuild_tensor_v2" => Some(6),
        "torch._utils._rebuild_tensor_v3" => Some(7),
        _ => None,
    }
}

/// What the names of layouts begin with.
const LAYOUTS: [&str; 4] = ["torch.strided", "torch.sparse_", "torch._mkldnn", "torch.jagged"];

impl Machine<'_> {
    /// False if it is known that something admitted does not take these arguments.
    pub(super) fn takes(&mut self, path: &str, arguments: Value) -> Result<bool, Fault> {
        let Value::Tuple { place, .. } = arguments else { return Ok(true) };
        let items = self.items(place).to_vec();
        let given = self.tuples.get(place as usize).map_or(0, |(_, _, count)| *count);
        if count(path).is_some_and(|count| !count.contains(&given)) {
            return Ok(false);
        }
        if parameters(path)
            .iter()
            .zip(&items)
            .any(|(parameter, item)| !self.fits(*parameter, *item))
        {
            return Ok(false);
        }
        let metadata = metadata(path).and_then(|at| items.get(at).copied());
        if metadata.is_some_and(|metadata| !self.is_metadata(metadata)) {
            return Ok(false);
        }
        match (path, items.first()) {
            ("torch.serialization._get_layout", Some(name)) => {
                let name = self.text(*name)?.unwrap_or_default();
                Ok(LAYOUTS.iter().any(|layout| name.starts_with(layout)))
            }
            _ => Ok(true),
        }
    }

    /// False if it is known that a value is not what a function takes.
    fn fits(&self, parameter: Parameter, value: Value) -> bool {
        let returned = match value {
            Value::Unknown => return true,
            Value::Returned(_) => Some(self.kind(value)),
            _ => None,
        };
        match parameter {
            _ if returned == Some(Kind::Other) => true,
            Parameter::Storage => value == Value::Storage || returned == Some(Kind::Storage),
            Parameter::Integer => value.is_integer() || value.is_bool(),
            Parameter::Sizes => {
                let is_row = matches!(value, Value::Tuple { .. } | Value::List(_));
                is_row || returned == Some(Kind::Fixed)
            }
            Parameter::Tensor => {
                let is_tensor = matches!(returned, Some(Kind::Tensor | Kind::Subclass));
                is_tensor || value.is_none()
            }
        }
    }

    /// False if it is known that a value is neither a dict nor false.
    fn is_metadata(&self, value: Value) -> bool {
        match value {
            Value::Literal { code, .. } => !opcode::is_text(code) && code != opcode::NEWTRUE,
            Value::Returned(_) => !matches!(
                self.kind(value),
                Kind::Tensor | Kind::Subclass | Kind::Storage | Kind::Fixed
            ),
            value => !matches!(value, Value::Import(_) | Value::Storage),
        }
    }

    /// False if it is known that a tuple is not the persistent id of a storage: its class, key,
    /// device and length after the word, and in a legacy stream what it is a view of.
    pub(super) fn is_storage_id(&self, id: u32) -> bool {
        let count = self.tuples.get(id as usize).map_or(0, |(_, _, count)| *count);
        let is_integer = |value: &Value| value.is_integer() || *value == Value::Unknown;
        match self.items(id) {
            [_, Value::Import(_), key, device, length, rest @ ..] if count <= 6 => {
                let is_view = |view: &Value| view.is_none() || matches!(view, Value::Tuple { .. });
                key.is_text() && device.is_text() && is_integer(length) && rest.iter().all(is_view)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::admitted::is_admitted;

    #[test]
    fn functions_take_as_many_arguments_as_they_are_defined_with() {
        let check = |path, given, expected| {
            assert!(is_admitted(path), "{path}");
            assert_eq!(count(path).is_none_or(|count| count.contains(&given)), expected, "{path}");
        };
        check("torch._utils._rebuild_tensor_v2", 6, true);
        check("torch._utils._rebuild_tensor_v2", 8, false);
        check("torch._tensor._rebuild_from_type_v2", 0, false);
        check("collections.OrderedDict", 0, true);
        check("torch.FloatTensor", 9, true);
    }
}
