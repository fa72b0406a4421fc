//! Stages 1 and 2: every group of parameters is one flat vector, cut over the ranks.
//!
//! Source: `deepspeed/runtime/zero/stage_1_and_2.py` and `utils/zero_to_fp32.py`, 0.19.

use std::collections::HashSet;

use statedict_core::{Fault, IndexMap, Node};
use statedict_pth::SavedFile;

use crate::flat::{Flat, Made, count, cut, made};
use crate::names::of_rank;
use crate::states::shapes;

/// What the optimizer keeps of each parameter.
pub(crate) const MOMENTS: [&str; 2] = ["exp_avg", "exp_avg_sq"];

/// A parameter with its moments.
pub(crate) struct Parameter {
    pub(crate) shape: Vec<u64>,
    pub(crate) value: Made,
    pub(crate) moments: Vec<(&'static str, Made)>,
}

/// Parameters by name.
pub(crate) type Parameters = IndexMap<String, Parameter>;

/// The optimizer states of all ranks; none where a file is missing.
pub(crate) struct Ranks<'a> {
    pub(crate) states: Vec<Option<&'a SavedFile>>,
    /// The name of a file that is there.
    pub(crate) like: String,
}

impl<'a> Ranks<'a> {
    /// The optimizer states of the file of a rank.
    pub(crate) fn of(&self, rank: u64) -> Option<(&'a SavedFile, Node<'a>)> {
        let states = self.states.get(usize::try_from(rank).ok()?).copied().flatten()?;
        Some((states, states.root().get("optimizer_state_dict")?))
    }

    fn first(&self) -> Option<(&'a SavedFile, Node<'a>)> {
        (0..self.len()).find_map(|rank| self.of(rank))
    }

    pub(crate) fn len(&self) -> u64 {
        self.states.len() as u64
    }

    /// The name of a rank's file.
    pub(crate) fn file(&self, rank: u64) -> String {
        of_rank(&self.like, rank)
    }
}

/// All parameters of the model states, put together.
pub(crate) fn parameters(ranks: &Ranks<'_>, model: &SavedFile) -> Result<Parameters, Fault> {
    let mut parameters = Parameters::default();
    let Some((states, first)) = ranks.first() else { return Ok(parameters) };
    let groups = model.need(model.root(), "param_shapes")?.items();
    for (number, group) in groups.into_iter().enumerate() {
        let shares = partition_count(first, number)
            .ok_or_else(|| states.broken(format!("it has no partition_count of group {number}")))?;
        if shares == 0 || !ranks.len().is_multiple_of(shares) {
            let what = format!("group {number} is cut over {shares} of {} ranks", ranks.len());
            return Err(states.broken(what));
        }
        let apart = ranks.len() / shares;
        let shapes = shapes(model, group)?;
        let experts = experts(&shapes);
        for expert in 0..apart {
            let group = Group {
                number,
                shapes: &shapes,
                ranks,
                of: (expert..ranks.len()).step_by(usize::try_from(apart).unwrap_or(1)).collect(),
                before: (apart > 1).then(|| expert.saturating_mul(experts)),
                is_round_robin: is_round_robin(model),
            };
            group.add_to(&mut parameters, states, first)?;
        }
    }
    Ok(parameters)
}

/// Over how many ranks a group is cut.
pub(crate) fn partition_count(states: Node<'_>, group: usize) -> Option<u64> {
    let count = states.get("partition_count")?;
    match count.count() {
        Some(all) => Some(all),
        None => count.item(group)?.count(),
    }
}

/// With round-robin gradients the addresses that DeepSpeed writes beside the partitions are wrong,
/// and the order of the parameters is right (0.19.8).
fn is_round_robin(model: &SavedFile) -> bool {
    let config = model.root().get("ds_config").and_then(|it| it.get("zero_optimization"));
    config.and_then(|it| it.get("round_robin_gradients")).is_some_and(Node::is_true)
}

/// A group of parameters, whose flat vector lies over some ranks.
struct Group<'a, 'r> {
    number: usize,
    shapes: &'r [(String, Vec<u64>)],
    ranks: &'r Ranks<'a>,
    /// The ranks, in the order of their partitions.
    of: Vec<u64>,
    /// How many experts are on the ranks of experts before it, if it is a group of experts.
    before: Option<u64>,
    is_round_robin: bool,
}

