//! Two state dicts held against each other.
//!
//! What catalogs say is compared here; the elements are read by whoever has the files, who adds
//! what they show: [`DuplicateGroups`] that become renames, and a [`Deviation`] for each changed tensor.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;

pub use crate::matching::renames::DuplicateGroups;
use crate::matching::renames::pairs;
use crate::{
    Catalog, DType, Data, IndexMap, Key, StateDict, Tensor,
    objects::{ObjectChange, Uncompared},
};

/// A state dict with the catalog that knows its tensors.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What the whole file holds.
    pub catalog: &'a Catalog,
    /// One of the catalog's state dicts.
    pub state_dict: &'a StateDict,
}

/// Which keys of two state dicts, `a` and `b`, belong together by their names.
#[derive(Clone, Debug)]
pub struct Matching<'a> {
    /// Keys of `a` that `b` has not, in order.
    pub removed: Vec<Entry<'a>>,
    /// Keys of `b` that `a` has not, in order.
    pub added: Vec<Entry<'a>>,
    /// Keys of both, in the order of `a`.
    pub common: Vec<Pair<'a>>,
    /// True if the common keys have another order in `b`.
    pub reordered: bool,
}

/// A key of one side, with its tensor unless its value is something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key.
    pub key: Key,
    /// Its tensor.
    pub tensor: Option<&'a Tensor>,
}

/// A key of both sides, with its tensors unless its values are something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key.
    pub key: Key,
    /// Its tensor in `a`.
    pub a: Option<&'a Tensor>,
    /// Its tensor in `b`.
    pub b: Option<&'a Tensor>,
}

/// What differs between two state dicts, `a` and `b`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    /// Keys that only `a` has.
    pub removed: Vec<Key>,
    /// Keys that only `b` has.
    pub added: Vec<Key>,
    /// Keys of `a` whose elements `b` has under another key.
    pub renamed: Vec<(Key, Key)>,
    /// Tensors stored in another way (`strided`, `sparse_coo`, …); none where there is no tensor.
    pub layouts: Vec<Change<Option<String>>>,
    /// Tensors with another element type.
    pub dtypes: Vec<Change<DType>>,
    /// Tensors with another shape.
    pub shapes: Vec<Change<Vec<u64>>>,
    /// Tensors with other elements.
    pub values: Vec<(Key, Deviation)>,
    /// Values that are not tensors, and parts of tensors without plain elements, that differ.
    pub objects: Vec<ObjectChange>,
    /// Tensors among those, with other elements.
    pub object_values: Vec<(String, Deviation)>,
    /// Differences beyond those that are listed.
    pub more: usize,
    /// Metadata with other text; none where there is none.
    pub metadata: Vec<Change<Option<String>>>,
    /// What only one side has because the other's format has no place for it, which does not count as a
    /// difference.
    pub unplaced: Vec<Unplaced>,
    /// What could not be compared.
    pub not_compared: Vec<Uncompared>,
    /// True if the common keys have another order; that alone is not a difference.
    pub reordered: bool,
}

/// Something that one file has and that the other's format has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// True if `a` has it, false if `b` does.
    pub in_a: bool,
    /// The path to it.
    pub path: String,
    /// What it is, in a word or two.
    pub kind: String,
}

/// Something that a key has in both state dicts, and not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// The key.
    pub key: Key,
    /// What it has in `a`.
    pub a: T,
    /// What it has in `b`.
    pub b: T,
}

/// How far the elements of two tensors are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Deviation {
    /// Elements that differ; of types smaller than a byte, bytes.
    pub count: u64,
    /// Elements that were compared.
    pub of: u64,
    /// The largest |a − b| of elements that are numbers on both sides; of a complex number, of its
    /// parts. None for types without numbers.
    pub max_abs: Option<f64>,
    /// The largest |a − b| / max(|a|, |b|) of the same.
    pub max_rel: Option<f64>,
    /// Elements that are NaN on one side alone; on both sides they are equal.
    pub nan: u64,
    /// Sums over elements that are finite on both sides.
    pub products: Products,
}

/// Sums of products of the elements of two tensors; of a complex number, of its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Products {
    /// Of a and a.
    pub aa: f64,
    /// Of b and b.
    pub bb: f64,
    /// Of a and b.
    pub ab: f64,
    /// Of a − b and itself.
    pub apart: f64,
    /// Elements that are the same byte for byte, and were passed over.
    pub passed_over: u64,
}

/// How far apart elements may be without being counted as different.
///
/// |a − b| is at most `atol + rtol * |b|`, as NumPy's `allclose` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// At all.
    pub atol: f64,
    /// Of the second.
    pub rtol: f64,
}

