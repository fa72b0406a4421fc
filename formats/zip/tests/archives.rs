//! What is read back from archives, and what is refused.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use statedict_core::{DType, Elements, Fault, Layout, Location, Part, Source, Storage, Tensor};
use statedict_zip::{Archive, Entry, Method, Writer};

/// Written by PyTorch 2.15: one tensor of two numbers, one of none.
const TORCH: &[u8] = include_bytes!("fixtures/torch.pt");

/// The file that a layout describes.
fn write(layout: &Layout, source: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut starts = Vec::new();
    for part in layout.parts() {
        starts.push(file.len());
        match part {
            Part::Copy(range) => file.extend(&source[range.start as usize..range.end as usize]),
            Part::New(bytes) => file.extend(bytes),
            Part::Crc32(span) => {
                let end = starts[span.parts.end.min(starts.len() - 1)];
                let crc32 = crc32fast::hash(&file[starts[span.parts.start]..end]);
                file.extend(crc32.to_le_bytes());
            }
            Part::Elements(_) => panic!("these tests copy elements"),
        }
    }
    assert_eq!(file.len() as u64, layout.len());
    file
}

fn open(file: &[u8]) -> Result<Archive, Fault> {
    Archive::open(&file).map(|archive| archive.expect("starts as an archive"))
}

fn copy_all(file: &[u8], mut writer: Writer, rename: impl Fn(&str) -> String) -> Vec<u8> {
    let archive = open(file).expect("sound");
    for entry in archive.entries() {
        let located = entry.locate(&file).expect("there");
        writer.copy(entry, &located, &rename(entry.name()));
    }
    writer.comment(archive.comment());
    write(&writer.finish(), file)
}

/// Every member read whole: `name=content`, separated by spaces.
fn listing(file: &[u8]) -> Result<String, Fault> {
    let mut listing = String::new();
    for entry in open(file)?.entries() {
        let content = entry.read(&file, 1 << 20)?;
        let space = if listing.is_empty() { "" } else { " " };
        let content = String::from_utf8_lossy(&content);
        write!(listing, "{space}{}={content}", entry.name()).expect("strings take all");
    }
    Ok(listing)
}

fn archive_of(mut writer: Writer, members: &[(&str, &str)]) -> Vec<u8> {
    for (name, content) in members {
        writer.bytes(name, content.as_bytes().to_vec());
    }
    write(&writer.finish(), b"")
}

/// A file by Python's `zipfile`, whose one member `a.npy` is deflated: 1,000 times `x`.
fn deflated() -> Vec<u8> {
    let stream = [0xAB, 0xA8, 0x18, 0x05, 0xA3, 0x60, 0x14, 0x0C, 0x77, 0x00, 0x00];
    let crc32 = crc32fast::hash(&[b'x'; 1000]).to_le_bytes();
    let lengths = [11u32, 1000].map(u32::to_le_bytes).concat();
    let numbers = [&crc32[..], &lengths].concat();
    let local =
        [b"PK\x03\x04\x14\0\0\0\x08\0\0\0\x21\0", &numbers[..], b"\x05\0\0\0a.npy"].concat();
    let local = [local, stream.to_vec()].concat();
    let entry = [b"PK\x01\x02\x14\x03\x14\0\0\0\x08\0\0\0\x21\0", &numbers[..], b"\x05\0"].concat();
    let entry = [entry, vec![0; 16], b"a.npy".to_vec()].concat();
    let place = [entry.len() as u32, local.len() as u32].map(u32::to_le_bytes).concat();
    [local, entry, b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec(), place, vec![0; 2]].concat()
}

#[test]
fn what_pytorch_wrote_is_written_again_byte_for_byte() {
    assert!(copy_all(TORCH, Writer::torch(64), str::to_string) == TORCH);
}

#[test]
fn another_style_and_back_is_the_same_file() {
    let numpy = copy_all(TORCH, Writer::numpy(), str::to_string);
    assert_ne!(numpy, TORCH);
    assert_eq!(listing(&numpy).expect("sound"), listing(TORCH).expect("sound"));
    assert!(copy_all(&numpy, Writer::torch(64), str::to_string) == TORCH);
}

#[test]
fn members_are_read_as_they_were_written() {
    let members = [("a", "one"), ("b/c", ""), ("é", "two")];
    for writer in [Writer::torch(64), Writer::torch(1), Writer::torch(4096), Writer::numpy()] {
        let file = archive_of(writer, &members);
        assert_eq!(listing(&file).expect("sound"), "a=one b/c= é=two");
        let archive = open(&file).expect("sound");
        assert_eq!(archive.find("b/c").map(Entry::size), Some(0));
        assert!(archive.find("B/C").is_none());
    }
}

/// Bytes that count how often they are asked for.
struct Counted<'a> {
    bytes: &'a [u8],
    calls: AtomicUsize,
}

