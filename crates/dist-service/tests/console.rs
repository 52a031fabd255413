//! What the console's pages show, on a real store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Told, World, artifact, code, local, request};
use dist_model::{
    AppChanges, ErrorCode, MoveCause, Platform, ReleaseStatus, Scope, Slug, Source, Timestamp, ValidationStatus,
    Visibility,
};
use dist_service::{
    AppPage, Caller, CleanupOptions, OpenMode, Paging, Principal, PromoteFrom, PublishRequest, ReleaseSearch, Selector,
    Service, YankIntent, facts,
};
use serde_json::json;

fn acme() -> Slug {
    "acme".parse().unwrap()
}

fn version(text: &str) -> Selector {
    Selector::new(text, None)
}

async fn promote(world: &World, text: &str) {
    let (stable, from) = ("stable".parse().unwrap(), PromoteFrom::Release(version(text)));
    world
        .service
        .promote(&local(), &acme(), &stable, from, None, None)
        .await
        .unwrap();
}

async fn private(world: &World) {
    let hidden = AppChanges {
        visibility: Some(Visibility::Private),
        ..AppChanges::default()
    };
    world.service.update_app(&local(), &acme(), hidden).await.unwrap();
}

/// Counts so many downloads of a release's first artifact, now.
async fn download(world: &World, text: &str, times: usize) {
    let release = world.service.release(&local(), &acme(), &version(text)).await.unwrap();
    for _ in 0..times {
        world.service.count_download(&release.artifacts[0].id);
    }
    world.service.flush().await.unwrap();
}

async fn app_page(world: &World, search: ReleaseSearch, paging: &Paging) -> AppPage {
    world
        .service
        .app_page(&local(), &acme(), &search, paging)
        .await
        .unwrap()
}

fn versions(page: &AppPage) -> Vec<&str> {
    page.releases
        .items
        .iter()
        .map(|row| row.release.version.as_str())
        .collect()
}

#[tokio::test]
async fn a_row_of_apps_says_what_is_out_since_when_and_who_did_it() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    promote(&world, "1.0.0").await;
    world.pass(40 * 86_400);
    download(&world, "1.0.0", 3).await;
    world.pass(29 * 86_400);
    download(&world, "1.0.0", 4).await;
    world.publish("1.1.0", Some("beta"), "two").await.unwrap();
    let moved = world.service.now();

    let rows = world.service.apps_page(&local()).await.unwrap();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(
        (row.downloads, row.newest.as_ref().unwrap().version.as_str()),
        (7, "1.1.0")
    );
    let shown: Vec<_> = row
        .channels
        .iter()
        .map(|stand| {
            (
                stand.channel.name.as_str(),
                stand.release.as_ref().unwrap().version.as_str(),
            )
        })
        .collect();
    assert_eq!(shown, [("beta", "1.1.0"), ("stable", "1.0.0")]);
    let (beta, stable) = (&row.channels[0], &row.channels[1]);
    let last = beta.moved.as_ref().unwrap();
    assert_eq!(
        (last.at, last.by.to_string(), last.cause),
        (moved, "local:1000".to_owned(), MoveCause::Published)
    );
    assert_eq!(stable.moved.as_ref().unwrap().cause, MoveCause::Promoted);
    let contents = beta.contents.as_ref().unwrap();
    assert_eq!(
        (contents.platforms[0].platform, contents.size_bytes()),
        (Platform::Linux, 3)
    );
    assert!(contents.validation.is_some());
    assert_eq!(row.last_activity.as_ref().unwrap().event.action, "channel.published");
    world.pass(86_400);
    assert_eq!(
        world.service.apps_page(&local()).await.unwrap()[0].downloads,
        4,
        "the first day is over"
    );
}

