//! Keys with a present and no history.

use serde_json::{Value, json};

use super::group;
use super::subject::must;
use crate::{catalog, kv};

group! { "kv":
    "absent key reads nil" => "null", |subject| json!(must(kv::get::<Value>(subject.backend(), "k")));
    "has? false when absent" => "false", |subject| json!(must(kv::has(subject.backend(), "k")));
    "put then get" => "7", |subject| {
        must(kv::put(subject.backend(), "k", json!(7)));
        json!(must(kv::get::<Value>(subject.backend(), "k")))
    };
    "put returns value" => "9", |subject| must(kv::put(subject.backend(), "k", json!(9)));
    "has? true after put" => "true", |subject| {
        must(kv::put(subject.backend(), "k", json!(null)));
        json!(must(kv::has(subject.backend(), "k")))
    };
    "put overwrites" => "2", |subject| {
        must(kv::put(subject.backend(), "k", json!(1)));
        must(kv::put(subject.backend(), "k", json!(2)));
        json!(must(kv::get::<Value>(subject.backend(), "k")))
    };
    "delete removes key" => "false", |subject| {
        must(kv::put(subject.backend(), "k", json!(1)));
        must(kv::delete(subject.backend(), "k"));
        json!(must(kv::has(subject.backend(), "k")))
    };
    "delete then get is nil" => "null", |subject| {
        must(kv::put(subject.backend(), "k", json!(1)));
        must(kv::delete(subject.backend(), "k"));
        json!(must(kv::get::<Value>(subject.backend(), "k")))
    };
    "keys lists stored keys" => "2", |subject| {
        must(kv::put(subject.backend(), "a", json!(1)));
        must(kv::put(subject.backend(), "b", json!(2)));
        json!(must(kv::keys(subject.backend())).len())
    };
    "get-or returns default when absent" => "99", |subject| {
        must(kv::get_or(subject.backend(), "k", json!(99)))
    };
    "get-or returns value when present" => "5", |subject| {
        must(kv::put(subject.backend(), "k", json!(5)));
        must(kv::get_or(subject.backend(), "k", json!(99)))
    };
    "kv-update applies fn over default" => "2", |subject| {
        let increment = |value: &Value| json!(value.as_i64().unwrap_or(0) + 1);
        must(kv::update(subject.backend(), "k", &json!(0), increment));
        must(kv::update(subject.backend(), "k", &json!(0), increment))
    };
    "kv facet does not touch log" => "0", |subject| {
        must(kv::put(subject.backend(), "k", json!(1)));
        json!(must(catalog::total_events(subject.backend())))
    };
}
