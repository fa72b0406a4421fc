//! Flat vectors that lie over the ranks, and the parameters in them.

use statedict_core::{DType, Fault, Tensor, TensorBlock};

/// A flat vector of one rank; of a rank whose file is missing, its length at most.
#[derive(Clone, Debug)]
pub(crate) enum Flat {
    There(Tensor),
    Missing { file: String, len: u64 },
}

/// Some elements of a flat vector, one after another.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) flat: &'a Flat,
    pub(crate) start: u64,
    pub(crate) count: u64,
}

/// A parameter that was put together, or what is missing of it.
pub(crate) type Made = Result<Tensor, Lost>;

/// What is missing of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) cause: String,
    pub(crate) count: u64,
}

impl Flat {
    /// A tensor that is to be flat.
    ///
    /// # Errors
    /// One that has dimensions, or steps over elements.
    pub(crate) fn new(tensor: &Tensor) -> Result<Flat, Fault> {
        let is_flat =
            tensor.shape.len() == 1 && tensor.as_view().is_some_and(|view| view.is_contiguous());
        if !is_flat {
            return Err(Fault::broken(format!(
                "a partition of shape {:?} is not flat",
                tensor.shape
            )));
        }
        Ok(Flat::There(tensor.clone()))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Flat::There(tensor) => tensor.count(),
            Flat::Missing { len, .. } => *len,
        }
    }

    fn dtype(&self) -> Option<&DType> {
        match self {
            Flat::There(tensor) => Some(&tensor.dtype),
            Flat::Missing { .. } => None,
        }
    }
}

/// The elements from `at` on, `count` of them, of vectors that are laid end to end; fewer where
/// these end.
pub(crate) fn cut<'a>(
    flats: impl IntoIterator<Item = &'a Flat>,
    at: u64,
    count: u64,
) -> Vec<Run<'a>> {
    let end = at.saturating_add(count);
    let (mut runs, mut start) = (Vec::new(), 0u64);
    for flat in flats {
        let next = start.saturating_add(flat.len());
        let (first, last) = (at.max(start), end.min(next));
        if first < last {
            runs.push(Run { flat, start: first - start, count: last - first });
        }
        start = next;
    }
    runs
}

/// The first `count` elements of some runs.
pub(crate) fn first(runs: Vec<Run<'_>>, mut count: u64) -> Vec<Run<'_>> {
    let mut kept = Vec::new();
    for mut run in runs {
        run.count = run.count.min(count);
        count -= run.count;
        if run.count > 0 {
            kept.push(run);
        }
    }
    kept
}

/// A parameter of a shape whose elements are these runs, one after another.
///
/// # Errors
/// Runs that are not of one type, or beyond counting.
pub(crate) fn made(name: &str, shape: &[u64], runs: &[Run<'_>]) -> Result<Made, Fault> {
    let count = count(name, shape)?;
    let found: u64 = runs.iter().map(|run| run.count).sum();
    let missing = runs.iter().filter_map(|run| match run.flat {
        Flat::There(_) => None,
        Flat::Missing { file, .. } => Some((file, run.count)),
    });
    let lost = missing.clone().map(|(_, count)| count).sum::<u64>() + (count - found.min(count));
    if let Some((file, _)) = missing.into_iter().next() {
        return Ok(Err(Lost { cause: format!("'{file}' is missing"), count: lost }));
    }
    if found != count {
        let cause = format!("'{name}': {found} of {count} elements are in the partitions");
        return Ok(Err(Lost { cause, count: lost }));
    }
    let dtype = runs.iter().find_map(|run| run.flat.dtype()).cloned().unwrap_or(DType::F32);
    let (mut parts, mut at) = (Vec::new(), 0);
    for run in runs {
        if let Flat::There(tensor) = run.flat {
            parts.push(TensorBlock { at: vec![at], tensor: part(tensor, run)? });
        }
        at += run.count;
    }
    let made = Tensor::of_blocks(dtype, shape.to_vec(), vec![count], parts);
    made.map(Ok).map_err(|why| Fault::broken(format!("'{name}': {why}")))
}

/// How many elements a shape has.
///
/// # Errors
/// More than can be counted.
pub(crate) fn count(name: &str, shape: &[u64]) -> Result<u64, Fault> {
    let count = shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size));
    count.ok_or_else(|| Fault::broken(format!("'{name}': the shape {shape:?} is beyond counting")))
}

/// A run of a flat tensor as a tensor of its own.
fn part(tensor: &Tensor, run: &Run<'_>) -> Result<Tensor, Fault> {
    let view = tensor.as_view().ok_or_else(|| Fault::broken("a partition has no elements"))?;
    let offset = view.offset().checked_add(run.start);
    let offset = offset.ok_or_else(|| Fault::broken("a partition is beyond counting"))?;
    let part = Tensor::dense(tensor.dtype.clone(), vec![run.count], offset, view.storage().clone());
    part.map_err(|why| Fault::broken(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::Storage;
    use std::sync::Arc;

    fn flat(len: u64) -> Flat {
        let storage = Arc::new(Storage::stored(0..len * 4));
        Flat::new(&Tensor::dense(DType::F32, vec![len], 0, storage).expect("within")).expect("flat")
    }

    #[test]
    fn a_parameter_may_lie_across_the_ends_of_partitions() {
        let flats = [flat(5), flat(5), flat(2)];
        let places = |at, count| {
            let runs = cut(&flats, at, count);
            runs.iter().map(|run| (run.start, run.count)).collect::<Vec<_>>()
        };
        assert_eq!(places(3, 8), [(3, 2), (0, 5), (0, 1)]);
        assert_eq!(places(5, 5), [(0, 5)]);
        assert_eq!(places(11, 5), [(1, 1)]);
        let whole = made("w", &[2, 4], &cut(&flats, 3, 8)).expect("countable").expect("whole");
        assert_eq!((whole.shape, whole.dtype), (vec![2, 4], DType::F32));
        let lost =
            made("w", &[2, 4], &cut(&flats, 11, 8)).expect("countable").expect_err("cut off");
        assert_eq!(
            (lost.count, lost.cause.as_str()),
            (7, "'w': 1 of 8 elements are in the partitions")
        );
    }

    #[test]
    fn what_a_missing_file_takes_with_it_is_counted() {
        let flats = [flat(5), Flat::Missing { file: "x".into(), len: 5 }];
        let lost = made("w", &[6], &cut(&flats, 3, 6)).expect("countable").expect_err("missing");
        assert_eq!((lost.count, lost.cause.as_str()), (4, "'x' is missing"));
        assert!(made("w", &[2], &cut(&flats, 3, 2)).expect("countable").is_ok());
    }
}
