//! Small files that would keep the command busy for minutes, or take hundreds of megabytes.
//!
//! Whatever is in a file, `check` and `ls` answer within 64 MiB beside its length, and within time
//! that grows with it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::time::Duration;

use compat_tests::Meter;
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// What a command may take beside the file's length, in bytes.
const MEMORY: u64 = 64 << 20;

/// What a released command takes of that for itself, in bytes; others take more.
const ITSELF: u64 = 4 << 20;

/// The processor time that a file of some megabytes may take, also in a build that is not optimised.
const TIME: Duration = Duration::from_secs(60);

/// When a run is killed.
const PATIENCE: Duration = Duration::from_secs(300);

/// Both commands answer, within bounds.
fn bounded(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("room");
    let mut meter = Meter::start();
    let itself = meter.run(PATIENCE, &["--version"]).peak;
    let most = MEMORY + itself.saturating_sub(ITSELF) + bytes.len() as u64;
    for command in ["check", "ls"] {
        let words: [&OsStr; 3] = [command.as_ref(), "--json".as_ref(), path.as_os_str()];
        let run = meter.run(PATIENCE, &words);
        let (peak, time, len) = (run.peak, run.time, bytes.len());
        println!("{command} {name}: {len} bytes take {} KiB and {time:?}", peak >> 10);
        assert!(run.run.status.is_some(), "{command} {name} does not answer");
        assert!(peak <= most, "{command} {name}: {peak} bytes of {most}");
        assert!(time < TIME, "{command} {name} takes {time:?}");
    }
}

/// An archive with this pickle.
fn around(pickle: Vec<u8>) -> Vec<u8> {
    archive(&[Member::stored("a/data.pkl", &pickle), version()])
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// Opcodes that do nothing, for as long as asked.
fn opcodes(len: usize) -> Vec<u8> {
    [b"\x80\x02", &b"N0".repeat(len / 2)[..], b"N."].concat()
}

/// A member: its name, how long it says it is, its bytes, and where its header is.
struct Member {
    name: String,
    method: u16,
    crc32: u32,
    len: u32,
    data: Vec<u8>,
    /// Bytes of the extra field that leads from this header over others to the data.
    skip: u16,
}

impl Member {
    fn stored(name: &str, data: &[u8]) -> Member {
        let (crc32, len) = (crc32fast::hash(data), data.len() as u32);
        Member { name: name.into(), method: 0, crc32, len, data: data.to_vec(), skip: 0 }
    }

    fn deflated(name: &str, bytes: &[u8]) -> Member {
        let data = deflated(bytes);
        let (crc32, len) = (crc32fast::hash(bytes), bytes.len() as u32);
        Member { name: name.into(), method: 8, crc32, len, data, skip: 0 }
    }

    /// What both headers say, from the version needed to the length of the extra field.
    fn fields(&self, skip: u16) -> Vec<u8> {
        let numbers = [self.crc32, self.compressed(), self.len].map(u32::to_le_bytes).concat();
        let lengths = [self.name.len() as u16, skip].map(u16::to_le_bytes).concat();
        let kind = [20, 0, self.method, 0, 0].map(u16::to_le_bytes).concat();
        [kind, numbers, lengths].concat()
    }

    fn compressed(&self) -> u32 {
        self.data.len() as u32
    }

    fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04", &self.fields(self.skip)[..], self.name.as_bytes()].concat()
    }

    fn entry(&self, at: usize) -> Vec<u8> {
        let more = [&[0; 10][..], &(at as u32).to_le_bytes()].concat();
        [b"PK\x01\x02\x14\0", &self.fields(0)[..], &more, self.name.as_bytes()].concat()
    }
}

/// An archive of members, whose headers the directory has where it is to have them.
fn archive(members: &[Member]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        directory.extend(member.entry(out.len()));
        out.extend(member.local());
        out.extend(&member.data);
    }
    ended(out, directory, members.len())
}

fn ended(mut out: Vec<u8>, directory: Vec<u8>, count: usize) -> Vec<u8> {
    let counts = [0, 0, count as u16, count as u16].map(u16::to_le_bytes).concat();
    let place = [directory.len() as u32, out.len() as u32].map(u32::to_le_bytes).concat();
    out.extend(directory);
    out.extend([b"PK\x05\x06", &counts[..], &place, &[0, 0]].concat());
    out
}

fn plain() -> Member {
    Member::stored("a/data.pkl", b"\x80\x02}.")
}

fn version() -> Member {
    Member::stored("a/version", b"3\n")
}

#[test]
fn members_that_share_a_deflate_stream() {
    let stream = Member::deflated("a/data/00000", &opcodes(4 << 20));
    let mut out = [plain().local(), plain().data].concat();
    let mut directory = plain().entry(0);
    let at = out.len();
    for i in 0..5_000 {
        let name = format!("a/data/{i:05}");
        directory.extend(Member { name, data: stream.data.clone(), ..stream }.entry(at));
    }
    out.extend([stream.local(), stream.data].concat());
    bounded("shared_stream.pth", &ended(out, directory, 5_001));
}

