//! A job's progress: notes as they come, a bar while it reads or writes, an end when a signal asks
//! for one.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use statedict::checkpoint::Interrupted;
use statedict::core::LeftOut;
use statedict::{Error, Notice, Observer};

use crate::failure::Failure;
use crate::hints;
use crate::terminal::Verbosity;
use crate::terminal::signals::SignalGuard;
use crate::terminal::text::{count, first_few, quoted, say, shell_path, size};

/// Work that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

const BAR: &str = "{msg} {wide_bar} {decimal_bytes} of {decimal_total_bytes}, \
                   {decimal_bytes_per_sec}, {eta} left";

/// How all work of this run is followed; chosen once, for there is one terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Following {
    pub(crate) bar: Bar,
    pub(crate) details: Details,
}

/// Whether a bar is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    Shown,
    Hidden,
}

/// Whether what each file is, and what was read and written, is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Details {
    Said,
    Unsaid,
}

static FOLLOWING: OnceLock<Following> = OnceLock::new();

/// Chooses how all work of this run is followed.
pub(crate) fn follow(following: Following) {
    FOLLOWING.get_or_init(|| following);
}

impl Following {
    fn chosen() -> Following {
        let usual = Following { bar: Bar::Shown, details: Details::Unsaid };
        FOLLOWING.get().copied().unwrap_or(usual)
    }
}

/// Follows a job.
pub(crate) struct Progress {
    verbosity: Verbosity,
    following: Following,
    start: Instant,
    /// Bytes that were read, and that were written.
    read: AtomicU64,
    written: AtomicU64,
    done: AtomicU64,
    work: OnceLock<Work>,
    bar: OnceLock<ProgressBar>,
}

/// Work that has begun.
struct Work {
    kind: Kind,
    start: Instant,
    /// Bytes that are to be read or written.
    total: u64,
    /// Whether a bar is wanted, and there is a terminal to show it on.
    is_shown: bool,
    /// Without it, a signal ends the program at once, which loses no file either.
    signals: Option<SignalGuard>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reading,
    Writing,
}

/// Runs a job and shows how it goes on.
pub(crate) fn followed<T>(
    verbosity: Verbosity,
    job: impl FnOnce(&Arc<dyn Observer>) -> Result<T, Error>,
) -> Result<T, Failure> {
    followed_with(verbosity, |observer| Ok(job(observer)?))
}

