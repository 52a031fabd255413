//! Callbacks that run with the append that they are about.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::group;
use super::subject::{Subject, event, must, stream};
use crate::{Hub, NewEvent, Projection, kv, project};

fn hub(subject: &Subject) -> Hub {
    Hub::new(subject.shared())
}

/// How many events there were.
fn counting() -> Projection<u64> {
    Projection::new("count", 1, 0, |count, _| *count += 1)
}

group! { "subscribe":
    "no subscribers initially" => "0", |subject| json!(hub(subject).subscriber_count(&stream("s")));
    "subscribe registers a callback" => "1", |subject| {
        let hub = hub(subject);
        hub.subscribe(&stream("s"), |_| {});
        json!(hub.subscriber_count(&stream("s")))
    };
    "publish appends to the log" => "2", |subject| {
        let hub = hub(subject);
        must(hub.publish(&stream("s"), event(json!({}))));
        must(hub.publish(&stream("s"), event(json!({}))));
        json!(subject.count("s"))
    };
    "publish returns the stored event" => "1", |subject| {
        json!(must(hub(subject).publish(&stream("s"), event(json!({})))).event.seq)
    };
    "callback fires on publish — drives a kv read model" => "3", |subject| {
        let hub = hub(subject);
        let backend = subject.shared();
        hub.subscribe(&stream("s"), move |_| {
            must(kv::update(&*backend, "count", &0, |count| count + 1));
        });
        for _ in 0..3 {
            must(hub.publish(&stream("s"), event(json!({}))));
        }
        json!(must(kv::get::<Value>(subject.backend(), "count")))
    };
    "callback receives the event" => "\"created\"", |subject| {
        let hub = hub(subject);
        let backend = subject.shared();
        hub.subscribe(&stream("s"), move |recorded| {
            must(kv::put(&*backend, "type", recorded.event.r#type.clone()));
        });
        must(hub.publish(&stream("s"), NewEvent::new("created", 0, json!({}))));
        json!(must(kv::get::<Value>(subject.backend(), "type")))
    };
    "subscriptions are per-stream" => "0", |subject| {
        let hub = hub(subject);
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        hub.subscribe(&stream("a"), move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        must(hub.publish(&stream("b"), event(json!({}))));
        json!(calls.load(Ordering::Relaxed))
    };
    "multiple subscribers all fire" => "[1, 10]", |subject| {
        let hub = hub(subject);
        for (key, amount) in [("one", 1), ("ten", 10)] {
            let backend = subject.shared();
            hub.subscribe(&stream("s"), move |_| {
                must(kv::update(&*backend, key, &0, |sum| sum + amount));
            });
        }
        must(hub.publish(&stream("s"), event(json!({}))));
        json!(["one", "ten"].map(|key| must(kv::get::<Value>(subject.backend(), key))))
    };
    "incremental read model via resume in callback" => "2", |subject| {
        let hub = hub(subject);
        let model = Arc::new(Mutex::new(counting().seed()));
        let (backend, updated) = (subject.shared(), Arc::clone(&model));
        hub.subscribe(&stream("s"), move |recorded| {
            let mut model = updated.lock().unwrap_or_else(PoisonError::into_inner);
            *model = must(project::resume(&*backend, &recorded.event.stream, &counting(), *model));
        });
        must(hub.publish(&stream("s"), event(json!({}))));
        must(hub.publish(&stream("s"), event(json!({}))));
        let model = model.lock().unwrap_or_else(PoisonError::into_inner);
        json!(model.value)
    };
}
