//! Backups, and stores made from them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use common::{World, code, local};
use dist_model::{Digest, ErrorCode, Slug};
use dist_service::{OpenMode, Service};

fn acme() -> Slug {
    "acme".parse().unwrap()
}

fn object(world: &World, digest: &Digest) -> std::path::PathBuf {
    world.folder.path().join("objects").join(digest.to_string())
}

#[tokio::test]
async fn a_backup_is_restored_on_another_machine() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let to = tempfile::tempdir().unwrap();
    let backup = to.path().join("backup");
    let report = world.service.backup(&local(), Some(&backup), None).await.unwrap();
    assert_eq!((report.objects, report.bytes), (1, 3));
    let contents = world.contents();
    world.publish("2.0.0", Some("beta"), "two").await.unwrap();
    assert_eq!(
        code(world.service.backup(&local(), Some(&backup), None).await),
        ErrorCode::StoreNotEmpty
    );

    let elsewhere = to.path().join("elsewhere");
    let restored = Service::restore(&backup, &elsewhere, &world.setup()).unwrap();
    assert_eq!((restored.objects, restored.position), (1, report.position));
    let service = Service::open(&elsewhere, OpenMode::Existing, world.setup()).unwrap();
    let copy = World {
        folder: to,
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        service,
    };
    assert!(copy.service.verify(&local()).await.unwrap().ok);
    let app = copy.service.app(&local(), &acme()).await.unwrap();
    assert_eq!(
        (app.releases.len(), copy.actions().await.last().unwrap().as_str()),
        (1, "store.restored")
    );
    let rows: Vec<&String> = contents.iter().filter(|row| row.contains(": ")).collect();
    assert!(!rows.is_empty());
    assert_eq!(
        code(Service::restore(&backup, &elsewhere, &world.setup()).map(drop)),
        ErrorCode::StoreNotEmpty
    );
}

#[tokio::test]
async fn a_backup_beside_another_copies_only_what_is_new() {
    let world = World::new();
    let one = world.publish("1.0.0", Some("beta"), "one").await.unwrap().artifacts[0].sha256;
    let to = tempfile::tempdir().unwrap();
    let (first, cut, second) = (to.path().join("first"), to.path().join("cut"), to.path().join("second"));
    let report = world.service.backup(&local(), Some(&first), None).await.unwrap();
    assert_eq!((report.bytes, report.copied_bytes), (3, 3));
    // Looking at a backup makes it no store; one that was cut has no dist.db yet.
    drop(Service::open(&first, OpenMode::Existing, world.setup()).unwrap());
    fs::create_dir_all(cut.join("objects")).unwrap();
    fs::write(cut.join("backup.json"), "{}").unwrap();
    world.publish("2.0.0", Some("beta"), "three").await.unwrap();
    let report = world.service.backup(&local(), Some(&second), None).await.unwrap();
    assert_eq!((report.objects, report.bytes, report.copied_bytes), (2, 8, 5));
    let shared = second.join("objects").join(one.to_string());
    assert_eq!(fs::metadata(&shared).unwrap().nlink(), 2);
    assert_eq!(fs::metadata(object(&world, &one)).unwrap().nlink(), 1);
    // Either can go without the other.
    fs::remove_dir_all(&first).unwrap();
    Service::restore(&second, &to.path().join("restored"), &world.setup()).unwrap();

    // A store is no earlier backup: its objects are copied.
    let beside = world.folder.path().with_extension("backup");
    let report = world.service.backup(&local(), Some(&beside), None).await.unwrap();
    fs::remove_dir_all(&beside).unwrap();
    assert_eq!(report.copied_bytes, 8);
}

#[tokio::test]
async fn a_damaged_backup_leaves_no_store() {
    let world = World::new();
    let digest = world.publish("1.0.0", Some("beta"), "one").await.unwrap().artifacts[0].sha256;
    let to = tempfile::tempdir().unwrap();
    let backup = to.path().join("backup");
    world.service.backup(&local(), Some(&backup), None).await.unwrap();
    let copy = backup.join("objects").join(digest.to_string());
    fs::remove_file(&copy).unwrap();
    for damaged in [false, true] {
        if damaged {
            fs::write(&copy, "two").unwrap();
        }
        let data = to.path().join(format!("data-{damaged}"));
        assert_eq!(
            code(Service::restore(&backup, &data, &world.setup()).map(drop)),
            ErrorCode::BackupInvalid
        );
        assert_eq!(
            code(Service::open(&data, OpenMode::Existing, world.setup()).map(drop)),
            ErrorCode::StoreNotFound
        );
    }
}

