//! A disk that keeps what is not synced until the power goes, and then loses some of it.
//!
//! Files are blocks. What a file is made of (which blocks, which length) changes in order, as file
//! systems journal it; what is in each block reaches the disk in any order or not at all; names
//! change in order within nothing: each change that was not synced may be lost by itself.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use statedict_checkpoint::{Access, DirectFile, Disk, Existing, Identity, PrependSupport, Secret};

use crate::disk::{Plain, read};
use crate::scene::BLOCK;
use crate::state::{Files, files};

/// How many outcomes of one loss of power are looked at; the first few are the extremes.
pub(crate) const SEEDS: u64 = 10;

#[derive(Debug)]
pub(crate) struct Volatile {
    plain: Plain,
    root: PathBuf,
    model: Mutex<Model>,
}

#[derive(Debug, Default)]
struct Model {
    inodes: Vec<Inode>,
    /// The inode of each file as the system numbers them.
    numbers: HashMap<u64, usize>,
    /// Names that are on the disk.
    names: HashMap<PathBuf, Entry>,
    /// Changes of names that are not.
    renames: Vec<Renamed>,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    File(usize),
    Folder,
}

/// A change of names in one folder, which happens wholly or not at all.
#[derive(Debug)]
struct Renamed {
    folder: PathBuf,
    gone: Option<PathBuf>,
    come: Option<(PathBuf, Entry)>,
}

/// A file: what may be on the disk of it, oldest first.
#[derive(Debug, Default)]
struct Inode {
    forms: Vec<Form>,
    blocks: Vec<Vec<Vec<u8>>>,
}

#[derive(Clone, Debug, Default)]
struct Form {
    len: u64,
    /// The file's blocks, by their places among all it ever had.
    blocks: Vec<usize>,
}

impl Inode {
    fn now(&self) -> &Form {
        self.forms.last().expect("a file has a form")
    }

    /// The file became another by a call that may have moved blocks; `bytes` is what it is now.
    fn become_now(&mut self, mut form: Form, bytes: &[u8]) {
        form.len = bytes.len() as u64;
        form.blocks.truncate(bytes.len().div_ceil(BLOCK as usize));
        for (i, chunk) in bytes.chunks(BLOCK as usize).enumerate() {
            let mut block = chunk.to_vec();
            block.resize(BLOCK as usize, 0);
            if i == form.blocks.len() {
                form.blocks.push(self.blocks.len());
                // A block that is new reads as zeros until it is written.
                self.blocks.push(vec![vec![0; BLOCK as usize]]);
            }
            let versions = &mut self.blocks[form.blocks[i]];
            if versions.last() != Some(&block) {
                versions.push(block);
            }
        }
        self.forms.push(form);
    }

    fn sync(&mut self) {
        self.forms.drain(..self.forms.len() - 1);
        for versions in &mut self.blocks {
            versions.drain(..versions.len() - 1);
        }
    }

    fn left(&self, chance: &mut Chance) -> Vec<u8> {
        let form = chance.form(&self.forms);
        let blocks =
            form.blocks.iter().flat_map(|block| chance.block(&self.blocks[*block]).clone());
        let mut bytes: Vec<u8> = blocks.collect();
        bytes.resize(form.len as usize, 0);
        bytes
    }
}

/// Decides what of the unsynced is on the disk.
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % n
    }

    /// Nothing, everything, all forms and no bytes, all bytes and no forms; then whatever comes.
    fn pick<'a, T>(&mut self, versions: &'a [T], newest: bool) -> &'a T {
        let last = versions.len() - 1;
        let i = match (self.seed, newest) {
            (0..4, true) => last,
            (0..4, false) => 0,
            _ => self.below(last + 1),
        };
        &versions[i]
    }

    fn form<'a>(&mut self, forms: &'a [Form]) -> &'a Form {
        self.pick(forms, matches!(self.seed, 1 | 2))
    }

    fn block<'a>(&mut self, versions: &'a [Vec<u8>]) -> &'a Vec<u8> {
        self.pick(versions, matches!(self.seed, 1 | 3))
    }

    fn name(&mut self) -> bool {
        *self.pick(&[false, true], matches!(self.seed, 1 | 3))
    }
}

impl Volatile {
    /// A disk on which everything in a folder is safe.
    pub(crate) fn new(root: &Path, front: PrependSupport) -> Volatile {
        let mut model = Model::default();
        for (name, bytes) in files(root) {
            let path = root.join(name);
            let id = model.add(&fs::metadata(&path).expect("there"));
            model.inodes[id].become_now(Form::default(), &bytes);
            model.inodes[id].sync();
            model.names.insert(path, Entry::File(id));
        }
        Volatile { plain: Plain::new(front), root: root.to_path_buf(), model: Mutex::new(model) }
    }

