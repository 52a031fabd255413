//! A small shop that is killed and started again.

use serde_json::{Value, json};

use super::group;
use super::subject::{Subject, event, must, stream, sum};
use crate::blob::{self, BlobRef};
use crate::{Hub, Projected, compaction, kv, project, snapshot};

fn replay(subject: &Subject) -> Projected<i64> {
    must(snapshot::replay(subject.backend(), &stream("orders"), &sum()))
}

fn full(subject: &Subject) -> Projected<i64> {
    must(project::project(subject.backend(), &stream("orders"), &sum()))
}

group! { "recovery":
    "log survives restart and seq continues" => "[2, 3]", |subject| {
        subject.append_all("orders", &[1, 2]);
        subject.restart();
        json!([subject.count("orders"), subject.append("orders", json!(3)).event.seq])
    };
    "subscription-driven kv read model survives restart" => "2", |subject| {
        // The hub, and the backend that it keeps, are gone before the restart.
        let hub = Hub::new(subject.shared());
        let backend = subject.shared();
        hub.subscribe(&stream("orders"), move |_| {
            must(kv::update(&*backend, "open", &0, |open| open + 1));
        });
        must(hub.publish(&stream("orders"), event(json!(1))));
        must(hub.publish(&stream("orders"), event(json!(2))));
        drop(hub);
        subject.restart();
        json!(must(kv::get::<Value>(subject.backend(), "open")))
    };
    "snapshot taken before crash drives replay after restart" => "true", |subject| {
        subject.append_all("orders", &[1, 2]);
        let taken = must(snapshot::checkpoint(subject.backend(), &stream("orders"), &sum()));
        subject.append_all("orders", &[4]);
        subject.restart();
        let found = must(snapshot::load(subject.backend(), &stream("orders"), &sum()));
        json!(found == Some(taken) && replay(subject) == full(subject))
    };
    "compacted log still replays correctly after restart" => "4", |subject| {
        subject.append_all("orders", &[1, 1, 1]);
        must(compaction::compact(subject.backend(), &stream("orders"), &sum()));
        subject.append_all("orders", &[1]);
        subject.restart();
        json!(replay(subject).value)
    };
    "invoice blob ref survives restart, bytes fetched from content store" => r#""INVOICEPDF""#, |subject| {
        let invoice = must(blob::store(subject.blobs(), b"INVOICEPDF", "application/pdf"));
        subject.append("orders", json!({"invoice": invoice}));
        subject.restart();
        let order = subject.read("orders").remove(0).event.data;
        let bytes = serde_json::from_value::<BlobRef>(order["invoice"].clone())
            .ok()
            .and_then(|invoice| must(blob::fetch(subject.blobs(), &invoice)));
        json!(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    "two independent restarts converge to the same state (determinism)" => "true", |subject| {
        subject.append_all("orders", &[1, 2]);
        must(snapshot::checkpoint(subject.backend(), &stream("orders"), &sum()));
        subject.append_all("orders", &[4]);
        subject.restart();
        let (first, log) = (replay(subject), subject.read("orders"));
        subject.restart();
        json!(replay(subject) == first && subject.read("orders") == log)
    };
}
