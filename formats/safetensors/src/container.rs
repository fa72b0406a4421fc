//! Opening and rewriting a file.

use std::ops::Range;
use std::sync::Arc;

use statedict_core::{
    Catalog, Container, DType, DuplicateKey, Facts, Fault, Finding, Format, Growth, Headroom,
    Layout, Mentions, Opened, PendingFiles, Plan, Section, ShardNames, Source, Storage, Tensor,
    TensorSet, UnsupportedTensors,
};

use crate::follow::Following;
use crate::header::{Entry, Header, MAX_HEADER, PREAMBLE, Read, Reading};
use crate::{coverage, edit, encode};

/// The safetensors format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Safetensors;

/// The one value of [`Safetensors`], for registries.
pub static SAFETENSORS: Safetensors = Safetensors;

static FACTS: Facts = Facts {
    shard_names: Some(ShardNames {
        kind: "safetensors-sharded",
        stem: "model",
        extension: "safetensors",
    }),
    holds_metadata: true,
    records_ties: true,
    ..Facts::of_tensors("safetensors", &["safetensors"])
};

/// How much of a header is looked at to see whether it is one.
const LOOK: u64 = 64;

impl Format for Safetensors {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn open(&self, source: &dyn Source) -> Result<Option<Box<dyn Container>>, Fault> {
        match header_len(source)? {
            None => Ok(None),
            Some(len) => Ok(Some(Box::new(File::open(source, len)?))),
        }
    }

    fn examine(&self, source: &dyn Source, _name: &str) -> Result<Vec<Finding>, Fault> {
        if header_len(source)?.is_none() {
            return Ok(Vec::new());
        }
        let first = source.bytes(PREAMBLE..source.len().min(PREAMBLE + 1))?;
        if first == b"{" {
            return Ok(Vec::new());
        }
        let why = "the format has the header begin with '{'";
        Ok([Finding::malformed("byte 8", "white space before the header", why)].into())
    }

    fn encode(&self, contents: &TensorSet) -> Result<PendingFiles, UnsupportedTensors> {
        encode::encode(contents).map(PendingFiles::from)
    }
}

/// The length that the first 8 bytes give, if what follows them begins like a header.
///
/// A wrong length is still a safetensors file's; that of a text is not, since a text has no
/// zero byte where a length below 2^56 has one.
fn header_len(source: &dyn Source) -> Result<Option<u64>, Fault> {
    let front = source.bytes(0..source.len().min(PREAMBLE + LOOK))?;
    let Some((len, header)) = front.split_first_chunk() else { return Ok(None) };
    let first = header.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_ours = first == Some(&b'{') && len[7] == 0;
    Ok(is_ours.then_some(u64::from_le_bytes(*len)))
}

struct File {
    /// The header, which is read again by who changes it.
    text: String,
    metadata: Vec<(String, String)>,
    catalog: Catalog,
    /// Where the data is in the file.
    data: Range<u64>,
}

impl File {
    /// The file as it is.
    fn whole(&self) -> Layout {
        let mut layout = Layout::new();
        layout.copy(0..self.data.end);
        layout
    }

    fn open(source: &dyn Source, len: u64) -> Result<File, Fault> {
        let text = header_text(source, len)?;
        let data = PREAMBLE + len..source.len();
        let reading = Reading::of(&text)?;
        let (metadata, wrong) = (Vec::new(), None);
        let mut tensors = Tensors { text: &text, reading, data: &data, metadata, wrong };
        let catalog = Catalog::flat(&mut tensors);
        let Tensors { metadata, wrong, .. } = tensors;
        if let Some(fault) = wrong {
            return Err(fault);
        }
        let catalog = catalog.map_err(|duplicate| repeated(&text, &data, duplicate))?;
        coverage::check(tiles(&catalog, data.start), data.start, data.end - data.start)?;
        Ok(File { text, metadata, catalog, data })
    }

    fn header(&self) -> Result<Header<'_>, Fault> {
        Header::parse(&self.text)
    }
}

fn header_text(source: &dyn Source, len: u64) -> Result<String, Fault> {
    let room = source.len().saturating_sub(PREAMBLE);
    if len > room {
        let what = format!("header length {len} exceeds the file's {} bytes", source.len());
        return Err(Fault::malformed(0, what));
    }
    if len > MAX_HEADER {
        let what = format!("header length {len} is over the format's limit of {MAX_HEADER}");
        return Err(Fault::too_large(0, what));
    }
    let bytes = source.bytes(PREAMBLE..PREAMBLE + len)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = PREAMBLE + error.utf8_error().valid_up_to() as u64;
        Fault::malformed(at, "the header is not UTF-8")
    })
}

/// A header whose tensors tile the data.
fn whole<'t>(text: &'t str, data: &Range<u64>) -> Result<Header<'t>, Fault> {
    let header = Header::parse(text)?;
    let tiles = header.entries().map(|entry| (&*entry.key, entry.data.clone()));
    coverage::check(tiles, data.start, data.end - data.start)?;
    Ok(header)
}

