//! Random rules of tensors, files for them, and where each element belongs by definition.

#![allow(dead_code, reason = "each test file uses the part it needs")]

use std::collections::BTreeMap;
use std::fmt::{Debug, Display, Write};
use std::sync::Arc;

use proptest::test_runner::TestCaseError;
use statedict_core::{
    Catalog, DType, Elements, Key, Origination, Plan, Policy, Rule, StateDict, Storage, Tensor,
    TensorEntry, plan_inverse, plan_stages,
};

use crate::stored::of_each;

/// Tensors by key: a shape, and elements that are told apart by numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct File(pub(crate) BTreeMap<String, (Vec<u64>, Vec<u64>)>);

/// A rule with what it was made from.
#[derive(Clone, Debug)]
pub(crate) struct RandomRule {
    pub(crate) text: String,
    sizes: BTreeMap<String, u64>,
    left: Vec<Term>,
    right: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    /// Segments of the key; names in braces.
    key: Vec<String>,
    dimensions: Vec<Tree>,
}

#[derive(Clone, Debug)]
enum Tree {
    One,
    Name(String),
    Product(Vec<Tree>),
    Sum(Vec<Vec<Tree>>),
}

type Assignment = BTreeMap<String, u64>;

impl File {
    pub(crate) fn count(&self) -> u64 {
        self.0.values().map(|(_, elements)| elements.len() as u64).sum()
    }

    pub(crate) fn add(&mut self, key: String, shape: Vec<u64>) {
        let (start, count) = (self.count(), shape.iter().product::<u64>());
        self.0.insert(key, (shape, (start..start + count).collect()));
    }

    /// A catalog in which each tensor's elements follow those of the one before.
    pub(crate) fn catalog(&self) -> Catalog {
        let storage = Arc::new(Storage::stored(0..2 * self.count()));
        let (mut catalog, mut state_dict) = (Catalog::default(), StateDict::default());
        let mut offset = 0;
        for (key, (shape, elements)) in &self.0 {
            let tensor = Tensor::dense(DType::I16, shape.clone(), offset, storage.clone());
            offset += elements.len() as u64;
            state_dict.insert(key.clone(), Some(catalog.rows.len())).expect("a new key");
            let (path, key) = (Arc::default(), Key::Text(key.as_str().into()));
            catalog.rows.push(TensorEntry { path, key, tensor: tensor.expect("within") });
        }
        catalog.state_dicts.push(state_dict);
        catalog
    }
}

pub(crate) fn failed(text: &str, why: &dyn Display) -> TestCaseError {
    TestCaseError::fail(format!("{text}: {why}"))
}

/// The plan of stages for a file.
pub(crate) fn planned(stages: &[Rule], file: &File) -> Result<Plan, TestCaseError> {
    let catalog = file.catalog();
    let all: Vec<&StateDict> = catalog.state_dicts.iter().collect();
    let planned = plan_stages(stages, &catalog, &all, Policy::default());
    Ok(planned.map_err(|why| failed(&format!("{stages:?}"), &why))?.plan)
}

/// The plan that undoes stages.
pub(crate) fn planned_back(stages: &[Rule], file: &File) -> Result<Plan, TestCaseError> {
    let catalog = file.catalog();
    let all: Vec<&StateDict> = catalog.state_dicts.iter().collect();
    let planned = plan_inverse(stages, &catalog, &all, Policy::default());
    Ok(planned.map_err(|why| failed(&format!("{stages:?}"), &why))?.plan)
}

/// The file that a plan makes.
pub(crate) fn moved(file: &File, plan: &Plan) -> File {
    let catalog = file.catalog();
    let state_dict = &catalog.state_dicts[0];
    let all: Vec<u64> = file.0.values().flat_map(|(_, elements)| elements.clone()).collect();
    let tensor = |key: &str| catalog.tensor(state_dict, key);
    let section = &plan.sections()[0];
    let mut made = File::default();
    let mut add = |key: &str, elements: &Elements| {
        let places = of_each(elements).into_iter().map(|at| all[at as usize]);
        made.0.insert(key.to_string(), (elements.shape().to_vec(), places.collect()));
    };
    match section.tensors() {
        None => section.kept().for_each(|(old, new)| {
            let plain = Elements::new(tensor(old).expect("a tensor").clone(), None);
            add(new, &plain.expect("plain"));
        }),
        Some(tensors) => tensors.iter().for_each(|(new, made)| {
            let lookup = |of, key: &str| match of {
                Origination::Source => tensor(key),
                _ => None,
            };
            add(new, &made.evaluate(&lookup).expect("can be put together"));
        }),
    }
    made
}

