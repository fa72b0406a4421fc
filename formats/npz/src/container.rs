//! Opening and rewriting an archive.

use std::sync::Arc;

use statedict_core::{
    Catalog, Container, Facts, Fault, Finding, Format, Growth, Headroom, Key, Layout, Misplaced,
    Opened, Payload, PendingFiles, Plan, Section, Source, StateDict, TensorEntry, TensorSet,
    UnsupportedTensors,
    objects::{Object, Objects, Record},
};
use statedict_zip::{Archive, Change, Located, Writer};

use crate::encode;
use crate::member::{Member, SUFFIX, unfit};

/// The npz format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Npz;

/// The one value of [`Npz`], for registries.
pub static NPZ: Npz = Npz;

static FACTS: Facts = Facts::of_tensors("npz", &["npz"]);

/// The record that makes a zip archive one of PyTorch's.
const TORCH_PICKLE: &str = "data.pkl";

/// What an archive without members begins with.
const EMPTY: [u8; 4] = *b"PK\x05\x06";

impl Format for Npz {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn open(&self, source: &dyn Source) -> Result<Option<Box<dyn Container>>, Fault> {
        match Archive::open(source)? {
            Some(archive) if is_npz(&archive) => Ok(Some(Box::new(File::open(source, archive)?))),
            _ => Ok(None),
        }
    }

    /// An empty archive holds no array, which is sound only where its name says that it was to.
    fn examine(&self, source: &dyn Source, name: &str) -> Result<Vec<Finding>, Fault> {
        let front = source.bytes(0..source.len().min(EMPTY.len() as u64))?;
        let is_meant = name.to_ascii_lowercase().ends_with(".npz");
        if front != EMPTY || is_meant {
            return Ok(Vec::new());
        }
        let why = "a checkpoint was expected";
        Ok([Finding::malformed("", "the archive is empty", why)].into())
    }

    fn encode(&self, contents: &TensorSet) -> Result<PendingFiles, UnsupportedTensors> {
        encode::encode(contents).map(PendingFiles::from)
    }
}

/// An archive of arrays, or an empty one, which is what NumPy writes for no arrays.
fn is_npz(archive: &Archive) -> bool {
    let mut names = archive.entries().iter().map(|entry| entry.name());
    let has_array = archive.entries().is_empty() || names.clone().any(|n| n.ends_with(SUFFIX));
    has_array && !names.any(|name| name.rsplit('/').next() == Some(TORCH_PICKLE))
}

struct File {
    archive: Archive,
    /// One for each entry of the archive, in its order.
    members: Vec<Member>,
    catalog: Catalog,
    len: u64,
}

impl File {
    fn open(source: &dyn Source, archive: Archive) -> Result<File, Fault> {
        let members = archive.entries().iter().map(|entry| Member::open(source, entry));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let catalog = catalog(&members)?;
        Ok(File { archive, members, catalog, len: source.len() })
    }
}

fn catalog(members: &[Member]) -> Result<Catalog, Fault> {
    let mut catalog = Catalog::default();
    let mut state_dict = StateDict::default();
    let root = Arc::<str>::default();
    for Member { key, array, located, .. } in members {
        let row = array.as_ref().map(|_| catalog.rows.len());
        let name = Arc::<str>::from(key.as_str());
        state_dict.insert(name.clone(), row).map_err(|duplicate| {
            Fault::malformed(located.data.start, format!("a second member: {duplicate}"))
        })?;
        match array.clone() {
            Some(tensor) => {
                catalog.rows.push(TensorEntry { path: root.clone(), key: Key::Text(name), tensor });
            }
            None => {
                catalog.payload.push(Payload { path: key.clone(), kind: "bytes".to_string() });
            }
        }
    }
    catalog.state_dicts.push(state_dict);
    Ok(catalog)
}

impl Opened for File {
    fn kind(&self) -> &'static str {
        "npz"
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The members that hold no plain elements, as they are.
    fn objects(&self) -> Result<Option<Objects>, Fault> {
        let mut all = Vec::new();
        let mut record = Record::default();
        for (entry, member) in self.archive.entries().iter().zip(&self.members) {
            if member.array.as_ref().is_some_and(|array| array.as_view().is_some()) {
                continue;
            }
            record.entries.insert(Key::Text(member.key.as_str().into()), all.len());
            let bytes = member.bytes(entry);
            let unreadable = |wrong: Misplaced| Object::Unknown(wrong.to_string());
            all.push(bytes.map_or_else(unreadable, Object::Tensor));
        }
        all.push(Object::Record(record));
        let root = all.len() - 1;
        Ok(Some(Objects { all, root, state_dicts: [root].into() }))
    }
}

