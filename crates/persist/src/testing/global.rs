//! One order over events of many streams.

use serde_json::{Value, json};

use super::group;
use super::subject::{Subject, event, must, stream, sum};
use crate::{Recorded, StreamName, catalog, global};

fn append(subject: &Subject, name: &str, data: i64) -> Recorded {
    must(global::append(subject.backend(), &stream(name), event(json!(data))))
}

/// Three events of two streams, in turns.
fn three(subject: &Subject) {
    append(subject, "orders", 1);
    append(subject, "users", 2);
    append(subject, "orders", 3);
}

fn read(subject: &Subject) -> Vec<Value> {
    let events = must(global::read(subject.backend()));
    events.into_iter().map(|recorded| recorded.event.data).collect()
}

group! { "global":
    "gappend returns the stream event with its local seq" => "1", |subject| {
        append(subject, "users", 1);
        json!(append(subject, "orders", 2).event.seq)
    };
    "global-pos advances per gappend regardless of stream" => "3", |subject| {
        three(subject);
        json!(must(global::position(subject.backend())))
    };
    "read-global returns events in commit order across streams" => "[1, 2, 3]", |subject| {
        three(subject);
        json!(read(subject))
    };
    "read-global resolves to the right streams" => r#"["orders", "users"]"#, |subject| {
        three(subject);
        let events = must(global::read(subject.backend()));
        json!([events[0].event.stream, events[1].event.stream])
    };
    "project-global folds across all streams in order" => "60", |subject| {
        append(subject, "orders", 10);
        append(subject, "users", 20);
        append(subject, "orders", 30);
        json!(must(global::project(subject.backend(), &sum())).value)
    };
    "global index is hidden from the public catalog" => "[2, false]", |subject| {
        three(subject);
        let streams = must(catalog::streams(subject.backend()));
        json!([streams.len(), streams.contains(&StreamName::global())])
    };
    "streams-all reveals the reserved index" => "true", |subject| {
        three(subject);
        json!(must(catalog::streams_all(subject.backend())).contains(&StreamName::global()))
    };
    "global-from gives pointers at or after a position" => "2", |subject| {
        three(subject);
        json!(must(global::pointers_from(subject.backend(), 2.into())).len())
    };
    "plain append does not touch the global index" => "1", |subject| {
        append(subject, "orders", 1);
        subject.append("orders", json!(2));
        json!(must(global::position(subject.backend())))
    };
    "global ordering works on the durable backend" => "3", |subject| {
        three(subject);
        subject.restart();
        json!(read(subject).len())
    };
    "global order survives restart (determinism)" => "3", |subject| {
        append(subject, "orders", 1);
        append(subject, "users", 2);
        let before = read(subject);
        subject.restart();
        append(subject, "orders", 3);
        let after = read(subject);
        json!(if after[..2] == before { after.len() } else { 0 })
    };
}