/// Throws that decide a rule.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        // Steele, Lea and Flood's mixer.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    fn shuffle<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for at in (1..items.len()).rev() {
            items.swap(at, self.throw(at + 1));
        }
        items
    }

    /// Atoms as dimensions, some of several atoms, with dimensions of one entry among them.
    fn dimensions(&mut self, atoms: Vec<Tree>) -> Vec<Tree> {
        let mut dimensions = Vec::new();
        let mut chunk = Vec::new();
        for atom in atoms {
            chunk.push(atom);
            if self.throw(2) == 0 {
                dimensions.push(merged(std::mem::take(&mut chunk)));
            }
            if self.throw(8) == 0 {
                dimensions.push(Tree::One);
            }
        }
        if !chunk.is_empty() {
            dimensions.push(merged(chunk));
        }
        if dimensions.is_empty() {
            dimensions.push(Tree::One);
        }
        dimensions
    }
}

fn merged(mut atoms: Vec<Tree>) -> Tree {
    if atoms.len() == 1 { atoms.remove(0) } else { Tree::Product(atoms) }
}

fn names(of: &[String]) -> Vec<Tree> {
    of.iter().cloned().map(Tree::Name).collect()
}

/// One way to lay out the parts of a rule.
fn side(dice: &mut Dice, letter: &str, common: &[String], parts: &[Vec<String>]) -> Vec<Term> {
    let (in_key, places): (Vec<String>, Vec<String>) =
        common.iter().cloned().partition(|_| dice.throw(4) == 0);
    let key = |number: usize, own: &[String]| {
        let names = in_key.iter().chain(own).map(|name| format!("{{{name}}}"));
        let fixed = ["g{i}".to_string(), letter.to_string(), format!("t{number}")];
        fixed.into_iter().chain(names).collect::<Vec<String>>()
    };
    if parts.len() > 1 && dice.throw(2) == 0 {
        let branches = parts.iter().map(|own| names(&dice.shuffle(own.clone()))).collect();
        let mut atoms = names(&places);
        atoms.push(Tree::Sum(branches));
        let atoms = dice.shuffle(atoms);
        return vec![Term { key: key(0, &[]), dimensions: dice.dimensions(atoms) }];
    }
    let terms = parts.iter().enumerate().map(|(number, own)| {
        // A part's own names tell its keys apart on the left only: on both sides they would have to be
        // in every key.
        let (of_key, own): (Vec<String>, Vec<String>) =
            own.iter().cloned().partition(|_| letter == "l" && dice.throw(5) == 0);
        let atoms = dice.shuffle(names(&[places.clone(), own].concat()));
        Term { key: key(number, &of_key), dimensions: dice.dimensions(atoms) }
    });
    terms.collect()
}

impl RandomRule {
    pub(crate) fn new(seed: u64) -> RandomRule {
        let mut dice = Dice(seed);
        let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
        let mut name = |dice: &mut Dice, name: String, most: usize| {
            sizes.insert(name.clone(), 1 + dice.throw(most) as u64);
            name
        };
        let common = ["a", "b", "c"][..1 + dice.throw(3)].iter();
        let common: Vec<String> = common.map(|it| name(&mut dice, (*it).to_string(), 4)).collect();
        let count = 1 + dice.throw(3);
        let mut parts = Vec::new();
        for part in 0..count {
            let own = ["p", "q"][..if count == 1 { 0 } else { 1 + dice.throw(2) }].iter();
            let own = own.map(|it| name(&mut dice, format!("{it}{part}"), 3));
            parts.push(own.collect::<Vec<String>>());
        }
        name(&mut dice, "i".to_string(), 2);
        let left = side(&mut dice, "l", &common, &parts);
        let right = side(&mut dice, "r", &common, &parts);
        RandomRule::of(sizes, left, right)
    }

