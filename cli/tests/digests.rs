//! Digests of tensors that overlap: each place is read once, and not beyond all proportion.

mod folder;

use std::fs;

/// A legacy stream of `views` tensors over one storage of `size` bytes, each a byte further on if they are `apart`.
fn stream(views: usize, size: usize, apart: bool) -> Vec<u8> {
    let mut file =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    file.extend(b"\x80\x02}X\x0d\0\0\0little_endian\x88s.\x80\x02]cm\nn\n0");
    let number = |number: usize| [b"J", &(number as u32).to_le_bytes()[..]].concat();
    let id = [
        b"(X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x007X\x03\0\0\0cpu",
        &number(size)[..],
        b"NtQq\x010",
    ];
    file.extend(id.concat());
    for i in 0..views {
        let offset = if apart { i } else { 0 };
        file.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(h\x01");
        file.extend(
            [number(offset), number(size - views), b"\x85K\x01\x85\x89}tRa".to_vec()].concat(),
        );
    }
    file.extend(b".\x80\x02](X\x01\0\0\x007e.");
    file.extend((size as u64).to_le_bytes());
    file.resize(file.len() + size, 7);
    file
}

/// What `ls --hash --json` says of a file: the exit status, and how many digests it shows.
fn digests(bytes: &[u8]) -> (Option<i32>, usize, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("views.pth");
    fs::write(&path, bytes).expect("writable");
    let mut command = folder::statedict();
    let output = command.args(["ls", "--hash", "--json"]).arg(path).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let shown = text(output.stdout).matches("sha256").count();
    (output.status.code(), shown, text(output.stderr))
}

#[test]
fn tensors_at_one_place_are_read_once() {
    // All of them together are over the limit of what is read.
    let (status, shown, said) = digests(&stream(1500, 1 << 20, false));
    assert_eq!((status, shown), (Some(0), 1500), "{said}");
}

#[test]
fn views_that_overlap_beyond_proportion_are_refused() {
    let (status, _, said) = digests(&stream(6000, 1 << 20, true));
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("over 1024 times the file's bytes"), "{said}");
}
