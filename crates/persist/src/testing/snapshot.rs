//! Keeping what was folded.

use serde_json::json;

use super::group;
use super::subject::{Subject, count, must, stream, sum};
use crate::{Projected, project, snapshot};

/// A snapshot of two events, and a third.
fn with_tail(subject: &Subject) {
    subject.append_all("s", &[1, 2]);
    must(snapshot::checkpoint(subject.backend(), &stream("s"), &sum()));
    subject.append_all("s", &[4]);
}

fn replay(subject: &Subject) -> Projected<i64> {
    must(snapshot::replay(subject.backend(), &stream("s"), &sum()))
}

fn full(subject: &Subject) -> Projected<i64> {
    must(project::project(subject.backend(), &stream("s"), &sum()))
}

group! { "snapshot":
    "no snapshot loads fresh seed state" => r#"{"value": 0, "seq": 0}"#, |subject| {
        let snapshot = must(snapshot::load(subject.backend(), &stream("s"), &count()));
        let Projected { value, reached } = snapshot.unwrap_or_else(|| count().seed());
        json!({"value": value, "seq": reached})
    };
    "snapshot-exists? false initially" => "false", |subject| {
        json!(must(snapshot::exists(subject.backend(), &stream("s"), &count())))
    };
    "checkpoint stores a snapshot" => "true", |subject| {
        subject.append_all("s", &[1]);
        must(snapshot::checkpoint(subject.backend(), &stream("s"), &count()));
        json!(must(snapshot::exists(subject.backend(), &stream("s"), &count())))
    };
    "checkpoint value equals full projection" => "3", |subject| {
        subject.append_all("s", &[1, 2]);
        let checkpoint = must(snapshot::checkpoint(subject.backend(), &stream("s"), &sum()));
        json!(if checkpoint == full(subject) { checkpoint.value } else { -1 })
    };
    "checkpoint records the last seq" => "2", |subject| {
        subject.append_all("s", &[1, 2]);
        must(snapshot::checkpoint(subject.backend(), &stream("s"), &count()));
        let snapshot = must(snapshot::load(subject.backend(), &stream("s"), &count()));
        json!(snapshot.map(|snapshot| snapshot.reached))
    };
    "replay after checkpoint only folds the tail" => "3", |subject| {
        subject.append_all("s", &[10, 20]);
        // A snapshot that differs from the events that it is of shows that those are not folded.
        let snapshot = Projected { value: 1, reached: 2.into() };
        must(snapshot::save(subject.backend(), &stream("s"), &sum(), &snapshot));
        subject.append_all("s", &[2]);
        json!(replay(subject).value)
    };
    "snapshot + tail == full replay (value)" => "true", |subject| {
        with_tail(subject);
        json!(replay(subject).value == full(subject).value)
    };
    "snapshot + tail == full replay (whole state)" => "true", |subject| {
        with_tail(subject);
        json!(replay(subject) == full(subject))
    };
    "replay determinism: two replays from same snapshot agree" => "true", |subject| {
        with_tail(subject);
        json!(replay(subject) == replay(subject))
    };
    "re-checkpoint advances the snapshot" => "2", |subject| {
        subject.append_all("s", &[1]);
        must(snapshot::checkpoint(subject.backend(), &stream("s"), &count()));
        subject.append_all("s", &[1]);
        must(snapshot::checkpoint(subject.backend(), &stream("s"), &count()));
        let snapshot = must(snapshot::load(subject.backend(), &stream("s"), &count()));
        json!(snapshot.map(|snapshot| snapshot.reached))
    };
    "snapshots are keyed independently" => "false", |subject| {
        subject.append_all("s", &[1]);
        must(snapshot::checkpoint(subject.backend(), &stream("s"), &count()));
        let of_other_fold = must(snapshot::exists(subject.backend(), &stream("s"), &sum()));
        json!(of_other_fold || must(snapshot::exists(subject.backend(), &stream("t"), &count())))
    };
}