impl Tolerance {
    /// True if nothing but equal elements is within it.
    pub fn is_none(self) -> bool {
        self == Tolerance::default()
    }

    /// True for a difference that does not count, of an element of that magnitude.
    pub fn holds(self, apart: f64, magnitude: f64) -> bool {
        // Of what is infinite everything is a part.
        apart < f64::INFINITY && apart <= self.atol + self.rtol * magnitude
    }
}

impl Products {
    /// Adds those of other elements.
    pub fn merge(&mut self, other: &Products) {
        self.aa += other.aa;
        self.bb += other.bb;
        self.ab += other.ab;
        self.apart += other.apart;
        self.passed_over += other.passed_over;
    }

    /// Adds elements that are the same on both sides, by the sum of their squares.
    pub fn add_same(&mut self, squares: f64) {
        self.aa += squares;
        self.bb += squares;
        self.ab += squares;
        self.passed_over = 0;
    }

    /// The norm of the difference, of the norm of the first; none where that is zero.
    pub fn relative_l2(&self) -> Option<f64> {
        (self.aa > 0.0).then(|| libm::sqrt(self.apart) / libm::sqrt(self.aa))
    }

    /// The cosine of the angle between both; none where one of them is zero.
    pub fn cosine(&self) -> Option<f64> {
        let norms = libm::sqrt(self.aa) * libm::sqrt(self.bb);
        (norms > 0.0).then(|| (self.ab / norms).clamp(-1.0, 1.0))
    }
}

impl<'a> Side<'a> {
    /// The keys in order, those that are not strings after the others.
    pub fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let Side { catalog, state_dict } = self;
        let named = state_dict.shared_keys().map(move |key| Entry {
            key: Key::Text(key.clone()),
            tensor: catalog.tensor(state_dict, key),
        });
        let rows = catalog.rows.iter().filter(|row| *row.path == *state_dict.path);
        let unnamed = rows.filter(|row| matches!(row.key, Key::Other(_)));
        named.chain(unnamed.map(|row| Entry { key: row.key.clone(), tensor: Some(&row.tensor) }))
    }
}

impl<'a> Matching<'a> {
    /// Sorts the keys of two state dicts out.
    pub fn new(a: Side<'a>, b: Side<'a>) -> Matching<'a> {
        let places: IndexMap<Key, Option<&Tensor>> =
            b.entries().map(|entry| (entry.key, entry.tensor)).collect();
        let (mut removed, mut common) = (Vec::new(), Vec::new());
        let (mut found, mut reordered) = (alloc::vec![false; places.len()], false);
        let mut last = None;
        for Entry { key, tensor } in a.entries() {
            match places.get_full(&key) {
                None => removed.push(Entry { key, tensor }),
                Some((place, _, theirs)) => {
                    reordered |= last > Some(place);
                    last = last.max(Some(place));
                    found[place] = true;
                    common.push(Pair { key, a: tensor, b: *theirs });
                }
            }
        }
        let added = places.into_iter().zip(found).filter(|(_, found)| !found);
        let added = added.map(|((key, tensor), _)| Entry { key, tensor }).collect();
        Matching { removed, added, common, reordered }
    }

    /// What differs by what the catalogs say, no element being compared.
    pub fn diff(&self) -> Diff {
        let mut diff = Diff {
            removed: self.removed.iter().map(|entry| entry.key.clone()).collect(),
            added: self.added.iter().map(|entry| entry.key.clone()).collect(),
            reordered: self.reordered,
            ..Diff::default()
        };
        for pair in &self.common {
            diff.layouts.extend(pair.change(pair.a.map(layout), pair.b.map(layout)));
            if let (Some(a), Some(b)) = (pair.a, pair.b) {
                diff.dtypes.extend(pair.change(a.dtype.clone(), b.dtype.clone()));
                diff.shapes.extend(pair.change(a.shape.clone(), b.shape.clone()));
            }
        }
        diff
    }
}

impl<'a> Pair<'a> {
    /// The tensors, if both have plain elements in the same shape.
    pub fn elements(&self) -> Option<(&'a Tensor, &'a Tensor)> {
        let (a, b) = self.a.zip(self.b)?;
        (a.shape == b.shape && a.has_elements() && b.has_elements()).then_some((a, b))
    }

    /// True if the catalogs say that the values differ, so that elements have nothing to add.
    pub fn differs_in_layout(&self) -> bool {
        self.a.map(layout) != self.b.map(layout)
            || self.a.map(|tensor| &tensor.shape) != self.b.map(|tensor| &tensor.shape)
    }

