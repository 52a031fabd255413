//! How much an inspection may take.

/// Bounds on what is read from a file that nobody vouches for. The defaults are far above any
/// real artifact, and low enough that the worst file costs well under a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many members a zip's directory may list.
    pub zip_entries: u64,
    /// How long a zip's directory may be in bytes.
    pub zip_directory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            zip_entries: 1_000_000,
            zip_directory_bytes: 256 << 20,
        }
    }
}