impl<'a> Group<'a, '_> {
    fn add_to(
        &self,
        parameters: &mut Parameters,
        states: &SavedFile,
        first: Node<'_>,
    ) -> Result<(), Fault> {
        let paddings = first.get("param_alignment_paddings");
        let paddings = paddings.and_then(|all| all.item(self.number));
        let paddings: Vec<Node<'_>> = paddings.map(Node::items).unwrap_or_default();
        let padding = |place: usize| paddings.get(place).and_then(|it| it.count()).unwrap_or(0);
        let mut total = 0u64;
        for (place, (name, shape)) in self.shapes.iter().enumerate() {
            total = total.saturating_add(count(name, shape)?).saturating_add(padding(place));
        }
        let masters = self.flats(total, |states| {
            states.get("single_partition_of_fp32_groups")?.item(self.number)
        })?;
        let Some(masters) = masters else {
            let what =
                format!("it has no single_partition_of_fp32_groups of group {}", self.number);
            return Err(states.broken(what));
        };
        let mut moments = Vec::new();
        for moment in MOMENTS {
            let flats = self.flats(total, |states| {
                let base = states.get("base_optimizer_state")?;
                let groups = base.get("state").unwrap_or(base);
                let of_group = || groups.item(self.number);
                groups.numbered(self.number).or_else(of_group)?.get(moment)
            })?;
            moments.extend(flats.map(|flats| (moment, flats)));
        }
        let mut at = 0u64;
        for (place, (name, shape)) in self.shapes.iter().enumerate() {
            let size = count(name, shape)?;
            self.check_addresses(name, &masters, (at, size))?;
            let part = |flats: &[Flat]| made(name, shape, &cut(flats, at, size));
            let value = part(&masters)?;
            let moments = moments.iter().map(|(moment, flats)| Ok((*moment, part(flats)?)));
            let moments = moments.collect::<Result<Vec<_>, Fault>>()?;
            let shape = shape.clone();
            parameters.insert(self.name(name)?, Parameter { shape, value, moments });
            let next = at.checked_add(size).and_then(|next| next.checked_add(padding(place)));
            at = next.ok_or_else(|| states.broken("its parameters are beyond counting"))?;
        }
        Ok(())
    }

    /// The flat vectors of the group's ranks, of so many elements together; none if a file that is
    /// there lacks one.
    fn flats(
        &self,
        total: u64,
        find: impl Fn(Node<'a>) -> Option<Node<'a>>,
    ) -> Result<Option<Vec<Flat>>, Fault> {
        let mut flats = Vec::new();
        for rank in &self.of {
            flats.push(match self.ranks.of(*rank) {
                Some((states, node)) => match find(node).and_then(Node::tensor) {
                    Some(tensor) => {
                        Flat::new(tensor).map_err(|fault| fault.in_file(&states.name))?
                    }
                    None => return Ok(None),
                },
                None => Flat::Missing { file: self.ranks.file(*rank), len: u64::MAX },
            });
        }
        let usual = usual_len(&flats, total);
        for flat in flats.iter_mut().rev().skip(1) {
            if let (Flat::Missing { len, .. }, Some(usual)) = (flat, usual) {
                *len = usual;
            }
        }
        Ok(Some(flats))
    }

    /// Holds the place of a parameter against the addresses that are written beside the partitions.
    fn check_addresses(
        &self,
        name: &str,
        flats: &[Flat],
        (at, size): (u64, u64),
    ) -> Result<(), Fault> {
        let mut start = 0u64;
        for (rank, flat) in self.of.iter().zip(flats) {
            let next = start.saturating_add(flat.len());
            let (first, last) = (at.max(start), at.saturating_add(size).min(next));
            let own = (first < last).then(|| (first - start, last - first));
            start = next;
            let Some((states, node)) = self.ranks.of(*rank) else { continue };
            let Some(mappings) = node.get("param_slice_mappings") else { continue };
            let mapping = mappings.item(self.number).and_then(|it| it.get(name));
            let address = |address: Node<'_>| {
                let field = |field| address.attribute(field).and_then(Node::count);
                Some((field("start")?, field("numel")?)).filter(|(_, numel)| *numel > 0)
            };
            let written = mapping.and_then(address);
            if written != own && !self.is_round_robin {
                let what = format!(
                    "'{name}' has {} of the rank's by the order of the parameters, and {} by \
                     param_slice_mappings",
                    run(own),
                    run(written)
                );
                return Err(states.broken(what));
            }
        }
        Ok(())
    }

    /// The name that a parameter has in the whole model: the experts of each rank are counted from 0.
    fn name(&self, name: &str) -> Result<String, Fault> {
        let Some(others) = self.before else { return Ok(name.to_string()) };
        let Some((before, own, after)) = expert(name) else {
            let what = format!("'{name}' is in a group of experts, and its name is not one's");
            return Err(Fault::Unsupported(what));
        };
        let number = own.checked_add(others);
        let number = number.ok_or_else(|| Fault::broken("experts are beyond counting"))?;
        Ok(format!("{before}{number}{after}"))
    }
}

/// How long all partitions are but the last, which may lack its padding.
fn usual_len(flats: &[Flat], total: u64) -> Option<u64> {
    let there = |flat: &&Flat| matches!(flat, Flat::There(_));
    let (last, others) = flats.split_last()?;
    if let Some(other) = others.iter().find(there) {
        return Some(other.len());
    }
    let (last, others) = (Some(last).filter(there)?.len(), others.len() as u64);
    if last.saturating_mul(others.saturating_add(1)) >= total {
        return Some(last);
    }
    (total - last).checked_div(others)
}

/// A run of elements as it is said in a message.
fn run(run: Option<(u64, u64)>) -> String {
    match run {
        Some((start, count)) => format!("elements {start} to {}", start.saturating_add(count)),
        None => "no elements".into(),
    }
}

/// How many experts have parameters among these.
fn experts(shapes: &[(String, Vec<u64>)]) -> u64 {
    let numbers = shapes.iter().filter_map(|(name, _)| expert(name));
    numbers.map(|(_, number, _)| number).collect::<HashSet<_>>().len() as u64
}

/// What stands before the number of an expert in a name, the number, and what stands behind.
fn expert(name: &str) -> Option<(&str, u64, &str)> {
    const EXPERTS: &str = ".deepspeed_experts.";
    let at = name.find(EXPERTS)? + EXPERTS.len();
    let (before, rest) = name.split_at(at);
    let end = rest.find('.')?;
    Some((before, rest[..end].parse().ok()?, &rest[end..]))
}
