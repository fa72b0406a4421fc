//! Tensors of two files that hold the same elements under other keys.
//!
//! Tensors of one type and shape are distinguished by their first bytes, and then wholly: two that
//! are left are read side by side, more than two are hashed, so that no tensor is read more than
//! once.

use std::collections::HashMap;
use std::hash::Hash;

use statedict_core::{
    IndexMap,
    diff::{DuplicateGroups, Entry},
};

use crate::checkpoint::Checkpoint;
use crate::compare::operand::{HEAD, Operand};
use crate::compare::tensor_pair::{TensorPair, are_same};
use crate::error::Error;
use crate::parallel::each;

/// The groups of tensors with the same elements, at least one of each side in each group.
///
/// Only tensors that `sort` puts together are compared; all of a sort have as many elements.
pub(super) fn twins<'a>(
    removed: Vec<Option<Operand<'a>>>,
    added: Vec<Option<Operand<'a>>>,
    sort: Sort,
) -> Result<Vec<DuplicateGroups>, Error> {
    let crowd = Crowd::of(removed, added);
    let alike = crowd.sorted(sort);
    let (mut couples, groups) = crowd.couples(alike);
    let heads = crowd.fingerprints(&groups, Operand::head)?;
    let (more, groups) = crowd.couples(crowd.split(groups, |member| heads.get(&member)));
    couples.extend(more);
    // What is no longer than its first bytes is distinguished by now.
    let (done, groups): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| crowd.is_short(group));
    let hashes = crowd.fingerprints(&groups, Operand::hash)?;
    let groups = crowd.split(groups, |member| hashes.get(&member));
    let couples = crowd.identical(couples)?;
    Ok(couples.into_iter().chain(done).chain(groups).map(|group| crowd.twins(&group)).collect())
}

/// Which tensors may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Those of one type and shape.
    TypeAndShape,
    /// Those of one type that have as many elements.
    TypeAndCount,
}

/// The tensors of entries; none where one has no elements that can be read.
pub(super) fn halves<'a>(file: &'a Checkpoint, entries: &[Entry<'_>]) -> Vec<Option<Operand<'a>>> {
    entries.iter().map(|entry| entry.tensor.and_then(|tensor| Operand::of(file, tensor))).collect()
}

/// Members of a crowd by their positions, in order.
type Group = Vec<usize>;

/// Tensors that may be the same: those of one side, and from `second` on those of the other.
struct Crowd<'a> {
    members: Vec<Option<Operand<'a>>>,
    second: usize,
}

impl<'a> Crowd<'a> {
    fn of(removed: Vec<Option<Operand<'a>>>, added: Vec<Option<Operand<'a>>>) -> Crowd<'a> {
        let second = removed.len();
        Crowd { members: removed.into_iter().chain(added).collect(), second }
    }

    fn member(&self, place: usize) -> Option<&Operand<'a>> {
        self.members.get(place)?.as_ref()
    }

    fn sorted(&self, sort: Sort) -> Vec<Group> {
        let all = (0..self.members.len()).filter(|place| self.member(*place).is_some()).collect();
        self.split(vec![all], |place| {
            let half = self.member(place)?;
            let shape = (sort == Sort::TypeAndShape).then(|| half.shape());
            Some((half.dtype(), half.units(), shape))
        })
    }

    /// The groups split by what is known of their members; only those with both sides are kept.
    fn split<K: Eq + Hash>(&self, groups: Vec<Group>, known: impl Fn(usize) -> K) -> Vec<Group> {
        let split = groups.into_iter().flat_map(|group| {
            let mut parts = IndexMap::<K, Group>::default();
            for place in group {
                parts.entry(known(place)).or_default().push(place);
            }
            parts.into_values()
        });
        split.filter(|group| self.has_both_sides(group)).collect()
    }

    fn has_both_sides(&self, group: &Group) -> bool {
        let is_first = |place: &usize| *place < self.second;
        group.first().is_some_and(is_first) && !group.last().is_some_and(is_first)
    }

    /// The groups of two, and the others.
    fn couples(&self, groups: Vec<Group>) -> (Vec<Group>, Vec<Group>) {
        groups.into_iter().partition(|group| group.len() == 2)
    }

    fn is_short(&self, group: &Group) -> bool {
        let first = group.first().and_then(|place| self.member(*place));
        first.is_some_and(|half| half.byte_len() <= HEAD)
    }

    fn fingerprints(
        &self,
        groups: &[Group],
        fingerprint: impl Fn(&Operand<'a>) -> Result<[u8; 32], Error> + Sync,
    ) -> Result<HashMap<usize, [u8; 32]>, Error> {
        let members = groups.iter().flatten();
        let members = members.filter_map(|place| Some((*place, self.member(*place)?)));
        let found = each(members, || |(place, half)| Ok((place, fingerprint(half)?)));
        Ok(found?.into_iter().collect())
    }

    /// The groups of two whose elements are the same.
    fn identical(&self, groups: Vec<Group>) -> Result<Vec<Group>, Error> {
        let couples: Vec<_> = groups
            .iter()
            .filter_map(|group| match group.as_slice() {
                [a, b] => {
                    Some(TensorPair::compared(self.member(*a)?.clone(), self.member(*b)?.clone()))
                }
                _ => None,
            })
            .collect();
        let found = groups.into_iter().zip(are_same(&couples)?);
        Ok(found.filter(|(_, same)| *same).map(|(group, _)| group).collect())
    }

    fn twins(&self, group: &Group) -> DuplicateGroups {
        let (removed, added): (Vec<_>, Vec<_>) =
            group.iter().partition(|place| **place < self.second);
        DuplicateGroups {
            removed,
            added: added.into_iter().map(|place| place - self.second).collect(),
        }
    }
}
