//! Opening and rewriting an archive.

use statedict_core::{
    Catalog, Container, Contents, Fault, Format, Key, Layout, Payload, Plan, Row, Section, Source,
    StateDict, Unholdable,
};
use statedict_zip::{Archive, MAX_NAME_LEN, Writer};

use crate::encode;
use crate::member::{Member, SUFFIX};

/// The npz format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Npz;

/// The one value of [`Npz`], for registries.
pub static NPZ: Npz = Npz;

/// The record that makes a zip archive one of PyTorch's.
const TORCH_PICKLE: &str = "data.pkl";

impl Format for Npz {
    fn name(&self) -> &'static str {
        "npz"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npz"]
    }

    fn open(&self, source: &dyn Source) -> Result<Option<Box<dyn Container>>, Fault> {
        match Archive::open(source)? {
            Some(archive) if is_npz(&archive) => Ok(Some(Box::new(File::open(source, archive)?))),
            _ => Ok(None),
        }
    }

    fn encode(&self, contents: &Contents) -> Result<Layout, Unholdable> {
        encode::encode(contents)
    }
}

/// An archive of arrays, or an empty one, which is what NumPy writes for no arrays.
fn is_npz(archive: &Archive) -> bool {
    let mut names = archive.entries().iter().map(|entry| entry.name());
    let of_torch = |name: &str| name.rsplit('/').next() == Some(TORCH_PICKLE);
    let has_array = archive.entries().is_empty() || names.clone().any(|n| n.ends_with(SUFFIX));
    has_array && !names.any(of_torch)
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
    for Member { key, array, located, .. } in members {
        let row = array.as_ref().map(|_| catalog.rows.len());
        state_dict.insert(key.clone(), row).map_err(|duplicate| {
            Fault::malformed(located.data.start, format!("a second member: {duplicate}"))
        })?;
        match array.clone() {
            Some(tensor) => {
                catalog.rows.push(Row { at: String::new(), key: Key::Text(key.clone()), tensor });
            }
            None => {
                catalog.payload.push(Payload { at: key.clone(), kind: "bytes".to_string() });
            }
        }
    }
    catalog.state_dicts.push(state_dict);
    Ok(catalog)
}

impl Container for File {
    fn kind(&self) -> &'static str {
        "npz"
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn rewrite(&self, plan: &Plan) -> Result<Layout, Fault> {
        let Some(section) = plan.section("").filter(|section| !section.is_identity()) else {
            let mut layout = Layout::new();
            layout.copy(0..self.len);
            return Ok(layout);
        };
        check_names(section)?;
        let mut writer = Writer::numpy();
        for (entry, member) in self.archive.entries().iter().zip(&self.members) {
            match section.fate(&member.key) {
                Some(None) => {}
                Some(Some(key)) if key != member.key => {
                    writer.copy(entry, &member.located, &member.name_for(key));
                }
                Some(Some(_)) | None => writer.copy(entry, &member.located, entry.name()),
            }
        }
        writer.comment(self.archive.comment());
        Ok(writer.finish())
    }
}

fn check_names(section: &Section) -> Result<(), Fault> {
    let faults = section.renamed().filter_map(|(_, new)| Some(format!("'{new}': {}", unfit(new)?)));
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(Fault::Unsupported(faults.join("\n"))) }
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
