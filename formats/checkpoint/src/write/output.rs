//! A new file as it is written: whole blocks past the system's cache, the rest through it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::{DirectFile, Disk};

/// Fewer bytes than this are not worth a wait for the disk.
const WORTH_A_WAIT: usize = 64 << 10;

/// A new file, and the ways by which bytes come into it.
#[derive(Debug)]
pub(super) struct Output<'a> {
    file: &'a File,
    disk: &'a dyn Disk,
    direct: Option<DirectFile>,
    /// The file system opened the file to be written past the cache, and does not write it.
    refused: AtomicBool,
}

impl<'a> Output<'a> {
    /// Everything goes through the cache.
    pub(super) fn cached(file: &'a File, disk: &'a dyn Disk) -> Output<'a> {
        Output { file, disk, direct: None, refused: AtomicBool::new(false) }
    }

    /// What is long goes past the cache, where the disk can and that is of use.
    pub(super) fn new(file: &'a File, path: &Path, len: u64, disk: &'a dyn Disk) -> Output<'a> {
        // What cannot be had is done without; if the file is out of reach, the cached writes say so.
        let direct = disk.open_direct(path, file, len).ok();
        Output { direct, ..Output::cached(file, disk) }
    }

    /// True if bytes that are aligned with their places need not go through the cache.
    pub(super) fn is_direct(&self) -> bool {
        self.direct().is_some()
    }

    fn direct(&self) -> Option<&DirectFile> {
        self.direct.as_ref().filter(|_| !self.refused.load(Ordering::Relaxed))
    }

    /// Writes all the bytes at a place of the file.
    pub(super) fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let whole = self.direct().map_or(0..0, |direct| whole_blocks(at, bytes, direct.block));
        match self.direct() {
            Some(direct) if whole.len() >= WORTH_A_WAIT => {
                let (start, end) = (whole.start as u64, whole.end as u64);
                self.put_cached(at, &bytes[..whole.start])?;
                self.put_direct(direct, at + start, &bytes[whole.clone()])?;
                self.put_cached(at + end, &bytes[whole.end..])
            }
            _ => self.put_cached(at, bytes),
        }
    }

    fn put_cached(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() { Ok(()) } else { self.disk.write_at(self.file, at, bytes) }
    }

    fn put_direct(&self, direct: &DirectFile, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self.disk.write_direct(direct, at, bytes) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    self.refused.store(true, Ordering::Relaxed);
                    return self.put_cached(at, bytes);
                }
                Err(error) => return Err(error),
            };
            at += written;
            bytes = usize::try_from(written).ok().and_then(|n| bytes.get(n..)).unwrap_or_default();
            // Where a block was written in part, or nothing, the cached write goes on or says why.
            if written == 0 || !written.is_multiple_of(direct.block) {
                return self.put_cached(at, bytes);
            }
        }
        Ok(())
    }
}

/// The whole blocks among bytes for a place of a file; none if their addresses do not agree with it.
fn whole_blocks(at: u64, bytes: &[u8], block: u64) -> Range<usize> {
    let address = bytes.as_ptr().addr() as u64;
    if address % block != at % block {
        return 0..0;
    }
    let end = at + bytes.len() as u64;
    let (first, last) = (at.next_multiple_of(block), end / block * block);
    if first >= last {
        return 0..0;
    }
    let behind = |place: u64| usize::try_from(place - at).expect("within the bytes");
    behind(first)..behind(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_are_found_where_addresses_agree_with_places() {
        let memory = vec![0; 64 << 10];
        let start = memory.as_ptr().addr().next_multiple_of(4096) - memory.as_ptr().addr();
        let aligned = &memory[start..];
        let check = |at, bytes: &[u8], expected| {
            assert_eq!(whole_blocks(at, bytes, 4096), expected, "{at} {}", bytes.len());
        };
        check(8192, &aligned[..8192], 0..8192);
        check(8192, &aligned[..8191], 0..4096);
        check(4095, &aligned[4095..4095 + 4098], 1..4097);
        check(100, &aligned[100..4000], 0..0);
        check(100, &aligned[101..9000], 0..0);
        check(4096, &aligned[..0], 0..0);
    }
}
