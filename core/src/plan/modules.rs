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
    /// Paths of which the tensors became parts of several modules, with the paths of these.
    pub split: IndexMap<String, Vec<String>>,
}

/// What the keys below a module say about its path.
#[derive(Clone, PartialEq, Eq)]
enum Verdict {
    Becomes(String),
    /// No key below it stays, or the keys now start further down.
    Goes,
    /// Its keys went to different places: those to which its own tensors went.
    Split(Vec<String>),
}

impl Section {
    /// What becomes of these module paths when the keys are renamed as the section says.
    ///
    /// A path follows the keys below it: what a rename takes off or puts in front of all of them,
    /// it takes off or puts in front of the path. A path without keys below it follows its parent.
    /// Where two paths come together, the deeper one is the real module and the other one goes.
    pub fn modules(&self, paths: &[String]) -> Modules {
        if self.keeps_names() && self.tensors.is_none() {
            let fates = paths.iter().map(|path| (path.clone(), Some(path.clone())));
            return Modules { fates: fates.collect(), ..Modules::default() };
        }
        let evidence = self.evidence();
        let mut targets: Vec<Option<String>> =
            paths.iter().map(|path| follow(path, &evidence)).collect();
        keep_the_deepest(paths, &mut targets);
        let added = ancestors_to_add(paths, &targets);
        let split = paths.iter().filter_map(|path| match evidence.get(path.as_str())? {
            Verdict::Split(parts) if parts.len() > 1 => Some((path.clone(), parts.clone())),
            _ => None,
        });
        let split = split.collect();
        Modules { fates: paths.iter().cloned().zip(targets).collect(), added, split }
    }

    /// The modules of a new file with their versions, and those whose version is not a number.
    ///
    /// Paths that come into being have version 1, which is that of a plain module; where tensors are
    /// computed, a module that is split leaves its version to each part.
    pub fn versions(
        &self,
        modules: &IndexMap<String, Option<u64>>,
    ) -> (Vec<(String, u64)>, Vec<String>) {
        let paths: Vec<String> = modules.keys().cloned().collect();
        let Modules { fates, added, mut split } = self.modules(&paths);
        let mut above = IndexMap::<String, Vec<(String, u64)>>::default();
        for (path, before) in added {
            above.entry(before).or_default().push((path, 1));
        }
        let (mut versions, mut unknown) = (Vec::new(), Vec::new());
        for (old, new) in fates {
            versions.extend(above.swap_remove(&old).unwrap_or_default());
            let parts = split.swap_remove(&old).filter(|_| self.tensors.is_some());
            match (new, modules.get(&old).copied().flatten()) {
                (Some(new), Some(version)) => {
                    let parts = parts.unwrap_or_else(|| [new].into());
                    versions.extend(parts.into_iter().map(|part| (part, version)));
                }
                (Some(_), None) => unknown.push(old),
                (None, _) => {}
            }
        }
        let mut known = IndexSet::<String>::default();
        versions.retain(|(path, _)| known.insert(path.clone()));
        (versions, unknown)
    }

    /// Every key with a name that it, or a tensor that is made of it, gets; `None` if none does.
    fn moves(&self) -> Vec<(&str, Option<&str>)> {
        let Some(tensors) = &self.tensors else { return self.fates().collect() };
        let mut moves = Vec::new();
        for (new, made) in tensors {
            let sources: IndexSet<&str> = made.source_keys().into_iter().collect();
            moves.extend(sources.into_iter().map(|old| (old, Some(new.as_str()))));
        }
        let used: IndexSet<&str> = moves.iter().map(|(old, _)| *old).collect();
        moves.extend(self.fates().filter(|(old, _)| !used.contains(old)));
        moves
    }

    /// For every path that some key lies under, what the keys say.
    fn evidence(&self) -> BTreeMap<&str, Verdict> {
        let mut verdicts = BTreeMap::<&str, Verdict>::new();
        for (old, new) in self.moves() {
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
                merge(verdicts.entry(path), says, depth);
            }
        }
        verdicts
    }
}

/// Adds what a key that lies `depth` segments below a path says.
fn merge(entry: Entry<'_, &str, Verdict>, says: Verdict, depth: usize) {
    let so_far = entry.or_insert(Verdict::Goes);
    match (&mut *so_far, says) {
        (Verdict::Goes, says) => *so_far = says,
        (Verdict::Becomes(a), Verdict::Becomes(b)) if *a != b => {
            let parts = if depth == 1 { [core::mem::take(a), b].into() } else { Vec::new() };
            *so_far = Verdict::Split(parts);
        }
        (Verdict::Split(parts), Verdict::Becomes(b)) if depth == 1 && !parts.contains(&b) => {
            parts.push(b);
        }
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
            Some(Verdict::Split(_)) => return Some(path.to_string()),
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
