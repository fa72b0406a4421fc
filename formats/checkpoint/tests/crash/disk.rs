//! A disk on ordinary files, and one that stops or fails at a call.

use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use statedict_checkpoint::{
    Access, DirectFile, Disk, Existing, Identity, PrependSupport, Secret, System,
};

/// A disk that can do what `front` says on whatever file system the test runs, and never syncs.
#[derive(Debug)]
pub(crate) struct Plain {
    front: PrependSupport,
    patience: Patience,
    journals: Known,
    direct: DirectWrites,
}

/// What becomes of writes past the cache on a disk that opens files for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectWrites {
    /// Half of the blocks are written, as the system may.
    Short,
    /// The same, but the last of them in part.
    Torn,
    /// None is.
    Refused,
    /// Some are, those further back are not.
    RefusedLater,
}

/// What the journals of a disk are known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// This machine's numbers and this user's secret.
    ByMachine,
    /// This machine's numbers and the secret of somebody, who may have none.
    BySecret(Option<[u8; 32]>),
    /// The same for every file, so that what a crash left can be put into another folder.
    Everywhere,
}

/// How long a file is waited for that others have.
#[derive(Debug)]
pub(crate) enum Patience {
    None,
    /// As long as it takes; each wait is reported, if somebody listens.
    Endless(Sender<()>),
}

impl Plain {
    pub(crate) fn new(front: PrependSupport) -> Plain {
        let (patience, journals) = (Patience::None, Known::Everywhere);
        Plain { front, patience, journals, direct: DirectWrites::Short }
    }

    pub(crate) fn writing(self, direct: DirectWrites) -> Plain {
        Plain { direct, ..self }
    }

    pub(crate) fn known(self, journals: Known) -> Plain {
        Plain { journals, ..self }
    }

    pub(crate) fn waiting(patience: Patience) -> Plain {
        Plain { patience, journals: Known::ByMachine, ..Plain::new(PrependSupport::Copy) }
    }
}

