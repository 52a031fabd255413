//! The request protocol, and what a restart finds again.

use std::io::{self, BufReader};
use std::sync::Arc;
use std::thread;

use serde::Serialize;
use serde_json::{Value, json};

use super::group;
use super::subject::{Started, Subject, count, must, stream, sum};
use crate::protocol::{self, wire};
use crate::{Error, MemoryBlobs, RemoteBackend, Revision, compaction, kv, log, project, snapshot};

fn request(op: &str, args: impl Serialize) -> Vec<u8> {
    must(wire::request(op, &args))
}

fn parsed(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap_or_else(|error| json!(error.to_string()))
}

/// The answers of the subject's backend to lines.
fn serve(subject: &Subject, requests: &[Vec<u8>]) -> Vec<Value> {
    let mut answers = Vec::new();
    let served = protocol::serve(subject.backend(), subject.blobs(), &*requests.concat(), &mut answers);
    must(served.map_err(Error::from));
    answers.split_inclusive(|byte| *byte == b'\n').map(parsed).collect()
}

/// A subject of its own, which speaks the protocol to the backend of this one.
fn mock(subject: &Subject) -> Subject {
    let (input, requests) = must(io::pipe().map_err(Error::from));
    let (answers, output) = must(io::pipe().map_err(Error::from));
    let backend = subject.shared();
    // It ends with the subject, whose end of the pipe it reads.
    thread::spawn(move || protocol::serve(&*backend, &MemoryBlobs::default(), BufReader::new(input), output));
    let remote = must(RemoteBackend::connect(BufReader::new(answers), requests));
    Subject::new(move || Started {
        backend: Arc::new(remote.clone()),
        blobs: Arc::new(remote.clone()),
    })
}

group! { "durable":
    "req-append encodes op + args" => r#"{"op": "persist/append", "args": ["s", {"k": 1}]}"#, |_| {
        parsed(&request("persist/append", ("s", json!({"k": 1}))))
    };
    "req-kv-put encodes op + args" => r#"{"op": "persist/kv-put", "args": ["k", 7]}"#, |_| {
        parsed(&request("persist/kv-put", ("k", 7)))
    };
    "serve append then serve read" => "1", |subject| {
        let event = json!({"stream": "s", "seq": 1, "type": "happened", "at": 0, "data": {}});
        let answers = serve(subject, &[request("persist/append", ("s", event)), request("persist/read", ("s",))]);
        json!(answers[1]["ok"].as_array().map(Vec::len))
    };
    "serve kv-put then kv-get" => "42", |subject| {
        let answers = serve(subject, &[request("persist/kv-put", ("k", 42)), request("persist/kv-get", ("k",))]);
        answers[1]["ok"].clone()
    };
    "serve unknown op is a clear error" => r#""errored""#, |subject| {
        let answers = serve(subject, &[request("persist/forget", ("s",))]);
        if answers[0]["error"]["code"] == "unknown_op" {
            json!("errored")
        } else {
            answers[0].clone()
        }
    };
    "log facet works on mock-durable" => "2", |subject| {
        let mock = mock(subject);
        mock.append_all("s", &[1, 2]);
        json!(mock.count("s"))
    };
    "seq assignment works on mock-durable" => "2", |subject| {
        let mock = mock(subject);
        mock.append("s", json!({}));
        json!(mock.append("s", json!({})).event.seq)
    };
    "kv facet works on mock-durable" => "5", |subject| {
        let mock = mock(subject);
        must(kv::put(mock.backend(), "k", json!(5)));
        json!(must(kv::get::<Value>(mock.backend(), "k")))
    };
    "projection works on mock-durable" => "3", |subject| {
        let mock = mock(subject);
        mock.append_all("s", &[1, 2]);
        json!(must(project::project(mock.backend(), &stream("s"), &sum())).value)
    };
    "snapshot + replay work on mock-durable" => "3", |subject| {
        let mock = mock(subject);
        mock.append_all("s", &[1, 1]);
        must(snapshot::checkpoint(mock.backend(), &stream("s"), &count()));
        mock.append_all("s", &[1]);
        json!(must(snapshot::replay(mock.backend(), &stream("s"), &count())).value)
    };
    "compaction works on mock-durable" => "[0, 2]", |subject| {
        let mock = mock(subject);
        mock.append_all("s", &[1, 2]);
        must(compaction::compact(mock.backend(), &stream("s"), &count()));
        json!([mock.count("s"), must(log::last_seq(mock.backend(), &stream("s")))])
    };
    "restart recovers log state from the disk" => "2", |subject| {
        subject.append_all("s", &[1, 2]);
        subject.restart();
        json!(subject.count("s"))
    };
    "restart continues the seq counter" => "3", |subject| {
        subject.append_all("s", &[1, 2]);
        must(log::truncate(subject.backend(), &stream("s"), Revision::new(2)));
        subject.restart();
        json!(subject.append("s", json!({})).event.seq)
    };
    "restart recovers a kv value" => r#""on""#, |subject| {
        must(kv::put(subject.backend(), "k", json!("on")));
        subject.restart();
        json!(must(kv::get::<Value>(subject.backend(), "k")))
    };
    "restart from snapshot equals full replay" => "true", |subject| {
        subject.append_all("s", &[1, 2]);
        must(snapshot::checkpoint(subject.backend(), &stream("s"), &sum()));
        subject.append_all("s", &[4]);
        subject.restart();
        let full = must(project::project(subject.backend(), &stream("s"), &sum()));
        json!(must(snapshot::replay(subject.backend(), &stream("s"), &sum())) == full)
    };
}
