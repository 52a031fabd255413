//! Retention: which releases the channels of an app no longer need.

use std::collections::BTreeSet;

use crate::{ReleaseId, ReleaseStatus};

/// How many of the last releases of a lineage a rollback must still reach, whatever is kept.
const ROLLBACK_WINDOW: usize = 5;

/// The releases that one channel ever pointed at, newest move first, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// How many of them the channel keeps; 0 keeps all.
    pub keep: u32,
    /// The releases, with where they stand today.
    pub releases: Vec<(ReleaseId, ReleaseStatus)>,
}

/// The releases that may go, given every channel's lineage of one app and what channels point at.
///
/// A channel keeps its newest `keep` published releases, and in any case its last five, so that a
/// rollback has somewhere to go. A release goes only where every channel that ever pointed at it
/// lets it go; one that no channel ever pointed at stays, and so does a yanked one.
pub fn retire(lineages: &[Lineage], in_use: &BTreeSet<ReleaseId>) -> BTreeSet<ReleaseId> {
    let mut retired = BTreeSet::new();
    let mut kept = in_use.clone();
    for lineage in lineages {
        let keep = match usize::try_from(lineage.keep) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(keep) => keep.max(ROLLBACK_WINDOW),
        };
        let published = lineage
            .releases
            .iter()
            .filter(|(_, status)| *status == ReleaseStatus::Published);
        for (place, (release, _)) in published.enumerate() {
            let side = if place < keep { &mut kept } else { &mut retired };
            side.insert(release.clone());
        }
    }
    retired.difference(&kept).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: usize) -> ReleaseId {
        n.to_string().parse().unwrap()
    }

    fn lineage(keep: u32, releases: impl IntoIterator<Item = usize>) -> Lineage {
        Lineage {
            keep,
            releases: releases
                .into_iter()
                .map(|n| (id(n), ReleaseStatus::Published))
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn keeps_the_window_and_what_is_in_use(length in 0_usize..30, keep in 1_u32..20, used in 0_usize..30) {
            let in_use = BTreeSet::from([id(used)]);
            let gone = retire(&[lineage(keep, 0..length)], &in_use);
            let first_gone = ROLLBACK_WINDOW.max(keep as usize);
            for n in 0..length {
                prop_assert_eq!(gone.contains(&id(n)), n >= first_gone && n != used);
            }
        }
    }

    #[test]
    fn zero_keeps_all_and_another_channel_protects() {
        let none = BTreeSet::new();
        assert!(retire(&[lineage(0, 0..30)], &none).is_empty());
        assert!(retire(&[lineage(1, 0..30), lineage(0, 0..30)], &none).is_empty());
        assert_eq!(
            retire(&[lineage(1, 0..7), lineage(9, [6])], &none),
            BTreeSet::from([id(5)])
        );
    }

    #[test]
    fn yanked_and_deleted_releases_neither_go_nor_count() {
        let mut all = lineage(5, 0..8);
        all.releases[0].1 = ReleaseStatus::Yanked;
        all.releases[1].1 = ReleaseStatus::Deleted;
        assert_eq!(retire(&[all], &BTreeSet::new()), BTreeSet::from([id(7)]));
    }
}
