//! Folding events into a value.

use serde_json::json;

use super::group;
use super::subject::{count, must, stream, sum};
use crate::{Projected, project};

group! { "project":
    "project empty stream returns seed value" => "0", |subject| {
        json!(must(project::project(subject.backend(), &stream("s"), &count())).value)
    };
    "project empty stream seq is 0" => "0", |subject| {
        json!(must(project::project(subject.backend(), &stream("s"), &count())).reached)
    };
    "project counts events" => "3", |subject| {
        subject.append_all("s", &[1, 2, 3]);
        json!(must(project::project(subject.backend(), &stream("s"), &count())).value)
    };
    "project sums event data" => "12", |subject| {
        subject.append_all("s", &[3, 4, 5]);
        json!(must(project::project(subject.backend(), &stream("s"), &sum())).value)
    };
    "project tracks last seq" => "2", |subject| {
        subject.append_all("s", &[1, 1]);
        json!(must(project::project(subject.backend(), &stream("s"), &count())).reached)
    };
    "resume folds only the tail" => "3", |subject| {
        subject.append_all("s", &[1, 2]);
        // What the first event gave is not asked for again: it counts as nothing here.
        let from = Projected { value: 1, reached: 1.into() };
        subject.append_all("s", &[3]);
        json!(must(project::resume(subject.backend(), &stream("s"), &count(), from)).value)
    };
    "resume with no new events is a no-op" => "1", |subject| {
        subject.append_all("s", &[1]);
        let from = must(project::project(subject.backend(), &stream("s"), &count()));
        json!(must(project::resume(subject.backend(), &stream("s"), &count(), from)).value)
    };
    "resume advances seq" => "3", |subject| {
        subject.append_all("s", &[1, 2]);
        let from = must(project::project(subject.backend(), &stream("s"), &count()));
        subject.append_all("s", &[3]);
        json!(must(project::resume(subject.backend(), &stream("s"), &count(), from)).reached)
    };
    "full project equals seed-resume from zero" => "true", |subject| {
        subject.append_all("s", &[1, 2, 3]);
        let full = must(project::project(subject.backend(), &stream("s"), &sum()));
        json!(full == must(project::resume(subject.backend(), &stream("s"), &sum(), sum().seed())))
    };
}