/// The same for a job that shows what it finds as it finds it.
pub(crate) fn followed_with<T>(
    verbosity: Verbosity,
    job: impl FnOnce(&Arc<dyn Observer>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let progress = Arc::new(Progress {
        verbosity,
        following: Following::chosen(),
        start: Instant::now(),
        read: AtomicU64::new(0),
        written: AtomicU64::new(0),
        done: AtomicU64::new(0),
        work: OnceLock::new(),
        bar: OnceLock::new(),
    });
    let observer: Arc<dyn Observer> = progress.clone();
    progress.finish(job(&observer))
}

impl Progress {
    /// Ends: the bar goes, and work that failed after a signal has been stopped by it.
    fn finish<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
        if self.following.details == Details::Said {
            let [read, written] = [&self.read, &self.written].map(|it| it.load(Ordering::Relaxed));
            let seconds = self.start.elapsed().as_secs_f64();
            let (read, written) = (size(read), size(written));
            say(&format!("note: read {read}, wrote {written} in {seconds:.2} s"));
        }
        match (outcome, self.caught()) {
            (Err(_), Some(signal)) => Err(Failure::stopped(signal)),
            (outcome, _) => outcome,
        }
    }

    /// The signal that came, if one did.
    fn caught(&self) -> Option<u8> {
        self.work.get()?.signals.as_ref()?.caught()
    }

    fn is_bar_wanted(&self) -> bool {
        self.verbosity == Verbosity::All && self.following.bar == Bar::Shown
    }

    fn begin(&self, kind: Kind, total: u64) {
        self.work.get_or_init(|| Work {
            kind,
            start: Instant::now(),
            total,
            is_shown: self.is_bar_wanted() && io::stderr().is_terminal(),
            signals: SignalGuard::new().ok(),
        });
    }

    /// Counts bytes, and says whether the work is to go on.
    fn count(&self, kind: Kind, bytes: u64) -> ControlFlow<()> {
        let Some(work) = self.work.get().filter(|work| work.kind == kind) else {
            return ControlFlow::Continue(());
        };
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if work.is_shown && work.start.elapsed() > PATIENCE {
            self.show(work, done);
        }
        match self.caught() {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    }

    fn show(&self, work: &Work, done: u64) {
        let bar = self.bar.get_or_init(|| {
            let style = ProgressStyle::with_template(BAR).expect("the template is sound");
            let verb = if work.kind == Kind::Reading { "reading" } else { "writing" };
            let bar = ProgressBar::new(work.total).with_style(style).with_message(verb);
            let bar = bar.with_position(done).with_elapsed(work.start.elapsed());
            bar.enable_steady_tick(PATIENCE / 5);
            bar
        });
        bar.set_position(done.min(work.total));
        if work.kind == Kind::Writing && done >= work.total {
            bar.set_message("waiting for the disk");
        }
    }
}

impl statedict::checkpoint::Observer for Progress {
    fn advance(&self, bytes: u64) -> ControlFlow<()> {
        self.written.fetch_add(bytes, Ordering::Relaxed);
        self.count(Kind::Writing, bytes)
    }

    fn read(&self, bytes: u64) -> ControlFlow<()> {
        self.read.fetch_add(bytes, Ordering::Relaxed);
        self.count(Kind::Reading, bytes)
    }
}

impl Observer for Progress {
    fn begin_writing(&self, bytes: u64) {
        self.begin(Kind::Writing, bytes);
    }

    fn begin_reading(&self, bytes: u64) {
        self.begin(Kind::Reading, bytes);
    }

    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Read { path, kind, tensors, bytes }
                if self.following.details == Details::Said =>
            {
                let (path, tensors) = (path.display(), count(*tensors, "tensor"));
                say(&format!("note: {path}: {kind}, {tensors}, {}", size(*bytes)));
            }
            Notice::Opened(path) => say(&format!("note: opened {}", path.display())),
            Notice::Strays(names) => {
                let names = first_few(names, 6);
                say(&format!("note: not part of the checkpoint, not read: {names}"));
            }
            Notice::LeftOut(left_out) => {
                let named = |it: &LeftOut| format!("{} ({})", it.path, it.why);
                let named: Vec<String> = left_out.iter().map(named).collect();
                say(&format!("note: not whole, left out: {}", first_few(&named, 6)));
            }
            Notice::Inferred(sentence) => say(&format!("note: {sentence}")),
            Notice::Interrupted(interrupted) => warn_interrupted(interrupted),
            Notice::Choice { file, choice, of } if self.verbosity == Verbosity::All => {
                say(&hints::choice(choice, file, *of));
            }
            Notice::UnusedPattern { field, pattern, meant } if self.verbosity == Verbosity::All => {
                let meant = meant.as_ref().map(|it| format!("; did you mean {}?", quoted(it)));
                let meant = meant.unwrap_or_default();
                say(&format!("note: --{field} '{pattern}' matches no key{meant}"));
            }
            _ => {}
        }
    }
}

/// Says that an edit of a file was interrupted, and what restores it.
fn warn_interrupted(interrupted: &Interrupted) {
    say(&format!("note: {interrupted}"));
    match interrupted {
        Interrupted::Pending { file } => {
            say(&format!("hint: statedict recover {} restores it", shell_path(file)));
        }
        Interrupted::Decided { file } => {
            say(&format!("hint: statedict recover {} finishes it", shell_path(file)));
        }
        _ => {}
    }
}
