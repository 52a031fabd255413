//! Objects going out: whole, in ranges, unchanged, as whom.

use dist_model::Scope;
use http::Method;
use serde_json::json;

use crate::common::{Answer, Site, eventually, sha256};

async fn published(site: &Site, bytes: Vec<u8>, filename: &str) -> String {
    let digest = site.upload(&site.admin, bytes).await;
    let manifest = json!({"app": "acme", "version": "1.0.0", "channel": "beta",
        "artifacts": [{"platform": "linux", "filename": filename, "sha256": digest, "content_type": "application/x-acme"}]});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    digest
}

async fn get(site: &Site, path: &str, headers: &[(&str, &str)]) -> Answer {
    let call = headers
        .iter()
        .fold(site.call(Method::GET, path), |call, (name, value)| {
            call.header(name, value)
        });
    call.send().await
}

fn pattern(length: u32) -> Vec<u8> {
    (0..length)
        .map(|n| (n / 251).to_le_bytes()[0] ^ n.to_le_bytes()[0])
        .collect()
}

#[tokio::test]
async fn a_download_says_what_it_is() {
    let site = Site::start().await;
    let bytes = pattern(2_000_000);
    let digest = published(&site, bytes.clone(), "Größe.bin").await;
    let path = format!("/download/{digest}");
    let answer = get(&site, &path, &[]).await.expect(200);
    assert!(answer.body == bytes);
    let etag = format!("\"{digest}\"");
    for (name, value) in [
        ("content-length", "2000000"),
        ("content-type", "application/x-acme"),
        ("etag", etag.as_str()),
        ("x-checksum-sha256", digest.as_str()),
        (
            "content-disposition",
            "attachment; filename=\"Gr__e.bin\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.bin",
        ),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("cache-control", "public, max-age=31536000, immutable"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    assert!(answer.header("repr-digest").starts_with("sha-256=:"));
    let head = site.call(Method::HEAD, &path).send().await.expect(200);
    assert_eq!(
        (head.header("content-length"), head.header("etag"), head.body.len()),
        ("2000000", etag.as_str(), 0)
    );
}

#[tokio::test]
async fn ranges_and_conditions() {
    let site = Site::start().await;
    let bytes = pattern(1_000_000);
    let digest = published(&site, bytes.clone(), "acme.bin").await;
    let path = format!("/download/{digest}");
    let etag = format!("\"{digest}\"");
    for (range, start, end) in [
        ("0-0", 0, 1),
        ("100-300099", 100, 300_100),
        ("999990-", 999_990, 1_000_000),
        ("-10", 999_990, 1_000_000),
    ] {
        let answer = get(&site, &path, &[("range", &format!("bytes={range}"))])
            .await
            .expect(206);
        assert!(answer.body == bytes[start..end], "{range}");
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {start}-{}/1000000", end - 1)
        );
        assert_eq!(answer.header("content-length"), (end - start).to_string());
    }
    let beyond = get(&site, &path, &[("range", "bytes=1000000-")]).await.expect(416);
    assert_eq!(
        (
            beyond.header("content-range"),
            beyond.header("cache-control"),
            beyond.body.len()
        ),
        ("bytes */1000000", "no-store", 0)
    );
    get(&site, &path, &[("range", "bytes=0-1,5-6")]).await.expect(200);
    get(&site, &path, &[("range", "bytes=0-1"), ("if-range", &etag)])
        .await
        .expect(206);
    get(&site, &path, &[("range", "bytes=0-1"), ("if-range", "\"other\"")])
        .await
        .expect(200);
    get(
        &site,
        &path,
        &[("range", "bytes=0-1"), ("if-range", "Sat, 21 Nov 2026 00:00:00 GMT")],
    )
    .await
    .expect(200);
    let unchanged = get(&site, &path, &[("if-none-match", &format!("\"x\", W/{etag}"))])
        .await
        .expect(304);
    assert_eq!((unchanged.header("etag"), unchanged.body.len()), (etag.as_str(), 0));
    get(&site, &path, &[("if-none-match", "\"x\"")]).await.expect(200);
    let head = site
        .call(Method::HEAD, &path)
        .header("range", "bytes=0-9")
        .send()
        .await
        .expect(200);
    assert_eq!(head.header("content-length"), "1000000");
}

#[tokio::test]
async fn only_downloads_that_reach_their_end_are_counted() {
    let site = Site::start().await;
    let digest = published(&site, pattern(1_000_000), "acme.bin").await;
    let path = format!("/download/{digest}");
    get(&site, &path, &[]).await.expect(200);
    get(&site, &path, &[("range", "bytes=0-999999")]).await.expect(206);
    get(&site, &path, &[("range", "bytes=0-9")]).await.expect(206);
    site.call(Method::HEAD, &path).send().await.expect(200);
    get(&site, &path, &[("if-none-match", &format!("\"{digest}\""))])
        .await
        .expect(304);
    eventually("two downloads are counted", async || {
        site.service.flush().await.unwrap();
        let caller = dist_service::Caller::new(dist_service::Principal::System);
        let counts = site.service.downloads(&caller, &"acme".parse().unwrap()).await.unwrap();
        counts.iter().map(|count| count.count).sum::<u64>() == 2
    })
    .await;
}

#[tokio::test]
async fn an_artifact_picks_the_file_name() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "the same bytes").await;
    let artifact = |name: &str| json!({"platform": "linux", "filename": name, "sha256": digest});
    let manifest = json!({"app": "acme", "version": "1.0.0", "artifacts": [artifact("one.bin"), artifact("two.bin")]});
    let published = site.post("/api/apps/acme/releases", &manifest).await.expect(201).json();
    for artifact in published["artifacts"].as_array().unwrap() {
        let path = format!("/download/{digest}?artifact={}", artifact["id"].as_str().unwrap());
        let answer = site.get(&path).await.expect(200);
        assert_eq!(
            answer.header("content-disposition"),
            format!("attachment; filename=\"{}\"", artifact["filename"].as_str().unwrap())
        );
    }
    let other = site.publish("other", "1.0.0", "beta").await;
    let path = format!(
        "/download/{digest}?artifact={}",
        other["artifacts"][0]["id"].as_str().unwrap()
    );
    assert_eq!(
        site.get(&path).await.expect(404).code(),
        "object.not_found",
        "it is made of other bytes"
    );
}

