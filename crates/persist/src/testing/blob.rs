//! Large things by reference.

use serde_json::{Value, json};

use super::group;
use super::subject::{Subject, must};
use crate::blob::{self, BlobRef};
use crate::kv;

fn reference() -> BlobRef {
    BlobRef {
        cid: "c1".to_owned(),
        size: 10,
        mime: "image/png".to_owned(),
    }
}

fn store(subject: &Subject, bytes: &str) -> BlobRef {
    must(blob::store(subject.blobs(), bytes.as_bytes(), "text/plain"))
}

fn fetch(subject: &Subject, blob: &BlobRef) -> Value {
    let bytes = must(blob::fetch(subject.blobs(), blob));
    json!(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// What a key holds after a reference was put there.
fn in_kv(subject: &Subject) -> Value {
    must(kv::put(subject.backend(), "k", store(subject, "PAYLOAD")));
    json!(must(kv::get::<Value>(subject.backend(), "k")))
}

group! { "blob":
    "blob-ref carries cid" => r#""c1""#, |_| json!(reference())["cid"].clone();
    "blob-ref carries size" => "10", |_| json!(reference())["size"].clone();
    "blob-ref carries mime" => r#""image/png""#, |_| json!(reference())["mime"].clone();
    "blob-ref? true for a ref" => "true", |_| json!(BlobRef::is_ref(&json!(reference())));
    "blob-ref? false for a plain dict" => "false", |_| json!(BlobRef::is_ref(&json!({"cid": "c1"})));
    "store returns a ref, not the bytes" => "true", |subject| {
        let stored = json!(store(subject, "PAYLOAD"));
        json!(BlobRef::is_ref(&stored) && !stored.to_string().contains("PAYLOAD"))
    };
    "store records the byte length as size" => "5", |subject| json!(store(subject, "12345").size);
    "fetch round-trips the bytes via the ref" => r#""PAYLOAD""#, |subject| {
        fetch(subject, &store(subject, "PAYLOAD"))
    };
    "exists? true after store" => "true", |subject| {
        json!(must(blob::exists(subject.blobs(), &store(subject, "PAYLOAD"))))
    };
    "content addressing: same bytes dedupe to same cid" => "true", |subject| {
        json!(store(subject, "PAYLOAD").cid == store(subject, "PAYLOAD").cid)
    };
    "different bytes get different cids" => "false", |subject| {
        json!(store(subject, "PAYLOAD").cid == store(subject, "OTHER").cid)
    };
    "a blob ref stored in kv is a ref" => "true", |subject| json!(BlobRef::is_ref(&in_kv(subject)));
    "the kv value does not contain the bytes" => "false", |subject| {
        json!(in_kv(subject).to_string().contains("PAYLOAD"))
    };
    "a blob ref stored in the log is a ref, bytes fetched separately" => r#"[true, "FILEBYTES"]"#, |subject| {
        subject.append("s", json!(store(subject, "FILEBYTES")));
        subject.restart();
        let data = &subject.read("s")[0].event.data;
        let bytes = serde_json::from_value(data.clone()).map(|blob| fetch(subject, &blob));
        json!([BlobRef::is_ref(data), bytes.unwrap_or_default()])
    };
}
