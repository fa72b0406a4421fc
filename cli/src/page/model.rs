//! What a page shows, whatever command it is of.

use crate::terminal::text::printable;

/// Details of one finding that are shown; its command shows them all.
const DETAILS: usize = 12;

/// One page.
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) sheets: Vec<Sheet>,
}

/// What is shown of one file, or of two that belong together.
#[derive(Default)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    /// What it is, in a sentence.
    pub(crate) summary: String,
    pub(crate) facts: Vec<Fact>,
    /// Bytes by type, the most first.
    pub(crate) types: Vec<(String, u64)>,
    /// The worst first.
    pub(crate) findings: Vec<Finding>,
    /// What was looked at, said below the findings.
    pub(crate) looked_at: String,
    pub(crate) tensors: Tensors,
    pub(crate) ribbons: Option<Ribbons>,
    /// What lies beside the tensors.
    pub(crate) blocks: Vec<Block>,
}

/// A number of the headline.
pub(crate) struct Fact {
    pub(crate) label: &'static str,
    pub(crate) value: String,
    pub(crate) note: String,
}

/// Something worth knowing, with the command that mends it.
pub(crate) struct Finding {
    pub(crate) grade: Grade,
    pub(crate) what: String,
    /// Sentences or keys below it.
    pub(crate) details: Vec<String>,
    pub(crate) remedy: Option<Remedy>,
}

/// A command line, and what it does.
pub(crate) struct Remedy {
    pub(crate) does: &'static str,
    pub(crate) command: String,
}

/// How bad a finding is, from the worst on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Do not load it, or it will not load.
    Danger,
    /// Something is wrong.
    Fault,
    /// Something can be better.
    Advice,
    /// Something to know.
    Note,
}

/// Tensors with what is known of each, in columns.
#[derive(Default)]
pub(crate) struct Tensors {
    pub(crate) rows: Vec<Row>,
    pub(crate) labels: Vec<Label>,
    pub(crate) figures: Vec<Figure>,
    /// Histograms with 16 bins, heights up to 15; empty if there are none.
    pub(crate) histograms: Vec<[u8; 16]>,
    /// The column that the heat map is shaded by; bytes if none is named.
    pub(crate) shade: Option<&'static str>,
}

/// One tensor.
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) kind: Kind,
}

/// What tensors share that are alike.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) dtype: String,
    pub(crate) shape: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    /// What it is instead of plain elements.
    pub(crate) layout: String,
}

/// A column of words.
pub(crate) struct Label {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// One for each row.
    pub(crate) values: Vec<String>,
}

/// A column of numbers.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// One for each row that has one.
    pub(crate) values: Vec<Option<f64>>,
}

/// Two columns of groups, and what leads from one to the other.
#[derive(Default)]
pub(crate) struct Ribbons {
    pub(crate) titles: [String; 2],
    pub(crate) left: Vec<Group>,
    pub(crate) right: Vec<Group>,
    pub(crate) links: Vec<Link>,
}

/// Keys that differ in numbers alone.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) keys: usize,
    /// What is said of a group that nothing leads to, or from.
    pub(crate) alone: String,
    pub(crate) grade: Option<Grade>,
}

/// What leads from a group on the left to one on the right.
pub(crate) struct Link {
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) keys: usize,
    pub(crate) reason: String,
    pub(crate) grade: Option<Grade>,
}

/// A titled list of what lies beside the tensors.
pub(crate) struct Block {
    pub(crate) title: &'static str,
    pub(crate) entries: Vec<Entry>,
    /// What there is beyond the entries, and what shows it.
    pub(crate) more: Option<String>,
}

/// A name with a value, with others below it, or both.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) below: Vec<Entry>,
}

impl Finding {
    pub(crate) fn new(grade: Grade, what: impl Into<String>) -> Finding {
        Finding { grade, what: what.into(), details: Vec::new(), remedy: None }
    }

    /// The same with sentences or keys below it, as many as there is room for.
    pub(crate) fn bounded(mut self, mut details: Vec<String>) -> Finding {
        let more = details.len().saturating_sub(DETAILS);
        details.truncate(DETAILS);
        if more > 0 {
            details.push(format!("and {more} more"));
        }
        self.details = details;
        self
    }

    /// The same with a command.
    pub(crate) fn remedy(mut self, does: &'static str, command: String) -> Finding {
        self.remedy = Some(Remedy { does, command });
        self
    }
}

impl Fact {
    pub(crate) fn new(label: &'static str, value: impl Into<String>) -> Fact {
        Fact { label, value: value.into(), note: String::new() }
    }

    /// The same with a note below it.
    pub(crate) fn note(self, note: impl Into<String>) -> Fact {
        Fact { note: note.into(), ..self }
    }

    /// Numbers of things, those of which there are some.
    pub(crate) fn numbers<const N: usize>(
        numbers: [(&'static str, usize); N],
    ) -> impl Iterator<Item = Fact> {
        let numbers = numbers.into_iter().filter(|(_, number)| *number > 0);
        numbers.map(|(label, number)| Fact::new(label, number.to_string()))
    }
}

impl Block {
    /// The first of some entries, and how many there are beyond; nothing if there are none.
    pub(crate) fn bounded(
        title: &'static str,
        entries: impl ExactSizeIterator<Item = Entry>,
        most: usize,
    ) -> Option<Block> {
        let beyond = entries.len().saturating_sub(most);
        let more = (beyond > 0).then(|| format!("and {beyond} more"));
        let entries: Vec<Entry> = entries.take(most).collect();
        (!entries.is_empty()).then_some(Block { title, entries, more })
    }
}

impl Figure {
    /// True if some row has a number other than zero.
    pub(crate) fn is_anywhere(&self) -> bool {
        self.values.iter().flatten().any(|number| *number != 0.0)
    }
}

impl Grade {
    /// The word that is beside its colour.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Grade::Danger => "danger",
            Grade::Fault => "fault",
            Grade::Advice => "advice",
            Grade::Note => "note",
        }
    }

    /// The sign before it.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Grade::Danger => "✖",
            Grade::Fault => "▲",
            Grade::Advice => "➜",
            Grade::Note => "●",
        }
    }
}

/// Text as it is shown: characters that are not seen, or would turn the others round, as escapes.
pub(crate) fn shown(text: &str) -> String {
    printable(text).into_owned()
}