#[tokio::test]
async fn what_the_caller_may_not_read_is_on_no_page() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let stranger = Caller::new(Principal::Anonymous);
    let seen = world.service.apps_page(&stranger).await.unwrap();
    assert_eq!((seen.len(), seen[0].last_activity.is_none()), (1, true));
    private(&world).await;
    let (other, _) = world.token("other", &[Scope::Read], Some("other"), &[]).await;
    let now = world.service.now();
    for caller in [stranger, other] {
        assert_eq!(world.service.apps_page(&caller).await.unwrap(), []);
        assert_eq!(world.service.search(&caller, "acme").await.unwrap(), []);
        assert_eq!(world.service.search(&caller, "1.0.0").await.unwrap(), []);
        assert_eq!(world.service.downloads_by_app(&caller, now, now).await.unwrap(), []);
        let (all, paging, release) = (ReleaseSearch::default(), Paging::default(), version("1.0.0"));
        let page = world.service.app_page(&caller, &acme(), &all, &paging).await;
        assert_eq!(code(page), ErrorCode::AppNotFound);
        let page = world.service.release_page(&caller, &acme(), &release).await;
        assert_eq!(code(page), ErrorCode::AppNotFound);
        for refused in [
            world.service.storage(&caller).await.map(drop),
            world.service.health(&caller).await.map(drop),
            world.service.objects_on_disk(&caller).await.map(drop),
            world.service.retention_plan(&caller, &acme()).await.map(drop),
            world
                .service
                .downloads_by_release(&caller, &acme(), now, now)
                .await
                .map(drop),
        ] {
            refused.unwrap_err();
        }
    }
}

#[tokio::test]
async fn an_apps_releases_are_found_by_status_platform_and_text() {
    let world = World::new();
    world.publish("1.0.0", None, "one").await.unwrap();
    world.publish("1.1.0", Some("beta"), "two").await.unwrap();
    let digest = world.upload(&local(), b"three").await;
    let source = Source {
        commit: Some("C0FFEE99".to_owned()),
        branch: Some("100%_sure".to_owned()),
        run_url: None,
    };
    let windows = dist_service::ArtifactRequest {
        platform: Some(Platform::Windows),
        ..artifact("acme.bin", digest)
    };
    world.pass(1);
    let wanted = PublishRequest {
        source,
        ..request("2.0.0", Some("beta"), vec![windows])
    };
    world.service.publish(&local(), wanted, None).await.unwrap();
    world
        .service
        .yank(&local(), &acme(), &version("1.0.0"), YankIntent::default(), None)
        .await
        .unwrap();
    download(&world, "2.0.0", 2).await;

    let text = |text: &str| ReleaseSearch {
        text: Some(text.to_owned()),
        ..ReleaseSearch::default()
    };
    let cases = [
        (ReleaseSearch::default(), &["2.0.0", "1.1.0", "1.0.0"][..]),
        (
            ReleaseSearch {
                status: Some(ReleaseStatus::Yanked),
                ..ReleaseSearch::default()
            },
            &["1.0.0"],
        ),
        (
            ReleaseSearch {
                platform: Some(Platform::Windows),
                ..ReleaseSearch::default()
            },
            &["2.0.0"],
        ),
        (
            ReleaseSearch {
                platform: Some(Platform::Windows),
                ..text("1.")
            },
            &[],
        ),
        (text("1."), &["1.1.0", "1.0.0"]),
        (text("c0ffee"), &["2.0.0"]),
        (text("100%_S"), &["2.0.0"]),
        (text("%"), &["2.0.0"]),
        (text("0_0"), &[]),
    ];
    for (search, expected) in cases {
        let page = app_page(&world, search.clone(), &Paging::default()).await;
        assert_eq!(versions(&page), expected, "{search:?}");
    }
    let first = app_page(&world, ReleaseSearch::default(), &Paging { cursor: None, limit: 2 }).await;
    let row = &first.releases.items[0];
    assert_eq!(
        (row.downloads, row.channels.len(), &*row.contents.platforms),
        (2, 1, &first.releases.items[0].contents.platforms[..])
    );
    let rest = Paging {
        cursor: first.releases.next_cursor.clone(),
        limit: 2,
    };
    assert_eq!(
        versions(&app_page(&world, ReleaseSearch::default(), &rest).await),
        ["1.0.0"]
    );
}

