//! A request as JSON, with everything that its outcome depends on beside the input files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use statedict_checkpoint::{Existing, format_called};
use statedict_core::casting::{CastRule, Casting};
use statedict_core::{
    Cut, Depth, Format, Glob, Headroom, Incomplete, MetadataEdits, Name, Opening, Policy,
    SEPARATOR, Ties, Undefined, Unmatched, Which,
};

use crate::jobs::error::Error;
use crate::jobs::join::{GivenPrefix, Sources};
use crate::jobs::parts::rules::RulesText;
use crate::jobs::parts::texts::{Pattern, absolute, said};
use crate::jobs::rename::{Destination, Encoding, Extent, Pickles, Rename, Strictness};
use crate::jobs::rules::Rules;
use crate::jobs::sizes::SizeSources;
use crate::jobs::target::{Companions, Sharding};

/// What is to be written of what, and how.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) input: String,
    pub(super) output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<JoinText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<RulesText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sizes: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<String>,
    #[serde(default)]
    keys_without_rule: KeysWithoutRule,
    #[serde(default)]
    allow_unchanged: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cast: Vec<CastText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metadata: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    drop_metadata: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<ShardsText>,
    #[serde(default)]
    ties_once: bool,
    #[serde(default)]
    extent: ExtentText,
    #[serde(default)]
    protocol_2: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserve: Option<u64>,
    #[serde(default)]
    weights_only: bool,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    partial: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cut: Vec<CutText>,
    /// The names and shapes of parameters that lie in one vector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shapes: Vec<(String, Vec<u64>)>,
    #[serde(default)]
    which: WhichText,
}

/// Which parameters are taken of a checkpoint that has them twice.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum WhichText {
    #[default]
    Masters,
    Module,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeysWithoutRule {
    #[default]
    Keep,
    Refuse,
    Drop,
}

/// How much of a file goes into a new one.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum ExtentText {
    #[default]
    Whole,
    Alone,
    Tensors,
}

