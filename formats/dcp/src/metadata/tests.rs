//! What objects that are read at once say is what they say when all of them is followed.

use proptest::prelude::*;
use statedict_pth::opcode;

use super::*;

/// Writes pickles as Python's pickler does: nearly everything goes into the memo, whether or not it
/// is fetched.
#[derive(Default)]
struct Pickler {
    out: Vec<u8>,
    memoized: u32,
    globals: Vec<(&'static str, u32)>,
    texts: Vec<(String, u32)>,
    sizes: Vec<(Vec<u64>, u32)>,
    frames: Vec<bool>,
}

const CLASSES: &str = "torch.distributed.checkpoint.metadata";
const FILE_CLASSES: &str = "torch.distributed.checkpoint.filesystem";

impl Pickler {
    /// An opcode, before which a frame may begin.
    fn push(&mut self, opcodes: &[u8]) {
        if self.frames.pop().unwrap_or(false) {
            self.out.extend([opcode::FRAME, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        self.out.extend(opcodes);
    }

    fn memoize(&mut self) -> u32 {
        self.push(&[opcode::MEMOIZE]);
        self.memoized += 1;
        self.memoized - 1
    }

    fn get(&mut self, place: u32) {
        match u8::try_from(place) {
            Ok(place) => self.push(&[opcode::BINGET, place]),
            Err(_) => {
                let [a, b, c, d] = place.to_le_bytes();
                self.push(&[opcode::LONG_BINGET, a, b, c, d]);
            }
        }
    }

    /// A text that may be the very one that was written before.
    fn text(&mut self, text: &str, sharing: Sharing) {
        if sharing == Sharing::Shared
            && let Some((_, place)) = self.texts.iter().find(|(known, _)| known == text)
        {
            return self.get(*place);
        }
        let len = u8::try_from(text.len()).expect("a short text");
        self.push(&[&[opcode::SHORT_BINUNICODE, len], text.as_bytes()].concat());
        let place = self.memoize();
        self.texts.push((text.into(), place));
    }

    fn global(&mut self, module: &str, name: &'static str) {
        if let Some((_, place)) = self.globals.iter().find(|(known, _)| *known == name) {
            return self.get(*place);
        }
        self.text(module, Sharing::Shared);
        self.text(name, Sharing::Shared);
        self.push(&[opcode::STACK_GLOBAL]);
        let place = self.memoize();
        self.globals.push((name, place));
    }

    fn number(&mut self, number: u64) {
        let mut opcodes = Vec::new();
        opcode::push_integer(&mut opcodes, number);
        self.push(&opcodes);
    }

    fn tuple(&mut self, numbers: &[u64]) {
        if numbers.len() > 3 {
            self.push(&[opcode::MARK]);
        }
        numbers.iter().for_each(|number| self.number(*number));
        let codes = [opcode::EMPTY_TUPLE, opcode::TUPLE1, opcode::TUPLE2, opcode::TUPLE3];
        self.push(&[codes.get(numbers.len()).copied().unwrap_or(opcode::TUPLE)]);
        if !numbers.is_empty() {
            self.memoize();
        }
    }

    fn size(&mut self, sizes: &[u64], sharing: Sharing) {
        if sharing == Sharing::Shared
            && let Some((_, place)) = self.sizes.iter().find(|(known, _)| known == sizes)
        {
            return self.get(*place);
        }
        self.global("torch", "Size");
        self.tuple(sizes);
        self.push(&[opcode::TUPLE1]);
        self.memoize();
        self.push(&[opcode::REDUCE]);
        let place = self.memoize();
        self.sizes.push((sizes.into(), place));
    }

    /// An object with attributes, after which the dict of them is given as its state.
    fn object(&mut self, module: &str, class: &'static str, write: impl FnOnce(&mut Pickler)) {
        self.begin(module, class);
        self.dict(write);
        self.push(&[opcode::BUILD]);
    }

    fn begin(&mut self, module: &str, class: &'static str) {
        self.global(module, class);
        self.push(&[opcode::EMPTY_TUPLE]);
        self.push(&[opcode::NEWOBJ]);
        self.memoize();
    }

    fn dict(&mut self, write: impl FnOnce(&mut Pickler)) {
        self.push(&[opcode::EMPTY_DICT]);
        self.memoize();
        self.push(&[opcode::MARK]);
        write(self);
        self.push(&[opcode::SETITEMS]);
    }

    fn name(&mut self, name: &str) {
        self.text(name, Sharing::Shared);
    }
}

/// Whether a value is the very object that was there before, or one like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    Shared,
    Like,
}

/// A tensor that ranks saved in rows.
#[derive(Clone, Debug)]
struct Saved {
    shape: Vec<u64>,
    strides: Vec<u64>,
    sharing: Sharing,
}

impl Saved {
    /// How many ranks have a part, each of which begins elsewhere.
    fn ranks(&self, ranks: u64) -> u64 {
        match self.shape.first() {
            None | Some(0) => 1,
            Some(_) => ranks,
        }
    }
}

/// The metadata of tensors of so many ranks.
fn pickled(tensors: &[Saved], ranks: u64, frames: Vec<bool>) -> Vec<u8> {
    pickled_but(tensors, ranks, frames, |_, _| ())
}

/// The metadata of tensors of so many ranks, where something is done before the chunks of each.
fn pickled_but(
    tensors: &[Saved],
    ranks: u64,
    frames: Vec<bool>,
    before: impl Fn(&mut Pickler, u64),
) -> Vec<u8> {
    let mut pickler = Pickler { frames, ..Pickler::default() };
    let names: Vec<String> = (0..tensors.len()).map(|i| format!("layers.{i}.weight")).collect();
    let at = |rank: u64, saved: &Saved| {
        let mut at = vec![0; saved.shape.len()];
        at.iter_mut().take(1).for_each(|row| *row = rank * saved.shape[0]);
        at
    };
    pickler.object(CLASSES, "Metadata", |pickler| {
        pickler.name("state_dict_metadata");
        pickler.dict(|pickler| {
            for (name, saved) in names.iter().zip(tensors) {
                pickler.text(name, saved.sharing);
                pickler.object(CLASSES, "TensorStorageMetadata", |pickler| {
                    pickler.name("properties");
                    pickler.begin(CLASSES, "TensorProperties");
                    pickler.push(&[opcode::MARK]);
                    pickler.global("torch", "float32");
                    pickler.push(&[opcode::NEWFALSE]);
                    pickler.tuple(&saved.strides);
                    pickler.push(&[opcode::TUPLE]);
                    pickler.memoize();
                    pickler.push(&[opcode::BUILD]);
                    pickler.name("size");
                    let mut whole = saved.shape.clone();
                    whole.iter_mut().take(1).for_each(|rows| *rows *= ranks);
                    pickler.size(&whole, saved.sharing);
                    pickler.name("chunks");
                    pickler.push(&[opcode::EMPTY_LIST]);
                    pickler.memoize();
                    pickler.push(&[opcode::MARK]);
                    for rank in 0..saved.ranks(ranks) {
                        pickler.object(CLASSES, "ChunkStorageMetadata", |pickler| {
                            pickler.name("offsets");
                            pickler.size(&at(rank, saved), saved.sharing);
                            pickler.name("sizes");
                            pickler.size(&saved.shape, saved.sharing);
                        });
                    }
                    pickler.push(&[opcode::APPENDS]);
                });
            }
        });
        pickler.name("storage_data");
        pickler.dict(|pickler| {
            for rank in 0..ranks {
                before(pickler, rank);
                let all = names.iter().zip(tensors).enumerate();
                for (i, (name, saved)) in all.filter(|(_, (_, it))| rank < it.ranks(ranks)) {
                    pickler.object(CLASSES, "MetadataIndex", |pickler| {
                        pickler.name("fqn");
                        pickler.text(name, saved.sharing);
                        pickler.name("offset");
                        pickler.size(&at(rank, saved), saved.sharing);
                        pickler.name("index");
                        pickler.number(rank);
                    });
                    pickler.object(FILE_CLASSES, "_StorageInfo", |pickler| {
                        pickler.name("relative_path");
                        pickler.text(&format!("__{rank}_0.distcp"), Sharing::Shared);
                        pickler.name("offset");
                        pickler.number(1 << (i % 40));
                        pickler.name("length");
                        pickler.number(rank * 1000);
                    });
                }
            }
        });
    });
    pickler.push(&[opcode::STOP]);
    // The end of a pickle is followed opcode by opcode.
    pickler.out.extend([0; 2 << 10]);
    [&[opcode::PROTO, 4], &pickler.out[..]].concat()
}

/// What metadata say of each name, and of its chunks, without the numbers that they have for it; none
/// if they are refused.
fn said(pickle: &[u8], detail: Detail) -> Option<Vec<(String, String)>> {
    let metadata = extract::metadata(follow(&pickle, is_admitted, detail).ok()?).ok()?;
    let entries = metadata.entries.iter().map(|(name, entry)| match entry {
        Entry::Object(item) => (name.to_string(), format!("{:?}", metadata.item(*item))),
        Entry::Tensor(tensor) => {
            let chunks: Vec<String> = metadata
                .chunks(tensor)
                .map(|chunk| {
                    let item = chunk.item.map(|item| {
                        let file = metadata.files.get_index(item.file).cloned();
                        (file, item.offset, item.length, item.transforms().to_vec())
                    });
                    format!("{:?} {:?} {item:?}", chunk.at, chunk.size)
                })
                .collect();
            (format!("{name}: {:?} {:?}", tensor.dtype, tensor.shape), format!("{chunks:?}"))
        }
    });
    Some(entries.collect())
}

fn saved() -> impl Strategy<Value = Saved> {
    let numbers = prop::sample::select(vec![0u64, 1, 7, 255, 256, 70_000, 1 << 20, 1 << 33]);
    let shape = prop::collection::vec(numbers.clone(), 0..6);
    let strides = prop::collection::vec(numbers, 0..5);
    (shape, strides, any::<bool>()).prop_map(|(shape, strides, is_shared)| Saved {
        shape,
        strides,
        sharing: if is_shared { Sharing::Shared } else { Sharing::Like },
    })
}

#[test]
fn a_class_that_another_replaces_in_the_memo_is_no_longer_that_class() {
    let tensors = vec![Saved { shape: vec![4, 2], strides: vec![2, 1], sharing: Sharing::Like }; 2];
    let pickle = pickled_but(&tensors, 4, Vec::new(), |pickler, rank| {
        if rank == 3 {
            let place = |class| {
                let known = pickler.globals.iter().find(|(name, _)| *name == class);
                known.map(|(_, place)| *place).expect("the class was named before")
            };
            let (index, info) = (place("MetadataIndex"), place("_StorageInfo"));
            pickler.get(info);
            pickler.push(&[opcode::BINPUT, u8::try_from(index).expect("a small place")]);
            pickler.push(&[opcode::POP]);
        }
    });
    let untouched = pickled(&tensors, 4, Vec::new());
    assert!(said(&untouched, Detail::Contents).is_some());
    assert_eq!(said(&pickle, Detail::Contents), said(&pickle, Detail::Everything));
}

proptest! {
    #[test]
    fn objects_read_at_once_say_what_they_say_opcode_by_opcode(
        tensors in prop::collection::vec(saved(), 0..6),
        ranks in 1u64..5,
        frames in prop::collection::vec(prop::bool::weighted(0.02), 0..400),
    ) {
        let pickle = pickled(&tensors, ranks, frames);
        let expected = said(&pickle, Detail::Everything);
        prop_assert_eq!(expected.as_ref().map(Vec::len), Some(tensors.len()));
        prop_assert_eq!(said(&pickle, Detail::Contents), expected);
    }

    #[test]
    fn what_is_damaged_is_refused_both_ways_or_neither(
        tensors in prop::collection::vec(saved(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut pickle = pickled(&tensors, 3, Vec::new());
        let len = pickle.len() - (2 << 10);
        for (place, byte) in damage {
            pickle[place.index(len)] = byte;
        }
        // Damage may say two times where a chunk is, which no dict does; either will do.
        let heads = |detail| {
            said(&pickle, detail).map(|all| all.into_iter().map(|(head, _)| head).collect::<Vec<_>>())
        };
        prop_assert_eq!(heads(Detail::Contents), heads(Detail::Everything));
    }
}
