//! A fold over a stream, with a name and a value at hand.

use std::sync::Arc;

use serde_json::json;

use super::group;
use super::subject::{Subject, event, must, stream, sum};
use crate::{Hub, Projection, View, snapshot};

fn order_count() -> Projection<i64> {
    Projection::new("order-count", 1, 0, |count, _| *count += 1)
}

fn orders() -> View<i64> {
    View::new(stream("orders"), order_count())
}

/// A view that is attached, and the hub.
fn attached(subject: &Subject) -> (Arc<View<i64>>, Hub) {
    let (view, hub) = (Arc::new(orders()), Hub::new(subject.shared()));
    view.attach(&hub);
    (view, hub)
}

fn publish(hub: &Hub, name: &str) {
    must(hub.publish(&stream(name), event(json!({}))));
}

group! { "view":
    "view-name" => r#""order-count""#, |_| json!(orders().name());
    "view-stream" => r#""orders""#, |_| json!(orders().stream());
    "view-value folds the stream" => "2", |subject| {
        subject.append_all("orders", &[1, 1]);
        json!(must(orders().value(subject.backend())))
    };
    "view-refresh persists a snapshot that peek then reads" => "1", |subject| {
        subject.append_all("orders", &[1]);
        must(orders().refresh(subject.backend()));
        json!(must(orders().peek(subject.backend())))
    };
    "peek lags an un-refreshed tail" => "1", |subject| {
        subject.append_all("orders", &[1]);
        must(orders().refresh(subject.backend()));
        subject.append_all("orders", &[1]);
        json!(must(orders().peek(subject.backend())))
    };
    "view-value sees the whole stream even after a stale snapshot" => "2", |subject| {
        subject.append_all("orders", &[1]);
        must(orders().refresh(subject.backend()));
        subject.append_all("orders", &[1]);
        json!(must(orders().value(subject.backend())))
    };
    "attached view stays current on publish — peek needs no manual refresh" => "3", |subject| {
        let (view, hub) = attached(subject);
        for _ in 0..3 {
            publish(&hub, "orders");
        }
        json!(must(view.peek(subject.backend())))
    };
    "attached view advances the snapshot seq incrementally" => "2", |subject| {
        let (_, hub) = attached(subject);
        let reached = || {
            let snapshot = must(snapshot::load(subject.backend(), &stream("orders"), &order_count()));
            snapshot.map_or(0, |snapshot| snapshot.reached.get())
        };
        publish(&hub, "orders");
        let first = reached();
        publish(&hub, "orders");
        json!(if first == 1 { reached() } else { first })
    };
    "attach only reacts to its own stream" => "0", |subject| {
        let (view, hub) = attached(subject);
        publish(&hub, "users");
        json!(must(view.peek(subject.backend())))
    };
    "materialized view works on the durable backend" => "2", |subject| {
        let (view, hub) = attached(subject);
        publish(&hub, "orders");
        publish(&hub, "orders");
        drop(hub);
        subject.restart();
        json!(must(view.peek(subject.backend())))
    };
    "view sum over event data" => "35", |subject| {
        subject.append_all("orders", &[10, 25]);
        json!(must(View::new(stream("orders"), sum()).value(subject.backend())))
    };
}
