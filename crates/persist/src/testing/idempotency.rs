//! Appends that happen once for a key.

use serde_json::json;

use super::group;
use super::subject::{Subject, free, must, stream};
use crate::log;

fn seen(subject: &Subject) -> bool {
    must(log::seen(subject.backend(), &stream("s"), "key"))
}

group! { "idempotency":
    "seen? false before first append" => "false", |subject| json!(seen(subject));
    "append-once appends on first use" => "1", |subject| {
        free(subject.append_once("s", "key", json!({})));
        json!(subject.count("s"))
    };
    "seen? true after first append" => "true", |subject| {
        free(subject.append_once("s", "key", json!({})));
        json!(seen(subject))
    };
    "repeat with same key does not append again" => "1", |subject| {
        free(subject.append_once("s", "key", json!({})));
        free(subject.append_once("s", "key", json!({})));
        json!(subject.count("s"))
    };
    "repeat returns the same event (same seq)" => "1", |subject| {
        free(subject.append_once("s", "key", json!({})));
        subject.append("s", json!({}));
        json!(free(subject.append_once("s", "key", json!({}))).event.seq)
    };
    "different keys append separately" => "2", |subject| {
        free(subject.append_once("s", "key", json!({})));
        free(subject.append_once("s", "other", json!({})));
        json!(subject.count("s"))
    };
    "idempotency is per-stream" => "[1, 1]", |subject| {
        free(subject.append_once("s", "key", json!({})));
        free(subject.append_once("t", "key", json!({})));
        json!([subject.count("s"), subject.count("t")])
    };
    "stored data is preserved on first append" => "9", |subject| {
        free(subject.append_once("s", "key", json!(9)));
        // Another request under the same key is refused rather than stored.
        let _ = subject.append_once("s", "key", json!(10));
        subject.read("s")[0].event.data.clone()
    };
    "idempotency survives restart on the durable backend" => "1", |subject| {
        free(subject.append_once("s", "key", json!({})));
        subject.restart();
        free(subject.append_once("s", "key", json!({})));
        json!(subject.count("s"))
    };
}
