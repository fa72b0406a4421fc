//! Colours, by what a text means; nothing is said by colour alone.

use std::borrow::Cow;
use std::io;
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// What a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// An error, something dangerous, what goes away.
    Bad,
    /// Something safe, what comes.
    Good,
    /// What changes, or is not known.
    Changed,
    /// What would help, and a command to type.
    Advice,
    /// What is said besides.
    Note,
    /// Nothing of these.
    Plain,
    /// The head of what follows.
    Title,
    /// The type of a tensor.
    Type,
}

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Chooses for the whole run: where it is left to be found out, `NO_COLOR`, `CLICOLOR_FORCE`,
/// `CLICOLOR` and the terminal decide.
pub(crate) fn choose(choice: ColorChoice) {
    choice.write_global();
}

/// The text as its stream shows it.
pub(crate) fn painted(stream: Stream, meaning: Meaning, text: &str) -> Cow<'_, str> {
    if stream.has_colors() {
        let style = meaning.style();
        Cow::Owned(format!("{style}{text}{style:#}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A line of standard output that begins with a sign: `-` for what goes, `+` for what comes, `~` for
/// what changes.
pub(crate) fn signed(line: &str) -> Cow<'_, str> {
    match line.get(..2) {
        Some("- ") => painted(Stream::Out, Meaning::Bad, line),
        Some("+ ") => painted(Stream::Out, Meaning::Good, line),
        Some("~ ") => painted(Stream::Out, Meaning::Changed, line),
        _ => Cow::Borrowed(line),
    }
}

/// A line of standard error, whose first word says what it is.
pub(crate) fn said(line: &str) -> Cow<'_, str> {
    let (meaning, end) = match line.split_once(' ') {
        Some(("error:", _)) => (Meaning::Bad, "error:".len()),
        Some(("hint:", _)) => (Meaning::Advice, "hint:".len()),
        Some(("note:", _)) => (Meaning::Note, "note:".len()),
        _ if line.trim_start().starts_with("statedict ") => (Meaning::Advice, line.len()),
        _ => return Cow::Borrowed(line),
    };
    match painted(Stream::Err, meaning, &line[..end]) {
        Cow::Borrowed(_) => Cow::Borrowed(line),
        Cow::Owned(painted) => Cow::Owned(painted + &line[end..]),
    }
}

impl Stream {
    /// True if it is to have colours.
    fn has_colors(self) -> bool {
        static OUT: OnceLock<bool> = OnceLock::new();
        static ERR: OnceLock<bool> = OnceLock::new();
        let is_meant = |choice: ColorChoice| choice != ColorChoice::Never;
        match self {
            Stream::Out => *OUT.get_or_init(|| is_meant(AutoStream::choice(&io::stdout()))),
            Stream::Err => *ERR.get_or_init(|| is_meant(AutoStream::choice(&io::stderr()))),
        }
    }
}

impl Meaning {
    fn style(self) -> Style {
        let of = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Meaning::Bad => of(AnsiColor::Red),
            Meaning::Good => of(AnsiColor::Green),
            Meaning::Changed => of(AnsiColor::Yellow),
            Meaning::Advice => of(AnsiColor::Cyan),
            Meaning::Note => of(AnsiColor::Blue),
            Meaning::Plain => Style::new(),
            Meaning::Title => Style::new().bold(),
            Meaning::Type => of(AnsiColor::Magenta),
        }
    }
}
