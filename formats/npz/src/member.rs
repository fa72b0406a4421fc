//! One member of an archive: its key, and the array it holds.

use std::sync::Arc;

use statedict_core::{ByteOrder, DType, Data, Fault, Location, Misplaced, Source, Storage, Tensor};
use statedict_zip::{Entry, Located, MAX_NAME_LEN, Method};

use crate::element::{Element, Form};
use crate::header::{Header, MAX_INFLATION, MAX_SHORT_TEXT, MAX_TEXT_LEN, Preamble};

/// What NumPy puts after a key to name its member.
pub(crate) const SUFFIX: &str = ".npy";

/// As much of a member as is read at once: the header of any array but of records, since NumPy's
/// are 128 bytes.
const LIKELY_HEADER_LEN: u64 = 192;

/// A member of the archive.
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) has_suffix: bool,
    pub(crate) located: Located,
    /// The array; none if the member is something else.
    pub(crate) array: Option<Tensor>,
}

impl Member {
    /// Reads a member's local header and the header of its array.
    pub(crate) fn open(source: &dyn Source, entry: &Entry) -> Result<Member, Fault> {
        let stem = entry.name().strip_suffix(SUFFIX);
        let (located, head) = match entry.method() {
            Method::Stored => entry.locate_with_head(source, LIKELY_HEADER_LEN)?,
            Method::Deflated | Method::Other(_) => {
                let located = entry.locate(source)?;
                let head = entry.read_head(source, &located, LIKELY_HEADER_LEN)?;
                (located, head)
            }
        };
        // `zipfile` wants the name repeated, and PyTorch does not.
        if let Some(local) = located.other_name() {
            let local = String::from_utf8_lossy(local);
            let what = format!("member '{}' is named '{local}' in its own header", entry.name());
            return Err(Fault::malformed(entry.header_offset(), what));
        }
        let place = Place { source, entry, located: &located };
        let array = place.array(head)?;
        let key = stem.unwrap_or(entry.name()).to_string();
        Ok(Member { key, has_suffix: stem.is_some(), located, array })
    }

    /// All bytes of the member, whatever they are.
    pub(crate) fn bytes(&self, entry: &Entry) -> Result<Tensor, Misplaced> {
        let storage = Arc::new(Storage {
            location: location(entry, &self.located, 0),
            byte_order: ByteOrder::Little,
        });
        let len = storage.len();
        Tensor::dense(DType::U8, [len].into(), 0, storage)
    }

    /// The member's name under another key.
    ///
    /// NumPy takes one suffix off whatever is in the member, so a key that ends in one needs
    /// another.
    pub(crate) fn name_for(&self, key: &str) -> String {
        let suffix = if self.has_suffix || key.ends_with(SUFFIX) { SUFFIX } else { "" };
        format!("{key}{suffix}")
    }
}

/// Where the bytes of a member are, but for the first ones.
fn location(entry: &Entry, located: &Located, skip: u64) -> Location {
    let data = located.data.clone();
    match entry.method() {
        Method::Stored => Location::Stored(data.start.saturating_add(skip)..data.end),
        Method::Deflated | Method::Other(_) => Location::Deflated {
            compressed: data,
            skip,
            len: entry.size().saturating_sub(skip),
            crc32: Some(entry.crc32()).filter(|crc32| *crc32 != 0),
        },
    }
}

/// Where a member is read from.
struct Place<'a> {
    source: &'a dyn Source,
    entry: &'a Entry,
    located: &'a Located,
}

impl Place<'_> {
    fn array(&self, mut head: Vec<u8>) -> Result<Option<Tensor>, Fault> {
        let Some(preamble) = Preamble::parse(&head).map_err(|what| self.fault(&what))? else {
            return Ok(None);
        };
        let text = preamble.text.clone();
        let limit = self.text_limit();
        if text.end - text.start > limit {
            let what = format!(
                "'{}' has a header of {} bytes, over {limit}",
                self.entry.name(),
                text.end - text.start
            );
            return Err(Fault::too_large(self.located.data.start, what));
        }
        if text.end > head.len() as u64 {
            head = self.entry.read_head(self.source, self.located, text.end)?;
        }
        let bytes = usize::try_from(text.start).ok().zip(usize::try_from(text.end).ok());
        let bytes = bytes.and_then(|(start, end)| head.get(start..end)).ok_or_else(|| {
            let len = self.entry.size();
            self.fault(&format!("a header of {} bytes in a member of {len}", text.end))
        })?;
        let header = Header::parse(&preamble, bytes).map_err(|what| self.fault(&what))?;
        self.tensor(header, text.end).map(Some)
    }

    /// The longest header text of this member that is read.
    fn text_limit(&self) -> u64 {
        let inflated = self.entry.compressed_size().saturating_mul(MAX_INFLATION);
        match self.entry.method() {
            Method::Stored => MAX_TEXT_LEN,
            _ => MAX_TEXT_LEN.min(inflated.saturating_add(MAX_SHORT_TEXT)),
        }
    }

    /// The tensor whose elements begin `skip` bytes into the member.
    fn tensor(&self, header: Header, skip: u64) -> Result<Tensor, Fault> {
        let strides = header.strides();
        let Header { element: Element { dtype, form }, shape, .. } = header;
        let opaque = |layout: &str, bytes| Data::Opaque { layout: layout.to_string(), bytes };
        if form == Form::Pickled {
            let data = opaque("object", self.entry.size());
            return Ok(Tensor { dtype, shape, data });
        }
        let byte_order =
            if form == Form::Plain(ByteOrder::Big) { ByteOrder::Big } else { ByteOrder::Little };
        let storage = Arc::new(Storage { location: self.location(skip), byte_order });
        let tensor = Tensor::view(dtype, shape, strides, 0, storage);
        let tensor = tensor.map_err(|why| self.fault(&why.to_string()))?;
        let bytes = tensor.byte_len();
        Ok(match form {
            Form::Plain(_) | Form::Pickled => tensor,
            Form::BigEndianParts => Tensor { data: opaque("big-endian", bytes), ..tensor },
            Form::Empty => Tensor { data: opaque("zero-size elements", bytes), ..tensor },
        })
    }

    fn location(&self, skip: u64) -> Location {
        location(self.entry, self.located, skip)
    }

    fn fault(&self, what: &str) -> Fault {
        let what = format!("array '{}': {what}", self.entry.name());
        Fault::malformed(self.located.data.start, what)
    }
}

/// Why a key cannot name a member, if it cannot.
pub(crate) fn unfit(key: &str) -> Option<&'static str> {
    if key.contains('\0') {
        Some("a name in a zip archive cannot have a NUL in it")
    } else if key.len() > MAX_NAME_LEN - SUFFIX.len() {
        Some("a name in a zip archive has at most 65535 bytes")
    } else {
        None
    }
}
