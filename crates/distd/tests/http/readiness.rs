//! `/readyz`: what it says when the store cannot be written. A full disk is in `full.rs`, one that fails
//! or is read-only in the faults of `xtask`.

use std::fs;

use rusqlite::Connection;

use crate::common::{Site, eventually};

/// The server becomes not ready, for this reason, and still says that it lives and what it counts.
async fn expect_not_ready(site: &Site, code: &str) {
    eventually(code, async || {
        let answer = site.get("/readyz").await;
        (answer.status.as_u16(), answer.text()) == (503, format!("not ready\n{code}\n"))
    })
    .await;
    site.get("/healthz").await.expect(200);
    let metrics = site.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("\ndistd_ready 0\n"), "{metrics}");
}

#[tokio::test]
async fn a_database_that_is_gone_is_noticed_without_a_write() {
    let site = Site::start().await;
    site.get("/readyz").await.expect(200);
    fs::remove_file(site.data().join("dist.db")).unwrap();
    // The first who writes finds out; from then on the writer has stopped.
    eventually("it is not ready", async || {
        let answer = site.get("/readyz").await;
        answer.status == 503 && (answer.text().contains("store.gone") || answer.text().contains("store.stopped"))
    })
    .await;
    expect_not_ready(&site, "store.stopped").await;
}

#[tokio::test]
async fn a_database_that_was_replaced_is_noticed() {
    let site = Site::start().await;
    let (database, copy) = (site.data().join("dist.db"), site.data().join("copy"));
    fs::copy(&database, &copy).unwrap();
    fs::rename(&copy, &database).unwrap();
    expect_not_ready(&site, "store.stopped").await;
}

#[tokio::test]
async fn a_folder_that_was_replaced_is_noticed_and_may_come_back() {
    let site = Site::start().await;
    for name in ["objects", "staging"] {
        let (folder, aside) = (site.data().join(name), site.data().join("aside"));
        fs::rename(&folder, &aside).unwrap();
        fs::create_dir(&folder).unwrap();
        expect_not_ready(&site, "store.gone").await;
        fs::remove_dir(&folder).unwrap();
        fs::rename(&aside, &folder).unwrap();
        eventually("ready again", async || site.get("/readyz").await.status == 200).await;
    }
}

#[tokio::test]
async fn a_store_that_a_newer_version_took_over_is_not_ours_to_write() {
    let site = Site::start().await;
    let sql = "UPDATE persist_head SET projections = replace(projections, 'entities@', 'entities@1000')";
    let database = Connection::open(site.data().join("dist.db")).unwrap();
    database.execute_batch(sql).unwrap();
    expect_not_ready(&site, "store.newer").await;
}
