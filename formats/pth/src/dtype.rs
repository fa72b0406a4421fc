//! PyTorch's names for element types: storage classes and dtypes.

use statedict_core::DType;

/// The element type of a storage class, whichever module it is in; untyped storages count bytes.
///
/// Source: `torch/storage.py`, `_storage_type_to_dtype_map` and the classes in `torch/__init__.py`.
pub(crate) fn of_storage(class: &str) -> Option<DType> {
    Some(match class {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::Bf16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" | "UntypedStorage" => DType::U8,
        "BoolStorage" => DType::Bool,
        "ComplexFloatStorage" => DType::C64,
        "ComplexDoubleStorage" => DType::C128,
        "QInt8Storage" => DType::other("torch.qint8", 8),
        "QUInt8Storage" => DType::other("torch.quint8", 8),
        "QInt32Storage" => DType::other("torch.qint32", 32),
        "QUInt4x2Storage" => DType::other("torch.quint4x2", 8),
        "QUInt2x4Storage" => DType::other("torch.quint2x4", 8),
        _ => return None,
    })
}

/// The element type with this name in the `torch` module.
pub fn named(name: &str) -> Option<DType> {
    Some(match name {
        "float64" | "double" => DType::F64,
        "float32" | "float" => DType::F32,
        "float16" | "half" => DType::F16,
        "bfloat16" => DType::Bf16,
        "int64" | "long" => DType::I64,
        "int32" | "int" => DType::I32,
        "int16" | "short" => DType::I16,
        "int8" => DType::I8,
        "uint8" => DType::U8,
        "uint16" => DType::U16,
        "uint32" => DType::U32,
        "uint64" => DType::U64,
        "bool" => DType::Bool,
        "complex64" | "cfloat" => DType::C64,
        "complex128" | "cdouble" => DType::C128,
        "float8_e4m3fn" => DType::F8E4M3,
        "float8_e5m2" => DType::F8E5M2,
        "float8_e4m3fnuz" => DType::F8E4M3Fnuz,
        "float8_e5m2fnuz" => DType::F8E5M2Fnuz,
        "float8_e8m0fnu" => DType::F8E8M0,
        "complex32" | "chalf" => DType::other("torch.complex32", 32),
        "bcomplex32" => DType::other("torch.bcomplex32", 32),
        "bits16" => DType::other("torch.bits16", 16),
        "qint32" => DType::other("torch.qint32", 32),
        "float4_e2m1fn_x2" | "bits8" | "bits1x8" | "bits2x4" | "bits4x2" | "qint8" | "quint8"
        | "quint4x2" | "quint2x4" => DType::other(&format!("torch.{name}"), 8),
        _ => return None,
    })
}

/// How a new file names an element type, and whether its storage is untyped.
pub(crate) fn to_torch(dtype: &DType) -> Option<(&'static str, Storing)> {
    use Storing::*;
    Some(match dtype {
        DType::F64 => ("DoubleStorage", Typed),
        DType::F32 => ("FloatStorage", Typed),
        DType::F16 => ("HalfStorage", Typed),
        DType::Bf16 => ("BFloat16Storage", Typed),
        DType::I64 => ("LongStorage", Typed),
        DType::I32 => ("IntStorage", Typed),
        DType::I16 => ("ShortStorage", Typed),
        DType::I8 => ("CharStorage", Typed),
        DType::U8 => ("ByteStorage", Typed),
        DType::Bool => ("BoolStorage", Typed),
        DType::C64 => ("ComplexFloatStorage", Typed),
        DType::C128 => ("ComplexDoubleStorage", Typed),
        DType::U16 => ("uint16", Untyped),
        DType::U32 => ("uint32", Untyped),
        DType::U64 => ("uint64", Untyped),
        DType::F8E4M3 => ("float8_e4m3fn", Untyped),
        DType::F8E5M2 => ("float8_e5m2", Untyped),
        DType::F8E4M3Fnuz => ("float8_e4m3fnuz", Untyped),
        DType::F8E5M2Fnuz => ("float8_e5m2fnuz", Untyped),
        DType::F8E8M0 => ("float8_e8m0fnu", Untyped),
        DType::Other { name, .. } => match &**name {
            "torch.complex32" => ("complex32", Untyped),
            "torch.float4_e2m1fn_x2" => ("float4_e2m1fn_x2", Untyped),
            _ => return None,
        },
        // PyTorch counts pairs of them; see `shape`.
        DType::F4 => ("float4_e2m1fn_x2", Untyped),
        DType::F6E2M3 | DType::F6E3M2 => return None,
    })
}

/// What PyTorch calls an element type: `float32`.
pub(crate) fn name_in_torch(dtype: &DType) -> Option<&'static str> {
    let (name, storing) = to_torch(dtype)?;
    Some(match (storing, name) {
        (Storing::Untyped, name) => name,
        (Storing::Typed, "DoubleStorage") => "float64",
        (Storing::Typed, "FloatStorage") => "float32",
        (Storing::Typed, "HalfStorage") => "float16",
        (Storing::Typed, "BFloat16Storage") => "bfloat16",
        (Storing::Typed, "LongStorage") => "int64",
        (Storing::Typed, "IntStorage") => "int32",
        (Storing::Typed, "ShortStorage") => "int16",
        (Storing::Typed, "CharStorage") => "int8",
        (Storing::Typed, "ByteStorage") => "uint8",
        (Storing::Typed, "BoolStorage") => "bool",
        (Storing::Typed, "ComplexFloatStorage") => "complex64",
        (Storing::Typed, "ComplexDoubleStorage") => "complex128",
        (Storing::Typed, _) => return None,
    })
}

/// The shape that PyTorch gives a tensor: of 4-bit floats it counts pairs, along the last dimension.
///
/// `None` if the last dimension has no whole number of pairs.
pub(crate) fn shape_in_torch(dtype: &DType, shape: &[u64]) -> Option<Vec<u64>> {
    let mut shape = shape.to_vec();
    if *dtype == DType::F4 {
        let last = shape.last_mut().filter(|last| last.is_multiple_of(2))?;
        *last /= 2;
    }
    Some(shape)
}

/// How PyTorch stores elements of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storing {
    /// In a storage class of its own; the name is the class's.
    Typed,
    /// In an untyped storage, with the dtype beside it; the name is the dtype's.
    Untyped,
}
