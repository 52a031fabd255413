//! Text for people: tables, sizes, and nothing that a terminal would obey.

pub use dist_term::{Table, Text, clean, list, or_dash};

/// A number of bytes: `52.1 KiB`.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        assert_eq!(size(53_350), "52.10 KiB");
    }
}
