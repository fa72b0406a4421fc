//! NumPy npz archives for statedict: member names change, member bytes do not.
//!
//! An npz file is a zip archive of `<key>.npy` members, each an array after a short header:
//!
//! ```text
//! \x93NUMPY 1 0 | u16 length | {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } | data
//! ```
//!
//! [`NPZ`] opens such archives and lays out new ones.
//! A rename copies every member as it is, compressed or not, under its new name; only the zip
//! headers are new. What NumPy lists as a key and holds no array is carried along the same way.
//!
//! Arrays are views in either order of dimensions and of bytes, and the elements of strings, dates
//! and records are plain bytes under NumPy's own names for them (`<U2`, `datetime64[ns]`,
//! `[('x', '<f4'), ('y', 'u1')]`).
//! Only pickled objects, and strings and records in big-endian order, have no plain elements here.
//! Headers are read by a parser of our own for the literals in them: it takes what NumPy takes
//! (Python 2's `2L`, any spacing and order) and refuses what NumPy refuses.
//!
//! # Example
//! Eight bytes of a source become an archive with one array:
//! ```
//! use std::sync::Arc;
//!
//! use statedict_core::{TensorSet, DType, Elements, Format, Part, Storage, Tensor};
//! use statedict_npz::NPZ;
//!
//! let tensor = Tensor::dense(DType::F32, vec![2], 0, Arc::new(Storage::stored(0..8)))?;
//! let mut contents = TensorSet::default();
//! contents.tensors.push(("fc.bias".to_string(), Elements::new(tensor, None)?));
//! let layout = NPZ.encode(&contents)?.into_layout().expect("one file");
//! let [Part::New(_zip), Part::New(npy), Part::Copy(data), ..] = layout.parts() else {
//!     unreachable!("headers come before data")
//! };
//! assert!(npy[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"));
//! assert_eq!(*data, 0..8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod container;
mod element;
mod encode;
mod header;
mod literal;
mod member;
mod record;
mod scalar;

pub use array::Array;
pub use container::{NPZ, Npz};
pub use encode::npy;
