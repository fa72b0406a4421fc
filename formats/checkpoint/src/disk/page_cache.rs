//! Reading long files once, without pushing others out of the system's cache.

use std::fs::File;
use std::io;

/// Tells the system that a file is read in no order, so that it reads no more than it is asked for:
/// what it read ahead could not be told from what others had it keep.
#[cfg(target_os = "linux")]
pub(crate) fn read_no_further(file: &File) {
    // Only advice; where it is not taken, more stays in the cache.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn read_no_further(_: &File) {}

/// Fills a buffer with bytes that are not needed again: what of them was not in the system's cache is
/// not in it afterwards, what was there stays.
#[cfg(target_os = "linux")]
pub(crate) fn read_once_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    linux::read_once_at(file, offset, buffer)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn read_once_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    super::plain_file::read_exact_at(file, offset, buffer)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{self, IoSliceMut};
    use std::num::NonZero;
    use std::ops::Range;

    use rustix::fs::{Advice, SeekFrom, fadvise, seek};
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use crate::disk::plain_file::read_exact_at;

    /// Bytes of which the system says at once whether it has them.
    const ASKED_FOR: usize = 256 << 10;

    pub(super) fn read_once_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        // The system has zeros of a hole at once, as if it had kept them, and keeps them from then on.
        let hole = hole_at(file, offset, buffer.len());
        buffer[..hole].fill(0);
        let (offset, buffer) = (offset + hole as u64, &mut buffer[hole..]);
        let mut missing = 0..0;
        for start in (0..buffer.len()).step_by(ASKED_FOR) {
            let end = buffer.len().min(start + ASKED_FOR);
            let from_cache = match read_cached(file, offset + start as u64, &mut buffer[start..end])
            {
                Ok(read) => read,
                Err(Errno::AGAIN) => 0,
                // Not known, so that nothing may be dropped.
                Err(_) => return read_exact_at(file, offset, buffer),
            };
            if from_cache > 0 {
                read_and_drop(file, offset, buffer, missing)?;
                missing = start + from_cache..end;
            } else {
                missing = if missing.is_empty() { start..end } else { missing.start..end };
            }
        }
        read_and_drop(file, offset, buffer, missing)
    }

    /// How many of these bytes are in a hole that begins there, or before.
    fn hole_at(file: &File, offset: u64, len: usize) -> usize {
        let data = match seek(file, SeekFrom::Data(offset)) {
            Ok(data) => data,
            // There is none behind it; what is beyond the end is no hole.
            Err(Errno::NXIO) => file.metadata().map_or(offset, |file| file.len()),
            Err(_) => offset,
        };
        usize::try_from(data.saturating_sub(offset)).map_or(len, |hole| hole.min(len))
    }

    /// Reads what the cache has of the start of a range.
    fn read_cached(file: &File, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT)
    }

    /// Reads what the cache does not have, and takes it out again.
    fn read_and_drop(
        file: &File,
        offset: u64,
        buffer: &mut [u8],
        range: Range<usize>,
    ) -> io::Result<()> {
        let (at, len) = (offset + range.start as u64, range.len() as u64);
        let Some(len) = NonZero::new(len) else { return Ok(()) };
        read_exact_at(file, at, &mut buffer[range])?;
        // Only advice, as above.
        let _ = fadvise(file, at, Some(len), Advice::DontNeed);
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::io::Write;

        fn file() -> (File, Vec<u8>) {
            let bytes: Vec<u8> = (0..3u32 << 20).map(|i| (i * 7 + i / 251) as u8).collect();
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&bytes).and_then(|()| file.sync_all()).expect("room");
            (file, bytes)
        }

        /// For each page whether the cache has it.
        fn cached(file: &File, len: usize) -> Vec<bool> {
            let pages = (0..len).step_by(4096);
            pages.map(|at| read_cached(file, at as u64, &mut [0]).is_ok()).collect()
        }

        #[test]
        fn what_is_read_once_is_what_the_file_has_and_leaves_the_cache_as_it_was() {
            let (file, bytes) = file();
            super::super::read_no_further(&file);
            let _ = fadvise(&file, 1 << 20, NonZero::new(1 << 20), Advice::DontNeed);
            let before = cached(&file, bytes.len());
            let mut read = vec![0; bytes.len() - 4096];
            read_once_at(&file, 4096, &mut read).expect("readable");
            assert!(read == bytes[4096..]);
            // Where the file system drops nothing, there is nothing to drop afterwards either.
            assert_eq!(cached(&file, bytes.len()), before);
        }

        #[test]
        fn holes_are_zeros_and_do_not_come_into_the_cache() {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&[7; 4096]).expect("room");
            file.set_len(3 << 20).expect("room");
            file.write_all(&[9]).expect("room");
            let _ = file.sync_all();
            let mut read = vec![1; (3 << 20) - 10];
            read_once_at(&file, 10, &mut read).expect("readable");
            let expected = [&[7; 4086][..], &[9], &vec![0; (3 << 20) - 4097]].concat();
            assert!(read == expected);
            let mut behind = vec![1; 1 << 20];
            read_once_at(&file, 1 << 20, &mut behind).expect("readable");
            assert!(behind == vec![0; 1 << 20]);
            let end = (3 << 20) - 4096;
            read_once_at(&file, end, &mut [1; 4097]).expect_err("beyond the end");
        }

        #[test]
        fn the_end_of_a_file_is_noticed() {
            let (file, bytes) = file();
            let mut read = vec![0; 4096];
            let error = read_once_at(&file, bytes.len() as u64 - 1, &mut read).expect_err("beyond");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
