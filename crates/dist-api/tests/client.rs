//! The client against a server that does what the test says: refuses, breaks off, lies.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dist_api::client::{Client, FileStamp, Options, Retry, Upload};
use dist_api::{AppCreate, Paging};
use dist_model::{AppChanges, Digest, ErrorCode, Refusal};

/// A request as it arrived: its head, in lower case but for the first line, and its body.
#[derive(Clone, Debug)]
struct Request {
    head: String,
    body: Vec<u8>,
}

/// What the server does with a request.
type Script = Box<dyn FnMut(&Request) -> Option<String> + Send>;

/// Serves requests one by one; where the script answers nothing, the connection is cut.
fn serve(mut script: Script) -> (String, Arc<Mutex<Vec<Request>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read_request(&mut stream, usize::MAX) else {
                continue;
            };
            let answer = script(&request);
            log.lock().unwrap().push(request);
            if let Some(answer) = answer {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    (url, seen)
}

/// Reads a request whose length is announced, or as much of its body as `most` allows.
fn read_request(stream: &mut TcpStream, most: usize) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend(&buffer[..count]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = header(&head, "content-length").map_or(0, |value| value.parse::<usize>().unwrap());
    let mut body = bytes[end..].to_vec();
    while body.len() < length.min(most) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => body.extend(&buffer[..count]),
        }
    }
    Some(Request { head, body })
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "what a script returns; it may also cut the connection"
)]
fn answer(status: &str, headers: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    ))
}

fn client(url: &str) -> Client {
    Client::new(Options {
        server: url.to_owned(),
        token: Some("dist_secret".to_owned()),
        retry: Retry {
            first: Duration::from_millis(1),
            jitter: || 0.0,
            ..Retry::default()
        },
        ..Options::default()
    })
    .unwrap()
}

const APP: &str = r#"{"id":"1","slug":"acme","display_name":"Acme","owner":"me","visibility":"public",
    "ios_mode":"artifact_only","ios_public_download":false,"testflight_url":null,
    "created_at":"2026-01-01T00:00:00.000Z","updated_at":"2026-01-01T00:00:00.000Z"}"#;
const EMPTY_PAGE: &str = r#"{"items":[],"next_cursor":null}"#;

fn create() -> AppCreate {
    AppCreate {
        slug: "acme".parse().unwrap(),
        settings: AppChanges::default(),
    }
}

async fn list(url: &str) -> Result<(), Refusal> {
    client(url).apps(&Paging::default()).await.map(drop)
}

#[tokio::test]
async fn a_busy_server_is_asked_again_under_the_same_key() {
    let mut left = ["429 Too Many Requests", "503 Service Unavailable", "502 Bad Gateway"].into_iter();
    let (url, seen) = serve(Box::new(move |_| match left.next() {
        Some(status) => answer(status, "", "<html>busy</html>"),
        None => answer("201 Created", "", APP),
    }));
    let app = client(&format!("{url}/dist/"))
        .create_app(&create(), "key-1")
        .await
        .unwrap();
    assert_eq!(app.slug.as_str(), "acme");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    for request in seen.iter() {
        assert!(
            request.head.starts_with("POST /dist/api/apps HTTP/1.1\r\n"),
            "{}",
            request.head
        );
        assert_eq!(header(&request.head, "idempotency-key").as_deref(), Some("key-1"));
        assert_eq!(
            header(&request.head, "authorization").as_deref(),
            Some("Bearer dist_secret")
        );
        assert_eq!(request.body, br#"{"slug":"acme"}"#);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again_and_then_given_up() {
    let (url, seen) = serve(Box::new(|_| None));
    let refusal = list(&url).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.code.kind().exit_code()),
        (ErrorCode::NetworkError, 8)
    );
    assert_eq!(seen.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn nobody_listening_is_a_network_error_that_was_announced() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let notices = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&notices);
    let client = Client::new(Options {
        server: format!("http://{port}"),
        retry: Retry {
            attempts: 3,
            first: Duration::from_millis(1),
            notice: Arc::new(move |_, _| {
                counter.fetch_add(1, Ordering::Relaxed);
            }),
            ..Retry::default()
        },
        ..Options::default()
    });
    let refusal = client.unwrap().apps(&Paging::default()).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NetworkError);
    assert_eq!(notices.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_deleted_twice() {
    let (url, seen) = serve(Box::new(|_| None));
    let refusal = client(&url).revoke_token(&"t/1".parse().unwrap()).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NetworkError);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0].head.starts_with("DELETE /api/tokens/t%2F1 "),
        "{}",
        seen[0].head
    );
}

