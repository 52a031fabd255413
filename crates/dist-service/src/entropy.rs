//! Randomness, injected so that tests can know it.

/// Where ids and secrets take their randomness from.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes` with random ones.
    ///
    /// # Errors
    /// Where the operating system has none to give.
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()>;
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        getrandom::fill(bytes).map_err(|error| std::io::Error::other(error.to_string()))
    }
}
