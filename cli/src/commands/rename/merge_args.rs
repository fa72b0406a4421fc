//! What can be typed after `merge`, and the request that it means.

use std::path::PathBuf;

use statedict::core::{SEPARATOR, Template};
use statedict::jobs::merge::MergeRules;
use statedict::{Rename, Rules};

use crate::commands::output_args::OutputArgs;
use crate::commands::rename::RenameRequest;
use crate::commands::rename::args::WritingArgs;
use crate::failure::Failure;
use crate::terminal::Verbosity;

/// What `merge` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// The model: a file, an index or a folder
    base: PathBuf,
    /// The adapter: a file, or a folder with adapter_config.json
    ///
    /// Without it the model is one that PEFT keeps in training, with its adapter in the same file.
    adapter: Option<PathBuf>,
    /// Read this file for r, lora_alpha and the like instead of adapter_config.json beside ADAPTER
    #[arg(long, value_name = "FILE", conflicts_with = "alpha")]
    config: Option<PathBuf>,
    /// Take this for lora_alpha, which is divided by the rank
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number)]
    alpha: Option<f64>,
    /// Multiply every product by this, besides its own scale
    #[arg(long, value_name = "W", allow_negative_numbers = true, value_parser = number, default_value_t = 1.0)]
    weight: f64,
    /// Leave these keys of the adapter out: 'lora_te_*.**'; can be repeated
    #[arg(long, value_name = "PATTERN")]
    drop: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    writing: WritingArgs,
}

impl MergeArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<RenameRequest, Failure> {
        let MergeArgs { base, adapter, config, alpha, weight, drop, output, writing } = self;
        let drop = drop.iter().map(|text| Template::parse(text, SEPARATOR));
        let drop = drop.collect::<Result<_, _>>().map_err(Failure::could_not)?;
        let request = writing.request(output, SEPARATOR, verbosity)?;
        let rules = Rules::Merge(MergeRules { config, alpha, weight, drop });
        Ok(RenameRequest { job: Rename { file: base, rules, adapter, ..request.job }, ..request })
    }
}

/// A number that can be calculated with.
fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("expected a number".into()),
    }
}
