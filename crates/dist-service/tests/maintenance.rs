//! Cleanup, verification, rebuild and the import of the older format.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::time::Duration;

use common::{World, artifact, code, local, request};
use dist_model::{Artifact, ChannelChanges, Digest, ErrorCode, ReleaseStatus, Slug};
use dist_service::{AuditFilter, CleanupOptions, OpenMode, Paging, Selector, Service, YankIntent};

fn acme() -> Slug {
    "acme".parse().unwrap()
}

fn at_once() -> CleanupOptions {
    CleanupOptions {
        dry_run: false,
        grace: Duration::ZERO,
    }
}

fn object(world: &World, digest: &Digest) -> std::path::PathBuf {
    world.folder.path().join("objects").join(digest.to_string())
}

#[tokio::test]
async fn retention_lets_old_releases_go_and_never_what_is_offered() {
    let world = World::new();
    let mut artifacts: Vec<Artifact> = Vec::new();
    for n in 0..8 {
        artifacts.extend(
            world
                .publish(&format!("1.{n}.0"), Some("beta"), &n.to_string())
                .await
                .unwrap()
                .artifacts,
        );
    }
    let keep = ChannelChanges {
        retention_keep: Some(6),
        ..ChannelChanges::default()
    };
    world
        .service
        .update_channel(&local(), &acme(), &"beta".parse().unwrap(), keep)
        .await
        .unwrap();
    // The oldest is offered elsewhere and so stays.
    let from = dist_service::PromoteFrom::Release(Selector::new("1.0.0", None));
    world
        .service
        .promote(&local(), &acme(), &"stable".parse().unwrap(), from, None, None)
        .await
        .unwrap();

    let before = world.contents();
    let plan = world
        .service
        .cleanup(
            &local(),
            CleanupOptions {
                dry_run: true,
                ..at_once()
            },
            None,
        )
        .await
        .unwrap();
    assert_eq!(world.contents(), before);
    let done = world.service.cleanup(&local(), at_once(), None).await.unwrap();
    let versions = |report: &dist_model::CleanupReport| {
        report
            .releases
            .iter()
            .map(|release| release.version.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (versions(&plan), versions(&done)),
        (vec!["1.1.0".to_owned()], vec!["1.1.0".to_owned()])
    );
    assert_eq!(
        (plan.objects, plan.freed_bytes),
        (done.objects.clone(), done.freed_bytes),
        "the plan is what is done"
    );
    assert_eq!(done.objects.len(), 1);
    assert!(!object(&world, &artifacts[1].sha256).exists() && object(&world, &artifacts[0].sha256).exists());
    let gone = world
        .service
        .release(&local(), &acme(), &Selector::new("1.1.0", None))
        .await
        .unwrap();
    assert_eq!(gone.release.status, ReleaseStatus::Deleted, "the row stays");
    assert_eq!(
        code(world.publish("1.1.0", Some("beta"), "1").await),
        ErrorCode::ReleaseDeleted
    );
    assert!(world.service.verify(&local()).await.unwrap().ok);
}

#[tokio::test]
async fn what_nothing_refers_to_waits_for_the_grace() {
    let world = World::new();
    let digest = world.upload(&local(), b"abandoned").await;
    let hour = CleanupOptions::default();
    let first = world.service.cleanup(&local(), hour, None).await.unwrap();
    assert_eq!((first.objects.len(), first.doomed), (0, 1));
    world.pass(1800);
    // A publish clears the mark, so the hour begins anew when the release is gone.
    world
        .service
        .publish(
            &local(),
            dist_service::PublishRequest {
                draft: true,
                ..request("1.0.0", None, vec![artifact("a-linux", digest)])
            },
            None,
        )
        .await
        .unwrap();
    world
        .service
        .discard(&local(), &acme(), &Selector::new("1.0.0", None))
        .await
        .unwrap();
    world.pass(1801);
    assert_eq!(world.service.cleanup(&local(), hour, None).await.unwrap().doomed, 1);
    assert!(object(&world, &digest).exists());
    world.pass(3600);
    let last = world.service.cleanup(&local(), hour, None).await.unwrap();
    assert_eq!((last.objects.len(), last.doomed, last.freed_bytes), (1, 0, 9));
    assert!(!object(&world, &digest).exists());
    let cleaned = AuditFilter {
        action: Some("store.cleaned".to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(
        world
            .service
            .audit(&local(), &cleaned, &Paging::default())
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    // Who uploads it again gets it stored again.
    world.upload(&local(), b"abandoned").await;
    assert!(object(&world, &digest).exists());
}

#[tokio::test]
async fn a_backup_holds_cleanup_off() {
    let world = World::new();
    let digest = world.upload(&local(), b"abandoned").await;
    let hold = world.service.objects().hold_off_removal().unwrap();
    let held = world.service.cleanup(&local(), at_once(), None).await.unwrap();
    assert!(held.held_off.is_some() && held.objects.is_empty() && object(&world, &digest).exists());
    drop(hold);
    assert_eq!(
        world
            .service
            .cleanup(&local(), at_once(), None)
            .await
            .unwrap()
            .objects
            .len(),
        1
    );
}

#[tokio::test]
async fn an_upload_that_met_a_cleanup_is_told_to_come_again() {
    let world = World::new();
    let mut staging = world.service.objects().begin(100).unwrap();
    staging.write(&[b"one"]).unwrap();
    let stored = staging.finish(None).unwrap();
    world.service.cleanup(&local(), at_once(), None).await.unwrap();
    assert_eq!(
        code(world.service.record_upload(&local(), stored, None).await),
        ErrorCode::ObjectMissing
    );
}

#[tokio::test]
async fn verify_finds_what_is_wrong() {
    let world = World::new();
    let one = world.publish("1.0.0", Some("beta"), "one").await.unwrap().artifacts[0].sha256;
    let two = world.publish("2.0.0", Some("beta"), "two").await.unwrap().artifacts[0].sha256;
    fs::remove_file(object(&world, &one)).unwrap();
    fs::remove_file(object(&world, &two)).unwrap();
    fs::write(object(&world, &two), "tow").unwrap();
    fs::write(world.folder.path().join("objects/README"), "what is this").unwrap();
    let connection = rusqlite::Connection::open(world.folder.path().join("dist.db")).unwrap();
    connection
        .execute("UPDATE releases SET notes = 'tampered' WHERE version = '1.0.0'", [])
        .unwrap();
    connection.execute("DELETE FROM audit_events WHERE id = 1", []).unwrap();
    let report = world.service.verify(&local()).await.unwrap();
    let mut kinds: Vec<&str> = report.problems.iter().map(|problem| problem.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "foreign_file",
            "object_corrupt",
            "object_missing",
            "projection_differs",
            "projection_differs"
        ]
    );
    assert!(!report.ok);
}

#[tokio::test]
async fn the_tables_are_made_again_from_the_log() {
    let world = World::new();
    let (caller, secret) = world.token("ci", &[dist_model::Scope::Publish], None, &["beta"]).await;
    world.upload(&caller, b"one").await;
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    world.publish("2.0.0", Some("beta"), "two").await.unwrap();
    world
        .service
        .yank(
            &local(),
            &acme(),
            &Selector::new("1.0.0", None),
            YankIntent::default(),
            None,
        )
        .await
        .unwrap();
    world.service.flush_all().await.unwrap();
    let before = world.contents();
    let connection = rusqlite::Connection::open(world.folder.path().join("dist.db")).unwrap();
    for table in [
        "apps",
        "app_bundle_ids",
        "releases",
        "artifacts",
        "channels",
        "channel_history",
        "object_uploads",
        "audit_events",
    ] {
        connection.execute(&format!("DELETE FROM {table}"), []).unwrap();
    }
    connection
        .execute("UPDATE tokens SET scopes = '[\"admin\"]'", [])
        .unwrap();
    let events = world.service.rebuild(&local()).await.unwrap();
    assert_eq!(world.contents(), before, "the token's last use is kept too");
    assert!(events.differing.contains_key("releases") && events.differing.contains_key("tokens"));
    assert!(world.service.verify(&local()).await.unwrap().ok);
    assert!(
        world
            .service
            .authenticate(Some(&format!("Bearer {secret}")))
            .await
            .is_ok()
    );
    assert!(world.service.rebuild(&local()).await.unwrap().differing.is_empty());
}

#[tokio::test]
async fn a_damaged_index_is_found_and_mended() {
    let world = World::new();
    let digest = world.publish("1.0.0", Some("beta"), "one").await.unwrap().artifacts[0].sha256;
    world.service.shutdown();
    let path = world.folder.path().join("dist.db");
    let sql = "SELECT rootpage, (SELECT page_size FROM pragma_page_size()) FROM sqlite_schema WHERE name = 'artifacts_sha256'";
    let connection = rusqlite::Connection::open(&path).unwrap();
    let (page, size): (u32, u32) = connection
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let (page, size) = (page as usize, size as usize);
    drop(connection);
    let (mut bytes, name) = (fs::read(&path).unwrap(), digest.to_string());
    let page = (page - 1) * size;
    let at = bytes[page..page + size]
        .windows(64)
        .position(|window| window == name.as_bytes())
        .unwrap();
    bytes[page + at] ^= 1;
    fs::write(&path, bytes).unwrap();

    let service = Service::open(world.folder.path(), OpenMode::Existing, world.setup()).unwrap();
    let problems = service.verify(&local()).await.unwrap().problems;
    assert!(
        problems.iter().any(|problem| problem.kind == "database_damaged"),
        "{problems:?}"
    );
    service.rebuild(&local()).await.unwrap();
    let report = service.verify(&local()).await.unwrap();
    assert!(report.ok, "{:?}", report.problems);
    assert_eq!(service.cleanup(&local(), at_once(), None).await.unwrap().objects, []);
}

const OLD: &str = r#"{
  "apps": [{"id": "app-1", "slug": "acme", "display_name": "Acme", "bundle_ids": {"ios": "dev.acme"}, "created_at": "2020-01-01T00:00:00Z"}],
  "releases": [
    {"id": "rel-1", "app_id": "app-1", "version": "1.0.0", "status": "published", "created_by": "token:old", "created_at": "2020-01-02T00:00:00Z"},
    {"id": "rel-2", "app_id": "app-1", "version": "1.0.1", "status": "yanked", "created_at": "2020-01-03T00:00:00Z"}],
  "artifacts": [{"id": "art-1", "app_id": "app-1", "release_id": "rel-1", "platform": "linux", "filename": "acme.tar.gz", "size_bytes": 3,
    "sha256": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}],
  "channels": [{"app_id": "app-1", "name": "stable", "current_release_id": "rel-1", "retention_keep": 3}],
  "tokens": [{"id": "tok-1", "name": "old", "token_hash": "ababababababababababababababababababababababababababababababababab", "scopes": "read,publish"}],
  "audit_events": [
    {"id": 1, "actor": "token:old", "action": "release.publish", "target_type": "release", "target_id": "rel-1", "created_at": "2020-01-02T00:00:00Z"},
    {"id": 1, "actor": "somebody", "action": "release.yank", "target_type": "release", "target_id": "rel-2", "created_at": "2020-01-03T00:00:00Z"}]
}"#;

fn old_store(json: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("db.json"),
        json.replace(
            "ababababababababababababababababababababababababababababababababab",
            &"ab".repeat(32),
        ),
    )
    .unwrap();
    fs::create_dir(folder.path().join("objects")).unwrap();
    fs::write(
        folder
            .path()
            .join("objects/7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"),
        "one",
    )
    .unwrap();
    folder
}

#[tokio::test]
async fn a_damaged_page_hides_no_damaged_object() {
    let world = World::new();
    let digest = world.publish("1.0.0", Some("beta"), "one").await.unwrap().artifacts[0].sha256;
    world.service.shutdown();
    fs::remove_file(object(&world, &digest)).unwrap();
    fs::write(object(&world, &digest), "eno").unwrap();
    let path = world.folder.path().join("dist.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'releases'";
    let (page, size): (u32, u32) = connection
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    drop(connection);
    let (page, size) = (page as usize, size as usize);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(page - 1) * size..page * size].fill(0);
    fs::write(&path, bytes).unwrap();

    let service = Service::open(world.folder.path(), OpenMode::Existing, world.setup()).unwrap();
    let problems = service.verify(&local()).await.unwrap().problems;
    let kinds: Vec<&str> = problems.iter().map(|problem| problem.kind.as_str()).collect();
    assert!(
        kinds.contains(&"database_damaged") && kinds.contains(&"object_corrupt"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn an_older_store_is_imported_once() {
    let world = World::in_folder(old_store(OLD));
    let app = world.service.app(&local(), &acme()).await.unwrap();
    assert_eq!(
        (app.app.id.as_str(), app.app.created_at.day()),
        ("app-1", "2020-01-01".to_owned())
    );
    assert_eq!(app.channels[0].current.as_ref().unwrap().id.as_str(), "rel-1");
    let folder = world.folder.path();
    assert!(folder.join("db.json.imported").exists() && !folder.join("db.json").exists());
    let audit = world
        .service
        .audit(&local(), &AuditFilter::default(), &Paging::default())
        .await
        .unwrap();
    let yanked = audit.items.iter().find(|event| event.action == "release.yank").unwrap();
    assert_eq!(
        (yanked.actor.to_string(), yanked.created_at.day()),
        ("user:somebody".to_owned(), "2020-01-03".to_owned())
    );
    assert_eq!(audit.items.last().unwrap().action, "store.imported");
    assert!(world.service.verify(&local()).await.unwrap().ok);
    // A crash after the commit and before the renaming: the next start only renames.
    let head = audit.items[0].id;
    world.service.shutdown();
    fs::rename(folder.join("db.json.imported"), folder.join("db.json")).unwrap();
    let again = Service::open(folder, OpenMode::Existing, world.setup()).unwrap();
    assert_eq!(
        again
            .audit(&local(), &AuditFilter::default(), &Paging::default())
            .await
            .unwrap()
            .items[0]
            .id,
        head
    );
    assert!(folder.join("db.json.imported").exists());
}

#[tokio::test]
async fn a_broken_older_store_is_left_as_it_is() {
    for broken in [
        &OLD[..OLD.len() / 2],
        "[]",
        &OLD.replace("\"slug\": \"acme\"", "\"slug\": \"ACME!\""),
        &OLD.replace("\"current_release_id\": \"rel-1\"", "\"current_release_id\": \"rel-2\""),
        &OLD.replace("\"release_id\": \"rel-1\"", "\"release_id\": \"rel-9\""),
        &OLD.replace("\"version\": \"1.0.1\"", "\"version\": \"1.0.0\""),
    ] {
        let folder = old_store(broken);
        let setup = World::new().setup();
        assert_eq!(
            code(Service::open(folder.path(), OpenMode::Create, setup).map(drop)),
            ErrorCode::ImportInvalid
        );
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["db.json", "objects"]);
    }
    let empty = World::in_folder(old_store("{}"));
    assert_eq!(
        empty.service.apps(&local(), &Paging::default()).await.unwrap().items,
        []
    );
}

#[tokio::test]
async fn a_folder_without_a_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        code(Service::open(folder.path(), OpenMode::Existing, World::new().setup()).map(drop)),
        ErrorCode::StoreNotFound
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let beside = || ["objects", "staging"].map(|name| folder.path().join(name).exists());
    let database = folder.path().join("dist.db");
    fs::write(
        &database,
        "no database, only a text that is somewhat longer than a database's header is",
    )
    .unwrap();
    let open = || code(Service::open(folder.path(), OpenMode::Existing, World::new().setup()).map(drop));
    assert_eq!((open(), beside()), (ErrorCode::StoreForeign, [false, false]));
    fs::remove_file(&database).unwrap();
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (id INTEGER)")
        .unwrap();
    assert_eq!((open(), beside()), (ErrorCode::StoreForeign, [false, false]));
}
