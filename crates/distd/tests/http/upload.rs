//! Bytes in one request: whole, wrong, cut off, too many.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dist_model::Scope;
use http::Method;
use sha2::{Digest as _, Sha256};

use crate::common::{Site, eventually, sha256};

#[tokio::test]
async fn an_upload_is_stored_once() {
    let site = Site::start().await;
    let bytes = vec![7_u8; 3 << 20];
    let send = async || {
        site.call(Method::POST, "/api/upload")
            .token(&site.admin)
            .body(bytes.clone())
            .send()
            .await
    };
    let first = send().await.expect(201).json();
    assert_eq!(first["sha256"], sha256(&bytes));
    assert_eq!(
        (first["size_bytes"].as_u64(), first["deduplicated"].as_bool()),
        (Some(3 << 20), Some(false))
    );
    assert_eq!(send().await.expect(200).json()["deduplicated"], true);
    assert_eq!(site.names_in("objects"), [sha256(&bytes)]);
    assert_eq!(site.names_in("staging"), Vec::<String>::new());
    assert_eq!(site.actions().await[..2], ["object.uploaded", "object.uploaded"]);
}

#[tokio::test]
async fn an_upload_with_a_key_acts_once() {
    let site = Site::start().await;
    let send = async |bytes: &'static str| {
        let call = site.call(Method::POST, "/api/upload").token(&site.admin);
        call.header("Idempotency-Key", "upload-1").body(bytes).send().await
    };
    let first = send("abc").await.expect(201).json();
    assert_eq!(
        send("abc").await.expect(201).json(),
        first,
        "the same answer, not \"deduplicated\""
    );
    assert_eq!(
        site.actions()
            .await
            .iter()
            .filter(|action| *action == "object.uploaded")
            .count(),
        1
    );
    assert_eq!(send("abd").await.expect(409).code(), "idempotency.mismatch");
}

#[tokio::test]
async fn an_object_is_seen_by_who_uploaded_it() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "mine").await;
    let path = format!("/api/objects/{digest}");
    let head = site
        .call(Method::HEAD, &path)
        .token(&site.admin)
        .send()
        .await
        .expect(200);
    assert_eq!(head.header("content-length"), "4");
    let (other, _) = site.new_token(&[Scope::Publish], None, &[]).await;
    site.call(Method::HEAD, &path).token(&other).send().await.expect(404);
    site.call(Method::GET, &path).token(&other).send().await.expect(405);
}

#[tokio::test]
async fn announced_digests_are_checked() {
    let site = Site::start().await;
    let good = sha256("abc");
    let repr = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(b"abc")));
    let call = |path: &str| site.call(Method::POST, path).token(&site.admin);
    for (path, header, value, body, code) in [
        (format!("/api/upload?sha256={good}"), "x-none", "", "abc", ""),
        (
            format!("/api/upload?sha256={good}"),
            "x-none",
            "",
            "abd",
            "artifact.digest_mismatch",
        ),
        (
            "/api/upload".to_owned(),
            "x-checksum-sha256",
            good.as_str(),
            "abd",
            "artifact.digest_mismatch",
        ),
        ("/api/upload".to_owned(), "repr-digest", repr.as_str(), "abc", ""),
        (
            "/api/upload".to_owned(),
            "repr-digest",
            repr.as_str(),
            "abd",
            "artifact.digest_mismatch",
        ),
        ("/api/upload?sha256=abc".to_owned(), "x-none", "", "abc", "usage.error"),
    ] {
        let answer = call(&path).header(header, value).body(body).send().await;
        assert_eq!(answer.code(), code, "{path} {header} {value}: {}", answer.text());
    }
    assert_eq!(site.names_in("objects"), [good]);
    assert_eq!(site.names_in("staging"), Vec::<String>::new());
}

#[tokio::test]
async fn over_the_limit_is_refused_before_and_while_reading() {
    let site = Site::start_with(|config| config.limits.upload_bytes = 1 << 20).await;
    let large = vec![0_u8; (1 << 20) + 1];
    let sized = site
        .call(Method::POST, "/api/upload")
        .token(&site.admin)
        .body(large)
        .send()
        .await
        .expect(413);
    assert_eq!(
        (
            sized.code().as_str(),
            sized.json()["error"]["details"]["limit_bytes"].as_u64()
        ),
        ("upload.too_large", Some(1 << 20))
    );

    let mut raw = site.raw();
    raw.write(format!(
        "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\n\r\n",
        site.admin
    ));
    tokio::task::spawn_blocking(move || {
        for _ in 0..64 {
            raw.write("10000\r\n").write(vec![0; 0x10000]).write("\r\n");
        }
        let answer = raw.read_to_end();
        assert!(
            answer.starts_with("HTTP/1.1 413") && answer.contains("upload.too_large"),
            "{answer}"
        );
    })
    .await
    .unwrap();
    eventually("the staging is empty", async || site.names_in("staging").is_empty()).await;
    assert_eq!(site.names_in("objects"), Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_client_that_still_sends_reads_why() {
    let site = Site::start_with(|config| config.limits.upload_bytes = 1 << 20).await;
    let mut raw = site.raw();
    let length = 64 << 20;
    raw.write(format!(
        "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {length}\r\n\r\n",
        site.admin
    ));
    let answer = tokio::task::spawn_blocking(move || {
        // More than the sockets' buffers hold: it goes on only because the server drains it.
        for _ in 0..length / (1 << 20) {
            raw.write(vec![0; 1 << 20]);
        }
        raw.read_to_end()
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn nothing_is_left_of_an_upload_that_was_cut_off() {
    let site = Site::start().await;
    for framing in ["content-length: 1000000", "transfer-encoding: chunked"] {
        let mut raw = site.raw();
        raw.write(format!(
            "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{framing}\r\n\r\n",
            site.admin
        ));
        raw.write("10\r\n0123456789abcdef\r\n");
        eventually("the upload begins", async || !site.names_in("staging").is_empty()).await;
        drop(raw);
        eventually("the staging is empty", async || site.names_in("staging").is_empty()).await;
    }
    assert_eq!(site.names_in("objects"), Vec::<String>::new());
    assert!(!site.actions().await.contains(&"object.uploaded".to_owned()));
}

#[tokio::test]
async fn a_body_that_ends_early_is_told_so() {
    let site = Site::start().await;
    let mut raw = site.raw();
    raw.write(format!(
        "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\nshort",
        site.admin
    ));
    raw.0.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = tokio::task::spawn_blocking(move || raw.read_to_end()).await.unwrap();
    assert!(answer.is_empty() || answer.contains("upload.incomplete"), "{answer}");
    eventually("the staging is empty", async || site.names_in("staging").is_empty()).await;
}

#[tokio::test]
async fn a_client_may_wait_to_be_told_to_continue() {
    let site = Site::start().await;
    let mut raw = site.raw();
    let head = |length: usize| {
        format!(
            "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n",
            site.admin
        )
    };
    raw.write(head(3));
    let answer = tokio::task::spawn_blocking(move || {
        let go_on = raw.read_until("\r\n\r\n");
        assert!(go_on.starts_with("HTTP/1.1 100"), "{go_on}");
        raw.write("abc").read_until("}")
    });
    assert!(answer.await.unwrap().starts_with("HTTP/1.1 201"));

    // A stranger is refused without being asked for the body.
    let mut raw = site.raw();
    raw.write("POST /api/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\nexpect: 100-continue\r\n\r\n");
    let answer = tokio::task::spawn_blocking(move || raw.read_until("\r\n\r\n"))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}
