//! Puts that expect a value.

use serde_json::{Value, json};

use super::group;
use super::subject::{free, must};
use crate::{Attempt, Conflict, KvExpected, kv};

group! { "cas":
    "cas on absent key with nil expected succeeds" => "1", |subject| {
        free(must(kv::cas(subject.backend(), "k", None, json!(1))))
    };
    "cas with matching expected succeeds" => "6", |subject| {
        must(kv::put(subject.backend(), "k", json!(5)));
        free(must(kv::cas(subject.backend(), "k", Some(&json!(5)), json!(6))))
    };
    "cas with stale expected returns a conflict" => "true", |subject| {
        must(kv::put(subject.backend(), "k", json!(5)));
        json!(must(kv::cas(subject.backend(), "k", Some(&json!(4)), json!(6))).is_conflict())
    };
    "a conflicting cas does not write" => "5", |subject| {
        must(kv::put(subject.backend(), "k", json!(5)));
        let _ = must(kv::cas(subject.backend(), "k", Some(&json!(4)), json!(6)));
        json!(must(kv::get::<Value>(subject.backend(), "k")))
    };
    "cas conflict carries expected and actual" => "[4, 5]", |subject| {
        must(kv::put(subject.backend(), "k", json!(5)));
        match must(kv::cas(subject.backend(), "k", Some(&json!(4)), json!(6))) {
            Attempt::Conflict(Conflict::Value { expected: KvExpected::Value(expected), actual, .. }) => {
                json!([expected, actual])
            }
            other => json!(format!("{other:?}")),
        }
    };
    "two cas racers: first wins, second conflicts" => "true", |subject| {
        must(kv::put(subject.backend(), "k", json!(0)));
        let first = must(kv::cas(subject.backend(), "k", Some(&json!(0)), json!(1)));
        let second = must(kv::cas(subject.backend(), "k", Some(&json!(0)), json!(2)));
        json!(!first.is_conflict() && second.is_conflict())
    };
    "retry after cas conflict succeeds" => "8", |subject| {
        must(kv::put(subject.backend(), "k", json!(7)));
        match must(kv::cas(subject.backend(), "k", Some(&json!(6)), json!(8))) {
            Attempt::Conflict(Conflict::Value { actual, .. }) => {
                free(must(kv::cas(subject.backend(), "k", actual.as_ref(), json!(8))))
            }
            other => json!(format!("{other:?}")),
        }
    };
    "put-new on absent key succeeds" => "1", |subject| {
        free(must(kv::put_new(subject.backend(), "k", json!(1))))
    };
    "put-new on existing key conflicts" => "true", |subject| {
        must(kv::put(subject.backend(), "k", json!(1)));
        json!(must(kv::put_new(subject.backend(), "k", json!(2))).is_conflict())
    };
    "put-new does not overwrite" => "1", |subject| {
        must(kv::put(subject.backend(), "k", json!(1)));
        let _ = must(kv::put_new(subject.backend(), "k", json!(2)));
        json!(must(kv::get::<Value>(subject.backend(), "k")))
    };
    "cas works on the durable backend" => "2", |subject| {
        must(kv::put(subject.backend(), "k", json!(1)));
        subject.restart();
        free(must(kv::cas(subject.backend(), "k", Some(&json!(1)), json!(2))))
    };
}
