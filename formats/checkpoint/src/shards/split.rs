//! New shards: tensors spread over files of a size, with an index.

use std::collections::HashMap;

use statedict_core::{
    Elements, Format, Layout, NewFile, PendingFiles, ShardNames, TensorSet, UnsupportedTensors,
};

use crate::model_folder::series::Series;
use crate::shards::index::{Index, NamedIndex};
use crate::shards::totals::Totals;

/// Spreads tensors over files of at most `limit` bytes of elements, greedily and in order, whose
/// names begin with `stem`.
///
/// A larger tensor has a file of its own, and tensors that share their elements are together.
/// Source: `split_state_dict_into_shards_factory` in huggingface_hub.
pub(crate) fn split(
    format: &dyn Format,
    contents: TensorSet,
    limit: u64,
    stem: &str,
) -> Result<PendingFiles, UnsupportedTensors> {
    let TensorSet { tensors, metadata, modules, ties, reserve } = contents;
    let sets = groups(tensors, limit).into_iter().map(|tensors| TensorSet {
        tensors,
        metadata: metadata.clone(),
        modules: modules.clone(),
        ties: Vec::new(),
        reserve,
    });
    let mut sets: Vec<TensorSet> = sets.collect();
    if format.facts().writes_folders {
        sets[0].ties = ties;
        return format.encode_files(&sets);
    }
    let Some(ShardNames { extension, .. }) = format.facts().shard_names else {
        let why = format!("{} checkpoints are not spread over several files", format.name());
        return Err(UnsupportedTensors { entries: vec![("*".into(), why)] });
    };
    let count = sets.len();
    let series = Series::new(stem, count, extension);
    let groups = (1..).zip(sets).map(|(number, contents)| Group {
        name: if count == 1 { format!("{stem}.{extension}") } else { series.name(number) },
        contents,
    });
    let (files, index) = lay_out(format, groups.collect(), ties, Index::default())?;
    let is_several = count > 1;
    let manifest = is_several.then(|| NamedIndex::boxed(series.index_name(), index));
    Ok(PendingFiles::Folder { files, manifest, gone: Vec::new() })
}

/// What one file is to hold.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) contents: TensorSet,
}

/// The files of the groups, and an index that names their keys.
///
/// A recorded tie goes where the tensor is that it names.
pub(crate) fn lay_out(
    format: &dyn Format,
    mut groups: Vec<Group>,
    ties: Vec<(String, String)>,
    mut index: Index,
) -> Result<(Vec<NewFile>, Index), UnsupportedTensors> {
    let homes: HashMap<String, usize> = groups
        .iter()
        .enumerate()
        .flat_map(|(i, group)| group.contents.tensors.iter().map(move |(key, _)| (key.clone(), i)))
        .collect();
    for (alias, kept) in ties {
        let home = homes.get(&kept).copied().unwrap_or_default();
        groups[home].contents.ties.push((alias, kept));
    }
    let (mut files, mut totals) = (Vec::new(), Totals::default());
    index.weight_map.0.clear();
    for Group { name, contents } in groups {
        totals.add(contents.tensors.iter().map(|(_, elements)| elements));
        let keys = contents.tensors.iter().map(|(key, _)| (key.clone(), name.clone()));
        index.weight_map.0.extend(keys);
        let layout = encode_file(format, &contents)?;
        files.push(NewFile { name, layout, renamed: None, changed: true });
    }
    index.set_totals(totals);
    Ok((files, index))
}

/// One file of a format that writes single files.
fn encode_file(format: &dyn Format, contents: &TensorSet) -> Result<Layout, UnsupportedTensors> {
    format.encode(contents)?.into_layout().ok_or_else(|| {
        let why = format!("{} checkpoints are not single files", format.name());
        UnsupportedTensors { entries: vec![("*".into(), why)] }
    })
}

/// The tensors of each file.
fn groups(tensors: Vec<(String, Elements)>, limit: u64) -> Vec<Vec<(String, Elements)>> {
    let mut groups: Vec<Vec<(String, Elements)>> = vec![Vec::new()];
    let mut homes: HashMap<String, usize> = HashMap::new();
    let mut room = limit;
    for (key, elements) in tensors {
        let place = elements.place().map(|place| format!("{place:?}"));
        if let Some(home) = place.as_ref().and_then(|place| homes.get(place)) {
            groups[*home].push((key, elements));
            continue;
        }
        let bytes = elements.byte_len();
        let last = groups.len() - 1;
        if bytes > room && !groups[last].is_empty() {
            groups.push(Vec::new());
            room = limit;
        }
        room = room.saturating_sub(bytes);
        let last = groups.len() - 1;
        homes.extend(place.map(|place| (place, last)));
        groups[last].push((key, elements));
    }
    groups
}