    /// A rule for one of the tensors that there are.
    pub(crate) fn after(seed: u64, file: &File) -> RandomRule {
        let mut dice = Dice(seed);
        let (key, (shape, _)) =
            file.0.iter().nth(dice.throw(file.0.len())).expect("there is a tensor");
        let mut sizes = BTreeMap::new();
        let (mut dimensions, mut all) = (Vec::new(), Vec::new());
        for (at, size) in shape.iter().enumerate() {
            let factors = (1..=*size).filter(|it| size.is_multiple_of(*it)).collect::<Vec<u64>>();
            let factor = factors[dice.throw(factors.len())];
            let pair = [(format!("x{at}"), factor), (format!("y{at}"), size / factor)];
            let own: Vec<String> = pair.iter().map(|(name, _)| name.clone()).collect();
            sizes.extend(pair);
            dimensions.push(Tree::Product(names(&own)));
            all.extend(own);
        }
        let left = vec![Term { key: key.split('.').map(String::from).collect(), dimensions }];
        let all = dice.shuffle(all);
        let (in_key, places): (Vec<String>, Vec<String>) =
            all.into_iter().partition(|_| dice.throw(5) == 0);
        let mut key = vec!["z".to_string()];
        key.extend(in_key.iter().map(|name| format!("{{{name}}}")));
        let right = vec![Term { key, dimensions: dice.dimensions(names(&places)) }];
        RandomRule::of(sizes, left, right)
    }

    fn of(sizes: BTreeMap<String, u64>, left: Vec<Term>, right: Vec<Term>) -> RandomRule {
        let mut rule = RandomRule { text: String::new(), sizes, left, right };
        rule.text = rule.spelled(&|name| name.to_string());
        rule
    }

    fn spelled(&self, name: &dyn Fn(&str) -> String) -> String {
        let mut sized = self.sizes.clone();
        let mut side = |terms: &[Term]| {
            let terms = terms.iter().map(|term| term.spelled(name, &mut sized));
            terms.collect::<Vec<String>>().join(", ")
        };
        let left = side(&self.left);
        format!("{left} -> {}", side(&self.right))
    }

    pub(crate) fn rule(&self) -> Rule {
        Rule::rename(&self.text, '.').unwrap_or_else(|why| panic!("{}: {why}", self.text))
    }

    /// The same with other names.
    pub(crate) fn renamed(&self) -> Rule {
        let text = self.spelled(&|name| format!("other_{name}"));
        Rule::rename(&text, '.').unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    /// The tensors that the left side speaks of.
    pub(crate) fn file(&self) -> File {
        let mut keys = BTreeMap::new();
        for term in &self.left {
            for held in term.held(&self.sizes) {
                keys.insert(term.filled(&held), term.shape(&self.sizes));
            }
        }
        let mut file = File::default();
        keys.into_iter().for_each(|(key, shape)| file.add(key, shape));
        file
    }

    /// What the rule makes of a file, by definition.
    pub(crate) fn expected(&self, file: &File) -> File {
        let mut known = BTreeMap::<Assignment, u64>::new();
        for term in &self.left {
            for held in term.held(&self.sizes) {
                let (_, elements) = &file.0[&term.filled(&held)];
                for (index, element) in elements.iter().enumerate() {
                    let twice = known.insert(term.assignment(&held, index, &self.sizes), *element);
                    assert_eq!(twice, None, "{}: an assignment has two addresses", self.text);
                }
            }
        }
        let mut made = File::default();
        for term in &self.right {
            for held in term.held(&self.sizes) {
                let shape = term.shape(&self.sizes);
                let count = shape.iter().product::<u64>() as usize;
                let elements =
                    (0..count).map(|index| known[&term.assignment(&held, index, &self.sizes)]);
                made.0.insert(term.filled(&held), (shape, elements.collect()));
            }
        }
        made
    }
}

impl Term {
    fn key_names(&self) -> Vec<String> {
        let names = self.key.iter().filter_map(|segment| {
            segment.split_once('{').map(|(_, name)| name.trim_end_matches('}').to_string())
        });
        names.collect()
    }