/// What is joined in place of the one input.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct JoinText {
    files: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    at: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prefixes: Vec<(String, Option<String>)>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct CastText {
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Pattern>,
    to: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct CutText {
    keys: Pattern,
    dimension: usize,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct ShardsText {
    format: String,
    bytes: u64,
}

impl Request {
    /// The request of a job; its paths no longer depend on where it was asked for.
    ///
    /// # Errors
    /// What no text says: rules of a program's own, paths that are not UTF-8.
    pub(super) fn of(job: &Rename) -> Result<Request, Error> {
        let Destination::File(output) = &job.destination else {
            return Err(Error::failed("parts need a folder to write to; expected OUT"));
        };
        let Encoding { casting, ties, extent, pickles, headroom, companions, format, sharding } =
            &job.encoding;
        let casts = casting.rules.iter().map(|rule| CastText {
            keys: rule.pattern.as_ref().map(Pattern::of),
            to: rule.to.to_string().to_lowercase(),
        });
        let cuts = job.opening.cuts.iter();
        Ok(Request {
            input: absolute(&job.file)?,
            output: absolute(output)?,
            at: job.at.clone(),
            join: job.sources.as_ref().map(JoinText::of).transpose()?,
            rules: RulesText::of(&job.rules)?,
            adapter: job.adapter.as_deref().map(absolute).transpose()?,
            sizes: job.sizes.set.iter().map(|(name, size)| (name.to_string(), size)).collect(),
            config: job.sizes.config.as_deref().map(absolute).transpose()?,
            keys_without_rule: match job.policy.undefined {
                Undefined::Keep => KeysWithoutRule::Keep,
                Undefined::Refuse => KeysWithoutRule::Refuse,
                Undefined::Drop => KeysWithoutRule::Drop,
            },
            allow_unchanged: job.policy.unmatched == Unmatched::Allow,
            cast: casts.collect(),
            metadata: job.metadata.set.clone(),
            drop_metadata: job.metadata.drop.iter().map(Glob::to_string).collect(),
            format: format.map(|format| format.name().to_string()),
            shards: sharding.map(|Sharding { limit, format }| ShardsText {
                format: format.name().to_string(),
                bytes: limit,
            }),
            ties_once: *ties == Ties::One,
            extent: match extent {
                Extent::Whole => ExtentText::Whole,
                Extent::Alone => ExtentText::Alone,
                Extent::Tensors => ExtentText::Tensors,
            },
            protocol_2: *pickles == Pickles::Protocol2,
            reserve: match headroom {
                Headroom::Usual => None,
                Headroom::Bytes(bytes) => Some(*bytes),
            },
            weights_only: *companions == Companions::LeftOut,
            strict: job.strictness == Strictness::Refuse,
            partial: job.opening.incomplete == Incomplete::LeftOut,
            cut: cuts
                .map(|cut| CutText { keys: Pattern::of(&cut.pattern), dimension: cut.dimension })
                .collect(),
            shapes: job.opening.shapes.clone(),
            which: match job.opening.which {
                Which::Masters => WhichText::Masters,
                Which::Module => WhichText::Module,
            },
        })
    }

    /// The job that was asked for.
    ///
    /// # Errors
    /// A text that says nothing which this version knows.
    pub(super) fn job(&self) -> Result<Rename, String> {
        let undefined = match self.keys_without_rule {
            KeysWithoutRule::Keep => Undefined::Keep,
            KeysWithoutRule::Refuse => Undefined::Refuse,
            KeysWithoutRule::Drop => Undefined::Drop,
        };
        let unmatched = if self.allow_unchanged { Unmatched::Allow } else { Unmatched::Refuse };
        let globs = self.drop_metadata.iter().map(|glob| glob.parse().map_err(said));
        let sizes = self.sizes.iter().map(|(name, size)| (Name::from(name.as_str()), *size));
        Ok(Rename {
            file: PathBuf::from(&self.input),
            at: self.at.clone(),
            opening: self.opening()?,
            rules: self.rules.as_ref().map_or(Ok(Rules::default()), RulesText::rules)?,
            sizes: SizeSources {
                set: sizes.collect(),
                config: self.config.as_ref().map(PathBuf::from),
            },
            adapter: self.adapter.as_ref().map(PathBuf::from),
            sources: self.join.as_ref().map(JoinText::sources),
            policy: Policy { undefined, unmatched },
            metadata: MetadataEdits {
                set: self.metadata.clone(),
                drop: globs.collect::<Result<_, _>>()?,
            },
            destination: Destination::File(PathBuf::from(&self.output)),
            encoding: self.encoding()?,
            strictness: if self.strict { Strictness::Refuse } else { Strictness::Note },
            existing: Existing::Refuse,
            save_plan: None,
            dry_run: false,
        })
    }

    fn opening(&self) -> Result<Opening, String> {
        let cuts = self.cut.iter().map(|CutText { keys, dimension }| {
            Ok(Cut { pattern: keys.template()?, dimension: *dimension })
        });
        Ok(Opening {
            depth: Depth::Elements,
            incomplete: if self.partial { Incomplete::LeftOut } else { Incomplete::Refused },
            cuts: cuts.collect::<Result<_, String>>()?,
            shapes: self.shapes.clone(),
            which: match self.which {
                WhichText::Masters => Which::Masters,
                WhichText::Module => Which::Module,
            },
        })
    }

    fn encoding(&self) -> Result<Encoding, String> {
        let casts = self.cast.iter().map(|CastText { keys, to }| {
            let CastRule { to, .. } = CastRule::parse(to, SEPARATOR).map_err(said)?;
            let pattern = keys.as_ref().map(Pattern::template).transpose()?;
            Ok(CastRule { pattern, to })
        });
        let sharding = self.shards.as_ref().map(|ShardsText { format, bytes }| {
            Ok::<_, String>(Sharding { limit: *bytes, format: format_named(format)? })
        });
        Ok(Encoding {
            casting: Casting { rules: casts.collect::<Result<_, String>>()? },
            ties: if self.ties_once { Ties::One } else { Ties::Each },
            extent: match self.extent {
                ExtentText::Whole => Extent::Whole,
                ExtentText::Alone => Extent::Alone,
                ExtentText::Tensors => Extent::Tensors,
            },
            pickles: if self.protocol_2 { Pickles::Protocol2 } else { Pickles::Kept },
            headroom: self.reserve.map_or(Headroom::Usual, Headroom::Bytes),
            companions: if self.weights_only { Companions::LeftOut } else { Companions::Copied },
            format: self.format.as_deref().map(format_named).transpose()?,
            sharding: sharding.transpose()?,
        })
    }
}

impl JoinText {
    fn of(sources: &Sources) -> Result<JoinText, Error> {
        let prefixes = sources.prefixes.iter();
        Ok(JoinText {
            files: sources.files.iter().map(|file| absolute(file)).collect::<Result<_, _>>()?,
            at: sources.at.clone(),
            prefixes: prefixes.map(|it| (it.prefix.clone(), it.of.clone())).collect(),
        })
    }

    fn sources(&self) -> Sources {
        let prefixes = self.prefixes.iter().cloned();
        Sources {
            files: self.files.iter().map(PathBuf::from).collect(),
            at: self.at.clone(),
            prefixes: prefixes.map(|(prefix, of)| GivenPrefix { prefix, of }).collect(),
        }
    }
}

fn format_named(name: &str) -> Result<&'static dyn Format, String> {
    format_called(name).ok_or_else(|| format!("unknown format '{name}'"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use statedict_core::Template;

    use super::*;
    use crate::jobs::merge::MergeRules;
    use crate::jobs::recipe::{self, Direction};

    fn check(job: Rename) {
        let request = Request::of(&job).expect("written down");
        let text = serde_json::to_string(&request).expect("JSON");
        let read: Request = serde_json::from_str(&text).expect("read back");
        assert_eq!(read, request);
        let again = read.job().expect("a job");
        assert_eq!(again.rules, job.rules);
        assert_eq!(again.encoding.casting, job.encoding.casting);
        assert_eq!(again.policy, job.policy);
        assert_eq!(again.opening, job.opening);
        assert_eq!(Request::of(&again).expect("written down"), request);
    }

    fn with(rules: Rules) -> Rename {
        let destination = Destination::File("out".into());
        Rename { file: "in".into(), rules, destination, ..Rename::default() }
    }

    #[test]
    fn a_request_is_read_back_whatever_its_rules_are() {
        check(with(Rules::default()));
        check(with(Rules::parse(["strip:module", "drop:a.**"]).expect("rules")));
        check(with(Rules::parse(["rename[/,.]:a/{r..} -> {r..}"]).expect("rules")));
        let recipe = "expect = 'b/**'\n[size]\nheads = 4\n[[stage]]\nrename = 'a[(heads x)] -> b[x heads]'\n";
        let recipe = recipe::parse(recipe, Some("/".parse().expect("a separator")));
        let recipe = recipe.expect("a recipe");
        assert!(matches!(recipe, Rules::Recipe(_)), "it has a size");
        check(with(recipe));
        let undone = "title = 'x'\n[[stage]]\nrename = 'a.{i} -> b.{i}'\n";
        let undone = recipe::from_text(undone, Path::new("r"), Direction::Inverse, None);
        check(with(undone.expect("it has an inverse")));
        let drop = vec![Template::parse("a.**", SEPARATOR).expect("a template")];
        let merge = MergeRules { config: None, alpha: Some(0.1), weight: 1.0 / 3.0, drop };
        check(with(Rules::Merge(merge)));
    }

    #[test]
    fn every_option_of_writing_is_read_back() {
        let cast = |text, separator| CastRule::parse(text, separator).expect("a cast");
        let pattern = Template::parse("**.w", SEPARATOR).expect("a template");
        let safetensors = format_called("safetensors").expect("a format");
        check(Rename {
            at: Some("model".into()),
            policy: Policy { undefined: Undefined::Drop, unmatched: Unmatched::Allow },
            opening: Opening {
                depth: Depth::Elements,
                incomplete: Incomplete::LeftOut,
                cuts: vec![Cut { pattern, dimension: 1 }],
                shapes: vec![("a.w".into(), vec![2, 3])],
                which: Which::Module,
            },
            encoding: Encoding {
                casting: Casting { rules: vec![cast("a/*=f8_e4m3", '/'), cast("bf16", '.')] },
                sharding: Some(Sharding { limit: 5_000_000_000, format: safetensors }),
                headroom: Headroom::Bytes(0),
                ties: Ties::One,
                ..Encoding::default()
            },
            ..with(Rules::default())
        });
    }
}
