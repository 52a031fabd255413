//! Appends of several events.

use serde_json::{Value, json};

use super::group;
use super::subject::{Subject, event, free, must, seqs, stream};
use crate::{Attempt, ExpectedRevision, Recorded, Revision, log};

fn batch(subject: &Subject, data: &[Value]) -> Vec<Recorded> {
    let events = data.iter().cloned().map(event).collect();
    must(log::append_batch(subject.backend(), &stream("s"), events))
}

fn batch_expect(subject: &Subject, expected: u64, data: &[Value]) -> Attempt<Vec<Recorded>> {
    let events = data.iter().cloned().map(event).collect();
    let expected = ExpectedRevision::Exact(Revision::new(expected));
    must(log::append_batch_expect(
        subject.backend(),
        &stream("s"),
        expected,
        events,
    ))
}

group! { "batch":
    "batch assigns contiguous seqs" => "[1, 3]", |subject| {
        let seqs = seqs(&batch(subject, &[json!(1), json!(2), json!(3)]));
        json!([seqs.first(), seqs.last()])
    };
    "batch returns events in order" => r#"["a", "b"]"#, |subject| {
        let events = batch(subject, &[json!("a"), json!("b")]);
        json!([events[0].event.data, events[1].event.data])
    };
    "batch grows the stream by its size" => "3", |subject| {
        batch(subject, &[json!(1), json!(2), json!(3)]);
        json!(subject.count("s"))
    };
    "batch continues an existing stream" => "2", |subject| {
        subject.append("s", json!({}));
        json!(batch(subject, &[json!({})])[0].event.seq)
    };
    "empty batch is a no-op" => "0", |subject| {
        batch(subject, &[]);
        json!(subject.count("s"))
    };
    "batch-expect with correct seq commits all" => "2", |subject| {
        json!(free(batch_expect(subject, 0, &[json!(1), json!(2)])).len())
    };
    "batch-expect with stale seq writes nothing" => "1", |subject| {
        subject.append("s", json!({}));
        let _ = batch_expect(subject, 0, &[json!(1), json!(2)]);
        json!(subject.count("s"))
    };
    "batch-expect stale returns a conflict" => "true", |subject| {
        subject.append("s", json!({}));
        json!(batch_expect(subject, 0, &[json!(1), json!(2)]).is_conflict())
    };
    "batch data is preserved" => r#""x""#, |subject| {
        batch(subject, &[json!({"name": "x"})]);
        subject.read("s")[0].event.data["name"].clone()
    };
    "batch works on the durable backend" => "2", |subject| {
        batch(subject, &[json!(1), json!(2)]);
        subject.restart();
        json!(subject.count("s"))
    };
}
