//! Long writing, watched: a bar on a terminal, and an end when a signal asks for one.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use statedict_checkpoint::{Checkpoint, Observer};

use crate::failure::Failure;
use crate::request::Talk;
use crate::signals::Held;

/// Work that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

const BAR: &str = "{msg} {wide_bar} {decimal_bytes} of {decimal_total_bytes}, \
                   {decimal_bytes_per_sec}, {eta} left";

/// Looks on while files are written.
pub(crate) struct Watch {
    start: Instant,
    done: AtomicU64,
    /// Bytes that are to be written.
    total: u64,
    bar: OnceLock<ProgressBar>,
    /// Whether a bar is wanted, and there is a terminal to show it on.
    shown: bool,
    signals: Held,
}

impl Watch {
    /// Begins to watch what a checkpoint writes; `total` is how many bytes that will be.
    pub(crate) fn over(
        checkpoint: Checkpoint,
        total: u64,
        talk: Talk,
    ) -> io::Result<(Checkpoint, Arc<Watch>)> {
        let watch = Arc::new(Watch {
            start: Instant::now(),
            done: AtomicU64::new(0),
            total,
            bar: OnceLock::new(),
            shown: talk == Talk::All && io::stderr().is_terminal(),
            signals: Held::back()?,
        });
        Ok((checkpoint.observed_by(watch.clone()), watch))
    }

    /// Ends: the bar goes, and work that failed after a signal has been stopped by it.
    pub(crate) fn settle<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
        match (outcome, self.signals.caught()) {
            (Err(_), Some(signal)) => Err(Failure::stopped(signal)),
            (outcome, _) => outcome,
        }
    }

    fn show(&self, done: u64) {
        let bar = self.bar.get_or_init(|| {
            let style = ProgressStyle::with_template(BAR).expect("the template is sound");
            let bar = ProgressBar::new(self.total).with_style(style).with_message("writing");
            let bar = bar.with_position(done).with_elapsed(self.start.elapsed());
            bar.enable_steady_tick(PATIENCE / 5);
            bar
        });
        bar.set_position(done);
        if done >= self.total {
            bar.set_message("waiting for the disk");
        }
    }
}

impl Observer for Watch {
    fn advance(&self, bytes: u64) -> ControlFlow<()> {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.shown && self.start.elapsed() > PATIENCE {
            self.show(done);
        }
        match self.signals.caught() {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    }
}
