//! Whatever a line holds it gets one answer, and nothing bad changes anything.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Write;

use common::server::{Server, Session};
use persist::protocol::{MAX_LINE_BYTES, serve};
use persist::{MemoryBlobs, MemoryLog};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::tempdir;

/// An append of an event with that data, as the first of a stream.
fn append(data: &str) -> String {
    let event = format!(r#"{{"stream":"s","seq":1,"type":"t","at":0,"data":{data}}}"#);
    format!(r#"{{"op":"persist/append","args":["s",{event}]}}"#)
}

fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

/// Bad lines, by the code of their answer.
fn bad_lines() -> Vec<(&'static str, Vec<u8>)> {
    let broken: [&[u8]; 17] = [
        b"",
        b"   ",
        b"\0",
        b"nonsense",
        b"{",
        b"null",
        b"[]",
        b"\"persist/streams\"",
        br#"["persist/streams",[]]"#,
        br#"{"op":"persist/streams"}"#,
        br#"{"args":[]}"#,
        br#"{"op":7,"args":[]}"#,
        br#"{"op":"persist/streams","args":[],"id":1}"#,
        br#"{"op":"persist/hello","op":"persist/streams","args":[]}"#,
        br#"{"op":"persist/streams","args":[]} {}"#,
        br#"{"op":"persist/kv-put","args":["k",NaN]}"#,
        b"{\"op\":\"persist/\xff\",\"args\":[]}",
    ];
    let unknown = [
        r#"{"op":"","args":[]}"#,
        r#"{"op":"persist/forget","args":["s"]}"#,
        r#"{"op":"PERSIST/READ","args":["s"]}"#,
    ];
    let event = |fields: &str| format!(r#"{{"op":"persist/append","args":["s",{fields}]}}"#);
    let arguments = [
        r#"{"op":"persist/streams","args":null}"#.to_owned(),
        r#"{"op":"persist/streams","args":{}}"#.to_owned(),
        r#"{"op":"persist/streams","args":[1]}"#.to_owned(),
        r#"{"op":"persist/read","args":"s"}"#.to_owned(),
        r#"{"op":"persist/read","args":[]}"#.to_owned(),
        r#"{"op":"persist/read","args":["s","s"]}"#.to_owned(),
        r#"{"op":"persist/read","args":[7]}"#.to_owned(),
        r#"{"op":"persist/read","args":[""]}"#.to_owned(),
        r#"{"op":"persist/read","args":["a\nb"]}"#.to_owned(),
        format!(r#"{{"op":"persist/read","args":["{}"]}}"#, "s".repeat(201)),
        r#"{"op":"persist/truncate","args":["s",-1]}"#.to_owned(),
        r#"{"op":"persist/truncate","args":["s",1.5]}"#.to_owned(),
        r#"{"op":"persist/kv-put","args":["k"]}"#.to_owned(),
        r#"{"op":"persist/kv-put","args":["",1]}"#.to_owned(),
        r#"{"op":"persist/kv-put","args":["k",1e999]}"#.to_owned(),
        r#"{"op":"persist/read-page","args":[{"position":0}]}"#.to_owned(),
        r#"{"op":"persist/read-page","args":[{"place":0},1]}"#.to_owned(),
        r#"{"op":"persist/commit","args":[{"append":[]}]}"#.to_owned(),
        r#"{"op":"persist/commit","args":[[]]}"#.to_owned(),
        r#"{"op":"persist/commit","args":[{"kv":[{"put":{"key":"k","value":1,"expected":"any","more":1}}]}]}"#
            .to_owned(),
        r#"{"op":"blob/put","args":["aGk=","text/plain"]}"#.to_owned(),
        r#"{"op":"blob/put","args":[{"$bytes":"not base64"},"text/plain"]}"#.to_owned(),
        r#"{"op":"blob/put","args":[["aGk="],"text/plain"]}"#.to_owned(),
        event("null"),
        event(r#"["s",1,"t",0,null]"#),
        event(r#"{"stream":"s","seq":1,"type":"t","at":0}"#),
        event(r#"{"stream":"s","seq":1,"type":"t","at":0,"data":1,"meta":1}"#),
        event(r#"{"stream":"s","seq":1,"type":"t","at":0,"data":1,"data":2}"#),
        event(r#"{"stream":"other","seq":1,"type":"t","at":0,"data":1}"#),
        event(r#"{"stream":"s","seq":0,"type":"t","at":0,"data":1}"#),
        event(r#"{"stream":"s","seq":-1,"type":"t","at":0,"data":1}"#),
        event(r#"{"stream":"s","seq":1e999,"type":"t","at":0,"data":1}"#),
        event(r#"{"stream":"s","seq":18446744073709551616,"type":"t","at":0,"data":1}"#),
        event(r#"{"stream":"s","seq":1,"type":"t","at":9223372036854775808,"data":1}"#),
        append("-1e999"),
        append(&nested(200)),
        append(&nested(100_000)),
    ];
    let refused = [
        (
            "conflict",
            event(r#"{"stream":"s","seq":2,"type":"t","at":0,"data":1}"#),
        ),
        (
            "name_length",
            event(r#"{"stream":"s","seq":1,"type":"","at":0,"data":1}"#),
        ),
        (
            "name_control",
            event(r#"{"stream":"s","seq":1,"type":"\u0007","at":0,"data":1}"#),
        ),
        ("too_deep", append(&nested(101))),
        ("too_large", append(&json!("x".repeat(9 << 20)).to_string())),
    ];
    let texts = |code, lines: Vec<String>| lines.into_iter().map(move |line| (code, line.into_bytes()));
    (broken.iter().map(|line| ("broken_line", line.to_vec())))
        .chain(texts("unknown_op", unknown.map(str::to_owned).to_vec()))
        .chain(texts("bad_arguments", arguments.to_vec()))
        .chain(refused.into_iter().map(|(code, line)| (code, line.into_bytes())))
        .collect()
}

/// Asks what is bad, and after each looks at everything that it might have changed.
fn check_bad_lines(mut ask: impl FnMut(&[u8]) -> Value) {
    let state = |ask: &mut dyn FnMut(&[u8]) -> Value| {
        ["persist/hello", "persist/stream-revisions", "persist/kv-keys"].map(|op| {
            let answer = ask(json!({"op": op, "args": []}).to_string().as_bytes());
            assert!(answer["ok"] != Value::Null, "{answer}");
            answer
        })
    };
    let before = state(&mut ask);
    for (code, line) in bad_lines() {
        let shown = String::from_utf8_lossy(&line[..line.len().min(100)]).into_owned();
        let answer = ask(&line);
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
        assert_eq!(state(&mut ask), before, "{shown}");
    }
    assert_eq!(ask(append("1").as_bytes()), json!({"ok": null}));
}

#[test]
fn bad_lines_are_answered_and_change_nothing() {
    let (log, blobs) = (MemoryLog::default(), MemoryBlobs::default());
    check_bad_lines(|line| {
        let (input, mut output) = ([line, b"\n"].concat(), Vec::new());
        serve(&log, &blobs, &*input, &mut output).unwrap();
        serde_json::from_slice(&output).unwrap()
    });
}

#[test]
fn bad_lines_are_answered_by_the_program_and_the_session_goes_on() {
    let folder = tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let (reader, writer) = (server.output(), server.input());
    let mut session = Session { reader, writer };
    check_bad_lines(|line| session.ask(line));
    drop(session);
    assert!(server.0.wait().unwrap().success(), "the end of the input is no failure");
}

#[test]
fn a_line_beyond_the_limit_is_skipped_without_being_kept() {
    let megabyte = vec![b'x'; 1 << 20];
    let folder = tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let (reader, writer) = (server.output(), server.input());
    let mut session = Session { reader, writer };
    let hello = r#"{"op":"persist/hello","args":[]}"#;
    let state = session.ask(hello);
    let before = server.peak_memory();
    for _ in 0..3 {
        for _ in 0..40 {
            session.writer.write_all(&megabyte).unwrap();
        }
        let answer = session.ask("");
        assert_eq!(answer["error"]["code"], "line_too_long", "{answer}");
        assert_eq!(session.ask(hello), state);
    }
    // What might still have become a good line was kept, once.
    let grown = server.peak_memory() - before;
    assert!(grown < 48 << 10, "{grown} KiB for lines of 40 MiB");
}

#[test]
fn the_longest_line_is_still_a_request() {
    let (log, blobs) = (MemoryLog::default(), MemoryBlobs::default());
    let request = br#"{"op":"persist/streams","args":[]}"#;
    let serve_padded = |bytes: usize| {
        let mut input = request.to_vec();
        input.resize(bytes, b' ');
        let mut output = Vec::new();
        serve(&log, &blobs, &*input, &mut output).unwrap();
        serde_json::from_slice::<Value>(&output).unwrap()
    };
    assert_eq!(serve_padded(MAX_LINE_BYTES), json!({"ok": []}));
    assert_eq!(serve_padded(MAX_LINE_BYTES + 1)["error"]["code"], "line_too_long");
}

#[test]
fn the_operations_of_the_contract_answer_as_it_says() {
    let (log, blobs) = (MemoryLog::default(), MemoryBlobs::default());
    let ask = |op: &str, args: Value| {
        let input = json!({"op": op, "args": args}).to_string();
        let mut output = Vec::new();
        // A last line needs no end.
        serve(&log, &blobs, input.as_bytes(), &mut output).unwrap();
        serde_json::from_slice::<Value>(&output).unwrap()
    };
    let ok = |op, args| ask(op, args)["ok"].clone();
    let event = |stream, seq: u64| json!({"stream": stream, "seq": seq, "type": "t", "at": -5, "data": {"n": seq}});
    for (stream, seq) in [("s", 1), ("s", 2), ("$own", 1)] {
        assert_eq!(
            ask("persist/append", json!([stream, event(stream, seq)])),
            json!({"ok": null})
        );
    }
    let conflict = ask("persist/append", json!(["s", event("s", 2)]));
    assert_eq!(conflict["error"]["code"], "conflict");
    assert_eq!(
        (&conflict["error"]["expected"], &conflict["error"]["actual"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(ok("persist/read", json!(["s"])), json!([event("s", 1), event("s", 2)]));
    assert_eq!(ok("persist/truncate", json!(["s", 1])), Value::Null);
    assert_eq!(ok("persist/read", json!(["s"])), json!([event("s", 2)]));
    assert_eq!(ok("persist/last-seq", json!(["s"])), 2);
    assert_eq!(ok("persist/last-seq", json!(["absent"])), 0);
    assert_eq!(ok("persist/streams", json!([])), json!(["$own", "s"]));
    assert_eq!(ask("persist/kv-get", json!(["k"])), json!({"ok": null}));
    assert_eq!(
        ask("persist/kv-put", json!(["$k", {"x": [1, null]}])),
        json!({"ok": null})
    );
    assert_eq!(ok("persist/kv-get", json!(["$k"])), json!({"x": [1, null]}));
    assert_eq!(ok("persist/kv-has?", json!(["$k"])), true);
    assert_eq!(ok("persist/kv-keys", json!([])), json!(["$k"]));
    assert_eq!(ask("persist/kv-delete", json!(["$k"])), json!({"ok": null}));
    assert_eq!(ok("persist/kv-has?", json!(["$k"])), false);
    let cid = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(ok("blob/put", json!([{"$bytes": "YWJj"}, "text/plain"])), cid);
    assert_eq!(ok("blob/get", json!([cid])), json!({"$bytes": "YWJj"}));
    assert_eq!(ok("blob/has?", json!([cid])), true);
    assert_eq!(ask("blob/get", json!(["absent"])), json!({"ok": null}));
}

/// Bytes, and requests with some of their bytes replaced.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let requests: Vec<Vec<u8>> = vec![
        append(r#"{"n":[1,2.5,"x",null]}"#).into_bytes(),
        br#"{"op":"persist/kv-put","args":["k",{"x":1}]}"#.to_vec(),
        br#"{"op":"persist/read-page","args":[{"revision":["s",0]},10]}"#.to_vec(),
        br#"{"op":"persist/commit","args":[{"appends":[{"stream":"s","expected":"any","events":[]}]}]}"#.to_vec(),
        br#"{"op":"blob/put","args":[{"$bytes":"aGk="},"text/plain"]}"#.to_vec(),
    ];
    let damaged = (
        proptest::sample::select(requests),
        vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    );
    prop_oneof![
        vec(any::<u8>(), 0..40),
        damaged.prop_map(|(mut line, damage)| {
            for (index, byte) in damage {
                let index = index.index(line.len());
                line[index] = byte;
            }
            line
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_gets_one_answer(lines in vec(line(), 0..20)) {
        let input = lines.join(&b'\n');
        let lines = input.split_inclusive(|byte| *byte == b'\n').count();
        let mut output = Vec::new();
        serve(&MemoryLog::default(), &MemoryBlobs::default(), &*input, &mut output).unwrap();
        let answers: Vec<&[u8]> = output.split_inclusive(|byte| *byte == b'\n').collect();
        prop_assert_eq!(answers.len(), lines);
        for answer in answers {
            let answer: serde_json::Map<String, Value> = serde_json::from_slice(answer).unwrap();
            prop_assert_eq!(answer.len(), 1);
            prop_assert!(answer.contains_key("ok") || answer["error"]["code"].is_string());
        }
    }
}