impl Source for Counted<'_> {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.read_at(offset, buffer)
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.read_ranges(ranges)
    }
}

#[test]
fn many_members_are_found_by_few_requests() {
    let names: Vec<String> = (0..3000).map(|number| format!("data/{number}")).collect();
    let members: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let file = archive_of(Writer::torch(64), &members);
    let source = Counted { bytes: &file, calls: AtomicUsize::new(0) };
    let archive = Archive::open(&source).expect("sound").expect("an archive");
    let before = source.calls.load(Ordering::Relaxed);
    let located = archive.locate_all(&source).expect("sound");
    assert_eq!(source.calls.load(Ordering::Relaxed) - before, 3);
    for (entry, located) in archive.entries().iter().zip(&located) {
        assert_eq!(located.data, entry.locate(&source).expect("there").data, "{}", entry.name());
    }
}

#[test]
fn data_is_aligned() {
    let members = [("a", "one"), ("bb", ""), ("ccc", "three")];
    for (writer, alignment) in
        [(Writer::torch(64), 64), (Writer::torch(512), 512), (Writer::numpy(), 64)]
    {
        let file = archive_of(writer, &members);
        for entry in open(&file).expect("sound").entries() {
            let located = entry.locate(&&file[..]).expect("there");
            assert_eq!(located.data.start % alignment, 0, "{}", entry.name());
            assert!(located.other_name().is_none());
        }
    }
}

#[test]
fn elements_are_copied_and_their_checksum_follows() {
    let source = b"....abcd....";
    let storage = Storage { location: Location::Stored(4..8), ..Storage::stored(0..0) };
    let tensor = Tensor::dense(DType::U8, vec![4], 0, storage.into()).expect("within");
    for mut writer in [Writer::torch(64), Writer::numpy()] {
        let elements = Elements::new(tensor.clone(), None).expect("plain");
        writer.elements("t", b"head ".to_vec(), elements);
        let file = write(&writer.finish(), source);
        assert_eq!(listing(&file).expect("sound"), "t=head abcd");
        let crc32 = open(&file).expect("sound").entries()[0].crc32();
        assert_eq!(crc32, crc32fast::hash(b"head abcd"));
    }
}

#[test]
fn a_deflated_member_is_copied_as_it_is_and_inflated_when_read() {
    let file = deflated();
    let renamed = copy_all(&file, Writer::numpy(), |name| format!("long/{name}"));
    let archive = open(&renamed).expect("sound");
    let entry = archive.find("long/a.npy").expect("there");
    assert_eq!((entry.method(), entry.compressed_size()), (Method::Deflated, 11));
    assert!(entry.read(&&renamed[..], 1000).expect("sound") == [b'x'; 1000]);
    let located = entry.locate(&&renamed[..]).expect("there");
    assert_eq!(entry.read_head(&&renamed[..], &located, 3).expect("sound"), b"xxx");
    assert!(matches!(entry.read(&&renamed[..], 999), Err(Fault::TooLarge { .. })));
}

#[test]
fn a_checksum_left_out_stays_out() {
    let mut file = archive_of(Writer::torch(64), &[("a/b", "one")]);
    let at = file.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory") + 16;
    file[at..at + 4].fill(0);
    let copied = copy_all(&file, Writer::torch(64), str::to_string);
    assert_eq!(open(&copied).expect("sound").entries()[0].crc32(), 0);
    assert_eq!(listing(&copied).expect("absent, so not wrong"), "a/b=one");
}

#[test]
fn names_keep_their_bytes_until_they_change() {
    let mut file = archive_of(Writer::numpy(), &[("caf*.npy", "x")]);
    // é in code page 437
    file.iter_mut().filter(|byte| **byte == b'*').for_each(|byte| *byte = 0x82);
    let kept = copy_all(&file, Writer::numpy(), str::to_string);
    assert_eq!(open(&kept).expect("sound").entries()[0].raw_name(), b"caf\x82.npy");
    assert_eq!(listing(&kept).expect("sound"), "café.npy=x");
    let renamed = copy_all(&file, Writer::numpy(), |name| name.replace("caf", "th"));
    assert_eq!(open(&renamed).expect("sound").entries()[0].raw_name(), "thé.npy".as_bytes());
}

#[test]
fn a_member_replaced_keeps_its_name_and_the_rest_of_its_entry() {
    let archive = open(TORCH).expect("sound");
    let mut writer = Writer::torch(64);
    for entry in archive.entries() {
        writer.replace(entry, entry.read(&TORCH, 1 << 20).expect("sound"));
    }
    assert!(write(&writer.finish(), b"") == TORCH);
    let file = deflated();
    let mut writer = Writer::numpy();
    writer.replace(&open(&file).expect("sound").entries()[0], b"other".to_vec());
    let replaced = write(&writer.finish(), b"");
    assert_eq!(listing(&replaced).expect("sound"), "a.npy=other");
    assert_eq!(open(&replaced).expect("sound").entries()[0].method(), Method::Stored);
}

