//! Stores of older versions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{World, artifact, code, local, request};
use dist_model::{AppChanges, ErrorCode, ReleaseStatus, Slug};
use dist_service::{OpenMode, Paging, Selector, Service};
use rusqlite::Connection;
use tempfile::TempDir;

/// What the first version published, and the secret of its token.
const OBJECTS: [&str; 3] = ["one", "two", "three"];
const SECRET: &str = "dist_ad1c9ad1b20a18a80a290ded3a35012f0ba1a4547109f885144737e77029df6a";

fn acme() -> Slug {
    "acme".parse().unwrap()
}

/// A store as the first version left it.
fn first_version() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let database = Connection::open(folder.path().join("dist.db")).unwrap();
    database.execute_batch(include_str!("fixtures/store-1.sql")).unwrap();
    fs::create_dir(folder.path().join("objects")).unwrap();
    for bytes in OBJECTS {
        let digest = sha256(bytes);
        fs::write(folder.path().join("objects").join(digest), bytes).unwrap();
    }
    folder
}

fn sha256(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(text))
}

fn projections(database: &Path) -> String {
    let database = Connection::open(database).unwrap();
    let sql = "SELECT projections FROM persist_head";
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The names in a folder, and below it.
fn names(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(names(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_store_of_the_first_version_is_brought_forward() {
    let (folder, setup) = (first_version(), World::new().setup());
    let data = folder.path();
    let open = || Service::open(data, OpenMode::Existing, World::new().setup());
    assert_eq!(code(open().map(drop)), ErrorCode::StoreProjections);

    let report = Service::upgrade(&local(), data, &setup).unwrap();
    assert_eq!((report.upgraded, report.position), (true, 21));
    let before = PathBuf::from(report.backup.unwrap());
    assert!(before.starts_with(data.join("backups")));
    assert_eq!(projections(&before.join("dist.db")), "audit@1 entities@1");

    let world = World::in_folder(folder);
    assert!(world.service.verify(&local()).await.unwrap().ok);
    let app = world.service.app(&local(), &acme()).await.unwrap();
    assert_eq!(app.app.bundle_ids.len(), 1);
    let releases: Vec<_> = app
        .releases
        .iter()
        .map(|release| (release.version.as_str(), release.status))
        .collect();
    let published = ReleaseStatus::Published;
    assert_eq!(releases, [("1.2.0", published), ("1.0.0", published)]);
    let yanked = Selector::new("1.1.0", None);
    let yanked = world.service.release(&local(), &acme(), &yanked).await.unwrap();
    assert_eq!(yanked.release.status, ReleaseStatus::Yanked);
    let name = "stable".parse().unwrap();
    let stable = world.service.channel(&local(), &acme(), &name).await.unwrap();
    assert_eq!(stable.channel.revision, 3);
    let authorization = format!("Bearer {SECRET}");
    assert!(world.service.authenticate(Some(&authorization)).await.is_ok());
    assert_eq!(world.actions().await.last().unwrap(), "store.upgraded");
    // It goes on as a store of this version does.
    world.publish("2.0.0", Some("beta"), "four").await.unwrap();
    assert!(
        !Service::upgrade(&local(), world.folder.path(), &setup)
            .unwrap()
            .upgraded
    );
    assert_eq!(fs::read_dir(world.folder.path().join("backups")).unwrap().count(), 1);
}

#[tokio::test]
async fn the_copy_from_before_an_upgrade_is_a_store_of_the_older_version() {
    let (folder, world) = (first_version(), World::new());
    let (data, setup) = (folder.path(), world.setup());
    let report = Service::upgrade(&local(), data, &setup).unwrap();
    world.pass(1);
    // Back to the older version, and forward again.
    fs::copy(Path::new(&report.backup.unwrap()).join("dist.db"), data.join("dist.db")).unwrap();
    assert_eq!(projections(&data.join("dist.db")), "audit@1 entities@1");
    assert!(Service::upgrade(&local(), data, &setup).unwrap().upgraded);
    assert!(World::in_folder(folder).service.verify(&local()).await.unwrap().ok);
}

#[tokio::test]
async fn a_backup_of_an_older_version_is_restored() {
    let (backup, elsewhere) = (first_version(), tempfile::tempdir().unwrap());
    let before = names(backup.path());
    let data = elsewhere.path().join("data");
    let restored = Service::restore(backup.path(), &data, &World::new().setup()).unwrap();
    assert_eq!(restored.objects, 3);
    assert_eq!(
        projections(&backup.path().join("dist.db")),
        "audit@1 entities@1",
        "the backup is left as it is"
    );
    assert_eq!(names(backup.path()), before);
    let service = Service::open(&data, OpenMode::Existing, World::new().setup()).unwrap();
    assert!(service.verify(&local()).await.unwrap().ok);
    let left = names(&data)
        .into_iter()
        .filter(|name| name.to_string_lossy().contains("restoring"));
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn a_restore_that_was_cut_is_done_again() {
    let (backup, elsewhere) = (first_version(), tempfile::tempdir().unwrap());
    for left in ["dist.db.restoring", "dist.db.restoring-wal", "dist.db.restoring-shm"] {
        fs::write(elsewhere.path().join(left), "half").unwrap();
    }
    Service::restore(backup.path(), elsewhere.path(), &World::new().setup()).unwrap();
    let service = Service::open(elsewhere.path(), OpenMode::Existing, World::new().setup()).unwrap();
    assert!(service.verify(&local()).await.unwrap().ok);
}

#[tokio::test]
async fn a_store_that_lacks_a_table_and_a_column_is_brought_forward() {
    let world = World::new();
    let digest = world.upload(&local(), b"bytes").await;
    let wanted = request("1.0.0", Some("beta"), vec![artifact("a-linux", digest)]);
    world.service.publish(&local(), wanted, None).await.unwrap();
    let (folder, setup) = (world.folder.path().to_owned(), world.setup());
    let before = world.service.apps(&local(), &Paging::default()).await.unwrap().items;
    world.service.shutdown();
    let sql = "UPDATE persist_head SET projections = replace(projections, 'entities@3', 'entities@2');
         DROP INDEX artifacts_icon;
         ALTER TABLE artifacts DROP COLUMN icon_sha256;
         DROP TABLE storage_days;";
    Connection::open(folder.join("dist.db"))
        .unwrap()
        .execute_batch(sql)
        .unwrap();
    assert!(Service::upgrade(&local(), &folder, &setup).unwrap().upgraded);
    let service = Service::open(&folder, OpenMode::Existing, setup).unwrap();
    assert_eq!(service.apps(&local(), &Paging::default()).await.unwrap().items, before);
    assert!(service.verify(&local()).await.unwrap().ok);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
    let world = World::new();
    let (folder, setup) = (world.folder.path().to_owned(), world.setup());
    world.service.shutdown();
    drop(world.service);
    let database = folder.join("dist.db");
    let sql = "UPDATE persist_head SET projections = replace(projections, 'entities@3', 'entities@1000')";
    Connection::open(&database).unwrap().execute_batch(sql).unwrap();
    let before = fs::read(&database).unwrap();
    for mode in [OpenMode::Existing, OpenMode::Create] {
        assert_eq!(
            code(Service::open(&folder, mode, setup.clone()).map(drop)),
            ErrorCode::StoreNewer
        );
    }
    assert_eq!(code(Service::upgrade(&local(), &folder, &setup)), ErrorCode::StoreNewer);
    assert_eq!(fs::read(&database).unwrap(), before);
    assert!(!folder.join("backups").exists());
}

#[tokio::test]
async fn whoever_had_an_older_store_open_is_told_to_make_way() {
    let world = World::new();
    let old = world.service.clone();
    // As if this program were the older one, and the upgrade another's.
    let database = world.folder.path().join("dist.db");
    let sql = "UPDATE persist_head SET projections = replace(projections, 'entities@3', 'entities@1000')";
    Connection::open(&database).unwrap().execute_batch(sql).unwrap();
    assert_eq!(code(old.check_ready().await), ErrorCode::StoreNewer);
    let made = old.create_app(&local(), acme(), AppChanges::default(), None).await;
    assert_eq!(code(made), ErrorCode::StoreNewer);
}