/// What is wrong with a header that has a key twice: that, if nothing else is.
fn repeated(text: &str, data: &Range<u64>, duplicate: DuplicateKey) -> Fault {
    let header = match whole(text, data) {
        Ok(header) => header,
        Err(fault) => return fault,
    };
    let named = |entry: &Entry| *entry.key == *duplicate.0;
    let mut places = header.members.iter().filter(|m| m.entry().is_some_and(named));
    let second = places.nth(1).map_or(0, |member| member.key.token().start as u64);
    Fault::malformed(PREAMBLE + second, duplicate.to_string())
}

/// The tensors with their places in the data, which starts at byte `base`.
fn tiles(catalog: &Catalog, base: u64) -> impl Iterator<Item = (&str, Range<u64>)> + Clone {
    catalog.rows.iter().filter_map(move |row| {
        let range = row.tensor.as_view()?.storage().location.range();
        Some((row.key.as_str(), range.start - base..range.end - base))
    })
}

/// The tensors of a header as they are read: a list of all that it says of them would take as much
/// memory as the catalog.
struct Tensors<'t> {
    text: &'t str,
    reading: Reading<'t>,
    /// Where the data is in the file.
    data: &'t Range<u64>,
    metadata: Vec<(String, String)>,
    /// What ended the reading.
    wrong: Option<Fault>,
}

impl Iterator for Tensors<'_> {
    type Item = (Arc<str>, Tensor);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (.., read) = self.reading.next()?.map_err(|fault| self.wrong = Some(fault)).ok()?;
            match read {
                Read::Tensor(entry, ..) if entry.data.end > self.data.end - self.data.start => {
                    let (key, end) = (&entry.key, entry.data.end);
                    let beyond =
                        || Fault::broken(format!("tensor '{key}' ends at {end} of the data"));
                    self.wrong = Some(whole(self.text, self.data).err().unwrap_or_else(beyond));
                    return None;
                }
                Read::Tensor(entry, dtype, shape) => {
                    let tensor = tensor(entry, dtype, shape, self.data.start);
                    return tensor.map_err(|fault| self.wrong = Some(fault)).ok();
                }
                Read::Metadata(pairs) => {
                    let pairs = pairs.into_iter();
                    self.metadata = pairs.map(|it| (it.key.decoded, it.value.decoded)).collect();
                }
            }
        }
    }

    /// All of what is left at most, unless one of it is wrong.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.reading.size_hint().1)
    }
}

fn tensor(
    entry: Entry,
    dtype: DType,
    mut shape: Vec<u64>,
    base: u64,
) -> Result<(Arc<str>, Tensor), Fault> {
    let Range { start, end } = entry.data;
    let storage = Arc::new(Storage::stored(base + start..base + end));
    // The reader of JSON takes room for four sizes, and most tensors have two.
    shape.shrink_to_fit();
    let tensor = Tensor::dense(dtype, shape, 0, storage)
        .map_err(|why| Fault::malformed(base + start, format!("tensor '{}' {why}", entry.key)))?;
    Ok((entry.key, tensor))
}

impl Opened for File {
    fn kind(&self) -> &'static str {
        "safetensors"
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn metadata(&self) -> Vec<(String, String)> {
        self.metadata.clone()
    }

    fn metadata_after(&self, section: &Section) -> Vec<(String, String)> {
        match self.header() {
            Ok(header) if !self.metadata.is_empty() => {
                Following::new(&header, section).pairs(&header)
            }
            _ => Vec::new(),
        }
    }

    fn mentions(&self, plan: &Plan) -> Result<Mentions, Fault> {
        let Some(section) = plan.section("").filter(|_| !self.metadata.is_empty()) else {
            return Ok(Mentions::default());
        };
        let header = self.header()?;
        Ok(Following::new(&header, section).mentions(&header))
    }
}

impl Container for File {
    fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        if plan.is_identity() {
            return Ok(self.whole());
        }
        let mut layout = Layout::new();
        let edited = edit::edit(&self.header()?, plan)?;
        let kept = edited.data.iter().map(|range| range.end - range.start).sum();
        let front = edit::front(&edited.text, reserve.beside(kept)).ok_or_else(|| {
            let what = format!("the new header would be over the format's {MAX_HEADER} bytes");
            Fault::TooLarge { at: None, what }
        })?;
        layout.bytes(front);
        for range in edited.data {
            layout.copy(self.data.start + range.start..self.data.start + range.end);
        }
        Ok(layout)
    }

    /// The new header in the old one's place, with spaces after it.
    ///
    /// Tensors have to follow each other without a hole, so none can go.
    fn rewrite_in_place(&self, plan: &Plan, growth: Growth) -> Result<Option<Layout>, Fault> {
        if plan.is_identity() {
            return Ok(Some(self.whole()));
        }
        let edited = edit::edit(&self.header()?, plan)?;
        let kept: u64 = edited.data.iter().map(|range| range.end - range.start).sum();
        if kept < self.data.end - self.data.start {
            return Ok(None);
        }
        let old = self.data.start - PREAMBLE;
        let len = growth.of_head(old, edit::text_len(&edited.text));
        let front = len.and_then(|len| edit::front_of(&edited.text, len));
        Ok(front.map(|front| {
            let mut layout = Layout::new();
            layout.bytes(front);
            layout.copy(self.data.clone());
            layout
        }))
    }
}
