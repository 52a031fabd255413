//! Resumable uploads, by the protocol tus 1.0.0.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dist_model::Scope;
use http::Method;
use sha1::{Digest as _, Sha1};

use crate::common::{Answer, Call, Site, eventually, sha256};

fn tus<'a>(site: &'a Site, method: Method, path: &str) -> Call<'a> {
    site.call(method, path)
        .token(&site.admin)
        .header("tus-resumable", "1.0.0")
}

/// Begins an upload and answers its path.
async fn create(site: &Site, length: usize, metadata: &str) -> String {
    let call = tus(site, Method::POST, "/api/uploads").header("upload-length", &length.to_string());
    let answer = call.header("upload-metadata", metadata).send().await.expect(201);
    assert!(!answer.header("upload-expires").is_empty());
    format!("/api/{}", answer.header("location"))
}

fn part<'a>(site: &'a Site, path: &str, offset: usize, bytes: &[u8]) -> Call<'a> {
    tus(site, Method::PATCH, path)
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", &offset.to_string())
        .body(bytes.to_vec())
}

async fn head(site: &Site, path: &str) -> Answer {
    tus(site, Method::HEAD, path).send().await
}

#[tokio::test]
async fn options_say_what_is_spoken() {
    let site = Site::start().await;
    let answer = site.call(Method::OPTIONS, "/api/uploads").send().await.expect(204);
    assert_eq!(answer.header("tus-resumable"), "1.0.0");
    assert_eq!(answer.header("tus-version"), "1.0.0");
    assert_eq!(
        answer.header("tus-extension"),
        "creation,creation-with-upload,checksum,expiration,termination"
    );
    assert_eq!(answer.header("tus-checksum-algorithm"), "sha256,sha1");
    assert_eq!(answer.header("tus-max-size"), (8_u64 << 30).to_string());
}

#[tokio::test]
async fn an_upload_comes_in_parts() {
    let site = Site::start().await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let metadata = format!(
        "filename {},sha256 {}",
        STANDARD.encode("a.bin"),
        STANDARD.encode(sha256(&bytes))
    );
    let path = create(&site, bytes.len(), &metadata).await;
    let first = part(&site, &path, 0, &bytes[..100_000]).send().await.expect(204);
    assert_eq!(
        (first.header("upload-offset"), first.header("tus-resumable")),
        ("100000", "1.0.0")
    );
    let seen = head(&site, &path).await.expect(200);
    assert_eq!(
        (seen.header("upload-offset"), seen.header("upload-length")),
        ("100000", "300000")
    );
    assert_eq!(
        (seen.header("upload-metadata"), seen.header("cache-control")),
        (metadata.as_str(), "no-store")
    );

    let wrong = part(&site, &path, 5, b"x").send().await.expect(409);
    assert_eq!(
        (
            wrong.code().as_str(),
            wrong.json()["error"]["details"]["offset"].as_u64()
        ),
        ("upload.offset_mismatch", Some(100_000))
    );
    let last = part(&site, &path, 100_000, &bytes[100_000..]).send().await.expect(204);
    assert_eq!(
        (last.header("upload-offset"), last.header("x-checksum-sha256")),
        ("300000", sha256(&bytes).as_str())
    );
    assert_eq!(
        head(&site, &path).await.expect(200).header("x-checksum-sha256"),
        sha256(&bytes)
    );
    assert_eq!(site.names_in("objects"), [sha256(&bytes)]);
    site.call(Method::HEAD, &format!("/api/objects/{}", sha256(&bytes)))
        .token(&site.admin)
        .send()
        .await
        .expect(200);
    assert!(site.actions().await.contains(&"object.uploaded".to_owned()));
    // The answer to the last part was lost, and the client sends it again.
    part(&site, &path, 300_000, b"").send().await.expect(204);
}

#[tokio::test]
async fn the_first_part_can_come_with_the_creation() {
    let site = Site::start().await;
    let call = tus(&site, Method::POST, "/api/uploads").header("upload-length", "3");
    let answer = call
        .header("content-type", "application/offset+octet-stream")
        .body("abc")
        .send()
        .await
        .expect(201);
    assert_eq!(
        (answer.header("upload-offset"), answer.header("x-checksum-sha256")),
        ("3", sha256("abc").as_str())
    );
    let empty = tus(&site, Method::POST, "/api/uploads")
        .header("upload-length", "0")
        .send()
        .await
        .expect(201);
    assert_eq!(empty.header("x-checksum-sha256"), sha256(""));
}

#[tokio::test]
async fn a_part_with_a_wrong_checksum_is_dropped() {
    let site = Site::start().await;
    let path = create(&site, 6, "").await;
    let sha1 = |bytes: &[u8]| format!("sha1 {}", STANDARD.encode(Sha1::digest(bytes)));
    part(&site, &path, 0, b"abc")
        .header("upload-checksum", &sha1(b"abc"))
        .send()
        .await
        .expect(204);
    let wrong = part(&site, &path, 3, b"dez")
        .header("upload-checksum", &sha1(b"def"))
        .send()
        .await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.code().as_str()),
        (460, "artifact.digest_mismatch")
    );
    assert_eq!(head(&site, &path).await.header("upload-offset"), "3");
    let last = part(&site, &path, 3, b"def")
        .header("upload-checksum", &sha1(b"def"))
        .send()
        .await
        .expect(204);
    assert_eq!(last.header("x-checksum-sha256"), sha256("abcdef"));
    let unknown = part(&site, &path, 6, b"")
        .header("upload-checksum", "md5 AA==")
        .send()
        .await
        .expect(400);
    assert_eq!(unknown.code(), "upload.invalid");
}

