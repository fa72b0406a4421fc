//! Several parameters as one vector, as FSDP's `LOCAL_STATE_DICT` has them.
//!
//! A vector `P._flat_param` holds, in the model's order, the parameters below `P.` that are below no
//! longer such name; their names and shapes are in no file.
//! Source: `torch/distributed/fsdp/_flat_param.py`.

use statedict_core::{Data, Fault, IndexSet, Step, Tensor, TensorBlock};

/// The endings of keys under which FSDP keeps several parameters as one vector.
const FLAT: &str = "flat_param";

/// Where parameters begin that are aligned, in bytes.
const ALIGNMENT: u64 = 16;

/// The names of vectors and of plain tensors, each with the path to its mapping.
#[derive(Default)]
pub(crate) struct Names<'a> {
    flat: IndexSet<(&'a [Step], &'a str)>,
    plain: IndexSet<(&'a [Step], &'a str)>,
}

/// A parameter by its name and shape.
type Parameter<'s> = (&'s str, &'s [u64]);

/// True for the path of a vector of several parameters.
pub(crate) fn is_flat(path: &[Step]) -> bool {
    matches!(path.last(), Some(Step::Key(key)) if key.ends_with(FLAT))
}

impl<'a> Names<'a> {
    /// Notes what is under a path.
    pub(crate) fn add(&mut self, path: &'a [Step]) {
        let Some((Step::Key(key), above)) = path.split_last() else { return };
        let names = if is_flat(path) { &mut self.flat } else { &mut self.plain };
        names.insert((above, key));
    }

    /// The parameters that a vector holds.
    fn of<'s>(&self, path: &[Step], shapes: &'s [(String, Vec<u64>)]) -> Vec<Parameter<'s>> {
        let Some((Step::Key(key), above)) = path.split_last() else { return Vec::new() };
        let own = prefix(key);
        let others = self.flat.iter().filter(|(at, _)| *at == above).map(|(_, key)| prefix(key));
        let longer: Vec<&str> = others.filter(|other| other.len() > own.len()).collect();
        let is_own = |name: &str| {
            name.starts_with(own)
                && !longer.iter().any(|other| name.starts_with(other))
                && !self.plain.contains(&(above, name))
        };
        let own = shapes.iter().filter(|(name, _)| is_own(name));
        own.map(|(name, shape)| (name.as_str(), shape.as_slice())).collect()
    }

    /// The parameters of a vector that lies over this many ranks, each with its path.
    ///
    /// # Errors
    /// Shapes that do not make up the vector, or do so in two ways.
    pub(crate) fn parameters(
        &self,
        path: &[Step],
        flat: &Tensor,
        ranks: u64,
        shapes: &[(String, Vec<u64>)],
    ) -> Result<Vec<(Vec<Step>, Tensor)>, Fault> {
        let name = Step::joined(path);
        let parameters = self.of(path, shapes);
        let places = places(&name, flat, ranks, &parameters)?;
        let mut made = Vec::new();
        for ((key, shape), start) in parameters.into_iter().zip(places) {
            let above = &path[..path.len() - 1];
            let path: Vec<Step> = above.iter().cloned().chain([Step::key(key)]).collect();
            made.push((path, cut(flat, start, shape).map_err(|why| broken(key, &why))?));
        }
        Ok(made)
    }
}

/// What the names of the parameters in a vector begin with.
fn prefix(key: &str) -> &str {
    key.rfind('.').map_or("", |dot| &key[..=dot])
}

