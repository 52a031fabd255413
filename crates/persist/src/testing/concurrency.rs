//! Appends that expect a revision.

use serde_json::json;

use super::group;
use super::subject::free;
use crate::{Attempt, Conflict, ExpectedRevision};

group! { "concurrency":
    "append-expect 0 on empty stream succeeds" => "1", |subject| {
        json!(free(subject.append_expect("s", 0, json!({}))).event.seq)
    };
    "append-expect with correct seq succeeds" => "2", |subject| {
        subject.append("s", json!({}));
        json!(free(subject.append_expect("s", 1, json!({}))).event.seq)
    };
    "append-expect with stale seq returns a conflict" => "true", |subject| {
        subject.append("s", json!({}));
        json!(subject.append_expect("s", 0, json!({})).is_conflict())
    };
    "a successful append is not a conflict" => "false", |subject| {
        json!(subject.append_expect("s", 0, json!({})).is_conflict())
    };
    "conflict carries expected and actual" => "[0, 2]", |subject| {
        subject.append("s", json!({}));
        subject.append("s", json!({}));
        match subject.append_expect("s", 0, json!({})) {
            Attempt::Conflict(Conflict::Revision { expected: ExpectedRevision::Exact(expected), actual, .. }) => {
                json!([expected, actual])
            }
            other => json!(format!("{other:?}")),
        }
    };
    "a conflicting append does not write" => "1", |subject| {
        subject.append("s", json!({}));
        let _ = subject.append_expect("s", 0, json!({}));
        json!(subject.count("s"))
    };
    "two writers: first wins, second conflicts" => "true", |subject| {
        let first = subject.append_expect("s", 0, json!("first"));
        let second = subject.append_expect("s", 0, json!("second"));
        json!(!first.is_conflict() && second.is_conflict())
    };
    "retry after conflict succeeds" => "2", |subject| {
        subject.append("s", json!({}));
        match subject.append_expect("s", 0, json!({})) {
            Attempt::Conflict(Conflict::Revision { actual: Some(actual), .. }) => {
                json!(free(subject.append_expect("s", actual.get(), json!({}))).event.seq)
            }
            other => json!(format!("{other:?}")),
        }
    };
}
