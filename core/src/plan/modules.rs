//! Module paths: how `_metadata` follows the keys.
//!
//! `state_dict()` carries a second map, from module paths (`module.fc`, and `''` for the root) to
//! versions. Its paths must be renamed by the same segments as the keys, or PyTorch migrates the
//! tensors of an old version twice, or not at all.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{IndexMap, IndexSet, SEPARATOR, Section};

/// Keys with more segments than this say nothing about modules; no module tree is that deep, and
/// looking at every prefix of a longer key would take time beyond the file's size.
const MAX_DEPTH: usize = 256;

/// What becomes of the module paths of one state dict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// Old paths with their new ones, `None` for those that go.
    pub fates: Vec<(String, Option<String>)>,
    /// Paths that come into being above others, each with the old path it must come before.
    pub added: Vec<(String, String)>,
}

/// What the keys below a module say about its path.
#[derive(Clone, PartialEq, Eq)]
enum Verdict {
    Becomes(String),
    /// No key below it stays, or the keys now start further down.
    Goes,
    /// Its keys went to different places.
    Split,
}

impl Section {
    /// What becomes of these module paths when the keys are renamed as the section says.
    ///
    /// A path follows the keys below it: what a rename takes off or puts in front of all of them,
    /// it takes off or puts in front of the path. A path without keys below it follows its parent.
    /// Where two paths come together, the deeper one is the real module and the other one goes.
    pub fn modules(&self, paths: &[String]) -> Modules {
        if self.keeps_names() {
            let fates = paths.iter().map(|path| (path.clone(), Some(path.clone())));
            return Modules { fates: fates.collect(), added: Vec::new() };
        }
        let evidence = self.evidence();
        let mut targets: Vec<Option<String>> =
            paths.iter().map(|path| follow(path, &evidence)).collect();
        keep_the_deepest(paths, &mut targets);
        let added = ancestors_to_add(paths, &targets);
        Modules { fates: paths.iter().cloned().zip(targets).collect(), added }
    }

    /// The modules of a new file with their versions, and those whose version is not a number.
    ///
    /// Paths that come into being have version 1, which is that of a plain module.
    pub fn versions(
        &self,
        modules: &IndexMap<String, Option<u64>>,
    ) -> (Vec<(String, u64)>, Vec<String>) {
        let paths: Vec<String> = modules.keys().cloned().collect();
        let Modules { fates, added } = self.modules(&paths);
        let mut above = IndexMap::<String, Vec<(String, u64)>>::default();
        for (path, before) in added {
            above.entry(before).or_default().push((path, 1));
        }
        let (mut versions, mut unknown) = (Vec::new(), Vec::new());
        for (old, new) in fates {
            versions.extend(above.swap_remove(&old).unwrap_or_default());
            match (new, modules.get(&old).copied().flatten()) {
                (Some(new), Some(version)) => versions.push((new, version)),
                (Some(_), None) => unknown.push(old),
                (None, _) => {}
            }
        }
        (versions, unknown)
    }

    /// For every path that some key lies under, what the keys say.
    fn evidence(&self) -> BTreeMap<&str, Verdict> {
        let mut verdicts = BTreeMap::<&str, Verdict>::new();
        for (old, new) in self.fates() {
            if old.matches(SEPARATOR).count() >= MAX_DEPTH {
                continue;
            }
            let ends =
                core::iter::once(old.len()).chain(old.rmatch_indices(SEPARATOR).map(|m| m.0));
            let (head, tail) = new.map_or((0, 0), |new| shared(old, new));
            let segments = old.split(SEPARATOR).count();
            // From the key itself upwards: at each step one more segment lies below the path.
            for (above, end) in ends.enumerate() {
                let depth = above + 1;
                let path = old[..end].rsplit_once(SEPARATOR).map_or("", |(path, _)| path);
                // What changed lies below the path, so the path itself did not move.
                let stays = depth > tail && segments - depth <= head;
                let target =
                    new.and_then(|new| if stays { Some(path) } else { without_last(new, depth) });
                let says = target.map_or(Verdict::Goes, |path| Verdict::Becomes(path.to_string()));
                merge(verdicts.entry(path), says);
            }
        }
        verdicts
    }
}