#[tokio::test]
async fn drafts_are_on_the_page_of_those_who_may_publish() {
    let world = World::new();
    world.publish("1.0.0", Some("beta"), "one").await.unwrap();
    let draft = PublishRequest {
        draft: true,
        ..request("2.0.0", None, vec![])
    };
    world.service.publish(&local(), draft, None).await.unwrap();
    let page = app_page(&world, ReleaseSearch::default(), &Paging::default()).await;
    assert_eq!(versions(&page), ["2.0.0", "1.0.0"]);
    assert_eq!(page.releases.items[0].contents.validation, None);
    let (reader, _) = world.token("reader", &[Scope::Read], None, &[]).await;
    let all = ReleaseSearch::default();
    let page = world
        .service
        .app_page(&reader, &acme(), &all, &Paging::default())
        .await
        .unwrap();
    assert_eq!(versions(&page), ["1.0.0"]);
    assert_eq!(world.service.search(&reader, "2.0.0").await.unwrap(), []);
    assert_eq!(world.service.search(&local(), "2.0.0").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_release_tells_where_it_stood_and_for_how_long() {
    let world = World::told(Told::default());
    for (text, permission) in [("1.0.0", "CAMERA"), ("1.1.0", "CONTACTS")] {
        let told = json!({"permissions": [permission]}).to_string();
        let digest = world.upload(&local(), told.as_bytes()).await;
        let apk = dist_service::ArtifactRequest {
            platform: None,
            ..artifact("acme.apk", digest)
        };
        world.pass(60);
        world
            .service
            .publish(&local(), request(text, Some("beta"), vec![apk]), None)
            .await
            .unwrap();
    }
    download(&world, "1.0.0", 5).await;
    let page = world
        .service
        .release_page(&local(), &acme(), &version("1.0.0"))
        .await
        .unwrap();
    let [stay] = &page.stays[..] else { panic!("{page:?}") };
    let ended = stay.ended.as_ref().unwrap();
    assert_eq!(
        (stay.channel.as_str(), stay.revision, stay.cause),
        ("beta", 1, MoveCause::Published)
    );
    assert_eq!(
        (
            ended.at.as_millis() - stay.since.as_millis(),
            &*ended.to.as_ref().unwrap().label
        ),
        (60_000, "1.1.0")
    );
    let [row] = &page.artifacts[..] else { panic!("{page:?}") };
    assert_eq!(
        (row.downloads, &facts(&row.artifact.metadata).unwrap()["permissions"]),
        (5, &json!(["CAMERA"]))
    );
    let newer = world
        .service
        .release_page(&local(), &acme(), &version("1.1.0"))
        .await
        .unwrap();
    assert_eq!(newer.stays[0].ended, None);

    let (before, after) = (version("1.0.0"), version("1.1.0"));
    let page = world
        .service
        .compare_releases(&local(), &acme(), &before, &after)
        .await
        .unwrap();
    let change = &page.comparison.artifacts[0].lists[0];
    assert_eq!(
        (change.fact, change.came.first().unwrap().as_str()),
        ("permissions", "CONTACTS")
    );
}

#[tokio::test]
async fn a_channel_tells_what_was_current_at_a_time() {
    let world = World::new();
    let start = world.service.now();
    for text in ["1.0.0", "2.0.0"] {
        world.publish(text, Some("beta"), text).await.unwrap();
        world.pass(3599);
    }
    let beta = "beta".parse().unwrap();
    world
        .service
        .roll_back(&local(), &acme(), &beta, None, None)
        .await
        .unwrap();
    let at = async |seconds: i64| {
        let at = start.plus_millis(seconds * 1000);
        let standing = world.service.channel_at(&local(), &acme(), &beta, at).await.unwrap();
        standing.map(|it| {
            (
                it.entry.version.to_string(),
                it.until.map(|until| (until.as_millis() - start.as_millis()) / 1000),
            )
        })
    };
    let stood = |version: &str, until| Some((version.to_owned(), until));
    assert_eq!(at(0).await, None);
    assert_eq!(at(1).await, stood("1.0.0", Some(3601)));
    assert_eq!(at(3600).await, stood("1.0.0", Some(3601)));
    assert_eq!(at(3601).await, stood("2.0.0", Some(7200)));
    assert_eq!(at(9999).await, stood("1.0.0", None));
    let page = world
        .service
        .channel_page(&local(), &acme(), &beta, &Paging::default())
        .await
        .unwrap();
    assert_eq!((page.stand.channel.revision, page.history.items.len()), (3, 3));
    let nowhere = "nowhere".parse().unwrap();
    assert_eq!(
        code(world.service.channel_at(&local(), &acme(), &nowhere, start).await),
        ErrorCode::ChannelNotFound
    );
}

#[tokio::test]
async fn downloads_are_told_by_day_app_and_release() {
    let world = World::new();
    for text in ["1.0.0", "1.1.0"] {
        world.publish(text, Some("beta"), text).await.unwrap();
    }
    download(&world, "1.0.0", 2).await;
    world.pass(86_400);
    download(&world, "1.0.0", 1).await;
    download(&world, "1.1.0", 4).await;
    let now = world.service.now();
    let (first, second) = (now.plus_millis(-86_400_000).day(), now.day());
    let told = || async {
        let apps = world
            .service
            .downloads_by_app(&local(), Timestamp::default(), now)
            .await
            .unwrap();
        let releases = world
            .service
            .downloads_by_release(&local(), &acme(), Timestamp::default(), now)
            .await
            .unwrap();
        (apps, releases)
    };
    let (apps, releases) = told().await;
    assert_eq!((apps[0].of.clone(), apps[0].total()), (acme(), 7));
    assert_eq!((apps[0].days[&first], apps[0].days[&second]), (2, 5));
    let shown: Vec<_> = releases
        .iter()
        .map(|release| (&*release.of.label, release.total()))
        .collect();
    assert_eq!(shown, [("1.1.0", 4), ("1.0.0", 3)]);
    let today = world.service.downloads_by_app(&local(), now, now).await.unwrap();
    assert_eq!(today[0].total(), 5);

    // As a version before left it: counts by artifact alone.
    let connection = rusqlite::Connection::open(world.folder.path().join("dist.db")).unwrap();
    connection
        .execute_batch("DROP TABLE release_downloads; DROP TABLE app_downloads")
        .unwrap();
    Service::open(world.folder.path(), OpenMode::Existing, world.setup())
        .unwrap()
        .shutdown();
    assert_eq!(told().await, (apps, releases));
}

#[tokio::test]
async fn health_tells_the_last_backup_and_cleanup() {
    let world = World::new();
    let health = world.service.health(&local()).await.unwrap();
    assert_eq!((health.last_backup, health.last_cleanup, health.head), (None, None, 0));
    world.upload(&local(), b"nobody needs it").await;
    let options = CleanupOptions {
        dry_run: false,
        grace: std::time::Duration::ZERO,
    };
    world.service.cleanup(&local(), options, None).await.unwrap();
    world.service.backup(&local(), None, None).await.unwrap();
    let health = world.service.health(&local()).await.unwrap();
    assert_eq!(health.last_backup.unwrap().event.action, "store.backed_up");
    assert_eq!(health.last_cleanup.unwrap().event.action, "store.cleaned");
    assert_eq!(health.head, 3);
    assert!(health.database_bytes > 0 && health.free_bytes > 0 && health.sequencer.batches > 0);
}

#[tokio::test]
async fn the_worst_artifact_is_what_a_release_is_judged_by() {
    let world = World::told(Told::default());
    let good = world.upload(&local(), br#"{"debuggable": false}"#).await;
    let bad = world.upload(&local(), br#"{"debuggable": true}"#).await;
    let apk = |name: &str, digest| dist_service::ArtifactRequest {
        platform: None,
        ..artifact(name, digest)
    };
    let files = vec![apk("a.apk", good), apk("b.apk", bad)];
    world
        .service
        .publish(&local(), request("1.0.0", Some("stable"), files), None)
        .await
        .unwrap();
    let page = app_page(&world, ReleaseSearch::default(), &Paging::default()).await;
    let contents = &page.releases.items[0].contents;
    assert_eq!(
        (contents.validation, contents.platforms.len()),
        (Some(ValidationStatus::Warning), 1)
    );
    assert_eq!(contents.platforms[0].artifacts, 2);
}
