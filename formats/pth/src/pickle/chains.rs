//! Many lists that grow at the same time, in one vector.
//!
//! A pickle may hold millions of containers, most of them of a few items; a vector for each would
//! cost more than what is in it.

use std::iter;

use crate::reserve::reserved;

/// The place of no link.
const NONE: u32 = u32::MAX;

/// One of the lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    last: u32,
}

/// The lists' items, each with the place of the next of its list; the last with that of the first.
#[derive(Debug)]
pub(crate) struct Chains<T> {
    links: Vec<(T, u32)>,
}

impl Chain {
    pub(crate) fn is_empty(self) -> bool {
        self.last == NONE
    }
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { last: NONE }
    }
}

impl<T> Default for Chains<T> {
    fn default() -> Chains<T> {
        Chains { links: Vec::new() }
    }
}

impl<T> Chains<T> {
    /// Lists for what a pickle of this length may hold.
    pub(crate) fn for_pickle(len: u64) -> Chains<T> {
        Chains { links: reserved(len) }
    }

    /// Appends an item to a list.
    pub(crate) fn push(&mut self, chain: &mut Chain, item: T) {
        let place = self.links.len() as u32;
        let first = match self.links.get_mut(chain.last as usize) {
            Some((_, next)) => std::mem::replace(next, place),
            None => place,
        };
        chain.last = place;
        self.links.push((item, first));
    }

    /// Bytes that the items take, the links between them included.
    pub(crate) fn weight(&self) -> usize {
        self.links.len().saturating_mul(size_of::<(T, u32)>())
    }

    /// The items of a list, in order.
    pub(crate) fn items(&self, chain: Chain) -> impl Iterator<Item = &T> {
        let next = |place: u32| self.links.get(place as usize).map(|(_, next)| *next);
        let places = iter::successors(next(chain.last), move |place| {
            next(*place).filter(|_| *place != chain.last)
        });
        places.filter_map(|place| self.links.get(place as usize)).map(|(item, _)| item)
    }

    /// The last item of a list.
    pub(crate) fn last(&self, chain: Chain) -> Option<&T> {
        self.links.get(chain.last as usize).map(|(item, _)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_side_by_side() {
        let mut chains = Chains::default();
        let (mut a, mut b) = (Chain::default(), Chain::default());
        for item in 0..5 {
            chains.push(if item % 2 == 0 { &mut a } else { &mut b }, item);
        }
        assert_eq!(chains.items(a).collect::<Vec<_>>(), [&0, &2, &4]);
        assert_eq!(chains.items(b).collect::<Vec<_>>(), [&1, &3]);
        assert_eq!(chains.last(b), Some(&3));
        assert_eq!((chains.last(Chain::default()), Chain::default().is_empty()), (None, true));
    }
}