#[tokio::test]
async fn a_lost_object_ends_neither_backups_nor_their_restore() {
    let world = World::new();
    let mut digests = Vec::new();
    for (version, bytes) in [("1.0.0", "one"), ("2.0.0", "two"), ("3.0.0", "three")] {
        digests.push(world.publish(version, Some("beta"), bytes).await.unwrap().artifacts[0].sha256);
    }
    for digest in &digests[..2] {
        fs::remove_file(object(&world, digest)).unwrap();
    }
    // Cut short, it would be copied as if it were whole.
    fs::write(object(&world, &digests[1]), "t").unwrap();
    let to = tempfile::tempdir().unwrap();
    let backup = to.path().join("backup");
    let report = world.service.backup(&local(), Some(&backup), None).await.unwrap();
    let mut missing = report.missing.clone();
    missing.sort_by_key(|digest| digests.iter().position(|each| each == digest));
    assert_eq!((report.objects, missing), (1, digests[..2].to_vec()));
    let restored = Service::restore(&backup, &to.path().join("restored"), &world.setup()).unwrap();
    assert_eq!((restored.objects, restored.missing), (1, report.missing));
    // What the store had is not forgiven.
    fs::remove_file(backup.join("objects").join(digests[2].to_string())).unwrap();
    let refused = Service::restore(&backup, &to.path().join("more"), &world.setup())
        .unwrap_err()
        .refusal();
    assert_eq!(refused.code, ErrorCode::BackupInvalid);
    assert_eq!(refused.details["sha256"], serde_json::json!([digests[2].to_string()]));
}

#[tokio::test]
async fn an_earlier_backup_has_what_the_store_has_lost() {
    let world = World::new();
    let digest = world.publish("1.0.0", Some("beta"), "one").await.unwrap().artifacts[0].sha256;
    let to = tempfile::tempdir().unwrap();
    world
        .service
        .backup(&local(), Some(&to.path().join("first")), None)
        .await
        .unwrap();
    fs::remove_file(object(&world, &digest)).unwrap();
    let second = to.path().join("second");
    let report = world.service.backup(&local(), Some(&second), None).await.unwrap();
    assert_eq!(
        (report.objects, report.copied_bytes, report.missing),
        (1, 0, Vec::new())
    );
    Service::restore(&second, &to.path().join("restored"), &world.setup()).unwrap();
}

#[tokio::test]
async fn a_restore_is_not_ruined_by_what_lies_in_the_folder() {
    let world = World::new();
    let digest = world.publish("1.0.0", Some("beta"), "one").await.unwrap().artifacts[0].sha256;
    let to = tempfile::tempdir().unwrap();
    let (backup, data) = (to.path().join("backup"), to.path().join("data"));
    world.service.backup(&local(), Some(&backup), None).await.unwrap();
    // The log of a database that is gone would be taken for that of the restored one.
    fs::create_dir(&data).unwrap();
    fs::write(data.join("dist.db-wal"), "what was committed last").unwrap();
    assert_eq!(
        code(Service::restore(&backup, &data, &world.setup()).map(drop)),
        ErrorCode::StoreNotEmpty
    );
    fs::remove_file(data.join("dist.db-wal")).unwrap();
    // A damaged object of the right length is no object.
    fs::create_dir(data.join("objects")).unwrap();
    fs::write(data.join("objects").join(digest.to_string()), "eno").unwrap();
    Service::restore(&backup, &data, &world.setup()).unwrap();
    let restored = Service::open(&data, OpenMode::Existing, world.setup()).unwrap();
    assert!(restored.verify(&local()).await.unwrap().ok);
    assert_eq!(restored.health(&local()).await.unwrap().store.epoch, 2);
}

#[tokio::test]
async fn a_folder_whose_database_was_lost_is_no_new_store() {
    let world = World::new();
    let digest = world.publish("1.0.0", Some("beta"), "one").await.unwrap().artifacts[0].sha256;
    world.service.shutdown();
    let data = world.folder.path();
    fs::remove_file(data.join("dist.db")).unwrap();
    let open = || code(Service::open(data, OpenMode::Create, world.setup()).map(drop));
    assert_eq!(open(), ErrorCode::StoreNotFound);
    fs::write(data.join("dist.db"), "").unwrap();
    assert_eq!(open(), ErrorCode::StoreNotFound);
    fs::remove_file(data.join("dist.db")).unwrap();
    fs::remove_file(object(&world, &digest)).unwrap();
    fs::write(data.join("dist.db-wal"), "what was committed last").unwrap();
    assert_eq!(open(), ErrorCode::StoreNotFound);
    assert!(data.join("dist.db-wal").exists() && !data.join("dist.db").exists());
    fs::remove_file(data.join("dist.db-wal")).unwrap();
    Service::open(data, OpenMode::Create, world.setup()).unwrap();
}

#[tokio::test]
async fn a_backup_that_failed_leaves_nothing_behind() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let connection = rusqlite::Connection::open(world.folder.path().join("dist.db")).unwrap();
    connection
        .execute("UPDATE artifacts SET sha256 = 'no digest'", [])
        .unwrap();
    let to = tempfile::tempdir().unwrap();
    let failed = world.service.backup(&local(), Some(to.path()), None).await;
    assert_eq!(code(failed), ErrorCode::StoreCorrupt);
    assert_eq!(
        fs::read_dir(to.path()).unwrap().count(),
        0,
        "the folder can be used again"
    );
}
