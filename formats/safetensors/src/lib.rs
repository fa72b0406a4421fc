//! The safetensors format for statedict: header read and rewritten in order.
//!
//! A safetensors file is a length, a JSON header, and the tensors' bytes:
//!
//! ```text
//! u64 little-endian N | N bytes of JSON, padded with spaces | data
//! {"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"format":"pt"}}
//! ```
//!
//! [`SAFETENSORS`] opens such files and lays out new ones.
//! A rename replaces the strings of the keys in the header's own text and nothing else: order,
//! spacing, unknown fields and `__metadata__` stay, and the data is one copied range.
//! The reference writer sorts tensors and shuffles metadata, so the header code here is its own.
//!
//! Where the format's text and its reference parser differ, the stricter one decides: a key that
//! appears twice is refused, although the parser would silently take the last.
//!
//! One thing in `__metadata__` speaks of keys: ties, which Hugging Face records as `alias: kept`.
//! The value of such a pair follows its tensor; the alias follows too where all keys of the file
//! change the same leading segments, and it has them. Everything else in `__metadata__` is left
//! alone, unless the plan changes it.
//!
//! # Example
//! ```
//! use statedict_core::{Format, Policy, Headroom, plan};
//! use statedict_safetensors::SAFETENSORS;
//!
//! let header = br#"{"module.w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
//! let file = [&(header.len() as u64).to_le_bytes()[..], header, &[7, 8]].concat();
//! let container = SAFETENSORS.open(&file.as_slice())?.expect("these are its bytes");
//! let catalog = container.catalog();
//! let planned =
//!     plan(&["strip:module".parse()?], catalog, &catalog.select(None)?, Policy::default())?;
//! let layout = container.rewrite(&planned.plan, Headroom::Usual)?;
//! assert_eq!(layout.len(), 8 + 56 + 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod container;
mod coverage;
mod edit;
mod encode;
mod follow;
mod header;
mod text;
mod ties;

pub use container::{SAFETENSORS, Safetensors};
