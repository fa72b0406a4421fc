//! What a header says of a member beside its name and numbers.

use crate::fields::Fields;

/// A member is encrypted.
pub(crate) const ENCRYPTED: u16 = 1 << 0;
/// Checksum and sizes follow the data.
pub(crate) const DESCRIBED: u16 = 1 << 3;
/// Name and comment are UTF-8.
pub(crate) const UTF8: u16 = 1 << 11;
/// The local header's fields are masked, which goes with encryption.
pub(crate) const MASKED: u16 = 1 << 13;

/// The method of a member that is stored as it is.
pub(crate) const STORED: u16 = 0;
/// The method of a raw deflate stream.
pub(crate) const DEFLATED: u16 = 8;

/// Fields that are carried from one archive to the next as they are, save some flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    pub(crate) made_by: u16,
    pub(crate) needed: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) time: u16,
    pub(crate) date: u16,
    pub(crate) internal: u16,
    pub(crate) external: u32,
}

impl Attributes {
    /// As PyTorch writes them.
    pub(crate) const TORCH: Attributes = Attributes {
        made_by: 0,
        needed: 0,
        flags: UTF8,
        method: STORED,
        time: 0,
        date: 0,
        internal: 0,
        external: 0,
    };

    /// As NumPy writes them, through Python's `zipfile`: Unix, 1980-01-01, `rw-------`.
    pub(crate) const NUMPY: Attributes = Attributes {
        made_by: 0x032D,
        needed: 45,
        flags: 0,
        method: STORED,
        time: 0,
        date: 0x21,
        internal: 0,
        external: 0o600 << 16,
    };

    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// True for a symbolic link, as archives made under Unix or macOS have them (4.4.2, 4.4.15).
    pub(crate) fn is_link(&self) -> bool {
        matches!(self.made_by >> 8, 3 | 19) && self.external >> 16 & 0o170_000 == 0o120_000
    }

    /// True for a folder by its attributes under DOS, by which PyTorch goes (4.4.15).
    pub(crate) fn is_folder(&self) -> bool {
        self.external & 0x10 != 0
    }

    pub(crate) fn set(&mut self, flag: u16, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }
}

/// The lengths that a local header gives; the rest of it is in the directory.
pub(crate) struct LocalLengths {
    pub(crate) name: u16,
    pub(crate) extra: u16,
}

impl LocalLengths {
    /// Reads the fields after the signature of a local header.
    pub(crate) fn parse(mut fields: Fields<'_>) -> Option<LocalLengths> {
        fields.bytes(22)?;
        Some(LocalLengths { name: fields.u16()?, extra: fields.u16()? })
    }
}