    fn change<T: PartialEq>(&self, a: T, b: T) -> Option<Change<T>> {
        (a != b).then(|| Change { key: self.key.clone(), a, b })
    }
}

fn layout(tensor: &Tensor) -> String {
    match &tensor.data {
        Data::View(_) | Data::Blocks(_) | Data::Unlocated => "strided".to_string(),
        Data::Opaque { layout, .. } => layout.clone(),
    }
}

impl Diff {
    /// True if nothing that was compared differs; the order of keys does not count.
    pub fn is_same(&self) -> bool {
        self.dtypes.is_empty() && self.is_same_but_for_dtypes()
    }

    /// True if nothing differs but types of elements.
    pub fn is_same_but_for_dtypes(&self) -> bool {
        self.removed.is_empty()
            && self.added.is_empty()
            && self.renamed.is_empty()
            && self.layouts.is_empty()
            && self.shapes.is_empty()
            && self.values.is_empty()
            && self.objects.is_empty()
            && self.object_values.is_empty()
            && self.metadata.is_empty()
    }

    /// Turns removed and added keys that belong together into renames.
    ///
    /// A key of each side alone with their elements belong together. Where several keys have the
    /// same elements (zeros, ties), two belong together if their siblings moved likewise, or if
    /// each ends like the other and like no other; the rest stays removed and added.
    ///
    /// # Panics
    /// If a position is beyond the keys.
    pub fn rename(&mut self, twins: &[DuplicateGroups]) {
        let mut pairs = pairs(&self.removed, &self.added, twins);
        pairs.sort_unstable();
        for &(from, to) in &pairs {
            self.renamed.push((self.removed[from].clone(), self.added[to].clone()));
        }
        take_out(&mut self.removed, pairs.iter().map(|(from, _)| *from));
        take_out(&mut self.added, pairs.iter().map(|(_, to)| *to));
    }
}

fn take_out(keys: &mut Vec<Key>, places: impl Iterator<Item = usize>) {
    let mut stays = alloc::vec![true; keys.len()];
    places.for_each(|place| stays[place] = false);
    let all = mem::take(keys).into_iter().zip(stays);
    keys.extend(all.filter(|(_, stays)| *stays).map(|(key, _)| key));
}

impl Deviation {
    /// Adds what was found in other elements of the same tensors.
    pub fn merge(&mut self, other: &Deviation) {
        self.count += other.count;
        self.of += other.of;
        self.nan += other.nan;
        self.products.merge(&other.products);
        self.max_abs = self.max_abs.into_iter().chain(other.max_abs).reduce(f64::max);
        self.max_rel = self.max_rel.into_iter().chain(other.max_rel).reduce(f64::max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Storage, TensorEntry};
    use alloc::sync::Arc;

    fn tensor(dtype: DType, shape: &[u64]) -> Tensor {
        let storage = Arc::new(Storage::stored(0..1000));
        Tensor::dense(dtype, shape.into(), 0, storage).expect("within")
    }

    fn sparse() -> Tensor {
        let data = Data::Opaque { layout: "sparse_coo".into(), bytes: 4 };
        Tensor { dtype: DType::F32, shape: [2].into(), data }
    }

    fn catalog(tensors: &[(&str, Tensor)]) -> Catalog {
        let owned = tensors.iter().map(|(key, tensor)| (key.to_string(), tensor.clone()));
        Catalog::flat(owned).expect("unique")
    }

    fn side(catalog: &Catalog) -> Side<'_> {
        Side { catalog, state_dict: &catalog.state_dicts[0] }
    }

    fn diff(a: &[(&str, Tensor)], b: &[(&str, Tensor)]) -> Diff {
        let (a, b) = (catalog(a), catalog(b));
        Matching::new(side(&a), side(&b)).diff()
    }

    fn text(key: &str) -> Key {
        Key::Text(key.into())
    }

    fn f32s() -> Tensor {
        tensor(DType::F32, &[2])
    }

    #[test]
    fn equal_catalogs_do_not_differ() {
        let both = [("a", f32s()), ("b", sparse())];
        assert_eq!(diff(&both, &both), Diff::default());
        assert!(diff(&both, &both).is_same());
        assert!(diff(&[], &[]).is_same());
    }

    #[test]
    fn keys_of_one_side_are_removed_or_added() {
        let found = diff(&[("a", f32s()), ("b", f32s())], &[("c", f32s()), ("b", f32s())]);
        let (removed, added) = ([text("a")].into(), [text("c")].into());
        assert_eq!(found, Diff { removed, added, ..Diff::default() });
        assert!(!found.is_same());
    }