#[test]
fn deflate_streams_that_overlap() {
    // Stored blocks of no length lead from each stream into the next, and all end in the last.
    let tail = deflated(&opcodes(1 << 20));
    let (count, step) = (2_000, 35);
    let mut out = [plain().local(), plain().data].concat();
    let mut directory = plain().entry(0);
    let end = out.len() + count * (30 + step) + tail.len();
    for i in 0..count {
        let name = format!("a/data/{i:05}");
        let at = out.len();
        let len = end - at - 30 - name.len();
        let member = Member { name, data: vec![0; len], ..Member::deflated("", b"") };
        directory.extend(member.entry(at));
        out.extend(member.local());
        out.extend(vec![0; step - member.name.len()]);
    }
    out.extend(tail);
    bounded("overlapping_streams.pth", &ended(out, directory, count + 1));
}

#[test]
fn a_million_imports() {
    let mut pickle = b"\x80\x02(".to_vec();
    for i in 0..1_000_000 {
        pickle.extend(format!("cpackage\nC{i:06}\n").bytes());
    }
    pickle.extend(b"l.");
    bounded("imports.pth", &around(pickle));
}

#[test]
fn nothing_but_empty_containers() {
    for (name, opcode) in [("dicts.pth", b'}'), ("lists.pth", b']'), ("tuples.pth", b')')] {
        let pickle = [b"\x80\x02(", &vec![opcode; 4 << 20][..], b"l."].concat();
        bounded(name, &around(pickle));
    }
}

#[test]
fn names_that_take_most_of_the_file() {
    let mut pickle = b"\x80\x02(".to_vec();
    for i in 0..200 {
        pickle.extend(format!("cp\n{}{i}\n", "n".repeat(60_000)).bytes());
    }
    pickle.extend(b"l.");
    bounded("names.pth", &around(pickle));
    let long = "k".repeat(60_000);
    let members = (0..200).map(|i| Member::stored(&format!("a/data/{long}{i}"), b""));
    let members: Vec<Member> = [plain(), version()].into_iter().chain(members).collect();
    bounded("names_of_members.pth", &archive(&members));
}

#[test]
fn one_list_in_ever_more_lists() {
    let mut pickle = b"\x80\x02}X\x01\0\0\0w]q\0".to_vec();
    for i in 1..250u8 {
        pickle.extend([b"]q", &[i][..], b"(h", &[i - 1], b"h", &[i - 1], b"e"].concat());
    }
    pickle.extend(b"s.");
    bounded("lists_in_lists.pth", &around(pickle));
}

/// So many bytes of opcodes over and over, in a list.
fn repeated(opcodes: &[u8], len: usize) -> Vec<u8> {
    opcodes.repeat(len / opcodes.len())
}

#[test]
fn pickles_of_thirty_megabytes() {
    let len = 30 << 20;
    let odd_ids =
        (0..len as u32 / 5).flat_map(|i| [b'r'].into_iter().chain((!(7 * i)).to_le_bytes()));
    let bodies = [
        ("many_dicts.pth", repeated(b"}", len)),
        ("many_tuples.pth", repeated(b"K\x01\x85", len)),
        ("many_references.pth", repeated(b"h\0", len)),
        ("many_marks.pth", [repeated(b"(", len), b"N".to_vec()].concat()),
        ("many_ids.pth", [b"N".to_vec(), odd_ids.collect()].concat()),
    ];
    for (name, body) in bodies {
        bounded(name, &around([b"\x80\x02]q\0(", &body[..], b"e."].concat()));
    }
}

#[test]
fn one_storage_named_over_and_over() {
    let id = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tq\x010";
    let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\nq\x020";
    let tensor = b"h\x02(h\x01QK\0K\x02\x85K\x01\x85\x89}tR";
    for (name, opcodes) in [("references.pth", &b"h\x01Q"[..]), ("tensors.pth", tensor)] {
        let body = repeated(opcodes, 8 << 20);
        let pickle = [b"\x80\x02", &id[..], rebuild, b"](", &body, b"e."].concat();
        let storage = Member::stored("a/data/0", &[0; 8]);
        bounded(name, &archive(&[Member::stored("a/data.pkl", &pickle), storage, version()]));
    }
}

#[test]
fn a_list_of_storages_that_names_one_over_and_over() {
    let front = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}.";
    let keys = [b"\x80\x02X\x01\0\0\x000q\0](", &repeated(b"h\0", 8 << 20)[..], b"e."].concat();
    bounded("keys.pth", &[front, &keys[..]].concat());
}

#[test]
fn headers_of_members_that_no_directory_has() {
    let mut out = [plain().local(), plain().data].concat();
    out.extend(Member::stored("x", b"").local().repeat(60_000));
    let directory = plain().entry(0);
    bounded("dead_headers.pth", &ended(out, directory, 1));
}

#[test]
fn headers_that_lead_to_one_deflate_stream() {
    let stream = Member::deflated("a/data/x", &opcodes(1 << 20));
    let count = 1_000;
    let mut out = [plain().local(), plain().data].concat();
    let header = stream.local().len();
    for i in 0..count {
        let skip = ((count - 1 - i) * header) as u16;
        out.extend(Member { skip, ..Member::deflated("a/data/x", b"") }.local());
    }
    out.extend(&stream.data);
    let at = out.len();
    out.extend([version().local(), version().data].concat());
    let directory = [plain().entry(0), version().entry(at)].concat();
    bounded("dead_streams.pth", &ended(out, directory, 2));
}
