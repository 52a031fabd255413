//! Real files with a few bytes changed, cut or moved: whatever the answer is, there is one.

use dist_inspect::inspect;
use libtest_mimic::Failed;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::{Fixture, context};

/// How many mutants are made of a file.
const MUTANTS: u32 = 24;
/// Larger files would take too long.
const FILE_BYTES: u64 = 128 << 10;

/// Whether a file is one of those that are mutated.
pub fn is_mutated(fixture: &Fixture) -> bool {
    fixture.size <= FILE_BYTES
}

/// Looks at mutants of `bytes`, the same ones in every run.
pub fn check(bytes: &[u8], name: &str) -> Result<(), Failed> {
    let config = Config {
        cases: MUTANTS,
        failure_persistence: None,
        ..Config::default()
    };
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8, 0..40_usize);
    let changes = prop::collection::vec(change, 1..8);
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::default()))
        .run(&changes, |changes| {
            let mut mutant = bytes.to_vec();
            for (place, byte, kind, count) in changes {
                let place = place.index(mutant.len() + 1);
                let end = mutant.len().min(place + count);
                match kind {
                    0 => mutant[place..end].fill(byte),
                    1 => drop(mutant.drain(place..end)),
                    2 => mutant.splice(place..place, vec![byte; count]).for_each(drop),
                    _ => mutant[place..end].iter_mut().take(1).for_each(|old| *old ^= byte),
                }
            }
            inspect(&mutant, name, &context()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            Ok(())
        })
        .map_err(|error| error.to_string().into())
}