    /// All values of the names in the key.
    fn held(&self, sizes: &BTreeMap<String, u64>) -> Vec<Assignment> {
        let mut all = vec![Assignment::new()];
        for name in self.key_names() {
            let values = all.iter().flat_map(|held| {
                (0..sizes[&name]).map(|value| {
                    let mut held = held.clone();
                    held.insert(name.clone(), value);
                    held
                })
            });
            all = values.collect();
        }
        all
    }

    fn filled(&self, held: &Assignment) -> String {
        let segments = self.key.iter().map(|segment| match segment.split_once('{') {
            Some((before, name)) => format!("{before}{}", held[name.trim_end_matches('}')]),
            None => segment.clone(),
        });
        segments.collect::<Vec<String>>().join(".")
    }

    fn shape(&self, sizes: &BTreeMap<String, u64>) -> Vec<u64> {
        self.dimensions.iter().map(|tree| tree.size(sizes)).collect()
    }

    /// What is under an index of a tensor.
    fn assignment(
        &self,
        held: &Assignment,
        index: usize,
        sizes: &BTreeMap<String, u64>,
    ) -> Assignment {
        let mut assignment = held.clone();
        decode(&self.dimensions, index as u64, sizes, &mut assignment);
        assignment
    }

    fn spelled(&self, name: &dyn Fn(&str) -> String, sized: &mut BTreeMap<String, u64>) -> String {
        let key = self.key.iter().map(|segment| match segment.split_once('{') {
            Some((before, own)) => format!("{before}{{{}}}", name(own.trim_end_matches('}'))),
            None => segment.clone(),
        });
        let mut text = key.collect::<Vec<String>>().join(".");
        text.push('[');
        for (at, tree) in self.dimensions.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { " " });
            tree.write(&mut text, name, sized);
        }
        text.push(']');
        text
    }
}

/// The names of a mixed number: the last tree counts fastest.
fn decode(trees: &[Tree], mut index: u64, sizes: &BTreeMap<String, u64>, out: &mut Assignment) {
    for tree in trees.iter().rev() {
        let size = tree.size(sizes);
        let (digit, rest) = (index % size, index / size);
        index = rest;
        match tree {
            Tree::One => {}
            Tree::Name(name) => drop(out.insert(name.clone(), digit)),
            Tree::Product(trees) => decode(trees, digit, sizes, out),
            Tree::Sum(parts) => {
                let mut start = 0;
                for part in parts {
                    let end = start + part.iter().map(|tree| tree.size(sizes)).product::<u64>();
                    if (start..end).contains(&digit) {
                        decode(part, digit - start, sizes, out);
                    }
                    start = end;
                }
            }
        }
    }
}

impl Tree {
    fn size(&self, sizes: &BTreeMap<String, u64>) -> u64 {
        let product = |trees: &[Tree]| trees.iter().map(|tree| tree.size(sizes)).product::<u64>();
        match self {
            Tree::One => 1,
            Tree::Name(name) => sizes[name],
            Tree::Product(trees) => product(trees),
            Tree::Sum(parts) => parts.iter().map(|part| product(part)).sum(),
        }
    }

    fn write(
        &self,
        text: &mut String,
        name: &dyn Fn(&str) -> String,
        sized: &mut BTreeMap<String, u64>,
    ) {
        let mut all = |text: &mut String, trees: &[Tree]| {
            for (at, tree) in trees.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { " " });
                tree.write(text, name, sized);
            }
        };
        match self {
            Tree::One => text.push('1'),
            Tree::Name(own) => {
                text.push_str(&name(own));
                if let Some(size) = sized.remove(own) {
                    write!(text, "={size}").expect("a string");
                }
            }
            Tree::Product(trees) => {
                text.push('(');
                all(text, trees);
                text.push(')');
            }
            Tree::Sum(parts) => {
                text.push('(');
                for (at, part) in parts.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { " | " });
                    all(text, part);
                }
                text.push(')');
            }
        }
    }
}
