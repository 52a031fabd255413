//! What an artifact is.
//!
//! [`inspect`] reads as little of a file as tells what it is, by position, and answers an
//! [`Inspection`]: a [`Report`] of platform, format, facts, and findings that say what is wrong and
//! what to do, and the icon. A file that is not what its name claims is a finding, not an error; an
//! error means that the file could not be read. Whatever the bytes are, it neither panics nor takes
//! more than its [`Limits`].
//!
//! ```
//! use dist_inspect::{Context, Format, Verdict, inspect};
//! use dist_model::Platform;
//!
//! let context = Context { now: 1_767_225_600_000, ..Context::default() };
//! let rpm = b"\xed\xab\xee\xdb\x03\x00".to_vec();
//! let report = inspect(&rpm, "acme-2.4.0-1.x86_64.rpm", &context)?.report;
//! assert_eq!((report.platform, report.format), (Some(Platform::Linux), Format::Rpm));
//!
//! let page = b"<html>404 Not Found</html>".to_vec();
//! let report = inspect(&page, "acme.apk", &context)?.report;
//! assert_eq!(report.verdict, Verdict::Failed);
//! assert_eq!(report.findings[0].code, "apk.not_a_zip");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Programs inspect through an [`Inspector`]: [`InProcess`], or a [`ChildInspector`] whose processes may
//! fail without harm.
//!
//! What is deliberately absent: I/O other than on the file given, the time of day, and comparisons
//! with other releases, which are the service's.

pub mod arch;
pub mod archive;
#[cfg(target_os = "linux")]
mod child;
mod formats;
mod inspector;
mod limits;
mod name;
pub mod parse;
mod refusal;
mod report;
pub mod source;
mod subject;

#[cfg(target_os = "linux")]
pub use child::{ChildInspector, run_if_inspector};
pub use inspector::{InProcess, Inspector, Unfinished, Workers};
pub use limits::{Budget, Limits};
pub use refusal::Refusal;
pub use report::{Finding, Format, Icon, Inspection, Report, Severity, Verdict, agrees};
pub use source::{FileSource, Source};

/// What an inspection needs to know besides the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// What it may take.
    pub limits: Limits,
    /// The time, in milliseconds since the Unix epoch, by which profiles and certificates expire.
    pub now: i64,
}

/// Inspects `source`, a file that is named `name`.
///
/// # Errors
/// Where the file cannot be read. Whatever is wrong with its bytes is in the report.
pub fn inspect(source: &dyn Source, name: &str, context: &Context) -> std::io::Result<Inspection> {
    let budget = Budget::new(&context.limits);
    Ok(formats::judge(source, name, &budget, context.now)?)
}

/// What a file's name alone says that it is: for a file whose bytes nobody could look at.
pub fn claim(name: &str) -> Report {
    formats::by_name(name)
}
