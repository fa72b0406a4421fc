//! A process that ends at once takes along what it was writing; a test program of its own, for it takes
//! all that is being written.

use statedict_checkpoint::{Existing, NewCheckpoint, remove_unplaced};

#[test]
fn files_that_are_being_written_are_removed_and_those_in_their_places_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = || std::fs::read_dir(folder.path()).expect("a folder").count();
    let new = NewCheckpoint::new();
    let staged = new.stage(&folder.path().join("a.safetensors"), Existing::Refuse).expect("staged");
    staged.commit().expect("in its place");

    let staged = new.stage(&folder.path().join("b.safetensors"), Existing::Refuse).expect("staged");
    assert_eq!(names(), 2);
    remove_unplaced();
    assert_eq!(names(), 1);
    drop(staged);
    assert_eq!(names(), 1);
}
