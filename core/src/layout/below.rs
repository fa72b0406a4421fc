//! A folder below another as a store of its own.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{Fault, Store, StoreFile};

/// A folder below the one that a store is of.
pub struct Below<'s> {
    store: &'s dyn Store,
    folder: String,
}

impl<'s> Below<'s> {
    /// The folder of this name.
    pub fn new(store: &'s dyn Store, folder: impl Into<String>) -> Below<'s> {
        Below { store, folder: folder.into() }
    }

    fn path(&self, name: &str) -> String {
        match name {
            "" => self.folder.clone(),
            name => format!("{}/{name}", self.folder),
        }
    }
}

impl Store for Below<'_> {
    fn list_in(&self, folder: &str) -> Result<Vec<String>, Fault> {
        self.store.list_in(&self.path(folder))
    }

    fn folders_in(&self, folder: &str) -> Result<Vec<String>, Fault> {
        self.store.folders_in(&self.path(folder))
    }

    fn has(&self, name: &str) -> bool {
        !name.starts_with('/') && self.store.has(&self.path(name))
    }

    fn leads_out(&self, name: &str, manifest: &str) -> bool {
        self.store.leads_out(&self.path(name), &self.path(manifest))
    }

    fn length(&self, name: &str) -> Result<u64, Fault> {
        self.store.length(&self.path(name)).map_err(|fault| self.own(fault))
    }

    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        self.store.read(&self.path(name), limit).map_err(|fault| self.own(fault))
    }

    fn open(&self, name: &str) -> Result<StoreFile, Fault> {
        self.store.open(&self.path(name)).map_err(|fault| self.own(fault))
    }
}

impl Below<'_> {
    /// A fault of a file that goes by its name in this folder.
    fn own(&self, fault: Fault) -> Fault {
        match fault {
            Fault::InFile { name, fault } => {
                let own = name.strip_prefix(&self.folder).and_then(|it| it.strip_prefix('/'));
                let name = own.unwrap_or(&name).to_string();
                Fault::InFile { name, fault }
            }
            other => other,
        }
    }
}

impl Fault {
    /// The same fault where the files are in a folder below.
    #[must_use]
    pub fn below(self, folder: &str) -> Fault {
        match self {
            Fault::InFile { name, fault } => {
                Fault::InFile { name: format!("{folder}/{name}"), fault }
            }
            other => other,
        }
    }
}