#[tokio::test]
async fn who_sent_bytes_may_fetch_them_until_a_release_is_made_of_them() {
    let site = Site::start().await;
    let (sender, _) = site.new_token(&[Scope::Publish], None, &[]).await;
    let (other, _) = site.new_token(&[Scope::Publish], None, &[]).await;
    let digest = site.upload(&sender, "not yet a release").await;
    let path = format!("/download/{digest}");
    let get = async |token: &str| site.call(Method::GET, &path).token(token).send().await;
    let answer = get(&sender).await.expect(200);
    assert_eq!(answer.text(), "not yet a release");
    assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
    get(&other).await.expect(404);
    site.get(&path).await.expect(404);

    let manifest = json!({"app": "acme", "version": "1.0.0",
        "artifacts": [{"platform": "linux", "filename": "a.bin", "sha256": digest}]});
    let publish = site
        .call(Method::POST, "/api/apps/acme/releases")
        .token(&sender)
        .json(&manifest);
    let release = publish.send().await.expect(201).json();
    get(&sender).await.expect(200);
    let yank = format!(
        "/api/apps/acme/releases/{}/yank",
        release["release"]["id"].as_str().unwrap()
    );
    site.post(&yank, &json!({})).await.expect(200);
    get(&sender).await.expect(404);
}

#[tokio::test]
async fn what_is_not_offered_is_not_there() {
    let site = Site::start().await;
    let digest = site.upload(&site.admin, "published by nobody").await;
    assert_eq!(
        site.get(&format!("/download/{digest}")).await.expect(404).code(),
        "object.not_found"
    );
    assert_eq!(site.get("/download/abc").await.expect(422).code(), "digest.invalid");
    site.publish("acme", "1.0.0", "beta").await;
    site.publish("acme", "2.0.0", "beta").await;
    site.post("/api/apps/acme/releases/1.0.0/yank", &json!({}))
        .await
        .expect(200);
    site.get(&format!("/download/{}", sha256("acme 1.0.0")))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_single_byte() {
    let site = Site::start().await;
    let digest = published(&site, b"x".to_vec(), "x.bin").await;
    assert_eq!(
        get(&site, &format!("/download/{digest}"), &[]).await.expect(200).text(),
        "x"
    );
}

#[tokio::test]
async fn a_lost_object_is_our_fault_and_says_nothing_of_the_disk() {
    let site = Site::start().await;
    let digest = published(&site, b"lost".to_vec(), "x.bin").await;
    std::fs::remove_file(site.data().join("objects").join(&digest)).unwrap();
    let answer = site.get(&format!("/download/{digest}")).await.expect(500);
    assert_eq!(answer.code(), "store.corrupt");
    assert!(!answer.text().contains(&digest), "{}", answer.text());
}