#[test]
fn comments_and_trailing_bytes_are_tolerated() {
    let members = [("a", "one")];
    let mut writer = Writer::numpy();
    writer.bytes("a", b"one".to_vec());
    writer.comment(b"a comment");
    let commented = write(&writer.finish(), b"");
    assert_eq!(open(&commented).expect("sound").comment(), b"a comment");
    assert_eq!(copy_all(&commented, Writer::numpy(), str::to_string), commented);
    for junk in [1, 100, 65_500] {
        let file = [archive_of(Writer::torch(64), &members), vec![b'P'; junk]].concat();
        assert_eq!(listing(&file).expect("tolerated"), "a=one");
    }
    let file = [archive_of(Writer::numpy(), &members), vec![0; 70_000]].concat();
    refused(&file, "no end of a zip directory in the last 65634 bytes");
}

#[test]
fn more_members_than_sixteen_bits_count() {
    let mut writer = Writer::numpy();
    for i in 0..65_536 {
        writer.bytes(&i.to_string(), Vec::new());
    }
    let file = write(&writer.finish(), b"");
    let archive = open(&file).expect("sound");
    assert_eq!(archive.entries().len(), 65_536);
    assert!(archive.find("65535").is_some());
}

/// The new bytes of an archive of one member of 2^32 + 100 bytes and one of none.
fn beyond_32_bits(mut writer: Writer) -> Vec<u8> {
    let len = (1 << 32) + 100;
    let tensor = Tensor::dense(DType::U8, vec![len], 0, Storage::stored(0..len).into());
    let elements = Elements::new(tensor.expect("within"), None).expect("plain");
    writer.elements("m/data/0", Vec::new(), elements);
    writer.bytes("m/version", b"3\n".to_vec());
    let layout = writer.finish();
    let new = layout.parts().iter().filter_map(|part| match part {
        Part::New(bytes) => Some(&bytes[..]),
        _ => None,
    });
    new.collect::<Vec<_>>().concat()
}

#[test]
fn numbers_beyond_32_bits_stand_where_pytorch_puts_them() {
    let bytes = beyond_32_bits(Writer::torch(64));
    let has = |expected: &[u8]| bytes.windows(expected.len()).any(|found| found == expected);
    let size = b"\x64\0\0\0\x01\0\0\0";
    assert!(has(&[b"m/data/0\x01\0\x10\0", &size[..], &[0; 8], b"FB\x02\0ZZ"].concat()));
    assert!(has(&[b"m/data/0\x01\0\x10\0", &size[..], size, b"PK\x01\x02"].concat()));
    // The header, its padding, the data, and a descriptor of 24 bytes.
    let offset = (64u64 + (1 << 32) + 100 + 24).to_le_bytes();
    assert!(has(&[b"m/version\x01\0\x08\0", &offset[..], b"FB"].concat()));
    assert!(has(&[b"m/version\x01\0\x08\0", &offset[..], b"PK\x06\x06"].concat()));
}

#[test]
fn repeated_names_are_reported() {
    let file = archive_of(Writer::numpy(), &[("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")]);
    let archive = open(&file).expect("sound");
    assert_eq!((archive.entries().len(), archive.duplicates()), (4, vec!["a"]));
    let last = archive.find("a").expect("there");
    assert_eq!(last.read(&&file[..], 9).expect("sound"), b"4");
}

#[test]
fn what_is_not_an_archive_is_left_to_others() {
    for file in [&b""[..], b"PK", b"\x93NUMPY", b"PK\x01\x02...."] {
        assert!(Archive::open(&file).expect("readable").is_none());
    }
}

/// The archive is refused, by `open` or by reading its members, with a message that has `expected`.
fn refused(file: &[u8], expected: &str) {
    let fault = listing(file).expect_err(expected).to_string();
    assert!(fault.contains(expected), "{fault}");
}

