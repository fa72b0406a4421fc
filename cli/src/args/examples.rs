//! The examples at the end of every help; a test runs each of them.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::StyledStr;

/// A command line as it is typed, and what needs to be said of it.
type Example = (&'static str, &'static str);

/// The examples of the command itself, and of each of its commands.
const EXAMPLES: [(&str, &[Example]); 32] = [
    (
        "statedict",
        &[
            ("statedict model.pth", "what is in it"),
            ("statedict unwrap model.pth -o bare.pth", "without DataParallel's module."),
            ("statedict convert model.pth model.safetensors", ""),
            ("statedict check model.pth", "before anything loads it"),
        ],
    ),
    (
        "ls",
        &[
            ("statedict ls model.pth", ""),
            ("statedict ls --depth 2 model.pth", "modules instead of tensors"),
            ("statedict ls model.pth '**.weight' --sort size", "the largest weights first"),
            ("statedict ls --payload run.ckpt", "epoch, hyper-parameters"),
            ("statedict ls --json model.pth > model.json", "for programs, and for fit --to"),
        ],
    ),
    (
        "stats",
        &[
            ("statedict stats model.pth", ""),
            ("statedict stats model.pth module.conv1 --each", "one module, each tensor"),
            ("statedict stats model.pth --fail-on nan,inf -q", "for scripts: the exit status"),
        ],
    ),
    (
        "view",
        &[
            ("statedict view model.pth -o page.html", ""),
            ("statedict view --stats run.ckpt -o run.html", "the values, too: NaN, deviations"),
            ("statedict view model.pth half.pth -o both.html", "several files on one page"),
        ],
    ),
    (
        "cat",
        &[
            ("statedict cat model.pth module.conv1.bias", ""),
            ("statedict cat model.pth module.fc3.weight --slice '0:3,:5'", "a corner"),
            ("statedict cat model.pth module.fc3.weight -o fc3.npy", "for NumPy"),
        ],
    ),
    (
        "strip",
        &[
            ("statedict strip module model.pth", "what would become of the keys"),
            ("statedict strip module model.pth -o bare.pth", ""),
            ("statedict strip module model.pth -i", "the file itself"),
        ],
    ),
    (
        "add",
        &[
            ("statedict add module ours.pth -o wrapped.pth", "for a model in DataParallel"),
            ("statedict add model.encoder ours.pth -i", ""),
        ],
    ),
    (
        "unwrap",
        &[
            ("statedict unwrap model.pth -o bare.pth", ""),
            ("statedict unwrap run-*.pth -o bare/", "several files, into a folder"),
            ("statedict unwrap model.pth --wrapper module -o bare.safetensors", "and converted"),
        ],
    ),
    (
        "rename",
        &[
            ("statedict rename 'module.fc3.{r..} -> head.{r..}' model.pth -o new.pth", ""),
            ("statedict rename 're:^module\\. -> net.' model.pth -o new.pth", ""),
            ("statedict rename '{k..}.weight[o i] -> {k..}.kernel[i o]' linear.pth -o new.pth", ""),
            ("statedict rename weights.safetensors -i --metadata license=mit", "metadata alone"),
        ],
    ),
    (
        "keep",
        &[
            ("statedict keep 'module.conv1.**' model.pth -o conv1.pth", ""),
            ("statedict keep '**.weight' model.pth", "what would be kept"),
        ],
    ),
    ("drop", &[("statedict drop 'module.fc3.**' model.pth -o headless.pth", "without the head")]),
    (
        "dequantise",
        &[
            ("statedict dequantise bf16 fp8.safetensors -o bf16.safetensors", ""),
            ("statedict dequantise f32 '**.up.**=bf16' fp8.safetensors -o new.safetensors", ""),
        ],
    ),
    (
        "fold-weight-norm",
        &[("statedict fold-weight-norm vocoder.safetensors -o folded.safetensors", "")],
    ),
    (
        "fill",
        &[
            (
                "statedict fill '{k..}.weight[o d] -> {k..}.bias[o] = zeros' linear.pth -o new.pth",
                "",
            ),
            ("statedict fill 'position_ids[1 512] = arange I64' linear.pth -o new.pth", ""),
        ],
    ),
    (
        "prune",
        &[
            ("statedict prune run.ckpt", "what would be left out"),
            ("statedict prune run.ckpt -o small.ckpt", ""),
            ("statedict prune *.ckpt -i", "several files, in their places"),
            ("statedict prune run.ckpt --keep config -o small.ckpt", ""),
        ],
    ),
    (
        "apply",
        &[
            ("statedict apply recipe.toml model.pth -o new.pth", ""),
            ("statedict apply plan.json ours.pth --inverse -o theirs.pth", "the way back"),
            ("statedict apply hf-to-meta:llama llama/ -o meta/", "a recipe of the library"),
        ],
    ),
    (
        "convert",
        &[
            ("statedict convert model.pth model.safetensors", ""),
            ("statedict convert weights.safetensors new.npz --cast f16", ""),
            ("statedict convert model.pth ours.pth -o new/ --format safetensors", ""),
            ("statedict convert model.pth shards/ --shard-size 100KB", "several files, an index"),
            ("statedict convert model.pth run/ --format dcp", "for torch.distributed.checkpoint"),
        ],
    ),
    (
        "merge",
        &[
            ("statedict merge base.safetensors lora/ -o merged.safetensors", ""),
            ("statedict merge base.safetensors lora/ --weight 0.5 -o halfway.safetensors", ""),
        ],
    ),
    (
        "join",
        &[
            (
                "statedict join ours.pth linear.pth -o all.safetensors --prefix text= --prefix vision=",
                "",
            ),
            ("statedict join run.ckpt --at '*' -o flat.safetensors", "all state dicts of a file"),
            ("statedict join base.safetensors lora/ -o both.safetensors", "an adapter beside it"),
        ],
    ),
    (
        "split",
        &[
            (
                "statedict split model.pth 'module.conv1.**=conv1.pth' '**=rest.safetensors'",
                "by patterns",
            ),
            ("statedict split model.pth --prefix module=bare.safetensors", "without the prefix"),
        ],
    ),
    (
        "diff",
        &[
            ("statedict diff model.pth weights.safetensors", ""),
            ("statedict diff model.pth half.pth --rtol 1e-2 -q", "the exit status alone"),
            ("statedict diff --keys-only model.pth ours.pth", "no element is read"),
            ("statedict diff model.pth half.pth --html changed.html", "a page to look at"),
        ],
    ),
    (
        "check",
        &[
            ("statedict check model.pth", ""),
            ("statedict check downloads/ --json", "every file in it, one line each"),
            ("statedict check downloads/ --allow-unknown -q", "for scripts: the exit status"),
        ],
    ),
    (
        "derive",
        &[
            ("statedict derive model.pth ours.pth", ""),
            ("statedict derive model.pth ours.pth --save-recipe ours.toml", ""),
        ],
    ),
    (
        "fit",
        &[
            ("statedict fit model.pth --to ours.pth", "what was found"),
            ("statedict fit model.pth --to ours.pth -o fitted.pth", ""),
            ("statedict fit model.pth --to ours.pth --html fit.html", "a page of what goes where"),
            (
                "statedict fit model.pth --to model.json --init 'fc3.**=normal(0,0.02)' -o fitted.pth",
                "",
            ),
        ],
    ),
    (
        "explain",
        &[
            ("statedict explain model.pth < error.txt", "the command is tried on the file"),
            ("statedict explain --json < error.txt", "the text alone"),
        ],
    ),
    (
        "index",
        &[
            ("statedict index sharded/", ""),
            ("statedict index sharded/ --dry-run", "what would be written"),
        ],
    ),
    (
        "run-part",
        &[
            (
                "statedict convert model.pth out/ --shard-size 99KB --plan-parts 2 --job new.json",
                "",
            ),
            ("statedict run-part job.json 1", "here or on any other machine"),
        ],
    ),
    ("finish", &[("statedict finish job.json", "when all parts are done")]),
    (
        "recipes",
        &[
            ("statedict recipes", ""),
            ("statedict recipes hf-to-meta:llama", "its text, to change it"),
        ],
    ),
    (
        "completions",
        &[
            ("source <(statedict completions bash)", "in ~/.bashrc"),
            ("statedict completions fish > statedict.fish", "into ~/.config/fish/completions"),
        ],
    ),
    ("man", &[("statedict man ~/.local/share/man/man1", "then: man statedict-rename")]),
    ("recover", &[("statedict recover model.pth", ""), ("statedict recover sharded/ --json", "")]),
];

/// The command with examples at the end of every help.
pub(super) fn given(command: Command) -> Command {
    let name = command.get_name().to_string();
    let command = command.mut_subcommands(given);
    match EXAMPLES.iter().find(|(known, _)| *known == name) {
        Some((_, examples)) => command.after_help(text(examples)),
        None => command,
    }
}

/// Lines, with what they do beside them.
fn text(examples: &[Example]) -> StyledStr {
    let heading = *clap::builder::Styles::styled().get_header();
    let mut text = StyledStr::new();
    let _ = write!(text, "{heading}Examples:{heading:#}");
    let widest = widest(examples);
    for (line, what) in examples {
        let padding = widest.saturating_sub(line.len());
        let _ = match *what {
            "" => write!(text, "\n  {line}"),
            what => write!(text, "\n  {line}{:padding$}  # {what}", ""),
        };
    }
    text
}

/// The length of the longest line that has something beside it.
fn widest(examples: &[Example]) -> usize {
    let explained = examples.iter().filter(|(_, what)| !what.is_empty());
    explained.map(|(line, _)| line.len()).max().unwrap_or(0)
}
