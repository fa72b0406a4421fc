//! One entry of a directory, and the member it stands for.

use std::ops::Range;

use statedict_core::{Fault, Source};

use crate::extra::{self, Numbers};
use crate::fields::{CENTRAL, Fields, LOCAL, LOCAL_LEN};
use crate::header::{Attributes, DEFLATED, ENCRYPTED, LocalLengths, MASKED, STORED, UTF8};
use crate::name;

/// No deflate stream grows to more than this many times its length: 258 bytes cost 2 bits.
pub(crate) const MAX_GROWTH: u64 = 1_032;

/// The bytes of an entry of the directory before its name.
const ENTRY_LEN: usize = 46;

/// Room for a local header's extra fields in the first read: PyTorch's and NumPy's, with padding to
/// 64 bytes, need less.
const LIKELY_EXTRA_LEN: u64 = 96;

/// One entry of the directory.
///
/// Its header and its bytes are within the file by these numbers, and a stored member is as long as
/// it says.
#[derive(Clone, Debug)]
pub struct Entry {
    name: Box<str>,
    crc32: u32,
    size: u64,
    compressed_size: u64,
    header_offset: u64,
    /// The volume that the member is said to be in; archives have one, number 0 or 1.
    pub(crate) volume: u32,
    /// Where the next member or the directory starts.
    pub(crate) limit: u64,
    pub(crate) attributes: Attributes,
    rare: Option<Box<Rare>>,
}

/// What few entries have, and archives of many members are long lists of.
#[derive(Clone, Debug, Default)]
struct Rare {
    /// The name's bytes in the file, where they are not those of `name`.
    raw_name: Option<Vec<u8>>,
    extra: Vec<u8>,
    comment: Vec<u8>,
}

/// How a member's bytes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As they are.
    Stored,
    /// In a raw deflate stream.
    Deflated,
    /// In a way that this crate copies and does not read.
    Other(u16),
}

/// Where a member is, as its local header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Its bytes in the file, compressed or not.
    pub data: Range<u64>,
    /// What its local header says beyond the directory, if it does.
    local: Option<Box<Local>>,
}

/// What a local header says that is not in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Local {
    /// The name, where it is another one.
    name: Option<Vec<u8>>,
    /// The extra fields that say something: padding does not.
    extra: Vec<u8>,
}

impl Located {
    /// A member's bytes, and what its local header says.
    pub(crate) fn new(entry: &Entry, data: Range<u64>, name: &[u8], extra: &[u8]) -> Located {
        let name = (name != entry.raw_name()).then(|| name.to_vec());
        let extra = extra::without_padding(extra);
        let says_more = name.is_some() || !extra.is_empty();
        Located { data, local: says_more.then(|| Box::new(Local { name, extra })) }
    }

    /// The name in its local header, where it is not the directory's.
    pub fn other_name(&self) -> Option<&[u8]> {
        self.local.as_ref()?.name.as_deref()
    }

    /// The extra fields of its local header that say something.
    pub(crate) fn local_extra(&self) -> &[u8] {
        self.local.as_ref().map_or(&[], |local| &local.extra)
    }
}

/// Why an entry of the directory cannot be read.
pub(crate) enum Misread {
    Cut,
    Wrong(String),
    Unsupported(String),
}

impl Misread {
    /// The same of the entry at this byte of the file.
    pub(crate) fn fault(self, at: u64) -> Fault {
        match self {
            Misread::Cut => {
                Fault::malformed(at, "a whole entry of the zip directory (PK\\1\\2) was expected")
            }
            Misread::Wrong(what) => Fault::malformed(at, what),
            Misread::Unsupported(what) => Fault::Unsupported(what),
        }
    }
}

impl Entry {
    /// The name: UTF-8 if flagged so, otherwise as Python's `zipfile` decodes code page 437.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name's bytes as they are in the directory.
    pub fn raw_name(&self) -> &[u8] {
        let raw_name = self.rare.as_ref().and_then(|rare| rare.raw_name.as_deref());
        raw_name.unwrap_or(self.name.as_bytes())
    }

    /// The extra fields of the directory.
    pub(crate) fn extra(&self) -> &[u8] {
        self.rare.as_ref().map_or(&[], |rare| &rare.extra)
    }

    /// The comment on the member.
    pub(crate) fn comment(&self) -> &[u8] {
        self.rare.as_ref().map_or(&[], |rare| &rare.comment)
    }

    /// The bytes that it takes in the directory.
    pub(crate) fn directory_len(&self) -> usize {
        ENTRY_LEN + self.raw_name().len() + self.extra().len() + self.comment().len()
    }