    /// The files that are found once the power is back.
    pub(crate) fn left(&self, seed: u64) -> Files {
        let mut chance = Chance { seed, state: seed };
        let model = self.model();
        let mut names = model.names.clone();
        for renamed in &model.renames {
            if chance.name() {
                renamed.gone.as_ref().map(|gone| names.remove(gone));
                names.extend(renamed.come.clone());
            }
        }
        let mut left = Files::new();
        for (path, entry) in &names {
            let folder = path.parent().expect("below the root");
            if let Entry::File(id) = entry
                && (folder == self.root || names.contains_key(folder))
            {
                let name = path.strip_prefix(&self.root).expect("below the root");
                let bytes = model.inodes[*id].left(&mut chance);
                left.insert(name.to_str().expect("plain").to_string(), bytes);
            }
        }
        left
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("no panic")
    }

    /// Does something to a file, which may change its form.
    fn change<T>(
        &self,
        file: &File,
        act: impl FnOnce() -> io::Result<T>,
        reform: impl FnOnce(&mut Inode) -> Form,
    ) -> io::Result<T> {
        let done = act()?;
        let mut model = self.model();
        let id = model.numbers[&file.metadata()?.ino()];
        let inode = &mut model.inodes[id];
        let form = reform(inode);
        inode.become_now(form, &read(file, 0..u64::MAX)?);
        Ok(done)
    }

    fn rewrite<T>(&self, file: &File, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.change(file, act, |inode| inode.now().clone())
    }
}

impl Model {
    fn add(&mut self, metadata: &Metadata) -> usize {
        let id = self.inodes.len();
        self.inodes.push(Inode { forms: vec![Form::default()], blocks: Vec::new() });
        self.numbers.insert(metadata.ino(), id);
        id
    }

    fn name(&mut self, gone: Option<&Path>, come: Option<(&Path, Entry)>) {
        let path = come.map(|(path, _)| path).or(gone).expect("a name");
        let folder = path.parent().expect("below the root").to_path_buf();
        let come = come.map(|(path, entry)| (path.to_path_buf(), entry));
        self.renames.push(Renamed { folder, gone: gone.map(Path::to_path_buf), come });
    }
}

impl Disk for Volatile {
    fn front(&self, file: &File) -> PrependSupport {
        self.plain.front(file)
    }

    fn identity(&self, file: &File) -> io::Result<Identity> {
        self.plain.identity(file)
    }

    fn secret(&self) -> Option<Secret> {
        self.plain.secret()
    }

    fn make_secret(&self) -> Option<Secret> {
        self.plain.make_secret()
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<File> {
        let file = self.plain.create(path, access)?;
        let mut model = self.model();
        let id = model.add(&file.metadata()?);
        model.name(None, Some((path, Entry::File(id))));
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.plain.open(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.plain.create_folder(path)?;
        self.model().name(None, Some((path, Entry::Folder)));
        Ok(())
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.rewrite(file, || self.plain.write_at(file, offset, bytes))
    }

    fn open_direct(&self, path: &Path, file: &File, len: u64) -> io::Result<DirectFile> {
        self.plain.open_direct(path, file, len)
    }

    fn write_direct(&self, file: &DirectFile, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        self.rewrite(&file.file, || self.plain.write_direct(file, offset, bytes))
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.rewrite(file, || self.plain.set_len(file, len))
    }

    fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
        self.plain.reserve(file, len)
    }

    fn insert(&self, file: &File, offset: u64, len: u64) -> io::Result<()> {
        self.change(
            file,
            || self.plain.insert(file, offset, len),
            |inode| {
                let (mut form, at) = (inode.now().clone(), (offset / BLOCK) as usize);
                let new = inode.blocks.len()..inode.blocks.len() + (len / BLOCK) as usize;
                inode.blocks.extend(new.clone().map(|_| vec![vec![0; BLOCK as usize]]));
                form.blocks.splice(at..at, new);
                form
            },
        )
    }

    fn collapse(&self, file: &File, offset: u64, len: u64) -> io::Result<()> {
        self.change(
            file,
            || self.plain.collapse(file, offset, len),
            |inode| {
                let (mut form, at) = (inode.now().clone(), (offset / BLOCK) as usize);
                form.blocks.drain(at..at + (len / BLOCK) as usize);
                form
            },
        )
    }

    fn clone_file(&self, from: &File, to: &File) -> io::Result<()> {
        self.rewrite(to, || self.plain.clone_file(from, to))
    }

    fn copy(&self, from: &File, range: Range<u64>, to: &File, offset: u64) -> io::Result<u64> {
        self.rewrite(to, || self.plain.copy(from, range, to, offset))
    }

    fn adopt(&self, file: &File, like: &Metadata) -> io::Result<()> {
        self.plain.adopt(file, like)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let mut model = self.model();
        let id = model.numbers[&file.metadata()?.ino()];
        model.inodes[id].sync();
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut model = self.model();
        let synced: Vec<_> = model.renames.extract_if(.., |it| it.folder == folder).collect();
        for Renamed { gone, come, .. } in synced {
            gone.map(|gone| model.names.remove(&gone));
            model.names.extend(come);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        let id = self.model().numbers[&fs::metadata(from)?.ino()];
        self.plain.rename(from, to, existing)?;
        self.model().name(Some(from), Some((to, Entry::File(id))));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.plain.remove(path)?;
        self.model().name(Some(path), None);
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.plain.remove_folder(path)?;
        self.model().name(Some(path), None);
        Ok(())
    }
}
