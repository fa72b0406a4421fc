//! Zip archives as layouts: read a directory, lay members out again without copying data.
//!
//! PyTorch's `.pth` and NumPy's `.npz` are zip archives, and to rename keys in them is to write
//! other headers around the same bytes.
//! So this crate does the two halves of that and nothing more:
//!
//! - [`Archive`] reads the central directory from any [`statedict_core::Source`]: zip64, comments
//!   and trailing bytes as PyTorch tolerates them, every offset and length held against the file
//!   before it is used. An [`Entry`] says where its member is ([`Entry::locate`]) or reads it whole
//!   ([`Entry::read`]).
//! - [`Archive::audit`] and [`Entry::verify`] hold an archive to more than reading it takes; [`sum`] sums a long member in
//!   pieces, for [`Entry::verify_sum`].
//! - [`Writer`] lays a new archive out from front to back, as PyTorch or as NumPy would write it.
//!   The bytes of members become parts of a [`statedict_core::Layout`]: copied from the source,
//!   compressed or not, or computed on the way, with the checksum after what it covers.
//! - [`Archive::rewrite_in_place`] lays the same archive out with members renamed, replaced or gone, and every
//!   byte of the others in place, so that only headers and the directory need be written.
//!
//! It does not compress, decrypt, join disks or repair.
//!
//! # Example
//! Rename a member:
//! ```
//! use statedict_core::{Part, Source};
//! use statedict_zip::{Archive, Writer};
//!
//! let mut writer = Writer::numpy();
//! writer.bytes("old.npy", b"data".to_vec());
//! let layout = writer.finish();
//! let [Part::New(file)] = layout.parts() else { unreachable!("all bytes are at hand") };
//!
//! let source: &[u8] = file;
//! let archive = Archive::open(&source)?.expect("a zip archive");
//! let entry = archive.find("old.npy").expect("written above");
//! let mut renamed = Writer::numpy();
//! renamed.copy(entry, &entry.locate(&source)?, "new.npy");
//! let parts = renamed.finish().parts().len();
//! assert_eq!(parts, 3); // The new header, the data as it is, the new directory.
//! # Ok::<(), statedict_core::Fault>(())
//! ```

mod archive;
mod audit;
mod content;
mod end;
mod entry;
mod extra;
mod fields;
mod folded;
mod header;
mod member;
mod name;
mod rewrite_in_place;
mod tail;
mod writer;

pub use archive::Archive;
pub use audit::{Audit, climbs, sum};
pub use entry::{Entry, Located, Method};
pub use member::MAX_NAME_LEN;
pub use rewrite_in_place::{Added, Change};
pub use writer::Writer;
