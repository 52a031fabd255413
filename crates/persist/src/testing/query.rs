//! Choosing among the events of a stream.

use serde_json::{Value, json};

use super::group;
use super::subject::{Subject, must, seqs, stream};
use crate::{Revision, query};

/// Three orders at 10, 20 and 30, of which the second and third are large and the first and third
/// are placed rather than paid.
fn orders(subject: &Subject) {
    subject.append_at("s", "placed", 10, json!({"total": 5}));
    subject.append_at("s", "paid", 20, json!({"total": 50}));
    subject.append_at("s", "placed", 30, json!({"total": 70}));
}

fn is_large(data: &Value) -> bool {
    data["total"].as_i64() > Some(20)
}

fn between(subject: &Subject, from: u64, to: u64) -> Vec<u64> {
    let (from, to) = (Revision::new(from), Revision::new(to));
    seqs(&must(query::read_between(subject.backend(), &stream("s"), from, to)))
}

group! { "query":
    "read-between slices a seq range" => "[2, 2, 3]", |subject| {
        orders(subject);
        let slice = between(subject, 2, 3);
        json!([slice.len(), slice.first(), slice.last()])
    };
    "read-between is inclusive of endpoints" => "3", |subject| {
        orders(subject);
        json!(between(subject, 1, 3).len())
    };
    "read-since filters by timestamp" => "2", |subject| {
        orders(subject);
        json!(must(query::read_since(subject.backend(), &stream("s"), 20)).len())
    };
    "read-window is an inclusive time range" => "2", |subject| {
        orders(subject);
        json!(must(query::read_window(subject.backend(), &stream("s"), 10, 20)).len())
    };
    "read-by-type filters by event type" => "2", |subject| {
        orders(subject);
        json!(must(query::read_by_type(subject.backend(), &stream("s"), "placed")).len())
    };
    "read-where filters by predicate over data" => "2", |subject| {
        orders(subject);
        json!(must(query::read_where(subject.backend(), &stream("s"), is_large)).len())
    };
    "count-where counts matches" => "2", |subject| {
        orders(subject);
        json!(must(query::count_where(subject.backend(), &stream("s"), is_large)))
    };
    "queries return empty on empty stream" => "0", |subject| {
        json!(must(query::read_since(subject.backend(), &stream("s"), 0)).len())
    };
    "queries work on the durable backend" => "1", |subject| {
        orders(subject);
        subject.restart();
        json!(must(query::read_by_type(subject.backend(), &stream("s"), "paid")).len())
    };
}