    /// How the bytes are kept.
    pub fn method(&self) -> Method {
        match self.attributes.method {
            STORED => Method::Stored,
            DEFLATED => Method::Deflated,
            other => Method::Other(other),
        }
    }

    /// Bytes of the member when it is read.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the member in the file.
    pub fn compressed_size(&self) -> u64 {
        self.compressed_size
    }

    /// The checksum of the member as it is read; 0 where the writer left it out.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    /// True for a folder by its name or its attributes: PyTorch reads no byte of one.
    pub fn is_folder(&self) -> bool {
        self.name().ends_with('/') || self.attributes.is_folder()
    }

    /// Where its local header starts.
    pub fn header_offset(&self) -> u64 {
        self.header_offset
    }

    /// Finds the member's bytes through its local header, in one small read.
    ///
    /// # Errors
    /// A local header that is not there, or data that would end beyond the file or in another
    /// member.
    pub fn locate(&self, source: &dyn Source) -> Result<Located, Fault> {
        self.locate_with_head(source, 0).map(|(located, _)| located)
    }

    /// Finds the member's bytes, and gives the first `len` of them (fewer if it has fewer) as they
    /// are in the file, as a rule out of the same read.
    ///
    /// # Errors
    /// As [`Entry::locate`].
    pub fn locate_with_head(
        &self,
        source: &dyn Source,
        len: u64,
    ) -> Result<(Located, Vec<u8>), Fault> {
        let header = source.bytes(self.likely_header(len, source.len()))?;
        self.locate_in(header, source, len)
    }

    /// What is read of the file to find the member's bytes, as a rule: its local header, and the
    /// first `len` bytes of it.
    pub(crate) fn likely_header(&self, len: u64, file_len: u64) -> Range<u64> {
        let start = self.header_offset;
        let likely = LOCAL_LEN + self.raw_name().len() as u64 + LIKELY_EXTRA_LEN;
        let until = start.saturating_add(likely).saturating_add(len).min(file_len);
        start.min(until)..until
    }

    /// The same as [`Entry::locate_with_head`], of what was read; reads the rest where that was not
    /// all.
    pub(crate) fn locate_in(
        &self,
        mut header: Vec<u8>,
        source: &dyn Source,
        len: u64,
    ) -> Result<(Located, Vec<u8>), Fault> {
        let start = self.header_offset;
        let lengths = Fields::after(LOCAL, &header).and_then(LocalLengths::parse);
        let lengths =
            lengths.ok_or_else(|| self.fault("a local header (PK\\3\\4) was expected"))?;
        let data_start = LOCAL_LEN + u64::from(lengths.name) + u64::from(lengths.extra);
        self.check_limit(data_start, source.len())?;
        let needed = data_start + len.min(self.compressed_size);
        if needed > header.len() as u64 {
            header =
                source.bytes(start..start.saturating_add(needed)).map_err(|_| self.beyond())?;
        }
        self.split_header(&header, &lengths, len, source.len()).ok_or_else(|| self.beyond())
    }

    /// Takes name, extra fields and head out of a header that was read.
    fn split_header(
        &self,
        header: &[u8],
        lengths: &LocalLengths,
        len: u64,
        file_len: u64,
    ) -> Option<(Located, Vec<u8>)> {
        let mut rest = Fields(header.get(LOCAL_LEN as usize..)?);
        let (name, extra) = (rest.bytes(lengths.name)?, rest.bytes(lengths.extra)?);
        let before = LOCAL_LEN + u64::from(lengths.name) + u64::from(lengths.extra);
        let start = self.header_offset.checked_add(before)?;
        let end = start.checked_add(self.compressed_size).filter(|end| *end <= file_len)?;
        let head = rest.0.get(..usize::try_from(len.min(self.compressed_size)).ok()?)?.to_vec();
        Some((Located::new(self, start..end, name, extra), head))
    }

    pub(crate) fn fault(&self, what: &str) -> Fault {
        Fault::malformed(self.header_offset, format!("member '{}': {what}", self.name))
    }

    /// The member ends before the next one or the directory begins.
    fn check_limit(&self, header_len: u64, file_len: u64) -> Result<(), Fault> {
        let end = self.header_offset.checked_add(header_len);
        let end = end.and_then(|start| start.checked_add(self.compressed_size));
        match end.filter(|end| *end <= file_len) {
            None => Err(self.beyond()),
            Some(end) if end > self.limit => Err(self.fault(&format!(
                "it ends at byte {end}, and another member or the directory begins at byte {}",
                self.limit
            ))),
            Some(_) => Ok(()),
        }
    }

