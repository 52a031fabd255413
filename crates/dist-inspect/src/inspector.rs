//! Who looks into files.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dist_model::Timestamp;

use crate::{Context, FileSource, Inspection, Limits, Verdict, claim, inspect};

/// Looks into files that nobody vouches for.
pub trait Inspector: Send + Sync + std::fmt::Debug {
    /// Inspects `file`, which is named `name`, by the time `now`. It blocks.
    ///
    /// # Errors
    /// Where the file cannot be read, or nobody can look into it now. Whatever is wrong with its
    /// bytes is in the report, and so is an inspection that came to no end: see [`Unfinished`].
    fn inspect(&self, file: &File, name: &str, now: Timestamp) -> std::io::Result<Inspection>;

    /// The processes that inspect; `None` where this one does it itself.
    fn workers(&self) -> Option<Workers> {
        None
    }
}

/// Processes that inspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How many are at work.
    pub busy: usize,
    /// How many wait for work.
    pub idle: usize,
    /// How many may be at work at once.
    pub most: usize,
    /// How many were started since the program was.
    pub started: u64,
    /// How many of those died over a file.
    pub died: u64,
    /// How many were ended because a file took too long.
    pub timed_out: u64,
    /// How many files they were asked about, those of which they said nothing counted too.
    pub files: u64,
    /// How long those took altogether.
    pub time: Duration,
}

/// Inspects on the calling thread: for programs that can do without a process for it. A panic is a
/// finding; memory and time are bounded by the inspection's own [`Limits`].
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcess;

impl Inspector for InProcess {
    fn inspect(&self, file: &File, name: &str, now: Timestamp) -> std::io::Result<Inspection> {
        let context = Context {
            limits: Limits::default(),
            now: now.as_millis(),
        };
        let source = FileSource::new(file)?;
        // What a panic leaves half done is this inspection's own.
        catch_unwind(AssertUnwindSafe(|| inspect(&source, name, &context)))
            .unwrap_or_else(|_| Ok(Unfinished::Crashed.inspection(name)))
    }
}

/// How an inspection ends that finds nothing out. It says more about the parser than about the
/// file, so the file may still be published as what its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// A parser failed, or needed more memory than it may have.
    Crashed,
    /// It took longer than it may.
    TimedOut,
}

impl Unfinished {
    /// The inspection of a file named `name` that ended like this.
    pub fn inspection(self, name: &str) -> Inspection {
        let mut report = claim(name);
        let (code, message) = match self {
            Self::Crashed => (
                "inspection.crashed",
                "The file could not be inspected: a parser failed, or needed more memory than it may have.",
            ),
            Self::TimedOut => (
                "inspection.timed_out",
                "The file could not be inspected: it took longer than it may.",
            ),
        };
        let help = "It is taken for what its name says. Look at it with `dist inspect`, and report it if it is whole.";
        report.warning(code, message, help);
        report.verdict = Verdict::of(&report.findings);
        Inspection { report, icon: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inspection_without_end_leaves_what_the_name_says() {
        for (end, code) in [
            (Unfinished::Crashed, "inspection.crashed"),
            (Unfinished::TimedOut, "inspection.timed_out"),
        ] {
            let report = end.inspection("acme.apk").report;
            assert_eq!((report.format.as_str(), report.verdict), ("apk", Verdict::Warning));
            assert_eq!(report.findings[0].code, code);
        }
    }
}
