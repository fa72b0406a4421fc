//! What can be typed after `ls`, and the request that it means.

use std::path::PathBuf;

use clap::ValueEnum;
use statedict::jobs::list::Order;
use statedict::{List, Shown};

use crate::args::numbers::whole;
use crate::commands::folder_args::FolderArgs;
use crate::commands::ls::{Lines, ListRequest, Shape};
use crate::commands::several::files_among;
use crate::failure::Failure;
use crate::terminal::Verbosity;

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// The file to read
    file: PathBuf,
    /// More files, and patterns of keys to show: `encoder`, `*.weight`, `layers.{i}.attn.**`
    ///
    /// What is there as a file is one, and so is what has the extension of a checkpoint. A module
    /// stands for everything below it.
    #[arg(value_name = "FILE|PATTERN")]
    more: Vec<String>,
    /// Show only what this path of dict keys and list indices leads to
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    /// Show only tensors of these types: `bf16,f32`
    #[arg(long, value_name = "DTYPE", value_delimiter = ',')]
    dtype: Vec<String>,
    /// Put them in this order instead of the file's: the largest first, by name, by shape
    #[arg(long, value_name = "ORDER")]
    sort: Option<NamedOrder>,
    /// Show every tensor of an optimizer's state, too
    #[arg(short, long)]
    all: bool,
    /// Add the SHA-256 of each tensor's elements, which reads the whole file
    #[arg(long)]
    hash: bool,
    /// Print one JSON object for each file
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: FolderArgs,
    /// Show what the file holds beside tensors: numbers, texts, containers; objects by their class
    #[arg(long, conflicts_with_all = ["hash", "at", "tree"])]
    payload: bool,
    /// Show modules with their number of tensors and size instead of every tensor
    #[arg(long, conflicts_with_all = ["json", "hash"])]
    tree: bool,
    /// Show modules down to this depth, as --tree does
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    #[arg(conflicts_with_all = ["json", "hash", "payload"])]
    depth: Option<usize>,
}

/// The orders of tensors.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NamedOrder {
    Size,
    Name,
    Shape,
}

impl LsArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<ListRequest, Failure> {
        let shape = match (self.json, self.tree || self.depth.is_some(), self.payload) {
            (true, _, _) => Shape::Json,
            (_, true, _) => Shape::Tree(self.depth.unwrap_or(usize::MAX)),
            (_, _, true) => Shape::Payload,
            _ => Shape::Table(if self.all { Lines::All } else { Lines::Folded }),
        };
        let (files, patterns) = files_among(self.file, self.more);
        let opening = self.folder.opening()?;
        let jobs = files.into_iter().map(|file| List {
            file,
            shown: Shown {
                at: self.at.clone(),
                patterns: patterns.clone(),
                dtypes: self.dtype.clone(),
            },
            order: self.sort.map(Order::from).unwrap_or_default(),
            hash: self.hash,
            payload: self.payload,
            opening: opening.clone(),
        });
        Ok(ListRequest { jobs: jobs.collect(), shape, verbosity })
    }
}

impl From<NamedOrder> for Order {
    fn from(named: NamedOrder) -> Order {
        match named {
            NamedOrder::Size => Order::Size,
            NamedOrder::Name => Order::Name,
            NamedOrder::Shape => Order::Shape,
        }
    }
}
