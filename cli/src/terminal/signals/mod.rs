//! Signals that would end the program, held back while it writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

#[cfg(unix)]
const ENDING: [i32; 3] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP];

#[cfg(not(unix))]
const ENDING: [i32; 2] = [SIGINT, SIGTERM];

/// Holds signals back until it is dropped; then they end the program as they do by default.
pub(crate) struct SignalGuard {
    caught: Arc<AtomicUsize>,
    released: Arc<AtomicBool>,
}

impl SignalGuard {
    /// Begins; a signal that the program was started to ignore stays ignored.
    pub(crate) fn new() -> io::Result<SignalGuard> {
        let guard = SignalGuard { caught: Arc::default(), released: Arc::default() };
        for signal in ENDING.into_iter().filter(|signal| !is_ignored(*signal)) {
            flag::register_conditional_default(signal, guard.released.clone())?;
            let number = usize::try_from(signal).unwrap_or_default();
            flag::register_usize(signal, guard.caught.clone(), number)?;
        }
        Ok(guard)
    }

    /// The signal that came, if one did.
    pub(crate) fn caught(&self) -> Option<u8> {
        let caught = self.caught.load(Ordering::Relaxed);
        u8::try_from(caught).ok().filter(|signal| *signal != 0)
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.released.store(true, Ordering::Relaxed);
    }
}

/// True if the program was started with this signal ignored, as by `nohup` or in the background.
#[cfg(target_os = "linux")]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(not(target_os = "linux"))]
fn is_ignored(_: i32) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests;
