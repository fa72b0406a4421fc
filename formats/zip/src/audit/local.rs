//! A member's local header and descriptor, held against its entry in the directory.

use statedict_core::{Fault, Finding, Source};

use crate::extra::{self, Numbers};
use crate::fields::{DESCRIPTOR, ELSEWHERE_32, Fields, LOCAL, LOCAL_LEN};
use crate::header::{DESCRIBED, ENCRYPTED, MASKED, UTF8};
use crate::{Entry, Located};

/// Flags that say how a member is read; the others are about how well it was compressed.
const READING: u16 = ENCRYPTED | DESCRIBED | UTF8 | MASKED;

/// The longest data descriptor: signature, checksum, two sizes of eight bytes.
const DESCRIPTOR_LEN: u64 = 24;

const DISAGREE: &str = "readers that go by the local header read something else than those that \
                        go by the directory";

/// What a member's own header says.
pub(super) struct Local {
    pub(super) located: Located,
    pub(super) findings: Vec<Finding>,
    /// Where the member ends, its descriptor included.
    pub(super) end: u64,
}

pub(super) fn check(entry: &Entry, source: &dyn Source) -> Result<Local, Fault> {
    let at = entry.header_offset();
    let header = source.bytes(at..at.saturating_add(LOCAL_LEN))?;
    let own =
        Own::parse(&header).ok_or_else(|| entry.fault("a local header (PK\\3\\4) was expected"))?;
    let (located, local_extra) = own.locate(entry, source)?;
    let mut wrong = Vec::new();
    if let Some(local) = located.other_name() {
        let local = String::from_utf8_lossy(local);
        wrong.push(format!("the local header names the member '{}'", local.escape_debug()));
    }
    if own.method != entry.attributes.method {
        let there = entry.attributes.method;
        wrong.push(format!("method {} in the local header, {there} in the directory", own.method));
    }
    if (own.flags ^ entry.attributes.flags) & READING != 0 {
        let there = entry.attributes.flags;
        wrong.push(format!(
            "flags {:#06x} in the local header, {there:#06x} in the directory",
            own.flags
        ));
    }
    wrong.extend(own.numbers(entry, &local_extra));
    if extra::is_cut(&local_extra) {
        wrong.push("an extra field of the local header is truncated".to_string());
    }
    let mut end = located.data.end;
    if own.flags & DESCRIBED != 0 {
        match descriptor_len(entry, source, end)? {
            Some(len) => end = end.saturating_add(len),
            None => {
                wrong.push("no descriptor with the directory's numbers follows the data".into())
            }
        }
    }
    let finding = |what: String| Finding::malformed(entry.name(), what, DISAGREE);
    Ok(Local { located, findings: wrong.into_iter().map(finding).collect(), end })
}

/// The fields of a local header.
struct Own {
    flags: u16,
    method: u16,
    crc32: u32,
    compressed_size: u32,
    size: u32,
    name_len: u16,
    extra_len: u16,
}

impl Own {
    fn parse(header: &[u8]) -> Option<Own> {
        let mut fields = Fields::after(LOCAL, header)?;
        let (_needed, flags, method) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let (_time, _date, crc32) = (fields.u16()?, fields.u16()?, fields.u32()?);
        let (compressed_size, size) = (fields.u32()?, fields.u32()?);
        let (name_len, extra_len) = (fields.u16()?, fields.u16()?);
        Some(Own { flags, method, crc32, compressed_size, size, name_len, extra_len })
    }

    /// Where the member is by its own header, whatever else is there, with all of its extra fields:
    /// a reader that does not look reads it so.
    fn locate(&self, entry: &Entry, source: &dyn Source) -> Result<(Located, Vec<u8>), Fault> {
        let name = entry.header_offset().saturating_add(LOCAL_LEN);
        let extra = name.saturating_add(self.name_len.into());
        let data = extra.saturating_add(self.extra_len.into());
        let end = data.checked_add(entry.compressed_size()).filter(|end| *end <= source.len());
        let end = end.ok_or_else(|| entry.fault("it ends beyond the file"))?;
        let (local_name, local_extra) = (source.bytes(name..extra)?, source.bytes(extra..data)?);
        Ok((Located::new(entry, data..end, &local_name, &local_extra), local_extra))
    }

    /// Numbers that differ from the directory's.
    ///
    /// Where a descriptor follows, a writer that did not know a number left it 0.
    fn numbers(&self, entry: &Entry, extra: &[u8]) -> Option<String> {
        let short = Numbers {
            size: self.size.into(),
            compressed_size: self.compressed_size.into(),
            header_offset: 0,
            disk: 0,
        };
        let own = extra::resolve(short, extra).unwrap_or(short);
        let unknown =
            |number: u64| self.flags & DESCRIBED != 0 && (number == 0 || number == ELSEWHERE_32);
        let pairs = [
            ("checksum", u64::from(self.crc32), u64::from(entry.crc32())),
            ("size", own.size, entry.size()),
            ("compressed size", own.compressed_size, entry.compressed_size()),
        ];
        let (name, here, there) =
            pairs.into_iter().find(|(_, here, there)| here != there && !unknown(*here))?;
        Some(format!("{name} {here} in the local header, {there} in the directory"))
    }
}

/// The length of the descriptor after the data; none if there is none that fits.
fn descriptor_len(entry: &Entry, source: &dyn Source, at: u64) -> Result<Option<u64>, Fault> {
    let end = at.saturating_add(DESCRIPTOR_LEN).min(source.len());
    let bytes = source.bytes(at.min(end)..end)?;
    let (crc32, sizes) = (entry.crc32().to_le_bytes(), [entry.compressed_size(), entry.size()]);
    let wide = sizes.map(u64::to_le_bytes).concat();
    let short = sizes.map(|size| (size as u32).to_le_bytes()).concat();
    let layouts = [
        [&DESCRIPTOR[..], &crc32, &wide].concat(),
        [&DESCRIPTOR[..], &crc32, &short].concat(),
        [&crc32[..], &wide].concat(),
        [&crc32[..], &short].concat(),
    ];
    Ok(layouts.iter().find(|layout| bytes.starts_with(layout)).map(|layout| layout.len() as u64))
}
