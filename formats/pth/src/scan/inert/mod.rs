//! What weights-only loading refuses and trainers save all the same, because it does nothing.
//!
//! An entry belongs here only if importing, making and filling it runs no code that the file
//! chooses, reads no address from it, and takes no more memory or time than the file is long,
//! whatever the arguments and the state; or if `care` holds it against its arguments. Anything it
//! is given has to be brought in by the same pickle, and is judged by itself.
//! Each entry says why that is so.

mod modules;
mod numpy;
mod python;
mod torch;

use self::modules::{MODULE, is_module};
use self::torch::{FUNCTIONAL, is_functional};

/// How something does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inert {
    /// However it is called, or with the arguments that `care` lets pass.
    Called,
    /// If it is called, with the arguments that `care` lets pass.
    OnlyCalled,
    /// If it is made bare and filled.
    Filled,
    /// If it is not called.
    Named,
}

/// Something that does nothing.
#[derive(Debug)]
struct Entry {
    path: &'static str,
    inert: Inert,
    /// Why it can do nothing.
    why: &'static str,
}

impl Entry {
    const fn called(path: &'static str, why: &'static str) -> Entry {
        Entry { path, inert: Inert::Called, why }
    }

    const fn only_called(path: &'static str, why: &'static str) -> Entry {
        Entry { path, inert: Inert::OnlyCalled, why }
    }

    const fn filled(path: &'static str, why: &'static str) -> Entry {
        Entry { path, inert: Inert::Filled, why }
    }

    const fn named(path: &'static str, why: &'static str) -> Entry {
        Entry { path, inert: Inert::Named, why }
    }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    let lists = python::ENTRIES.into_iter().chain(numpy::ENTRIES).chain(torch::ENTRIES);
    lists.flatten()
}

/// How what has this path does nothing; `None` if that is not known.
pub(super) fn inert(path: &str) -> Option<Inert> {
    reasoned(path).map(|(inert, _)| inert)
}

/// The same, and why.
fn reasoned(path: &str) -> Option<(Inert, &'static str)> {
    if let Some(entry) = entries().find(|entry| entry.path == path) {
        return Some((entry.inert, entry.why));
    }
    if is_functional(path) {
        return Some((Inert::Named, FUNCTIONAL));
    }
    is_module(path).then_some((Inert::Filled, MODULE))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::admitted::is_admitted;
    use super::*;

    #[test]
    fn every_entry_has_a_reason_and_is_there_once() {
        let mut seen = HashSet::new();
        for Entry { path, why, .. } in entries() {
            assert!(why.len() > 20, "{path} does nothing because {why:?}");
            assert!(seen.insert(path), "{path} is there twice");
            assert_eq!(reasoned(path).map(|(_, why)| why), Some(*why), "{path}");
        }
        assert!(seen.len() > 70, "{} entries", seen.len());
    }

    #[test]
    fn what_weights_only_loading_admits_is_not_on_the_list() {
        for Entry { path, .. } in entries() {
            assert!(!is_admitted(path), "{path} needs no reason");
        }
    }

    #[test]
    fn classes_of_modules_are_inert_and_what_hides_behind_them_is_not() {
        let check = |path, expected| assert_eq!(inert(path), expected, "{path}");
        check("torch.nn.modules.linear.Linear", Some(Inert::Filled));
        check("torch.nn.modules.module.torch.load", None);
        check("torch.nn.modules.module.register_module_forward_hook", None);
        check("torch.nn.modules.Linear", None);
        check("torch.nn.modules.module.RemovableHandle", None);
        check("torch.nn.modules.linear.Parameter", None);
        check("torch.nn.modules.rnn.LSTM", Some(Inert::Filled));
        check("torch.nn.modules.module.Module.share_memory", None);
        check("argparse.Namespace", Some(Inert::Called));
        check("argparse.FileType", None);
        check("torch.nn.functional.relu", Some(Inert::Named));
        check("torch.nn.functional.importlib", None);
        check("numpy.ndarray", Some(Inert::Named));
        check("torch.distributed._shard.sharded_tensor.shard.Shard", Some(Inert::Filled));
        // Filled, it talks to other processes, if there are any.
        check("torch.distributed._shard.sharded_tensor.api.ShardedTensor", None);
    }
}