/// Where each parameter begins in a vector: one after another, or, if that is how they fit, each at a
/// multiple of some bytes.
fn places(
    name: &str,
    flat: &Tensor,
    ranks: u64,
    parameters: &[Parameter<'_>],
) -> Result<Vec<u64>, Fault> {
    let step = (ALIGNMENT * 8 / flat.dtype.bits().max(1)).max(1);
    let (packed, packed_end) = laid_out(name, parameters, 1)?;
    let (aligned, aligned_end) = laid_out(name, parameters, step)?;
    // The end is filled up so that all ranks have as many elements.
    let fits = |end: u64| end.checked_next_multiple_of(ranks.max(1)) == Some(flat.count());
    match (fits(packed_end), fits(aligned_end)) {
        (true, true) if packed != aligned => Err(Fault::Unsupported(format!(
            "'{name}' holds its parameters one after another, or each at {ALIGNMENT} bytes: both \
             would fit, and no file says which"
        ))),
        (true, _) => Ok(packed),
        (false, true) => Ok(aligned),
        (false, false) => Err(broken(
            name,
            &format!(
                "it has {} elements, and its {} parameters have {packed_end} by the shapes that \
                 were given",
                flat.count(),
                parameters.len()
            ),
        )),
    }
}

/// Where parameters begin, each at a multiple of `step` elements, and where the last one ends.
fn laid_out(name: &str, parameters: &[Parameter<'_>], step: u64) -> Result<(Vec<u64>, u64), Fault> {
    let (mut places, mut end) = (Vec::new(), 0u64);
    for (key, shape) in parameters {
        let count = shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size));
        let start = end.checked_next_multiple_of(step);
        let next = start.zip(count).and_then(|(start, count)| start.checked_add(count));
        let beyond = || broken(name, &format!("the shape of '{key}' is beyond counting"));
        end = next.ok_or_else(beyond)?;
        places.extend(start);
    }
    Ok((places, end))
}

/// The elements from `start` on as a tensor of a shape.
fn cut(flat: &Tensor, start: u64, shape: &[u64]) -> Result<Tensor, String> {
    let count: u64 = shape.iter().product();
    let whole = [TensorBlock { at: vec![0], tensor: flat.clone() }];
    let blocks = match &flat.data {
        Data::Blocks(blocks) => blocks.parts(),
        _ => &whole,
    };
    let mut parts = Vec::new();
    for TensorBlock { at, tensor } in blocks {
        let block = at.first().copied().unwrap_or(0);
        let first = start.max(block);
        let last = (start + count).min(block.saturating_add(tensor.count()));
        if first < last {
            let part = tensor.rows(first - block..last - block);
            let tensor = part.ok_or("the vector has no plain elements")?;
            parts.push(TensorBlock { at: vec![first - start], tensor });
        }
    }
    let made = Tensor::of_blocks(flat.dtype.clone(), shape.to_vec(), vec![count], parts);
    made.map_err(|why| why.to_string())
}

fn broken(name: &str, why: &str) -> Fault {
    Fault::broken(format!("'{name}': {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::DType;

    #[test]
    fn parameters_are_those_below_the_name_and_below_no_longer_one() {
        let paths = ["_flat_param", "layers.0._flat_param", "steps"].map(|key| [Step::key(key)]);
        let mut names = Names::default();
        paths.iter().for_each(|path| names.add(path));
        let shapes = ["emb", "layers.0.w", "layers.10.w", "steps"].map(|key| (key.into(), vec![2]));
        let of = |path: usize| {
            let own = names.of(&paths[path], &shapes).into_iter().map(|(name, _)| name);
            own.collect::<Vec<_>>()
        };
        assert_eq!(of(0), ["emb", "layers.10.w"]);
        assert_eq!(of(1), ["layers.0.w"]);
    }

    #[test]
    fn parameters_lie_as_they_fit_and_nothing_is_guessed() {
        let check = |sizes: &[u64], flat: u64, expected: Result<&[u64], &str>| {
            let shapes: Vec<Vec<u64>> = sizes.iter().map(|size| vec![*size]).collect();
            let parameters: Vec<Parameter<'_>> = shapes.iter().map(|it| ("p", &it[..])).collect();
            let flat = Tensor::unlocated(DType::F32, vec![flat]);
            match (places("f", &flat, 2, &parameters), expected) {
                (Ok(places), Ok(expected)) => assert_eq!(places, expected, "{sizes:?}"),
                (Err(fault), Err(part)) => assert!(fault.to_string().contains(part), "{fault}"),
                (found, _) => panic!("{sizes:?}: {found:?}"),
            }
        };
        check(&[6, 6, 9], 22, Ok(&[0, 6, 12]));
        check(&[6, 6, 9], 26, Ok(&[0, 8, 16]));
        check(&[4, 4], 8, Ok(&[0, 4]));
        check(&[3, 4], 8, Err("both would fit"));
        check(&[6, 6], 22, Err("it has 22 elements, and its 2 parameters have 12"));
        check(&[u64::MAX, 2], 22, Err("beyond counting"));
    }
}
