//! How the database answers each question: by an index, whatever the store holds.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use dist_model::{ChannelName, Slug, Timestamp};
use persist::{EachRow, SqlError, SqlParam, SqlRead};
use rusqlite::Connection;

use crate::{
    AuditFilter, AuditPlace, Caller, CleanupOptions, OpenMode, Paging, Principal, ReleaseFilter, ReleaseOrder,
    ReleaseSearch, Selector, Service, Setup,
};

/// Every statement that was read with.
static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Reads as the other does, and remembers the statements.
pub(crate) struct Remembering<'a>(pub &'a dyn SqlRead);

impl Remembering<'_> {
    fn remember(sql: &str) {
        let mut statements = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner);
        statements.insert(sql.to_owned());
    }
}

impl SqlRead for Remembering<'_> {
    fn query(&self, sql: &str, params: &[SqlParam<'_>], each: EachRow<'_>) -> Result<(), SqlError> {
        Self::remember(sql);
        self.0.query(sql, params, each)
    }

    fn query_first(&self, sql: &str, params: &[SqlParam<'_>], each: EachRow<'_>) -> Result<(), SqlError> {
        Self::remember(sql);
        self.0.query_first(sql, params, each)
    }
}

/// The tables that grow with use.
const LARGE: [&str; 9] = [
    "audit_events",
    "releases",
    "artifacts",
    "channel_history",
    "artifact_downloads",
    "release_downloads",
    "app_downloads",
    "app_objects",
    "object_uploads",
];

/// The large tables that a statement reads from end to end, by the name that it has there.
fn scans(connection: &Connection, sql: &str) -> Vec<String> {
    let words: Vec<&str> = sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let places = words.iter().enumerate().filter(|(_, word)| LARGE.contains(word));
    // The table's own name, and the word after it, which may be its name here.
    let large: BTreeSet<&str> = places
        .flat_map(|(place, _)| words.iter().skip(place).take(2))
        .copied()
        .collect();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
    let steps: Vec<String> = steps.map(Result::unwrap).collect();
    let scanned = steps.into_iter().filter(|step| {
        step.strip_prefix("SCAN ")
            .is_some_and(|rest| large.contains(rest.split(' ').next().unwrap()))
    });
    scanned.collect()
}

#[test]
fn a_scan_is_noticed_under_any_name() {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("CREATE TABLE artifacts (id TEXT PRIMARY KEY, sha256 TEXT)")
        .unwrap();
    assert_eq!(
        scans(&connection, "SELECT id FROM artifacts"),
        ["SCAN artifacts USING COVERING INDEX sqlite_autoindex_artifacts_1"]
    );
    assert_eq!(
        scans(&connection, "SELECT x.id FROM artifacts x WHERE sha256 = ?1"),
        ["SCAN x"]
    );
    assert_eq!(
        scans(&connection, "SELECT sha256 FROM artifacts WHERE id = ?1"),
        [""; 0]
    );
}

#[tokio::test]
async fn no_question_reads_a_large_table_from_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::open(folder.path(), OpenMode::Create, Setup::default()).unwrap();
    let caller = Caller::new(Principal::Local(0));
    let (acme, beta): (Slug, ChannelName) = ("acme".parse().unwrap(), "beta".parse().unwrap());
    publish(&service, &caller).await;
    ask_pages(&service, &caller, &acme, &beta).await;
    ask_audit(&service, &caller, &acme).await;

    let connection = Connection::open(folder.path().join("dist.db")).unwrap();
    let statements = STATEMENTS.lock().unwrap().clone();
    assert!(statements.len() >= 50, "only {} statements were seen", statements.len());
    for sql in statements {
        assert_eq!(scans(&connection, &sql), [""; 0], "{sql}");
    }
}

