//! What is written is what was laid out.

use std::io::{Read, Seek, Write};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use statedict_core::{ByteOrder, DType, Elements, Storage, Tensor};

use super::*;
use crate::disk::System;
use crate::observer::is_stopped;
use crate::source::FileSource;

const SOURCE: &[u8] = b"0123456789";

fn file(bytes: &[u8]) -> FileSource {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    FileSource::from_file(file).expect("readable")
}

fn write_into(
    file: &File,
    source: &FileSource,
    layout: &Layout,
    observer: &dyn Observer,
) -> Result<(), StreamError> {
    let lossy = &Mutex::default();
    // No name leads to the file, so that nothing can be written to it directly.
    let path = Path::new("");
    Writing { source, layout, file, path, disk: &System, observer, lossy }.run(None)
}

fn write(source: &[u8], layout: &Layout) -> Result<Vec<u8>, StreamError> {
    let mut out = tempfile::tempfile().expect("a file");
    write_into(&out, &file(source), layout, &|_| ControlFlow::Continue(()))?;
    let mut bytes = Vec::new();
    out.rewind().and_then(|()| out.read_to_end(&mut bytes)).expect("readable");
    Ok(bytes)
}

fn written(layout: &Layout) -> Vec<u8> {
    let out = write(SOURCE, layout).expect("written");
    assert_eq!(out.len() as u64, layout.len());
    out
}

fn big_endian_pair() -> Elements {
    let storage = Storage { byte_order: ByteOrder::Big, ..Storage::stored(2..6) };
    let tensor = Tensor::dense(DType::U16, vec![2], 0, Arc::new(storage)).expect("within");
    Elements::new(tensor, None).expect("plain")
}

#[test]
fn parts_are_written_in_order() {
    let mut layout = Layout::new();
    layout.copy(7..9);
    layout.bytes(b"-new-".to_vec());
    layout.elements(big_endian_pair());
    layout.copy(0..0);
    assert_eq!(written(&layout), b"78-new-3254");
}

#[test]
fn a_checksum_covers_every_kind_of_part() {
    let mut layout = Layout::new();
    layout.bytes(b"not this".to_vec());
    let first = layout.parts().len();
    layout.copy(7..9);
    layout.bytes(b"-new-".to_vec());
    layout.elements(big_endian_pair());
    let span = layout.span_from(first);
    layout.bytes(b"nor this".to_vec());
    layout.crc32(span.clone());
    layout.crc32(span);
    let sum = crc32fast::hash(b"78-new-3254").to_le_bytes();
    assert_eq!(written(&layout)[27..], [sum, sum].concat());
}

#[test]
fn checksums_may_cover_nothing_and_each_other() {
    let mut layout = Layout::new();
    layout.crc32(layout.span_from(0));
    layout.copy(0..3);
    layout.crc32(layout.span_from(0));
    let inner = [&[0; 4][..], b"012"].concat();
    let sum = crc32fast::hash(&inner).to_le_bytes();
    assert_eq!(written(&layout), [&inner[..], &sum].concat());
}

#[test]
fn a_source_that_ends_too_early_stops_the_writing() {
    let mut layout = Layout::new();
    layout.copy(8..12);
    let stop = write(SOURCE, &layout).expect_err("stopped");
    assert!(matches!(stop, StreamError::Read(_)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_beyond_all_disks_is_refused_before_it_is_written() {
    let mut layout = Layout::new();
    layout.copy(0..1 << 62);
    let stop = write(SOURCE, &layout).expect_err("stopped");
    use io::ErrorKind::{FileTooLarge, StorageFull};
    assert!(
        matches!(stop, StreamError::Sink(error) if [FileTooLarge, StorageFull].contains(&error.kind()))
    );
}

/// Bytes in which no two ranges are alike.
fn long_source() -> Vec<u8> {
    (0..1u32 << 20).flat_map(|i| i.wrapping_mul(0x9E37_79B1).to_le_bytes()).collect()
}

#[derive(Clone, Debug)]
enum Piece {
    Copy(Range<u64>),
    New(usize),
    Swapped(u64),
    Crc32(usize),
}

/// The same bytes made in the plainest way.
fn plainly(source: &[u8], pieces: &[Piece]) -> (Layout, Vec<u8>) {
    let (mut layout, mut out) = (Layout::new(), Vec::new());
    let mut starts = Vec::new();
    for piece in pieces {
        starts.push(out.len());
        match piece {
            Piece::Copy(range) => {
                layout.copy(range.clone());
                out.extend_from_slice(&source[range.start as usize..range.end as usize]);
            }
            Piece::New(len) => {
                layout.bytes(vec![b'n'; *len]);
                out.extend(vec![b'n'; *len]);
            }
            Piece::Swapped(count) => {
                let storage =
                    Storage { byte_order: ByteOrder::Big, ..Storage::stored(0..count * 2) };
                let tensor = Tensor::dense(DType::U16, vec![*count], 0, Arc::new(storage));
                let elements = Elements::new(tensor.expect("within"), None).expect("plain");
                layout.elements(elements);
                let pairs = source.as_chunks::<2>().0.iter().take(*count as usize);
                out.extend(pairs.flat_map(|[a, b]| [*b, *a]));
            }
            Piece::Crc32(back) => {
                let first = (starts.len() - 1).saturating_sub(*back);
                layout.crc32(layout.span_from(first));
                let sum = crc32fast::hash(&out[starts[first]..]);
                out.extend(sum.to_le_bytes());
            }
        }
    }
    (layout, out)
}

fn piece() -> impl Strategy<Value = Piece> {
    let within = |(start, len): (u64, u64)| Piece::Copy(start..(start + len).min(4 << 20));
    prop_oneof![
        (0u64..4 << 20, 0u64..3 << 20).prop_map(within),
        (0u64..4 << 20, 0u64..1000).prop_map(within),
        (0usize..2000).prop_map(Piece::New),
        (0u64..1 << 20).prop_map(Piece::Swapped),
        (0usize..5).prop_map(Piece::Crc32),
        any::<bool>().prop_map(|_| Piece::New(0)),
    ]
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn long_and_short_parts_come_together(pieces in proptest::collection::vec(piece(), 0..12)) {
        let source = long_source();
        let (layout, expected) = plainly(&source, &pieces);
        let found = write(&source, &layout).expect("written");
        assert!(found == expected, "{} bytes, expected {}", found.len(), expected.len());
    }
}

#[test]
fn an_observer_sees_every_byte_and_can_stop_the_work() {
    let source = long_source();
    let copied = [Piece::New(7), Piece::Copy(5..4 << 20), Piece::Swapped(1 << 19), Piece::Crc32(2)];
    let (layout, _) = plainly(&source, &copied);
    let out = tempfile::tempfile().expect("a file");
    let seen = std::sync::atomic::AtomicU64::new(0);
    let watch = |limit: u64| {
        let seen = &seen;
        move |bytes| match seen.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed) {
            before if before > limit => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    write_into(&out, &file(&source), &layout, &watch(u64::MAX)).expect("written");
    assert_eq!(seen.swap(0, std::sync::atomic::Ordering::Relaxed), layout.len());
    let stop = write_into(&out, &file(&source), &layout, &watch(1 << 20)).expect_err("stopped");
    assert!(matches!(stop, StreamError::Sink(error) if is_stopped(&error)));
}
