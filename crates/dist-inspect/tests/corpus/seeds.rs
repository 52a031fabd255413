//! What the fuzzer begins with: every seed, by the function that it is a seed of.

use std::path::Path;

use libtest_mimic::Trial;

#[path = "../../fuzz/src/lib.rs"]
#[allow(clippy::expect_used, clippy::missing_panics_doc, unreachable_pub)]
mod fuzz;

/// A trial a target, on the seeds out of the files in `folder`.
pub fn trials(folder: &'static Path) -> impl Iterator<Item = Trial> {
    fuzz::TARGETS.iter().map(move |target| {
        Trial::test(format!("seeds: {}", target.name), move || {
            let seeds = fuzz::files(folder).into_iter().flat_map(|file| target.seeds(&file));
            seeds.for_each(|seed| target.run(&seed));
            Ok(())
        })
    })
}
