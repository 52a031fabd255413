//! Reading old events in their current form.

use serde_json::{Value, json};

use super::group;
use super::subject::{Subject, must, stream};
use crate::upcast::{self, Upcasters};
use crate::{NewEvent, Projection, Recorded, log, project};

/// Since format 2, what was placed has an amount, not a total, and a currency.
fn upcasters() -> Upcasters {
    Upcasters::default().register("placed", 1, |data| json!({"amount": data["total"], "currency": "GBP"}))
}

fn place_old(subject: &Subject, total: i64) -> Recorded {
    subject.append_at("s", "placed", 99, json!({"total": total}))
}

fn place_new(subject: &Subject, amount: i64) {
    let event = NewEvent {
        format: 2,
        ..NewEvent::new("placed", 99, json!({"amount": amount, "currency": "EUR"}))
    };
    must(log::append(subject.backend(), &stream("s"), event));
}

fn amounts() -> Projection<i64> {
    let sum = Projection::new("amounts", 1, 0, |sum: &mut i64, recorded| {
        *sum += recorded.event.data["amount"].as_i64().unwrap_or(i64::MIN / 2);
    });
    sum.upcast(upcasters())
}

fn project(subject: &Subject) -> Value {
    json!(must(project::project(subject.backend(), &stream("s"), &amounts())).value)
}

group! { "upcast":
    "unregistered type passes through unchanged" => r#"{"x": 1}"#, |subject| {
        let other = subject.append_at("s", "other", 0, json!({"x": 1}));
        upcasters().lift(other).event.data
    };
    "registered upcaster lifts an old event" => "50", |subject| {
        upcasters().lift(place_old(subject, 50)).event.data["amount"].clone()
    };
    "upcaster adds the new field" => r#""GBP""#, |subject| {
        upcasters().lift(place_old(subject, 50)).event.data["currency"].clone()
    };
    "upcast preserves stream/seq/type/at" => r#"[7, 99, "placed"]"#, |subject| {
        for _ in 0..6 {
            subject.append("s", json!({}));
        }
        let old = place_old(subject, 50).event;
        let lifted = upcasters().lift(must(log::read(subject.backend(), &stream("s"))).remove(6)).event;
        if lifted.stream == old.stream {
            json!([lifted.seq, lifted.at, lifted.r#type])
        } else {
            json!(lifted.stream)
        }
    };
    "registry is immutable — register returns a new dict" => "false", |subject| {
        let before = upcasters();
        let _after = before.register("placed", 2, |_| json!("changed"));
        json!(before.lift(place_old(subject, 50)).event.data == json!("changed"))
    };
    "read-upcast lifts every event in a stream" => "[10, 20]", |subject| {
        place_old(subject, 10);
        place_old(subject, 20);
        let events = must(upcast::read(subject.backend(), &stream("s"), &upcasters()));
        events.iter().map(|recorded| recorded.event.data["amount"].clone()).collect()
    };
    "project-upcast folds over the current shape" => "30", |subject| {
        place_old(subject, 10);
        place_old(subject, 20);
        project(subject)
    };
    "mixed old and new events fold uniformly" => "12", |subject| {
        place_old(subject, 5);
        place_new(subject, 7);
        project(subject)
    };
    "upcast works on the durable backend" => "42", |subject| {
        place_old(subject, 42);
        subject.restart();
        project(subject)
    };
}
