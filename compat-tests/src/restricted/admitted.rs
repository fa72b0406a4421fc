//! The names that weights-only loading admits, and those it takes for others.

use std::collections::HashMap;
use std::sync::LazyLock;

const TABLE: &str = include_str!("../../texts/admitted.tsv");

/// What an admitted name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// A class or a function.
    Callable,
    /// A storage class of elements of this type, by the name that `ls` has for it.
    Storage(&'static str),
    /// A type of elements.
    DType,
    /// Another value that cannot be called.
    Value,
}

#[derive(Default)]
struct Table {
    paths: HashMap<&'static str, (&'static str, Admitted)>,
    modules: HashMap<&'static str, &'static str>,
    names: HashMap<&'static str, &'static str>,
}

static KNOWN: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::default();
    for line in TABLE.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [what, name, meaning] = columns[..] else { panic!("three columns: {line}") };
        match what {
            "admits" => {
                table.paths.insert(name, (name, kind(meaning)));
            }
            "module" => {
                table.modules.insert(name, meaning);
            }
            _ => {
                table.names.insert(name, meaning);
            }
        }
    }
    table
});

fn kind(meaning: &'static str) -> Admitted {
    match meaning.split_once(' ') {
        Some(("storage", dtype)) => Admitted::Storage(dtype),
        Some(("dtype", _)) => Admitted::DType,
        _ if meaning == "callable" => Admitted::Callable,
        _ => Admitted::Value,
    }
}

/// What a module and a name mean to weights-only loading, if it admits them: the name in full, after
/// old names are mapped to new ones.
pub fn admitted(module: &str, name: &str) -> Option<(&'static str, Admitted)> {
    let mapped = KNOWN.names.get(format!("{module} {name}").as_str());
    let path = match (mapped.and_then(|mapped| mapped.split_once(' ')), KNOWN.modules.get(module)) {
        (Some((module, name)), _) => format!("{module}.{name}"),
        (None, Some(module)) => format!("{module}.{name}"),
        (None, None) => format!("{module}.{name}"),
    };
    KNOWN.paths.get(path.as_str()).copied()
}
