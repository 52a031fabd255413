//! `Range` (RFC 9110, section 14): one range is honoured, several are answered with the whole.

/// Some bytes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub start: u64,
    pub length: u64,
}

/// What a `Range` header comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    Whole,
    Part(Range),
    Unsatisfiable,
}

impl Range {
    pub(super) fn content_range(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.start, self.start + self.length - 1)
    }
}

/// Reads a `Range` header for an object of `size` bytes. What is not a range of bytes is ignored,
/// as the RFC has it.
pub(super) fn requested(header: Option<&str>, size: u64) -> Requested {
    let unit_and_ranges = header.and_then(|header| header.trim().split_once('='));
    let Some((_, spec)) = unit_and_ranges.filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes")) else {
        return Requested::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Requested::Whole;
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(start), Some(last)) if start > last => return Requested::Whole,
        (Some(start), Some(last)) => (start, last.saturating_add(1).min(size)),
        (Some(start), None) if last.trim().is_empty() => (start, size),
        (None, Some(0)) if first.trim().is_empty() => return Requested::Unsatisfiable,
        (None, Some(suffix)) if first.trim().is_empty() => (size.saturating_sub(suffix), size),
        _ => return Requested::Whole,
    };
    if start >= end {
        return Requested::Unsatisfiable;
    }
    Requested::Part(Range {
        start,
        length: end - start,
    })
}

/// Digits only: `parse` alone would take a sign. More than fit are as good as the most that do.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges() {
        let part = |start, length| Requested::Part(Range { start, length });
        for (header, expected) in [
            ("bytes=0-99", part(0, 100)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=10-", part(10, 90)),
            ("Bytes=10-", part(10, 90)),
            ("bytes=-10", part(90, 10)),
            ("bytes=-1000", part(0, 100)),
            ("bytes=50-99999999999999999999999", part(50, 50)),
            ("bytes=100-", Requested::Unsatisfiable),
            ("bytes=-0", Requested::Unsatisfiable),
            ("bytes=99999999999999999999999-", Requested::Unsatisfiable),
            ("bytes=0-1,3-4", Requested::Whole),
            ("bytes=5-4", Requested::Whole),
            ("bytes=+1-2", Requested::Whole),
            ("bytes=-", Requested::Whole),
            ("bytes=", Requested::Whole),
            ("items=0-1", Requested::Whole),
        ] {
            assert_eq!(requested(Some(header), 100), expected, "{header}");
        }
        assert_eq!(requested(None, 100), Requested::Whole);
        assert_eq!(requested(Some("bytes=0-"), 0), Requested::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_lies_inside(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in 0_u64..1 << 40) {
            if let Requested::Part(range) = requested(Some(&header), size) {
                prop_assert!(range.length > 0);
                prop_assert!(range.start + range.length <= size);
            }
        }

        #[test]
        fn nothing_panics(header in "\\PC*", size: u64) {
            let _ = requested(Some(&header), size);
        }
    }
}
