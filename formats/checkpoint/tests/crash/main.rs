//! What a kill, an error and a loss of power leave behind, at every call to the disk.
//!
//! Each scene is a change of a checkpoint; it is played once as it should go, and then again and
//! again with something happening at the first call, the second, and so on until it completes.
//! Whatever happens, the checkpoint must be the old one or the new one: as it is read, and byte for
//! byte once it is recovered. Whoever reads the file and knows of no journal must find the old one,
//! the new one, or something that is refused.

#![cfg(unix)]

#[allow(dead_code, reason = "the tests of waiting use all of it")]
mod disk;
mod power;
mod scene;
mod state;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Disk, Error, Journals, PrependSupport, recover_on};
use tempfile::TempDir;

use disk::{DirectWrites, Fault, Faulty, Plain};
use power::Volatile;
use scene::{INSERT, Scene, To, all, long};
use state::{Files, Seen, files, named, put, seen, strange};

/// ENOSPC, EIO, EPERM and EDQUOT, as Linux numbers them.
const ERRORS: [i32; 4] = [28, 5, 1, 122];

/// What a scene begins and ends with.
struct Played {
    scene: Scene,
    before: Files,
    after: Files,
    old: Seen,
    new: Seen,
    /// How many calls it takes.
    calls: usize,
}

impl Played {
    fn new(scene: Scene) -> Played {
        let folder = scene.set();
        let before = files(folder.path());
        let old = seen(&scene.target(folder.path())).expect("readable");
        let disk = Faulty::new(scene.disk(), Fault::Stop, usize::MAX);
        scene.play(folder.path(), disk.clone()).expect(scene.name);
        let after = files(folder.path());
        let new = seen(&scene.changed(folder.path())).expect("readable");
        assert_ne!(old, new, "{}", scene.name);
        Played { before, after, old, new, calls: disk.calls(), scene }
    }

    /// What is wrong with a folder, as it is, for those who read what is in it.
    fn misread(&self, folder: &Path) -> Option<String> {
        let now = files(folder);
        if now == self.before || now == self.after {
            return None;
        }
        match seen(&self.scene.target(folder)) {
            Ok(seen) if seen == self.old || seen == self.new => self.misread_unaware(now),
            other => Some(format!("read as neither: {:?}", other.map(|seen| seen.len()))),
        }
    }

    /// The same for those who know of no journal.
    fn misread_unaware(&self, mut now: Files) -> Option<String> {
        now.retain(|name, _| !name.ends_with(".statedict-journal"));
        let folder = tempfile::tempdir().expect("a folder");
        put(&now, folder.path());
        let paths = [self.scene.target(folder.path()), self.scene.changed(folder.path())];
        let third =
            |path: &&PathBuf| seen(path).is_ok_and(|seen| seen != self.old && seen != self.new);
        let misread = paths.iter().find(third);
        misread.map(|_| "without the journal, read as a third".to_string())
    }

    /// Recovers, and says what is wrong with the folder then.
    fn unrecovered(&self, folder: &Path) -> Option<String> {
        let target = self.scene.target(folder);
        let disk = self.scene.disk();
        if let Err(error) = recover_on(&target, disk.as_ref(), Journals::Own) {
            return Some(format!("not recovered: {error}: {}", named(&files(folder))));
        }
        strange(&files(folder), &self.before, &self.after)
    }

    /// What is wrong with the files that are found once the power is back.
    fn lost(&self, found: &Files, is_done: bool) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        put(found, folder.path());
        let is_new = || seen(&self.scene.changed(folder.path())).as_ref() == Ok(&self.new);
        if is_done && !is_new() {
            return Some("what was done is lost".to_string());
        }
        self.fault(folder.path())
    }

    /// What is wrong with a folder in which the change was interrupted.
    fn fault(&self, folder: &Path) -> Option<String> {
        self.misread(folder).or_else(|| self.unrecovered(folder))
    }
}

impl Scene {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(Plain::new(self.front))
    }

    /// Plays it in a folder of its own, with something happening at a call.
    fn strike(&self, fault: Fault, at: usize) -> (TempDir, Arc<Faulty>, Result<(), Error>) {
        let (folder, disk) = (self.set(), Faulty::new(self.disk(), fault, at));
        let played = self.play(folder.path(), disk.clone());
        (folder, disk, played)
    }

    /// Where the changed checkpoint is.
    fn changed(&self, folder: &Path) -> PathBuf {
        match self.to {
            To::New(out) => folder.join(out),
            To::Itself(_) | To::Over => self.target(folder),
        }
    }
}

/// Counts, and keeps what is wrong.
#[derive(Default)]
struct Tally {
    count: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn note(&mut self, what: String, wrong: Option<String>) {
        self.count += 1;
        self.wrong.extend(wrong.map(|wrong| format!("{what}: {wrong}")));
    }

    fn close(self, what: &str) {
        // Past the capture of test output, so that the count shows in every run.
        let _ = writeln!(io::stderr(), "{} {what}", self.count);
        let shown: Vec<_> = self.wrong.iter().take(60).collect();
        assert!(self.wrong.is_empty(), "{} of {} {what}\n{shown:#?}", self.wrong.len(), self.count);
        assert!(self.count > 0, "no {what}");
    }
}

