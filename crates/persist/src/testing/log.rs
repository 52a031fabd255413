//! Appending and reading.

use serde_json::json;

use super::group;
use super::subject::{must, seqs, stream};
use crate::{Revision, log};

group! { "log":
    "empty stream reads empty" => "0", |subject| json!(subject.read("s").len());
    "last-seq empty is 0" => "0", |subject| {
        json!(must(log::last_seq(subject.backend(), &stream("s"))))
    };
    "append returns event with seq 1" => "1", |subject| {
        json!(subject.append("s", json!({})).event.seq)
    };
    "append assigns sequential seqs" => "3", |subject| {
        subject.append("s", json!({}));
        subject.append("s", json!({}));
        json!(subject.append("s", json!({})).event.seq)
    };
    "read returns events oldest-first" => "[1, 2]", |subject| {
        subject.append("s", json!({}));
        subject.append("s", json!({}));
        json!(seqs(&subject.read("s")))
    };
    "count tracks appends" => "2", |subject| {
        subject.append("s", json!({}));
        subject.append("s", json!({}));
        json!(subject.count("s"))
    };
    "streams are isolated" => "[1, 2]", |subject| {
        subject.append("a", json!({}));
        subject.append("b", json!({}));
        subject.append("b", json!({}));
        json!([subject.count("a"), subject.count("b")])
    };
    "read-from filters by seq" => "[2, 3]", |subject| {
        for n in 1..=3 {
            subject.append("s", json!(n));
        }
        json!(seqs(&must(log::read_from(subject.backend(), &stream("s"), Revision::new(2)))))
    };
    "read-from past end is empty" => "0", |subject| {
        subject.append("s", json!({}));
        json!(must(log::read_from(subject.backend(), &stream("s"), Revision::new(2))).len())
    };
}