fn merge(entry: Entry<'_, &str, Verdict>, says: Verdict) {
    let so_far = entry.or_insert(Verdict::Goes);
    match (&*so_far, &says) {
        (Verdict::Goes, _) => *so_far = says,
        (Verdict::Becomes(a), Verdict::Becomes(b)) if a != b => *so_far = Verdict::Split,
        _ => {}
    }
}

/// How many leading and how many trailing segments two keys share.
fn shared(old: &str, new: &str) -> (usize, usize) {
    let head = old.split(SEPARATOR).zip(new.split(SEPARATOR)).take_while(|(a, b)| a == b);
    let tail = old.rsplit(SEPARATOR).zip(new.rsplit(SEPARATOR)).take_while(|(a, b)| a == b);
    (head.count(), tail.count())
}

/// The path without its last `count` segments; `None` if it has fewer.
fn without_last(path: &str, count: usize) -> Option<&str> {
    let mut rest = path;
    for i in 0..count {
        match rest.rsplit_once(SEPARATOR) {
            Some((above, _)) => rest = above,
            None if i + 1 == count => return Some(""),
            None => return None,
        }
    }
    Some(rest)
}

/// The new path of a module: what the keys below it say, or else what its parent's keys say.
fn follow(path: &str, evidence: &BTreeMap<&str, Verdict>) -> Option<String> {
    let mut above = path;
    loop {
        match evidence.get(above) {
            Some(Verdict::Goes) => return None,
            Some(Verdict::Becomes(target)) => {
                let below = path[above.len()..].trim_start_matches(SEPARATOR);
                return Some(join(target, below));
            }
            Some(Verdict::Split) => return Some(path.to_string()),
            None if above.is_empty() => return Some(path.to_string()),
            None => above = above.rsplit_once(SEPARATOR).map_or("", |(path, _)| path),
        }
    }
}

fn join(above: &str, below: &str) -> String {
    match (above, below) {
        ("", path) | (path, "") => path.to_string(),
        (above, below) => alloc::format!("{above}{SEPARATOR}{below}"),
    }
}

/// Of the paths that come together on one, only the deepest stays.
fn keep_the_deepest(paths: &[String], targets: &mut [Option<String>]) {
    let mut best = IndexMap::<String, usize>::default();
    for i in 0..paths.len() {
        let Some(target) = targets[i].clone() else { continue };
        let Some(other) = best.insert(target.clone(), i) else { continue };
        let loser = if depth(&paths[other]) > depth(&paths[i]) { i } else { other };
        targets[loser] = None;
        best.insert(target, if loser == i { other } else { i });
    }
}

/// The ancestors that the new paths lack, where the old paths had theirs.
fn ancestors_to_add(paths: &[String], targets: &[Option<String>]) -> Vec<(String, String)> {
    let had_root = paths.iter().any(String::is_empty);
    let mut known: IndexSet<&str> = targets.iter().flatten().map(String::as_str).collect();
    let mut added = Vec::new();
    if !had_root {
        return added;
    }
    for (path, target) in paths.iter().zip(targets) {
        let Some(target) = target else { continue };
        if target == path || target.is_empty() {
            continue;
        }
        let ends = target.match_indices(SEPARATOR).map(|(at, _)| at);
        for end in core::iter::once(0).chain(ends) {
            let ancestor = &target[..end];
            if known.insert(ancestor) {
                added.push((ancestor.to_string(), path.clone()));
            }
        }
    }
    added
}

fn depth(path: &str) -> usize {
    if path.is_empty() { 0 } else { path.split(SEPARATOR).count() }
}