#[test]
fn a_kill_at_any_call_leaves_the_old_or_the_new() {
    let mut tally = Tally::default();
    for played in all().into_iter().map(Played::new) {
        for at in 0..played.calls {
            for fault in [Fault::Stop, Fault::StopHalfway] {
                let (folder, disk, result) = played.scene.strike(fault, at);
                assert!(disk.struck());
                let what =
                    format!("{}, {fault:?} {at} {}", played.scene.name, disk.where_it_struck());
                let wrong = played.fault(folder.path());
                // What goes wrong with tidying up is not a failure.
                let unsaid = || result.is_ok() && files(folder.path()) == played.before;
                tally.note(what, wrong.or_else(|| unsaid().then(|| "it says it is done".into())));
            }
        }
    }
    tally.close("kills");
}

#[test]
fn whatever_happens_to_the_recovery_leaves_the_old_or_the_new() {
    let mut tally = Tally::default();
    let in_place = |scene: &Scene| matches!(scene.to, To::Itself(_));
    for played in all().into_iter().filter(in_place).map(Played::new) {
        let left = (0..played.calls).map(|at| files(played.scene.strike(Fault::Stop, at).0.path()));
        let left: BTreeSet<Files> = left.collect();
        let mut judged = BTreeSet::new();
        for (at, left) in left.into_iter().enumerate() {
            let fault = [Fault::StopHalfway, Fault::FailHalfway(ERRORS[1])][at % 2];
            for again in 0.. {
                let folder = tempfile::tempdir().expect("a folder");
                put(&left, folder.path());
                let volatile = Arc::new(Volatile::new(folder.path(), played.scene.front));
                let disk = Faulty::new(volatile.clone(), fault, again);
                let target = played.scene.target(folder.path());
                let recovered = recover_on(&target, disk.as_ref(), Journals::Own);
                if !disk.struck() {
                    recovered.expect("nothing happened");
                    break;
                }
                let what = format!("{}, left {at}, recovery {again}", played.scene.name);
                tally.note(what.clone(), played.fault(folder.path()));
                for files in (2..power::SEEDS / 2).map(|seed| volatile.left(seed)) {
                    if judged.insert(files.clone()) {
                        tally.note(what.clone(), played.lost(&files, false));
                    }
                }
            }
        }
    }
    tally.close("recoveries disturbed");
}

#[test]
fn an_error_at_any_call_leaves_everything_as_it_was() {
    let mut tally = Tally::default();
    for played in all().into_iter().map(Played::new) {
        for at in 0..played.calls {
            let error = ERRORS[at % ERRORS.len()];
            for fault in [Fault::Fail(error), Fault::FailHalfway(error)] {
                let (folder, disk, result) = played.scene.strike(fault, at);
                let (now, struck) = (files(folder.path()), disk.where_it_struck());
                let is_old = now == played.before;
                let is_new = now == played.after;
                let what = format!("{}, {fault:?} {at} {struck}", played.scene.name);
                let wrong = match result {
                    Ok(()) if is_new => None,
                    // Tidying up is tried once.
                    Ok(()) if struck == "remove" => strange(&now, &played.before, &played.after),
                    Err(_) if is_old => None,
                    Err(error) if error.to_string().contains("folder cannot be synced") => {
                        strange(&now, &played.before, &played.after)
                    }
                    // It is the new one, which is what is read.
                    Err(error) if error.to_string().contains("left beside its files") => None,
                    result => Some(format!("{result:?} and {}", named(&now))),
                };
                tally.note(what, wrong.or_else(|| played.fault(folder.path())));
            }
        }
    }
    tally.close("errors");
}

#[test]
fn a_loss_of_power_at_any_call_leaves_the_old_or_the_new() {
    let mut tally = Tally::default();
    for played in all().into_iter().map(Played::new) {
        let mut judged = BTreeSet::new();
        for at in 0..=played.calls {
            let folder = played.scene.set();
            let volatile = Arc::new(Volatile::new(folder.path(), played.scene.front));
            let disk = Faulty::new(volatile.clone(), Fault::StopHalfway, at);
            let done = played.scene.play(folder.path(), disk.clone());
            for files in (0..power::SEEDS).map(|seed| volatile.left(seed)) {
                // Many an outcome is like another.
                let is_known = done.is_err() && judged.contains(&files);
                let wrong = if is_known { None } else { played.lost(&files, done.is_ok()) };
                tally.note(format!("{}, {at}", played.scene.name), wrong);
                judged.insert(files);
            }
        }
    }
    tally.close("losses of power");
}

#[test]
fn what_cannot_be_written_past_the_cache_goes_through_it() {
    use DirectWrites::{Refused, RefusedLater, Short, Torn};
    let played = Played::new(long(INSERT));
    assert_eq!(played.after, Played::new(long(PrependSupport::Copy)).after);
    for direct in [Short, Torn, Refused, RefusedLater] {
        let disk =
            Faulty::new(Arc::new(Plain::new(INSERT).writing(direct)), Fault::Stop, usize::MAX);
        let folder = played.scene.set();
        played.scene.play(folder.path(), disk.clone()).expect("written");
        assert!(files(folder.path()) == played.after, "{direct:?}");
        assert!(disk.has_done("write_direct"), "{direct:?}");
    }
}

#[test]
fn every_way_is_taken() {
    let ways: BTreeSet<String> = all().iter().map(|scene| format!("{:?}", scene.to)).collect();
    for way in ["InPlace", "Inserted", "Shared", "Replaced"] {
        assert!(ways.contains(&format!("Itself({way})")), "{way} of {ways:?}");
    }
    assert!(ways.contains("Over"));
}
