//! Metadata beside the pickle: the record `__metadata__.json`, an object of texts.
//!
//! PyTorch has no place for what safetensors calls `__metadata__`, and its loaders pass over records
//! that no pickle names, whatever they load. So the text is kept where `torch.load` and
//! `load_state_dict` see nothing of it, and where Python finds it:
//! `json.loads(zipfile.ZipFile(path).read("archive/__metadata__.json"))`.

use statedict_core::{Fault, IndexMap, MetadataChange};

/// The record's name in the archive's folder.
pub(crate) const RECORD: &str = "__metadata__.json";

/// The longest record that is read: the longest header of a safetensors file.
pub(crate) const MAX_RECORD: u64 = 100_000_000;

/// What an archive says of itself.
#[derive(Debug, Default)]
pub(crate) enum Metadata {
    /// There is no record.
    #[default]
    Absent,
    /// Texts in order.
    Texts(Vec<(String, String)>),
    /// A record of that name which holds something else; it is left as it is.
    Foreign,
}

impl Metadata {
    pub(crate) fn parse(record: Option<&[u8]>) -> Metadata {
        let Some(record) = record else { return Metadata::Absent };
        match serde_json::from_slice::<IndexMap<String, String>>(record) {
            Ok(texts) => Metadata::Texts(texts.into_iter().collect()),
            Err(_) => Metadata::Foreign,
        }
    }

    pub(crate) fn texts(&self) -> &[(String, String)] {
        match self {
            Metadata::Texts(texts) => texts,
            Metadata::Absent | Metadata::Foreign => &[],
        }
    }

    /// What becomes of the record.
    ///
    /// # Errors
    /// A record of the same name that is not of this kind.
    pub(crate) fn changed(&self, changes: &[MetadataChange]) -> Result<NewText, Fault> {
        if changes.is_empty() {
            return Ok(NewText::Kept);
        }
        if matches!(self, Metadata::Foreign) {
            let what = format!("record '{RECORD}' is not a JSON object of strings, so it is kept");
            return Err(Fault::Unsupported(what));
        }
        Ok(match record(&MetadataChange::apply(changes, self.texts().to_vec())) {
            Some(record) => NewText::Written(record),
            None => NewText::Removed,
        })
    }
}

/// What becomes of the record of an archive that gets another pickle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NewText {
    Kept,
    Removed,
    Written(Vec<u8>),
}

/// The record that holds these texts; none if there are none.
pub(crate) fn record(metadata: &[(String, String)]) -> Option<Vec<u8>> {
    let texts: IndexMap<&str, &str> =
        metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let text = serde_json::to_vec_pretty(&texts).expect("strings serialise");
    (!texts.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_in_order() {
        let texts = [("b".to_string(), "\u{202e}\n".to_string()), ("a".into(), String::new())];
        let record = record(&texts).expect("texts");
        assert_eq!(Metadata::parse(Some(&record)).texts(), texts);
        assert_eq!(super::record(&[]), None);
    }

    #[test]
    fn a_record_of_another_kind_is_left_alone() {
        let foreign = Metadata::parse(Some(b"{\"a\": 1}"));
        let set = MetadataChange { key: "a".into(), old: None, new: Some("1".into()) };
        assert!(foreign.texts().is_empty());
        assert!(matches!(foreign.changed(&[]), Ok(NewText::Kept)));
        assert!(foreign.changed(std::slice::from_ref(&set)).is_err());
        assert!(matches!(Metadata::Absent.changed(&[set]), Ok(NewText::Written(_))));
    }

    #[test]
    fn a_record_without_texts_goes() {
        let gone = MetadataChange { key: "a".into(), old: Some("1".into()), new: None };
        let there = Metadata::parse(Some(b"{\"a\": \"1\"}"));
        assert_eq!(there.changed(&[gone]).expect("texts"), NewText::Removed);
    }
}