fn len(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// A range of a file, as far as there is one.
pub(crate) fn read(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let end = range.end.min(len(file)?);
    let mut bytes = vec![0; end.saturating_sub(range.start) as usize];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, range.start)?;
    Ok(bytes)
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Disk for Plain {
    fn front(&self, _: &File) -> PrependSupport {
        self.front
    }

    fn identity(&self, file: &File) -> io::Result<Identity> {
        match self.journals {
            Known::ByMachine | Known::BySecret(_) => System.identity(file),
            Known::Everywhere => Ok(Identity::default()),
        }
    }

    fn secret(&self) -> Option<Secret> {
        match self.journals {
            Known::ByMachine => System.secret(),
            Known::BySecret(secret) => secret.map(Secret::new),
            Known::Everywhere => Some(Secret::new([7; 32])),
        }
    }

    fn make_secret(&self) -> Option<Secret> {
        match self.journals {
            Known::ByMachine => System.make_secret(),
            Known::BySecret(_) | Known::Everywhere => self.secret(),
        }
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<File> {
        System.create(path, access)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        System.open(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        System.create_folder(path)
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        System.write_at(file, offset, bytes)
    }

    fn open_direct(&self, _: &Path, file: &File, _: u64) -> io::Result<DirectFile> {
        match self.front {
            PrependSupport::Insert { block } => Ok(DirectFile { file: file.try_clone()?, block }),
            PrependSupport::Share { .. } | PrependSupport::Copy => unsupported(),
        }
    }

    fn write_direct(&self, file: &DirectFile, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        let len = bytes.len() as u64;
        for number in [offset, len, bytes.as_ptr().addr() as u64] {
            assert!(number.is_multiple_of(file.block), "whole blocks only");
        }
        let blocks = len.div_ceil(2).next_multiple_of(file.block);
        let written = match self.direct {
            DirectWrites::Short => blocks,
            DirectWrites::Torn => blocks - 1,
            DirectWrites::RefusedLater if offset < 100 * file.block => blocks,
            DirectWrites::Refused | DirectWrites::RefusedLater => return unsupported(),
        };
        self.write_at(&file.file, offset, &bytes[..written as usize])?;
        Ok(written)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        System.set_len(file, len)
    }

    fn reserve(&self, _: &File, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn insert(&self, file: &File, offset: u64, by: u64) -> io::Result<()> {
        let PrependSupport::Insert { block } = self.front else { return unsupported() };
        assert!(offset.is_multiple_of(block) && by.is_multiple_of(block), "whole blocks only");
        let moved = read(file, offset..u64::MAX)?;
        self.write_at(file, offset, &vec![0; by as usize])?;
        self.write_at(file, offset + by, &moved)
    }

    fn collapse(&self, file: &File, offset: u64, by: u64) -> io::Result<()> {
        let PrependSupport::Insert { block } = self.front else { return unsupported() };
        assert!(offset.is_multiple_of(block) && by.is_multiple_of(block), "whole blocks only");
        assert!(offset + by < len(file)?, "the system would say that this is a truncation");
        self.write_at(file, offset, &read(file, offset + by..u64::MAX)?)?;
        self.set_len(file, len(file)? - by)
    }

    fn clone_file(&self, from: &File, to: &File) -> io::Result<()> {
        match self.front {
            PrependSupport::Share { .. } => self.write_at(to, 0, &read(from, 0..u64::MAX)?),
            _ => unsupported(),
        }
    }

    fn copy(&self, from: &File, range: Range<u64>, to: &File, offset: u64) -> io::Result<u64> {
        // As much as half, as the system may.
        let half = range.start + (range.end - range.start).div_ceil(2);
        let bytes = read(from, range.start..half)?;
        self.write_at(to, offset, &bytes)?;
        Ok(bytes.len() as u64)
    }

    fn adopt(&self, file: &File, like: &Metadata) -> io::Result<()> {
        System.adopt(file, like)
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        fs::metadata(folder).map(drop)
    }

    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        System.rename(from, to, existing)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        System.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        System.remove_folder(path)
    }

    fn wait(&self, _: Duration) -> bool {
        let Patience::Endless(waits) = &self.patience else { return false };
        let _ = waits.send(());
        thread::sleep(Duration::from_millis(1));
        true
    }
}

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is done any more from this call on.
    Stop,
    /// This call is done, if it writes, by half; nothing is done after it.
    StopHalfway,
    /// The call fails with this number; those after it are done.
    Fail(i32),
    /// The same once half of what is to be written is written.
    FailHalfway(i32),
}

/// A disk on which something happens at the call with this number, counted from 0.
#[derive(Debug)]
pub(crate) struct Faulty {
    disk: Arc<dyn Disk>,
    fault: Fault,
    at: usize,
    calls: AtomicUsize,
    /// The calls so far, by name.
    done: Mutex<Vec<&'static str>>,
}

impl Faulty {
    pub(crate) fn new(disk: Arc<dyn Disk>, fault: Fault, at: usize) -> Arc<Faulty> {
        Arc::new(Faulty { disk, fault, at, calls: AtomicUsize::new(0), done: Mutex::default() })
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// True if the call at which something was to happen came.
    pub(crate) fn struck(&self) -> bool {
        self.calls() > self.at
    }

    /// True if there was a call of this name.
    pub(crate) fn has_done(&self, name: &str) -> bool {
        self.done.lock().expect("no panic").contains(&name)
    }

    /// The name of that call.
    pub(crate) fn where_it_struck(&self) -> &'static str {
        self.done.lock().expect("no panic")[self.at]
    }

    fn call<T>(
        &self,
        name: &'static str,
        whole: impl FnOnce() -> io::Result<T>,
        half: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<T> {
        self.done.lock().expect("no panic").push(name);
        let stopped = || Err(io::Error::other("stopped"));
        match (self.calls.fetch_add(1, Ordering::SeqCst).cmp(&self.at), self.fault) {
            (std::cmp::Ordering::Less, _) => whole(),
            (std::cmp::Ordering::Equal, Fault::Fail(number)) => {
                Err(io::Error::from_raw_os_error(number))
            }
            (std::cmp::Ordering::Equal, Fault::FailHalfway(number)) => {
                half()?;
                Err(io::Error::from_raw_os_error(number))
            }
            (std::cmp::Ordering::Equal, Fault::StopHalfway) => {
                half()?;
                stopped()
            }
            (std::cmp::Ordering::Greater, Fault::Fail(_) | Fault::FailHalfway(_)) => whole(),
            (_, Fault::Stop | Fault::StopHalfway) => stopped(),
        }
    }

    fn at_once<T>(&self, name: &'static str, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.call(name, act, || Ok(()))
    }
}

impl Disk for Faulty {
    fn front(&self, file: &File) -> PrependSupport {
        self.disk.front(file)
    }

    fn identity(&self, file: &File) -> io::Result<Identity> {
        self.disk.identity(file)
    }

    fn secret(&self) -> Option<Secret> {
        self.disk.secret()
    }

    fn make_secret(&self) -> Option<Secret> {
        self.disk.make_secret()
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<File> {
        self.at_once("create", || self.disk.create(path, access))
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.disk.open(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.at_once("create_folder", || self.disk.create_folder(path))
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let whole = || self.disk.write_at(file, offset, bytes);
        let half = || self.disk.write_at(file, offset, &bytes[..bytes.len() / 2]);
        self.call("write_at", whole, half)
    }

    fn open_direct(&self, path: &Path, file: &File, len: u64) -> io::Result<DirectFile> {
        self.disk.open_direct(path, file, len)
    }

    fn write_direct(&self, file: &DirectFile, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        let whole = || self.disk.write_direct(file, offset, bytes);
        let half = || {
            let blocks = bytes.len() as u64 / 2 / file.block * file.block;
            self.disk.write_direct(file, offset, &bytes[..blocks as usize]).map(drop)
        };
        self.call("write_direct", whole, half)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.at_once("set_len", || self.disk.set_len(file, len))
    }

    fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
        self.at_once("reserve", || self.disk.reserve(file, len))
    }

    fn insert(&self, file: &File, offset: u64, len: u64) -> io::Result<()> {
        self.at_once("insert", || self.disk.insert(file, offset, len))
    }

    fn collapse(&self, file: &File, offset: u64, len: u64) -> io::Result<()> {
        self.at_once("collapse", || self.disk.collapse(file, offset, len))
    }

    fn clone_file(&self, from: &File, to: &File) -> io::Result<()> {
        self.at_once("clone_file", || self.disk.clone_file(from, to))
    }

    fn copy(&self, from: &File, range: Range<u64>, to: &File, offset: u64) -> io::Result<u64> {
        self.at_once("copy", || self.disk.copy(from, range, to, offset))
    }

    fn adopt(&self, file: &File, like: &Metadata) -> io::Result<()> {
        self.at_once("adopt", || self.disk.adopt(file, like))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.at_once("sync", || self.disk.sync(file))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.at_once("sync_folder", || self.disk.sync_folder(folder))
    }

    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        self.at_once("rename", || self.disk.rename(from, to, existing))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.at_once("remove", || self.disk.remove(path))
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.at_once("remove_folder", || self.disk.remove_folder(path))
    }
}
