//! What an artifact is.
//!
//! [`inspect`] reads as little of a file as tells its kind, by position, and answers a [`Report`]:
//! platform, format, facts, and findings that say what is wrong and what to do. A file that is
//! not what its name claims is a finding, not an error; an error means that the file could not be
//! read. Whatever the bytes are, it neither panics nor reads beyond its [`Limits`].
//!
//! ```
//! use std::io::Cursor;
//! use dist_inspect::{Format, Limits, Verdict, inspect};
//! use dist_model::Platform;
//!
//! let rpm = b"\xed\xab\xee\xdb\x03\x00";
//! let report = inspect(&mut Cursor::new(rpm), "acme-2.4.0-1.x86_64.rpm", &Limits::default())?;
//! assert_eq!((report.platform, report.format), (Some(Platform::Linux), Format::Rpm));
//!
//! let page = b"<html>404 Not Found</html>";
//! let report = inspect(&mut Cursor::new(page), "acme.apk", &Limits::default())?;
//! assert_eq!(report.verdict, Verdict::Failed);
//! assert_eq!(report.findings[0].code, "apk.not_a_zip");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What is deliberately absent: I/O other than on the file given, clocks, and comparisons with
//! other releases, which are the service's.

mod archive;
mod formats;
mod limits;
mod name;
mod report;
mod sample;

use std::io::{Read, Seek};

pub use limits::Limits;
pub use report::{Finding, Format, Report, Severity, Verdict, agrees};

/// Inspects `file`, which is named `name`, from its start, wherever it stands.
pub fn inspect(file: &mut (impl Read + Seek), name: &str, limits: &Limits) -> std::io::Result<Report> {
    let sample = sample::Sample::take(file, name, limits)?;
    Ok(formats::judge(&sample))
}
