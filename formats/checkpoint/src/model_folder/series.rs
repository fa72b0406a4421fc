//! Names of shards: `model-00001-of-00002.safetensors`.

/// Files that belong together by their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Series {
    /// What comes before the number: `model`, `model.fp16`.
    pub(crate) stem: String,
    /// How many files there are to be.
    pub(crate) count: u64,
    /// How many digits the numbers have.
    digits: usize,
    /// The ending, without the dot.
    pub(crate) extension: String,
}

/// The series that a file belongs to by its name, and its number in it.
pub(crate) fn series_of(name: &str) -> Option<(Series, u64)> {
    let (stem, extension) = name.rsplit_once('.')?;
    let (front, count) = without_revision(stem).rsplit_once("-of-")?;
    let (stem, number) = front.rsplit_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(number) || !is_number(count) {
        return None;
    }
    let series = Series {
        stem: stem.to_string(),
        count: count.parse().ok()?,
        digits: count.len(),
        extension: extension.to_string(),
    };
    Some((series, number.parse().ok()?))
}

/// A stem without the `.r1` that a file gets which takes another's place.
fn without_revision(stem: &str) -> &str {
    match stem.rsplit_once(".r") {
        Some((stem, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => stem,
    }
}

/// How many digits the numbers of new files have.
const DIGITS: usize = 5;

impl Series {
    /// So many new files.
    pub(crate) fn new(stem: &str, count: usize, extension: &str) -> Series {
        let (stem, extension) = (stem.to_string(), extension.to_string());
        Series { stem, count: count as u64, digits: DIGITS, extension }
    }

    /// The name of the file with this number.
    pub(crate) fn name(&self, number: u64) -> String {
        let Series { stem, count, digits, extension } = self;
        format!("{stem}-{number:0digits$}-of-{count:0digits$}.{extension}")
    }

    /// The name of the index: `model.safetensors.index.json`, and for a variant such as
    /// `model.fp16-…`, `model.safetensors.index.fp16.json`.
    pub(crate) fn index_name(&self) -> String {
        let extension = &self.extension;
        match self.stem.split_once('.') {
            Some((stem, variant)) => format!("{stem}.{extension}.index.{variant}.json"),
            None => format!("{}.{extension}.index.json", self.stem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shards_say_which_series_they_belong_to() {
        let check = |name: &str, index: &str, number: u64| {
            let (series, found) = series_of(name).expect("a shard");
            assert_eq!((series.index_name().as_str(), found), (index, number));
            assert_eq!(series.name(number), name.replace(".r3.", "."));
        };
        check("model-00001-of-00002.safetensors", "model.safetensors.index.json", 1);
        check("pytorch_model-00003-of-00010.bin", "pytorch_model.bin.index.json", 3);
        check("model.fp16-00002-of-00002.safetensors", "model.safetensors.index.fp16.json", 2);
        check("model-00002-of-00002.r3.safetensors", "model.safetensors.index.json", 2);
        check("a-b-1-of-2.bin", "a-b.bin.index.json", 1);
        for name in ["model.safetensors", "x-of-2.bin", "a-1-of-.bin", "1-of-2.bin", "a-1-of-2"] {
            assert_eq!(series_of(name), None, "{name}");
        }
    }
}