    #[test]
    fn types_shapes_and_layouts_are_distinguished() {
        let a = [("t", f32s()), ("s", f32s()), ("l", f32s())];
        let b =
            [("t", tensor(DType::Bf16, &[2])), ("s", tensor(DType::F32, &[1, 2])), ("l", sparse())];
        let found = diff(&a, &b);
        let dtype = Change { key: text("t"), a: DType::F32, b: DType::Bf16 };
        let shape = Change { key: text("s"), a: [2].into(), b: [1, 2].into() };
        let some = |layout: &str| Some(layout.to_string());
        let layout = Change { key: text("l"), a: some("strided"), b: some("sparse_coo") };
        let expected = Diff {
            dtypes: [dtype].into(),
            shapes: [shape].into(),
            layouts: [layout].into(),
            ..Diff::default()
        };
        assert_eq!(found, expected);
        assert!(!found.is_same());
    }

    #[test]
    fn a_value_that_is_not_a_tensor_differs_from_one_that_is() {
        let keys = Catalog::of_keys(["a"]).expect("unique");
        let tensors = catalog(&[("a", f32s())]);
        let found = Matching::new(side(&keys), side(&tensors)).diff();
        let change = Change { key: text("a"), a: None, b: Some("strided".into()) };
        assert_eq!(found.layouts, [change]);
        let matching = Matching::new(side(&keys), side(&keys));
        assert!(matching.diff().is_same() && !matching.common[0].differs_in_layout());
        assert_eq!(matching.common[0].elements(), None);
    }

    #[test]
    fn another_order_is_said_and_does_not_count_as_a_difference() {
        let (a, b, c) = (("a", f32s()), ("b", f32s()), ("c", f32s()));
        let found = diff(&[a.clone(), b.clone()], &[b.clone(), a.clone()]);
        assert!(found.reordered && found.is_same());
        let found = diff(&[a.clone(), b.clone()], &[c.clone(), a, b]);
        assert!(!found.reordered && !found.is_same());
    }

    #[test]
    fn keys_that_are_not_texts_are_compared_and_stay_so() {
        let mut a = catalog(&[("3", f32s())]);
        let both = catalog(&[("3", f32s())]);
        a.rows.push(TensorEntry { path: "".into(), key: Key::Other("3".into()), tensor: f32s() });
        let found = Matching::new(side(&a), side(&both)).diff();
        assert_eq!(found.removed, [Key::Other("3".into())]);
        assert!(Matching::new(side(&a), side(&a)).diff().is_same());
    }

    #[test]
    fn twins_become_renames_in_order() {
        let mut found =
            diff(&[("a", f32s()), ("b", f32s()), ("c", f32s())], &[("x", f32s()), ("y", f32s())]);
        let one =
            |removed, added| DuplicateGroups { removed: [removed].into(), added: [added].into() };
        found.rename(&[one(2, 0), one(0, 1)]);
        let renamed = [(text("a"), text("y")), (text("c"), text("x"))];
        let expected =
            Diff { removed: [text("b")].into(), renamed: renamed.into(), ..Diff::default() };
        assert_eq!(found, expected);
    }

    #[test]
    fn deviations_of_parts_are_that_of_the_whole() {
        let part = |count, max_abs, nan| Deviation {
            count,
            of: 10,
            max_abs: Some(max_abs),
            max_rel: Some(max_abs / 2.0),
            nan,
            products: Products { aa: 1.0, bb: 2.0, ab: 1.0, apart: 0.5, passed_over: 3 },
        };
        let mut whole = Deviation::default();
        whole.merge(&part(1, 0.5, 0));
        whole.merge(&part(2, 0.25, 1));
        let products = Products { aa: 2.0, bb: 4.0, ab: 2.0, apart: 1.0, passed_over: 6 };
        let (max_abs, max_rel) = (Some(0.5), Some(0.25));
        let expected = Deviation { count: 3, of: 20, max_abs, max_rel, nan: 1, products };
        assert_eq!(whole, expected);
    }
    #[test]
    fn products_give_a_distance_and_an_angle() {
        let mut products = Products { aa: 9.0, apart: 9.0, ..Products::default() };
        assert_eq!((products.relative_l2(), products.cosine()), (Some(1.0), None));
        products.add_same(16.0);
        assert_eq!((products.relative_l2(), products.cosine()), (Some(0.6), Some(0.8)));
        assert_eq!(Products::default().relative_l2(), None);
    }
}