#[tokio::test]
async fn every_answer_that_is_no_success_is_a_refusal() {
    let known = r#"{"error":{"code":"app.not_found","message":"no app","details":{"a":1}}}"#;
    let newer = r#"{"error":{"code":"moon.phase","message":"not today","details":{}}}"#;
    let policy = r#"{"error":{"code":"policy.moon","message":"not today"}}"#;
    for (status, body, code, exit) in [
        ("404 Not Found", known, "app.not_found", 3),
        ("400 Bad Request", newer, "request.malformed", 7),
        ("401 Unauthorized", newer, "auth.unknown_token", 4),
        ("403 Forbidden", newer, "request.forbidden", 4),
        ("403 Forbidden", policy, "policy.refused", 6),
        ("404 Not Found", "<html>", "route.not_found", 3),
        ("409 Conflict", newer, "request.conflict", 5),
        ("412 Precondition Failed", newer, "channel.moved", 5),
        ("413 Payload Too Large", "<html>", "request.too_large", 7),
        ("422 Unprocessable", newer, "request.malformed", 7),
        ("429 Too Many Requests", "", "server.busy", 8),
        ("500 Internal Server Error", "oops", "internal", 1),
        ("503 Service Unavailable", newer, "server.busy", 8),
        ("504 Gateway Timeout", "", "network.error", 8),
        ("507 Insufficient Storage", newer, "store.full", 1),
        ("302 Found", "", "network.bad_answer", 8),
        ("200 OK", "<html>captive portal</html>", "network.bad_answer", 8),
    ] {
        let (url, _) = serve(Box::new(move |_| {
            answer(status, "location: http://127.0.0.1:1/\r\n", body)
        }));
        let refusal = list(&url).await.unwrap_err();
        assert_eq!(
            (refusal.code.as_str(), refusal.code.kind().exit_code()),
            (code, exit),
            "{status} {refusal}"
        );
        if body == newer {
            assert_eq!(refusal.details["server_code"], "moon.phase");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, seen) = serve(Box::new(|_| answer("200 OK", "", EMPTY_PAGE)));
    let location = format!("location: {elsewhere}/api/apps\r\n");
    let (url, _) = serve(Box::new(move |_| answer("307 Temporary Redirect", &location, "")));
    let refusal = list(&url).await.unwrap_err();
    assert!(refusal.message.contains(&elsewhere), "{refusal}");
    assert!(seen.lock().unwrap().is_empty(), "the token went nowhere else");
}

#[test]
fn unusable_settings_are_usage_errors() {
    for (server, ca_pem) in [
        ("get.example.org", None),
        ("ftp://get.example.org", None),
        ("http://user@get.example.org", None),
        ("http://get.example.org/?a=b", None),
        ("http://get.example.org", Some(b"no pem".to_vec())),
    ] {
        let options = Options {
            server: server.to_owned(),
            ca_pem,
            ..Options::default()
        };
        assert_eq!(
            Client::new(options).err().unwrap().code,
            ErrorCode::UsageError,
            "{server}"
        );
    }
    let options = Options {
        server: "http://x".to_owned(),
        token: Some("a\nb".to_owned()),
        ..Options::default()
    };
    assert_eq!(Client::new(options).err().unwrap().code, ErrorCode::AuthMalformed);
}

/// A file of `size` bytes to upload, under a digest that nobody here computes.
fn upload(folder: &tempfile::TempDir, size: u64) -> Upload {
    let path: PathBuf = folder.path().join("file");
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    Upload {
        stamp: FileStamp::of(&file.metadata().unwrap()),
        sha256: Digest::from_bytes([7; 32]),
        progress: Arc::new(|_| {}),
        path,
    }
}

fn stored(upload: &Upload) -> String {
    format!(
        r#"{{"sha256":"{}","size_bytes":{},"deduplicated":false}}"#,
        upload.sha256, upload.stamp.size
    )
}

#[tokio::test]
async fn a_small_file_goes_whole_and_again_after_a_cut() {
    let folder = tempfile::tempdir().unwrap();
    let upload = upload(&folder, 300_000);
    let body = stored(&upload);
    let mut cut = true;
    let (url, seen) = serve(Box::new(move |_| {
        if std::mem::take(&mut cut) {
            None
        } else {
            answer("201 Created", "", &body)
        }
    }));
    let result = client(&url).upload(&upload).await.unwrap();
    assert_eq!(result.sha256, upload.sha256);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].body.len(), 300_000);
    assert!(
        seen[1]
            .head
            .starts_with(&format!("POST /api/upload?sha256={} ", upload.sha256))
    );
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let upload = upload(&folder, 1000);
    let (path, body) = (upload.path.clone(), stored(&upload));
    let (url, _) = serve(Box::new(move |_| {
        std::fs::write(&path, "rebuilt meanwhile").unwrap();
        answer("201 Created", "", &body)
    }));
    let refusal = client(&url).upload(&upload).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::FileChanged);
    let again = client(&url).upload(&upload).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::FileChanged, "before it is sent, too");
}

