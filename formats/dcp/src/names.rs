//! What the files of a distributed checkpoint are called.

use statedict_core::{Fault, sorting};

/// The metadata of all ranks.
pub(crate) const METADATA: &str = ".metadata";

/// The metadata while it is written.
const UNFINISHED: &str = ".metadata.tmp";

/// The ending of files of elements.
const DATA: &str = ".distcp";

/// The rank whose metadata has this name, saved without collectives: `__3.metadata`.
pub(crate) fn rank_of_metadata(name: &str) -> Option<u64> {
    name.strip_prefix("__")?.strip_suffix(METADATA)?.parse().ok()
}

/// The rank that wrote a file of elements: `__3_0.distcp`.
pub(crate) fn rank_of_data(name: &str) -> Option<u64> {
    let (rank, _) = name.strip_prefix("__")?.strip_suffix(DATA)?.split_once('_')?;
    rank.parse().ok()
}

/// The manifest among the names of a folder's files.
///
/// # Errors
/// Files of elements alone, which say nothing of what they hold.
pub(crate) fn manifest(names: &[String]) -> Result<Option<String>, Fault> {
    if names.iter().any(|name| name == METADATA) {
        return Ok(Some(METADATA.into()));
    }
    let ranks = names.iter().filter_map(|name| Some((rank_of_metadata(name)?, name)));
    if let Some((_, first)) = ranks.min() {
        return Ok(Some(first.clone()));
    }
    let Some(data) = names.iter().find(|name| name.ends_with(DATA)) else { return Ok(None) };
    let why = if names.iter().any(|name| name == UNFINISHED) {
        "the job that wrote it ended before it renamed '.metadata.tmp'"
    } else {
        "the metadata is written last; were files that begin with a dot left behind when the \
         folder was copied?"
    };
    let what = format!(
        "it is an unfinished save of a distributed checkpoint: there is '{data}' and no \
         '.metadata', which says what it holds ({why})"
    );
    Err(Fault::broken(what))
}

/// All files of metadata, where one of them is the manifest.
///
/// # Errors
/// A rank between others whose metadata is missing.
pub(crate) fn metadata_files(manifest: &str, names: &[String]) -> Result<Vec<String>, Fault> {
    if rank_of_metadata(manifest).is_none() {
        return Ok(vec![manifest.into()]);
    }
    let mut ranks: Vec<(u64, &String)> =
        names.iter().filter_map(|name| Some((rank_of_metadata(name)?, name))).collect();
    sorting::sort(&mut ranks);
    let missing = (0..).zip(&ranks).find(|(expected, (rank, _))| expected != rank);
    if let Some((rank, _)) = missing {
        let what = "is missing, and says which chunks its rank saved";
        return Err(Fault::broken(what).in_file(format!("__{rank}{METADATA}")));
    }
    Ok(ranks.into_iter().map(|(_, name)| name.clone()).collect())
}

/// The name of the metadata of the first rank that wrote elements and left none.
pub(crate) fn missing_metadata(manifest: &str, names: &[String]) -> Option<String> {
    rank_of_metadata(manifest)?;
    let mut ranks: Vec<u64> = names.iter().filter_map(|name| rank_of_data(name)).collect();
    ranks.sort_unstable();
    let missing = ranks.into_iter().map(|rank| format!("__{rank}{METADATA}"));
    missing.into_iter().find(|name| !names.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_string()).collect()
    }

    #[test]
    fn the_metadata_of_all_ranks_comes_before_that_of_each() {
        let check = |all: &[&str], expected: Option<&str>| {
            let found = manifest(&names(all)).expect("finished");
            assert_eq!(found.as_deref(), expected, "{all:?}");
        };
        check(&["__0_0.distcp", ".metadata"], Some(".metadata"));
        check(&["__1.metadata", "__0.metadata", "__0_0.distcp"], Some("__0.metadata"));
        check(&["model.pt"], None);
    }

    #[test]
    fn metadata_that_is_missing_is_named() {
        let all = names(&["__0.metadata", "__2.metadata", "__0_0.distcp", "__1_0.distcp"]);
        let error = metadata_files("__0.metadata", &all).expect_err("rank 1 is missing");
        assert!(error.to_string().starts_with("'__1.metadata': is missing"), "{error}");
        let all = names(&["__0.metadata", "__0_0.distcp", "__1_0.distcp"]);
        assert_eq!(missing_metadata("__0.metadata", &all).as_deref(), Some("__1.metadata"));
    }
}
