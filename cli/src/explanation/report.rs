//! An explanation, as text.

use std::io::Write;

use statedict_core::explain::{LoadError, Remedy};

use crate::explanation::command::MODEL;
use crate::explanation::{Choice, Explanation, Verdict};
use crate::failure::Failure;
use crate::selected::{NAMED, shown};
use crate::terminal::Verbosity;
use crate::terminal::text::{count, first_few, printable, sentence, shell_word};

/// What happened and the command; the command alone where little is to be said.
pub(crate) fn explanation(
    explanation: &Explanation,
    talk: Verbosity,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let command = line(explanation);
    if talk == Verbosity::Errors {
        return Ok(command.iter().try_for_each(|line| writeln!(out, "{}", printable(line)))?);
    }
    writeln!(out, "{}", printable(&sentence(&explanation.diagnosis.message)))?;
    if let Some(Choice { taken, others }) = &explanation.choice {
        let others: Vec<String> = others.iter().map(shown).collect();
        let (taken, others) = (shown(taken), first_few(&others, NAMED));
        let line = format!("This is about {taken}; the file also holds {others} (--at PATH).");
        writeln!(out, "{}", printable(&line))?;
    }
    let Some(command) = command else {
        writeln!(out, "no command of statedict mends that")?;
        return Ok(());
    };
    writeln!(out, "{}", printable(&heading(explanation)))?;
    writeln!(out, "  {}", printable(&command))?;
    if explanation.needs_model {
        writeln!(
            out,
            "{MODEL} is a file that the model's own program saves: \
             torch.save(model.state_dict(), \"{MODEL}\")"
        )?;
    }
    Ok(())
}

/// The command as it can be typed.
pub(crate) fn line(explanation: &Explanation) -> Option<String> {
    let words = explanation.command.as_ref()?.iter().map(|word| shell_word(word));
    Some(format!("statedict {}", words.collect::<Vec<_>>().join(" ")))
}

/// What the command does, and whether that was seen.
fn heading(explanation: &Explanation) -> String {
    let file = explanation.file.map(|file| file.display().to_string()).unwrap_or_default();
    if explanation.diagnosis.remedy == Remedy::Look {
        return "for details:".into();
    }
    let shows = explanation.diagnosis.remedy == Remedy::Check;
    match (&explanation.verdict, shows) {
        (Verdict::Verified, true) => format!("for details ({file} is as the text says):"),
        (Verdict::Verified, false) => {
            format!("this mends it (verified on {file}{}):", kept(explanation))
        }
        (Verdict::Refuted(_), _) => "this is the next best thing:".into(),
        (Verdict::Open, true) => "for details:".into(),
        (Verdict::Open, false) => "this mends it:".into(),
    }
}

/// How many keys were seen to be there.
fn kept(explanation: &Explanation) -> String {
    match explanation.complaint {
        LoadError::Mismatch(mismatch) if !mismatch.missing.is_empty() => {
            format!(
                ": with it {} of {} missing are there",
                mismatch.missing.len(),
                count(mismatch.missing.len(), "key")
            )
        }
        _ => String::new(),
    }
}