async fn publish(service: &Service, caller: &Caller) {
    let mut staging = service.objects().begin(u64::MAX).unwrap();
    staging.write(&["bytes"]).unwrap();
    let stored = service
        .record_upload(caller, staging.finish(None).unwrap(), None)
        .await
        .unwrap();
    let artifact = crate::ArtifactRequest {
        platform: Some(dist_model::Platform::Linux),
        arch: None,
        package_type: None,
        filename: Some("acme".parse().unwrap()),
        content_type: None,
        sha256: stored.digest,
        size_bytes: None,
        metadata: serde_json::Map::new(),
    };
    let request = crate::PublishRequest {
        slug: "acme".parse().unwrap(),
        display_name: None,
        version: "1.0.0".parse().unwrap(),
        build: dist_model::Build::none(),
        channel: Some("beta".parse().unwrap()),
        notes: String::new(),
        source: dist_model::Source::default(),
        draft: false,
        strict: false,
        artifacts: vec![artifact],
    };
    service.publish(caller, request, None).await.unwrap();
}

async fn ask_pages(service: &Service, caller: &Caller, acme: &Slug, beta: &ChannelName) {
    let (paging, release) = (Paging::default(), Selector::new("1.0.0", None));
    let (start, now) = (Timestamp::default(), service.now());
    service.apps(caller, &paging).await.unwrap();
    service.app(caller, acme).await.unwrap();
    for order in [ReleaseOrder::Newest, ReleaseOrder::SemVer] {
        let filter = ReleaseFilter {
            order,
            ..ReleaseFilter::default()
        };
        service.releases(caller, acme, &filter, &paging).await.unwrap();
    }
    service.install(caller, acme, beta).await.unwrap();
    service.tokens(caller, &paging).await.unwrap();
    service.downloads(caller, acme).await.unwrap();
    service.apps_page(caller).await.unwrap();
    let search = ReleaseSearch {
        status: Some(dist_model::ReleaseStatus::Published),
        platform: Some(dist_model::Platform::Linux),
        text: Some("1.0".to_owned()),
    };
    for search in [ReleaseSearch::default(), search] {
        service.app_page(caller, acme, &search, &paging).await.unwrap();
    }
    service.release_page(caller, acme, &release).await.unwrap();
    service
        .compare_releases(caller, acme, &release, &release)
        .await
        .unwrap();
    service.channel_page(caller, acme, beta, &paging).await.unwrap();
    let stable = "stable".parse().unwrap();
    service.plan_promotion(caller, acme, &stable, &release).await.unwrap();
    service.plan_rollback(caller, acme, beta).await.unwrap_err();
    service.plan_yank(caller, acme, &release).await.unwrap();
    service.channel_at(caller, acme, beta, now).await.unwrap();
    service.downloads_by_app(caller, start, now).await.unwrap();
    service.downloads_by_release(caller, acme, start, now).await.unwrap();
    service.storage(caller).await.unwrap();
    service.retention_plan(caller, acme).await.unwrap();
    service.health(caller).await.unwrap();
    let mut news = service.news(caller).unwrap();
    service
        .create_app(caller, "news".parse().unwrap(), dist_model::AppChanges::default(), None)
        .await
        .unwrap();
    assert_eq!(news.next().await.unwrap().len(), 1);
    service.objects_on_disk(caller).await.unwrap();
    let dry = CleanupOptions {
        dry_run: true,
        ..CleanupOptions::default()
    };
    service.cleanup(caller, dry, None).await.unwrap();
    for text in ["acme", "1.0", "abcdef0"] {
        service.search(caller, text).await.unwrap();
    }
}

async fn ask_audit(service: &Service, caller: &Caller, acme: &Slug) {
    let all = AuditFilter::default();
    let filters = [
        all.clone(),
        AuditFilter {
            app: Some(acme.clone()),
            action: Some("release.".to_owned()),
            ..all.clone()
        },
        AuditFilter {
            target: Some("beta".to_owned()),
            ..all.clone()
        },
        AuditFilter {
            since: Some(Timestamp::default()),
            until: Some(service.now()),
            ..all
        },
    ];
    let release = Selector::new("1.0.0", None);
    for place in [AuditPlace::Newest, AuditPlace::Before(9), AuditPlace::After(0)] {
        for filter in &filters {
            service.audit_page(caller, filter, place, 50).await.unwrap();
        }
        service
            .release_timeline(caller, acme, &release, place, 50)
            .await
            .unwrap();
    }
    for filter in filters {
        service.audit(caller, &filter, &Paging::default()).await.unwrap();
        service.audit_export(caller, filter).await.unwrap().count();
    }
    service.audit_choices(caller, Some(acme)).await.unwrap();
    service.audit_choices(caller, None).await.unwrap();
}
