//! Dropping the events that a snapshot stands for.

use serde_json::json;

use super::group;
use super::subject::{Subject, count, must, stream, sum};
use crate::{Projected, compaction, log, project, snapshot};

fn compact(subject: &Subject) -> Projected<i64> {
    must(compaction::compact(subject.backend(), &stream("s"), &count()))
}

group! { "compaction":
    "uncompacted counts events since snapshot" => "2", |subject| {
        subject.append_all("s", &[1]);
        must(snapshot::checkpoint(subject.backend(), &stream("s"), &count()));
        subject.append_all("s", &[2, 3]);
        json!(must(compaction::uncompacted(subject.backend(), &stream("s"), &count())))
    };
    "should-compact? false below threshold" => "false", |subject| {
        subject.append_all("s", &[1, 2]);
        json!(must(compaction::should_compact(subject.backend(), &stream("s"), &count(), 3)))
    };
    "should-compact? true at threshold" => "true", |subject| {
        subject.append_all("s", &[1, 2]);
        json!(must(compaction::should_compact(subject.backend(), &stream("s"), &count(), 2)))
    };
    "compact truncates the snapshotted prefix" => "0", |subject| {
        subject.append_all("s", &[1, 2]);
        compact(subject);
        json!(subject.count("s"))
    };
    "compact preserves logical last-seq" => "2", |subject| {
        subject.append_all("s", &[1, 2]);
        compact(subject);
        json!(must(log::last_seq(subject.backend(), &stream("s"))))
    };
    "append after compaction continues the seq" => "3", |subject| {
        subject.append_all("s", &[1, 2]);
        compact(subject);
        json!(subject.append("s", json!(3)).event.seq)
    };
    "replay after compaction == full count before compaction" => "5", |subject| {
        subject.append_all("s", &[1, 2, 3, 4, 5]);
        compact(subject);
        json!(must(snapshot::replay(subject.backend(), &stream("s"), &count())).value)
    };
    "determinism: post-compaction replay value equals uncompacted full replay" => "true", |subject| {
        for name in ["s", "uncompacted"] {
            subject.append_all(name, &[1, 2, 3]);
        }
        must(compaction::compact(subject.backend(), &stream("s"), &sum()));
        for name in ["s", "uncompacted"] {
            subject.append_all(name, &[4, 5]);
        }
        let replayed = must(snapshot::replay(subject.backend(), &stream("s"), &sum()));
        json!(replayed == must(project::project(subject.backend(), &stream("uncompacted"), &sum())))
    };
    "maybe-compact below threshold does not truncate" => "1", |subject| {
        subject.append_all("s", &[1]);
        must(compaction::maybe_compact(subject.backend(), &stream("s"), &count(), 2));
        json!(subject.count("s"))
    };
    "maybe-compact at threshold truncates" => "0", |subject| {
        subject.append_all("s", &[1, 2]);
        must(compaction::maybe_compact(subject.backend(), &stream("s"), &count(), 2));
        json!(subject.count("s"))
    };
    "compact is idempotent on an empty tail" => "1", |subject| {
        subject.append_all("s", &[1]);
        let once = compact(subject);
        let twice = compact(subject);
        json!(if once == twice { twice.value } else { -1 })
    };
}