impl Container for File {
    fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        let Some(changes) = self.changes(plan)? else { return Ok(self.whole()) };
        let mut writer = Writer::numpy_with_room(self.room(&changes, reserve));
        writer.reserve(self.archive.entries());
        for ((entry, member), change) in
            self.archive.entries().iter().zip(&self.members).zip(&changes)
        {
            match change {
                Change::Drop => {}
                Change::Rename(name) => writer.copy(entry, &member.located, name),
                _ => writer.copy(entry, &member.located, entry.name()),
            }
        }
        writer.comment(self.archive.comment());
        Ok(writer.finish())
    }

    /// Names within the padding of the members' headers, and a new directory.
    ///
    /// There is nothing to insert: every member has a header of its own to grow in.
    fn rewrite_in_place(&self, plan: &Plan, growth: Growth) -> Result<Option<Layout>, Fault> {
        let Some(changes) = self.changes(plan)? else { return Ok(Some(self.whole())) };
        if growth != Growth::Within {
            return Ok(None);
        }
        let located: Vec<&Located> = self.members.iter().map(|member| &member.located).collect();
        Ok(self.archive.rewrite_in_place(&located, changes, None, self.len))
    }
}

impl File {
    /// The file as it is.
    fn whole(&self) -> Layout {
        let mut layout = Layout::new();
        layout.copy(0..self.len);
        layout
    }

    /// What becomes of each member; `None` if nothing does.
    fn changes(&self, plan: &Plan) -> Result<Option<Vec<Change>>, Fault> {
        if !plan.metadata().is_empty() {
            return Err(Fault::Unsupported("an npz has no place for metadata".into()));
        }
        let Some(section) = plan.section("").filter(|section| !section.is_identity()) else {
            return Ok(None);
        };
        check_names(section)?;
        let change = |member: &Member| match section.fate(&member.key) {
            Some(None) => Change::Drop,
            Some(Some(key)) if key != member.key => Change::Rename(member.name_for(key)),
            Some(Some(_)) | None => Change::Keep,
        };
        let mut changes: Vec<Change> = self.members.iter().map(change).collect();
        self.keep_recognisable(&mut changes, section);
        Ok(Some(changes))
    }

    /// Gives a member the suffix that makes the archive an npz, if no other that stays has it: its
    /// key is the same to NumPy, which takes the suffix off.
    fn keep_recognisable(&self, changes: &mut [Change], section: &Section) {
        let has_suffix = |(member, change): (&Member, &Change)| match change {
            Change::Drop => false,
            Change::Rename(name) => name.ends_with(SUFFIX),
            _ => member.has_suffix,
        };
        if self.members.iter().zip(&*changes).any(has_suffix) {
            return;
        }
        let mut kept = self.members.iter().zip(changes).filter(|(_, it)| **it != Change::Drop);
        if let Some((member, change)) = kept.next() {
            let key = section.fate(&member.key).flatten().unwrap_or(&member.key);
            *change = Change::Rename(format!("{key}{SUFFIX}"));
        }
    }

    /// The bytes to keep in each member's header.
    fn room(&self, changes: &[Change], reserve: Headroom) -> u64 {
        let members = self.archive.entries().iter().zip(changes);
        let kept = members.filter(|(_, change)| **change != Change::Drop);
        let sizes: Vec<u64> = kept.map(|(entry, _)| entry.compressed_size()).collect();
        let bytes = sizes.iter().fold(0u64, |sum, size| sum.saturating_add(*size));
        encode::room_of_each(reserve.beside(bytes), sizes.len())
    }
}

fn check_names(section: &Section) -> Result<(), Fault> {
    let faults = section.renamed().filter_map(|(_, new)| Some(format!("'{new}': {}", unfit(new)?)));
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(Fault::Unsupported(faults.join("\n"))) }
}
