//! The five fields of an event.

use serde_json::json;

use super::group;
use super::subject::Subject;
use crate::Event;

fn third(subject: &Subject) -> Event {
    subject.append("s", json!(1));
    subject.append("s", json!(2));
    subject.append_at("s", "create", 42, json!({"x": 9})).event
}

group! { "event":
    "event-stream" => r#""s""#, |subject| json!(third(subject).stream);
    "event-seq" => "3", |subject| json!(third(subject).seq);
    "event-type" => r#""create""#, |subject| json!(third(subject).r#type);
    "event-at" => "42", |subject| json!(third(subject).at);
    "event-data" => r#"{"x": 9}"#, |subject| third(subject).data;
    "event is a dict with all fields" => "5", |subject| {
        json!(json!(third(subject)).as_object().map_or(0, serde_json::Map::len))
    };
}
