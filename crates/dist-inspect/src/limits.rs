//! How much an inspection may take.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::Refusal;

/// Bounds on what an inspection takes from a file that nobody vouches for. The defaults are far
/// above any real artifact, and low enough that the worst file costs seconds and not minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many members an archive may have.
    pub entries: u64,
    /// How long an archive's directory may be, in bytes: a zip's, a xar's.
    pub directory_bytes: u64,
    /// How long a member's path may be, in bytes.
    pub path_bytes: usize,
    /// How deep things may lie in each other: archives in archives, elements in elements.
    pub nesting: u32,
    /// How many times its packed size a member may have, once it is larger than `ratio_from`.
    pub ratio: u64,
    /// How large a member must be for its ratio to matter, in bytes; small ones of zeros are common.
    pub ratio_from: u64,
    /// How many bytes of one member are held at once.
    pub member_bytes: u64,
    /// How many bytes are decompressed in all.
    pub total_bytes: u64,
    /// How many nodes a document may have, or values a plist.
    pub nodes: u32,
    /// How long it may take.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 500_000,
            directory_bytes: 64 << 20,
            path_bytes: 4096,
            nesting: 64,
            ratio: 200,
            ratio_from: 64 << 20,
            member_bytes: 64 << 20,
            total_bytes: 16 << 30,
            nodes: 200_000,
            time: Duration::from_mins(1),
        }
    }
}

/// What is left of the [`Limits`] while one file is inspected, archives inside of it included.
/// Everything that decompresses takes its bytes from here, and every loop over what the file
/// claims takes steps.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    deadline: Option<Instant>,
    bytes: Cell<u64>,
    steps: Cell<u32>,
}

/// How many steps pass between two looks at the clock.
const STEPS: u32 = 256;

impl Budget {
    /// All that `limits` allow, from now on.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            deadline: Instant::now().checked_add(limits.time),
            bytes: Cell::new(limits.total_bytes),
            steps: Cell::new(0),
        }
    }

    /// What it began with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes `count` decompressed bytes, and looks at the clock.
    ///
    /// # Errors
    /// [`Refusal::Bytes`] or [`Refusal::Time`].
    pub fn take(&self, count: u64) -> Result<(), Refusal> {
        let limit = self.limits.total_bytes;
        let left = self.bytes.get().checked_sub(count).ok_or(Refusal::Bytes { limit })?;
        self.bytes.set(left);
        self.check_time()
    }

    /// Takes one step of a loop; now and then it looks at the clock.
    ///
    /// # Errors
    /// [`Refusal::Time`].
    pub fn step(&self) -> Result<(), Refusal> {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(STEPS) {
            self.check_time()?;
        }
        Ok(())
    }

    /// Whether something may lie `depth` deep; what is not in anything lies at 0.
    ///
    /// # Errors
    /// [`Refusal::Nesting`].
    pub fn nest(&self, depth: u32) -> Result<(), Refusal> {
        let limit = self.limits.nesting;
        if depth > limit {
            return Err(Refusal::Nesting { limit });
        }
        Ok(())
    }

    /// Whether `packed` bytes may become `size`.
    ///
    /// # Errors
    /// [`Refusal::Ratio`].
    pub fn check_ratio(&self, packed: u64, size: u64) -> Result<(), Refusal> {
        let limit = self.limits.ratio;
        if size > self.limits.ratio_from && size > packed.saturating_mul(limit) {
            return Err(Refusal::Ratio { limit });
        }
        Ok(())
    }

    fn check_time(&self) -> Result<(), Refusal> {
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(Refusal::Time {
                limit: self.limits.time,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_run_out_over_the_whole_inspection() {
        let budget = Budget::new(&Limits {
            total_bytes: 10,
            ..Limits::default()
        });
        budget.take(6).unwrap();
        assert!(matches!(budget.take(5), Err(Refusal::Bytes { limit: 10 })));
        budget.take(4).unwrap();
    }

    #[test]
    fn time_runs_out_in_a_loop() {
        let budget = Budget::new(&Limits {
            time: Duration::ZERO,
            ..Limits::default()
        });
        assert!((0..=STEPS).any(|_| budget.step().is_err()));
    }

    #[test]
    fn only_large_members_have_a_ratio() {
        let budget = Budget::new(&Limits::default());
        budget.check_ratio(1, 1 << 20).unwrap();
        budget.check_ratio(1 << 20, 100 << 20).unwrap();
        assert!(matches!(
            budget.check_ratio(1 << 17, 128 << 20),
            Err(Refusal::Ratio { .. })
        ));
    }
}
