//! What can be typed after `ls`, and the request that it means.

use std::path::PathBuf;

use statedict::core::Incomplete;
use statedict::{List, Shown};

use crate::commands::ls::{ListRequest, Shape};

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// The file to read
    file: PathBuf,
    /// Show only what this path of dict keys and list indices leads to
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    /// Add the SHA-256 of each tensor's elements, which reads the whole file
    #[arg(long)]
    hash: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Show what is whole of a checkpoint some of whose elements are missing
    #[arg(long)]
    partial: bool,
    /// Show what the file holds beside tensors: numbers, texts, containers; objects by their class
    #[arg(long, conflicts_with_all = ["hash", "at", "tree"])]
    payload: bool,
    /// Show modules with their number of tensors and size instead of every tensor
    #[arg(long, conflicts_with_all = ["json", "hash"])]
    tree: bool,
}

impl LsArgs {
    /// What was asked for.
    pub(crate) fn request(self) -> ListRequest {
        let shape = match (self.json, self.tree, self.payload) {
            (true, _, _) => Shape::Json,
            (_, true, _) => Shape::Tree,
            (_, _, true) => Shape::Payload,
            _ => Shape::Table,
        };
        let incomplete = if self.partial { Incomplete::LeftOut } else { Incomplete::Refused };
        let shown = Shown { at: self.at, patterns: Vec::new() };
        let (file, hash, payload) = (self.file, self.hash, self.payload);
        let job = List { file, shown, hash, payload, incomplete };
        ListRequest { job, shape }
    }
}