#[tokio::test]
async fn an_upload_survives_a_restart() {
    let site = Site::start().await;
    let path = create(&site, 6, "").await;
    part(&site, &path, 0, b"abc").send().await.expect(204);
    let secret = site.admin.clone();
    let mut site = Site::start_on(site.stop().await, |_| {}).await;
    site.admin = secret;
    assert_eq!(head(&site, &path).await.expect(200).header("upload-offset"), "3");
    let last = part(&site, &path, 3, b"def").send().await.expect(204);
    assert_eq!(last.header("x-checksum-sha256"), sha256("abcdef"));
}

#[tokio::test]
async fn a_part_that_hangs_gives_way_to_the_next() {
    let site = Site::start().await;
    let path = create(&site, 20, "").await;
    let hang = |bytes: &str, offset: usize| {
        let mut raw = site.raw();
        raw.write(format!(
            "PATCH {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\n\
             upload-offset: {offset}\r\ncontent-type: application/offset+octet-stream\r\ncontent-length: 20\r\n\r\n{bytes}",
            site.admin
        ));
        raw
    };
    // The connection of the first is cut; that of the second hangs, as one does whose network is
    // gone. Neither keeps the client from going on where they were.
    drop(hang("01234", 0));
    eventually("the first part", async || {
        head(&site, &path).await.header("upload-offset") == "5"
    })
    .await;
    let _hanging = hang("56789", 5);
    // Asking interrupts it, so its bytes must have had the time to arrive.
    tokio::time::sleep(Duration::from_millis(200)).await;
    eventually("the second part", async || {
        head(&site, &path).await.header("upload-offset") == "10"
    })
    .await;
    let last = part(&site, &path, 10, b"abcdefghij").send().await.expect(204);
    assert_eq!(last.header("x-checksum-sha256"), sha256("0123456789abcdefghij"));
}

#[tokio::test]
async fn wrong_bytes_end_the_upload() {
    let site = Site::start().await;
    let path = create(&site, 3, &format!("sha256 {}", STANDARD.encode(sha256("abc")))).await;
    let wrong = part(&site, &path, 0, b"abd").send().await.expect(422);
    assert_eq!(wrong.code(), "artifact.digest_mismatch");
    head(&site, &path).await.expect(404);
    assert_eq!((site.names_in("objects"), site.names_in("staging")), (vec![], vec![]));
}

#[tokio::test]
async fn more_bytes_than_announced_are_refused() {
    let site = Site::start_with(|config| config.limits.upload_bytes = 100).await;
    let path = create(&site, 3, "").await;
    assert_eq!(
        part(&site, &path, 0, b"abcd").send().await.expect(400).code(),
        "upload.too_long"
    );
    let large = tus(&site, Method::POST, "/api/uploads")
        .header("upload-length", "101")
        .send()
        .await
        .expect(413);
    assert_eq!(large.code(), "upload.too_large");
}

#[tokio::test]
async fn an_upload_belongs_to_its_token_and_ends_when_told() {
    let site = Site::start().await;
    let path = create(&site, 3, "").await;
    let (other, _) = site.new_token(&[Scope::Admin], None, &[]).await;
    for method in [Method::HEAD, Method::PATCH, Method::DELETE] {
        let call = site.call(method, &path).token(&other).header("tus-resumable", "1.0.0");
        let call = call
            .header("upload-offset", "0")
            .header("content-type", "application/offset+octet-stream");
        call.send().await.expect(404);
    }
    tus(&site, Method::DELETE, &path).send().await.expect(204);
    head(&site, &path).await.expect(404);
    assert_eq!(site.names_in("staging"), Vec::<String>::new());
}

#[tokio::test]
async fn a_client_that_may_only_post_names_the_method_in_a_header() {
    let site = Site::start().await;
    let path = create(&site, 4, "").await;
    let named = |method: &str| tus(&site, Method::POST, &path).header("x-http-method-override", method);
    let sent = named("PATCH")
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", "0")
        .body(b"to".to_vec());
    assert_eq!(sent.send().await.expect(204).header("upload-offset"), "2");
    assert_eq!(named("HEAD").send().await.expect(200).header("upload-offset"), "2");
    let other = named("PUT").send().await.expect(405);
    assert_eq!(other.code(), "route.method_not_allowed");
    named("DELETE").send().await.expect(204);
    head(&site, &path).await.expect(404);
}

#[tokio::test]
async fn uploads_expire() {
    let site = Site::start_with(|config| {
        config.limits.upload_expiry = Duration::from_millis(200);
        config.limits.cleanup_interval = Duration::from_millis(500);
    })
    .await;
    let path = create(&site, 3, "").await;
    eventually("the upload expires", async || {
        matches!(head(&site, &path).await.status.as_u16(), 404 | 410)
    })
    .await;
    eventually("its files are swept", async || site.names_in("staging").is_empty()).await;
}

#[tokio::test]
async fn headers_that_are_wrong() {
    let site = Site::start().await;
    let path = create(&site, 3, "").await;
    let version = site.call(Method::HEAD, &path).token(&site.admin).send().await;
    assert_eq!(version.status.as_u16(), 412);
    assert_eq!(version.header("tus-version"), "1.0.0");
    let kind = tus(&site, Method::PATCH, &path)
        .header("upload-offset", "0")
        .body("abc")
        .send()
        .await;
    assert_eq!((kind.status.as_u16(), kind.code().as_str()), (415, "upload.invalid"));
    for (length, metadata) in [("", ""), ("-1", ""), ("3", "sha256 %%%")] {
        let call = tus(&site, Method::POST, "/api/uploads")
            .header("upload-length", length)
            .header("upload-metadata", metadata);
        assert_eq!(
            call.send().await.expect(400).code(),
            "upload.invalid",
            "{length} {metadata}"
        );
    }
}