    fn beyond(&self) -> Fault {
        self.fault(&format!("its {} bytes end beyond the file", self.compressed_size))
    }

    /// Reads the next entry of a directory.
    pub(crate) fn parse(fields: &mut Fields<'_>, file_len: u64) -> Result<Entry, Misread> {
        let raw = Raw::parse(fields).ok_or(Misread::Cut)?;
        let Some(name) = name::decode(raw.name, raw.attributes.has(UTF8)) else {
            let shown = String::from_utf8_lossy(raw.name);
            return Err(Misread::Wrong(format!("the name '{shown}' is flagged UTF-8 and is not")));
        };
        if name.contains('\0') {
            return Err(Misread::Wrong(format!("the name {name:?} has a NUL in it")));
        }
        let Some(numbers) = extra::resolve(raw.numbers, raw.extra) else {
            return Err(Misread::Wrong(format!("member '{name}' lacks its zip64 numbers")));
        };
        let rare = Rare {
            raw_name: (name.as_bytes() != raw.name).then(|| raw.name.to_vec()),
            extra: raw.extra.to_vec(),
            comment: raw.comment.to_vec(),
        };
        let has_rare =
            rare.raw_name.is_some() || !rare.extra.is_empty() || !rare.comment.is_empty();
        let entry = Entry {
            name: name.into(),
            crc32: raw.crc32,
            size: numbers.size,
            compressed_size: numbers.compressed_size,
            header_offset: numbers.header_offset,
            volume: u32::try_from(numbers.disk).unwrap_or(u32::MAX),
            limit: file_len,
            attributes: raw.attributes,
            rare: has_rare.then(|| Box::new(rare)),
        };
        entry.check(file_len)?;
        Ok(entry)
    }

    /// Holds the numbers against each other and the file.
    fn check(&self, file_len: u64) -> Result<(), Misread> {
        let (name, volume) = (&self.name, self.volume);
        if self.attributes.has(ENCRYPTED) || self.attributes.has(MASKED) {
            return Err(Misread::Unsupported(format!("member '{name}' is encrypted")));
        }
        if volume > 1 {
            return Err(Misread::Unsupported(format!("member '{name}' is in volume {volume}")));
        }
        if self.method() == Method::Stored && self.compressed_size != self.size {
            return Err(Misread::Wrong(format!(
                "member '{name}' is stored in {} bytes and said to have {}",
                self.compressed_size, self.size
            )));
        }
        let growth = self.size / MAX_GROWTH;
        if self.method() == Method::Deflated && growth > self.compressed_size {
            return Err(Misread::Wrong(format!(
                "member '{name}' of {} bytes deflated cannot inflate to {}",
                self.compressed_size, self.size
            )));
        }
        let end = self.header_offset.checked_add(LOCAL_LEN);
        let end = end.and_then(|start| start.checked_add(self.compressed_size));
        if end.is_none_or(|end| end > file_len) {
            return Err(Misread::Wrong(format!(
                "member '{name}' at byte {} with {} bytes ends beyond the file's {file_len} bytes",
                self.header_offset, self.compressed_size
            )));
        }
        Ok(())
    }
}

/// An entry's fields as they are in the directory.
struct Raw<'a> {
    attributes: Attributes,
    crc32: u32,
    numbers: Numbers,
    name: &'a [u8],
    extra: &'a [u8],
    comment: &'a [u8],
}

impl<'a> Raw<'a> {
    fn parse(fields: &mut Fields<'a>) -> Option<Raw<'a>> {
        *fields = Fields::after(CENTRAL, fields.0)?;
        let (made_by, needed, flags, method) =
            (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
        let (time, date, crc32) = (fields.u16()?, fields.u16()?, fields.u32()?);
        let (compressed_size, size) = (fields.u32()?, fields.u32()?);
        let (name_len, extra_len, comment_len) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let (disk, internal, external) = (fields.u16()?, fields.u16()?, fields.u32()?);
        let header_offset = fields.u32()?;
        Some(Raw {
            attributes: Attributes {
                made_by,
                needed,
                flags,
                method,
                time,
                date,
                internal,
                external,
            },
            crc32,
            numbers: Numbers {
                size: size.into(),
                compressed_size: compressed_size.into(),
                header_offset: header_offset.into(),
                disk: disk.into(),
            },
            name: fields.bytes(name_len)?,
            extra: fields.bytes(extra_len)?,
            comment: fields.bytes(comment_len)?,
        })
    }
}
