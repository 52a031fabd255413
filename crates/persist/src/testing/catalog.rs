//! Which streams there are.

use serde_json::json;

use super::group;
use super::subject::{must, stream};
use crate::{catalog, kv};

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
