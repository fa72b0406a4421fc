//! A job is planned over headers alone.

use std::num::NonZeroUsize;

use benches::simulate::Job;

#[test]
fn a_hundred_gigabytes_are_planned_without_an_element() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = Job {
        bytes: 100_000_000_000,
        input_shard: 5_000_000_000,
        output_shard: 2_000_000_000,
        parts: NonZeroUsize::new(8).expect("more than none"),
    };
    let simulation = job.simulate(folder.path()).expect("planned");
    assert_eq!((simulation.tensors, simulation.inputs), (746, 21));
    let files: usize = simulation.parts.iter().map(|part| part.files).sum();
    assert_eq!(files, 746usize.div_ceil(14), "each new file has 14 tensors");
    let reads: u64 = simulation.parts.iter().map(|part| part.reads).sum();
    assert_eq!(reads, 746 * 2 * 8192 * 8192, "each element is read once");
    let bytes = simulation.parts.iter().map(|part| part.bytes);
    let (least, most) = (bytes.clone().min().expect("8 parts"), bytes.max().expect("8 parts"));
    assert!(most - least <= 2_000_000_000, "{least} to {most}");
    assert!(simulation.to_string().contains("746 tensors in 21 files"), "{simulation}");
}
