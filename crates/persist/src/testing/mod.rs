//! The conformance suite: what every [`Backend`](crate::Backend) must do, case by case, as data.
//!
//! A test binary runs [`cases`] over each backend; a further backend is one line there. The group
//! modules are the contract's groups, and each case says what it must yield.

mod batch;
mod blob;
mod cas;
mod catalog;
mod compaction;
mod concurrency;
mod durable;
mod event;
mod example_acl;
mod global;
mod idempotency;
mod kv;
mod log;
mod project;
mod query;
mod recovery;
mod snapshot;
mod subject;
mod subscribe;
mod upcast;
mod view;

use serde_json::Value;

pub use subject::{Started, Subject};

/// One case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// The group that it belongs to.
    pub group: &'static str,
    /// What it shows.
    pub name: &'static str,
    yields: &'static str,
    run: fn(&mut Subject) -> Value,
}

impl Case {
    /// Runs the case on a subject of its own; an error says what it yielded instead.
    pub fn check(&self, mut subject: Subject) -> Result<(), String> {
        let yielded = (self.run)(&mut subject);
        let wanted: Value = serde_json::from_str(self.yields).map_err(|error| format!("{}: {error}", self.yields))?;
        if yielded == wanted {
            Ok(())
        } else {
            Err(format!("yields {yielded}, not {wanted}"))
        }
    }
}

/// All cases, group by group.
pub fn cases() -> impl Iterator<Item = Case> {
    let groups = [
        event::CASES,
        log::CASES,
        kv::CASES,
        project::CASES,
        subscribe::CASES,
        concurrency::CASES,
        snapshot::CASES,
        compaction::CASES,
        durable::CASES,
        blob::CASES,
        view::CASES,
        cas::CASES,
        catalog::CASES,
        query::CASES,
        batch::CASES,
        upcast::CASES,
        idempotency::CASES,
        global::CASES,
        example_acl::CASES,
        recovery::CASES,
    ];
    groups.into_iter().flatten().copied()
}

/// A group: its name, and for each case what it shows, what it yields (JSON), and how.
macro_rules! group {
    ($group:literal: $($name:literal => $yields:literal, $run:expr;)*) => {
        pub(super) const CASES: &[crate::testing::Case] = &[$(crate::testing::Case {
            group: $group,
            name: $name,
            yields: $yields,
            run: $run,
        }),*];
    };
}
use group;
