//! Which streams there are.

use serde_json::json;

use super::group;
use super::subject::{Subject, count, must, stream};
use crate::{catalog, compaction, kv};

/// Two events that were compacted away.
fn compacted(subject: &Subject) {
    subject.append_all("s", &[1, 2]);
    must(compaction::compact(subject.backend(), &stream("s"), &count()));
}

group! { "catalog":
    "empty backend has no streams" => "0", |subject| {
        json!(must(catalog::streams(subject.backend())).len())
    };
    "stream-exists? false when absent" => "false", |subject| {
        json!(must(catalog::stream_exists(subject.backend(), &stream("s"))))
    };
    "append registers a stream" => "true", |subject| {
        subject.append("s", json!({}));
        json!(must(catalog::stream_exists(subject.backend(), &stream("s"))))
    };
    "stream-count counts distinct streams" => "2", |subject| {
        subject.append("a", json!({}));
        subject.append("a", json!({}));
        subject.append("b", json!({}));
        json!(must(catalog::stream_count(subject.backend())))
    };
    "compacted-away stream still lists" => "[0, true]", |subject| {
        compacted(subject);
        json!([subject.count("s"), must(catalog::streams(subject.backend())).contains(&stream("s"))])
    };
    "kv-only backend lists no streams" => "0", |subject| {
        must(kv::put(subject.backend(), "k", json!(1)));
        json!(must(catalog::stream_count(subject.backend())))
    };
    "total-events sums high-water marks" => "3", |subject| {
        subject.append("a", json!({}));
        subject.append("a", json!({}));
        subject.append("b", json!({}));
        json!(must(catalog::total_events(subject.backend())))
    };
    "total-events counts compacted events too" => "2", |subject| {
        compacted(subject);
        json!(must(catalog::total_events(subject.backend())))
    };
    "catalog works on the durable backend" => "2", |subject| {
        subject.append("a", json!({}));
        subject.restart();
        subject.append("b", json!({}));
        json!(must(catalog::stream_count(subject.backend())))
    };
    "catalog survives restart" => "2", |subject| {
        subject.append("a", json!({}));
        subject.append("b", json!({}));
        subject.restart();
        json!(must(catalog::streams(subject.backend())).len())
    };
}