#[tokio::test]
async fn a_server_that_stored_something_else_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let upload = upload(&folder, 10);
    let body = stored(&upload).replace("\"size_bytes\":10", "\"size_bytes\":9");
    let (url, _) = serve(Box::new(move |_| answer("201 Created", "", &body)));
    let refusal = client(&url).upload(&upload).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NetworkBadAnswer);
}

/// A tus server that loses the connection once, in the middle of the first part.
#[tokio::test]
async fn a_large_file_goes_on_where_it_was_cut() {
    const PART: u64 = 64 << 20;
    const KEPT: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let upload = upload(&folder, PART + 10);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut offset, mut lines) = (0_u64, Vec::new());
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let cut = lines.len() == 1;
            let request = read_request(&mut stream, if cut { 1 << 20 } else { usize::MAX }).unwrap();
            let (method, _) = request.head.split_once(' ').unwrap();
            let stated = header(&request.head, "upload-offset").unwrap_or_default();
            lines.push(format!("{method} {stated}"));
            assert_eq!(header(&request.head, "tus-resumable").as_deref(), Some("1.0.0"));
            let reply = match method {
                // The host in the location is another than the one asked: it must not be followed.
                "POST" => answer(
                    "201 Created",
                    "location: http://elsewhere.example/api/uploads/u1\r\n",
                    "",
                ),
                "HEAD" => answer("200 OK", &format!("upload-offset: {offset}\r\n"), ""),
                _ if cut => {
                    offset = KEPT;
                    None
                }
                _ => {
                    offset += request.body.len() as u64;
                    answer("204 No Content", &format!("upload-offset: {offset}\r\n"), "")
                }
            };
            if let Some(reply) = reply {
                stream.write_all(reply.as_bytes()).unwrap();
            }
            if offset == PART + 10 {
                return lines;
            }
        }
        unreachable!()
    });
    let result = client(&url).upload(&upload).await.unwrap();
    assert_eq!(result.size_bytes, PART + 10);
    let after_cut = format!("PATCH {KEPT}");
    assert_eq!(server.join().unwrap(), ["POST ", "PATCH 0", "HEAD ", &after_cut]);
}