/// A sound archive with the bytes at `place` of its directory replaced.
fn with_entry(place: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = archive_of(Writer::numpy(), &[("ab", "one")]);
    let start = file.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    file[start + place..start + place + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn entries_that_contradict_the_file_are_refused() {
    refused(&with_entry(0, b"PK\x01\x03"), "a whole entry of the zip directory (PK\\1\\2)");
    refused(&with_entry(8, &[1]), "member 'ab' is encrypted");
    refused(&with_entry(10, &[99]), "method 99");
    refused(&with_entry(16, &[0xFF]), "checksum");
    refused(&with_entry(20, &[2]), "is stored in 2 bytes and said to have 3");
    refused(&with_entry(20, &[0xFF; 4]), "lacks its zip64 numbers");
    refused(&with_entry(20, &[0, 0, 1, 0, 0, 0, 1]), "ends beyond the file's");
    refused(&with_entry(28, &[99]), "a whole entry");
    refused(&with_entry(34, &[7]), "volume 7");
    refused(&with_entry(42, &[3]), "a local header (PK\\3\\4) was expected");
    refused(&with_entry(46, b"\0"), "has a NUL in it");
}

#[test]
fn a_stream_cannot_inflate_beyond_what_deflate_can() {
    let mut file = deflated();
    let directory = file.windows(4).position(|four| four == b"PK\x01\x02").expect("there");
    file[directory + 24..directory + 28].copy_from_slice(&20_000u32.to_le_bytes());
    refused(&file, "member 'a.npy' of 11 bytes deflated cannot inflate to 20000");
    file[directory + 24..directory + 28].copy_from_slice(&1_001u32.to_le_bytes());
    refused(&file, "has fewer bytes than the 1001 the directory gives");
    file[directory + 24..directory + 28].copy_from_slice(&999u32.to_le_bytes());
    refused(&file, "has more bytes than the 999 the directory gives");
}

#[test]
fn ends_that_contradict_the_file_are_refused() {
    let with_end = |back: usize, bytes: &[u8]| {
        let mut file = archive_of(Writer::numpy(), &[("ab", "one")]);
        let at = file.len() - back;
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    refused(&with_end(14, &[0, 1, 0, 1]), "a zip directory of 48 bytes with 256 entries");
    refused(&with_end(14, &[0, 0, 0, 0]), "goes on after its 0 entries");
    refused(&with_end(10, &[0xFF; 8]), "the zip64 end record is missing");
    refused(&with_end(6, &[0xFF]), "does not end where its end record begins");
}

#[test]
fn members_that_share_bytes_are_refused() {
    let mut file = archive_of(Writer::numpy(), &[("a", "1"), ("a", "2")]);
    let entries: Vec<usize> =
        (0..file.len()).filter(|at| file[*at..].starts_with(b"PK\x01\x02")).collect();
    file[entries[1] + 42..entries[1] + 46].fill(0);
    refused(&file, "another member or the directory begins at byte 0");
    // A local header whose extra fields run into the directory.
    let mut file = archive_of(Writer::numpy(), &[("a", "1")]);
    file[28] += 1;
    refused(&file, "it ends at byte 66, and another member or the directory begins at byte 65");
}

#[test]
fn a_gap_before_the_end_record_is_refused() {
    let mut file = archive_of(Writer::numpy(), &[("a", "1")]);
    let end = file.len() - 22;
    file.insert(end, 0);
    refused(&file, "does not end where its end record begins");
}

#[test]
fn every_prefix_is_refused_politely() {
    let files = [TORCH.to_vec(), archive_of(Writer::numpy(), &[("a", "one")]), deflated()];
    for file in &files {
        for end in 4..file.len() {
            assert!(listing(&file[..end]).is_err(), "{end} of {} bytes", file.len());
        }
    }
}

#[test]
fn a_changed_byte_is_refused_or_changes_no_length() {
    for file in [TORCH.to_vec(), deflated()] {
        for (at, flip) in (0..file.len()).flat_map(|at| [1, 0x80, 0xFF].map(|flip| (at, flip))) {
            let mut changed = file.clone();
            changed[at] ^= flip;
            let Ok(Some(archive)) = Archive::open(&&changed[..]) else { continue };
            for entry in archive.entries() {
                if let Ok(content) = entry.read(&&changed[..], 1 << 20) {
                    assert_eq!(content.len() as u64, entry.size());
                }
            }
        }
    }
}

#[test]
fn the_zip_crate_reads_the_same_archives_alike() {
    let members = [("m/data.pkl", "abc"), ("m/data/0", ""), ("m/é", "xyz")];
    let written = [Writer::torch(64), Writer::numpy()].map(|writer| archive_of(writer, &members));
    for file in [written[0].as_slice(), &written[1], TORCH] {
        let ours = open(file).expect("sound");
        let mut theirs = zip::ZipArchive::new(std::io::Cursor::new(file)).expect("sound");
        assert_eq!(theirs.len(), ours.entries().len());
        for (i, entry) in ours.entries().iter().enumerate() {
            let mut member = theirs.by_index(i).expect("a member");
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut member, &mut content).expect("its checksum holds");
            let name = member.name().expect("UTF-8").into_owned();
            assert_eq!((name.as_str(), member.size()), (entry.name(), entry.size()));
            assert_eq!(
                (member.crc32(), member.data_start()),
                (entry.crc32(), Some(entry.locate(&file).expect("there").data.start),)
            );
            assert_eq!(content, entry.read(&file, 1 << 20).expect("sound"));
        }
    }
}
