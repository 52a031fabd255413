//! The audit log: filters, paging both ways, exports and choices, on a real store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, code, local};
use dist_model::{AppChanges, ErrorCode, Part, Scope, Slug, Visibility, sentence};
use dist_service::{AuditFilter, AuditLine, AuditPage, AuditPlace, Caller, Paging, Principal, PromoteFrom, Selector};

fn acme() -> Slug {
    "acme".parse().unwrap()
}

fn text(line: &AuditLine) -> String {
    let parts: Vec<Part> = sentence(&line.event, &line.about);
    parts.iter().map(ToString::to_string).collect()
}

async fn page(world: &World, filter: &AuditFilter, place: AuditPlace, most: u32) -> AuditPage {
    world.service.audit_page(&local(), filter, place, most).await.unwrap()
}

fn ids(page: &AuditPage) -> Vec<u64> {
    page.lines.iter().map(|line| line.event.id).collect()
}

/// Two apps, two tokens and a week of work.
async fn busy() -> World {
    let world = World::new();
    for (day, version) in ["1.0.0", "1.1.0", "1.2.0"].into_iter().enumerate() {
        world
            .publish(version, Some("beta"), &format!("bytes {day}"))
            .await
            .unwrap();
        let release = PromoteFrom::Release(Selector::new(version, None));
        let (ci, _) = world.token(&format!("ci-{day}"), &[Scope::Promote], None, &[]).await;
        let stable = "stable".parse().unwrap();
        world
            .service
            .promote(&ci, &acme(), &stable, release, None, None)
            .await
            .unwrap();
        world.pass(86_400);
    }
    let other = "other".parse().unwrap();
    world
        .service
        .create_app(&local(), other, AppChanges::default(), None)
        .await
        .unwrap();
    world
}

#[tokio::test]
async fn every_filter_finds_what_reading_everything_finds() {
    let world = busy().await;
    let everything = page(&world, &AuditFilter::default(), AuditPlace::Newest, 200).await;
    let times: Vec<_> = everything.lines.iter().map(|line| line.event.created_at).collect();
    let some = |text: &str| Some(text.to_owned());
    let mut tried = 0;
    for app in [None, Some(acme()), Some("other".parse().unwrap())] {
        for actor in [None, some("local:1000"), some("token:ci-1"), some("token:nobody")] {
            for action in [
                None,
                some("channel."),
                some("channel.promoted"),
                some("release."),
                some("x.y"),
            ] {
                for target in [None, some("stable"), some("nowhere")] {
                    for (since, until) in [
                        (None, None),
                        (Some(times[6]), Some(times[2])),
                        (Some(times[0]), None),
                        (None, Some(times[9])),
                    ] {
                        let filter = AuditFilter {
                            app: app.clone(),
                            actor: actor.clone(),
                            action: action.clone(),
                            target: target.clone(),
                            since,
                            until,
                        };
                        let expected = everything.lines.iter().filter(|line| {
                            let event = &line.event;
                            let is_action = action.as_ref().is_none_or(|it| {
                                event.action == *it || it.ends_with('.') && event.action.starts_with(it)
                            });
                            app.as_ref().is_none_or(|slug| line.about.app.as_ref() == Some(slug))
                                && actor.as_ref().is_none_or(|it| event.actor.to_string() == *it)
                                && is_action
                                && target.as_ref().is_none_or(|it| event.target_id == *it)
                                && since.is_none_or(|at| event.created_at >= at)
                                && until.is_none_or(|at| event.created_at < at)
                        });
                        let expected: Vec<u64> = expected.map(|line| line.event.id).collect();
                        let found = page(&world, &filter, AuditPlace::Newest, 200).await;
                        assert_eq!(ids(&found), expected, "{filter:?}");
                        tried += 1;
                    }
                }
            }
        }
    }
    assert_eq!(tried, 3 * 4 * 5 * 3 * 4);
}

#[tokio::test]
async fn pages_lead_both_ways_over_the_same_events() {
    let world = busy().await;
    for filter in [
        AuditFilter::default(),
        AuditFilter {
            app: Some(acme()),
            ..AuditFilter::default()
        },
    ] {
        let all = ids(&page(&world, &filter, AuditPlace::Newest, 200).await);
        let mut seen = Vec::new();
        let mut pages = Vec::new();
        let mut next = Some(AuditPlace::Newest);
        while let Some(place) = next {
            let page = page(&world, &filter, place, 4).await;
            assert_eq!(page.newer.is_some(), place != AuditPlace::Newest);
            seen.extend(ids(&page));
            next = page.older;
            pages.push(page);
        }
        assert_eq!(seen, all);
        let mut newer = pages.pop().unwrap().newer;
        while let (Some(place), Some(expected)) = (newer, pages.pop()) {
            let page = page(&world, &filter, place, 4).await;
            assert_eq!(page.lines, expected.lines);
            assert!(page.older.is_some());
            newer = page.newer;
        }
        assert_eq!((newer, pages.len()), (None, 0));
    }
}

#[tokio::test]
async fn events_stand_in_sentences_with_the_names_of_what_they_are_about() {
    let world = busy().await;
    let filter = AuditFilter {
        app: Some(acme()),
        ..AuditFilter::default()
    };
    let page = page(&world, &filter, AuditPlace::Newest, 3).await;
    let told: Vec<String> = page.lines.iter().map(text).collect();
    assert_eq!(
        told,
        [
            "token:ci-2 promoted acme 1.2.0 to stable",
            "local:1000 published acme 1.2.0 to beta",
            "local:1000 published acme 1.2.0"
        ]
    );
}

#[tokio::test]
async fn a_release_has_a_timeline_with_the_moves_to_it() {
    let world = busy().await;
    let stable = "stable".parse().unwrap();
    world
        .service
        .roll_back(&local(), &acme(), &stable, None, None)
        .await
        .unwrap();
    let release = Selector::new("1.1.0", None);
    let timeline = world
        .service
        .release_timeline(&local(), &acme(), &release, AuditPlace::Newest, 50)
        .await
        .unwrap();
    let actions: Vec<&str> = timeline.lines.iter().map(|line| line.event.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "channel.rolled_back",
            "channel.promoted",
            "channel.published",
            "release.published"
        ]
    );
    assert_eq!((timeline.newer, timeline.older), (None, None));
}

#[tokio::test]
async fn an_export_reads_all_that_was_there_in_pages() {
    let world = busy().await;
    let (ci, _) = world.token("ci", &[Scope::Read], None, &[]).await;
    let refused = || {
        let (service, token) = (world.service.clone(), ci.principal.clone());
        async move {
            service
                .record_refusal(&token, ErrorCode::AuthMissingScope, "GET /", None)
                .await
                .unwrap();
        }
    };
    let mut tasks = tokio::task::JoinSet::new();
    (0..1100).for_each(|_| drop(tasks.spawn(refused())));
    tasks.join_all().await;
    let filter = AuditFilter {
        action: Some("access.refused".to_owned()),
        ..AuditFilter::default()
    };
    let mut export = world.service.audit_export(&local(), filter).await.unwrap();
    let first = export.next().unwrap().unwrap();
    // What comes while it is read is not part of it.
    refused().await;
    let rest: Vec<_> = export.flat_map(Result::unwrap).collect();
    assert_eq!((first.len(), rest.len()), (1000, 100));
    let all: Vec<u64> = first.iter().chain(&rest).map(|event| event.id).collect();
    assert!(all.is_sorted_by(|a, b| a > b));
}

#[tokio::test]
async fn choices_are_the_actors_and_actions_with_their_counts() {
    let world = busy().await;
    let choices = world.service.audit_choices(&local(), Some(&acme())).await.unwrap();
    let actors: Vec<_> = choices
        .actors
        .iter()
        .map(|(actor, count)| (actor.as_str(), *count))
        .collect();
    assert_eq!(
        actors,
        [
            ("local:1000", 7),
            ("token:ci-0", 1),
            ("token:ci-1", 1),
            ("token:ci-2", 1)
        ]
    );
    assert_eq!(choices.actions["channel.promoted"], 3);
    let all = world.service.audit_choices(&local(), None).await.unwrap();
    assert_eq!(all.actions["token.created"], 3);
}

#[tokio::test]
async fn who_may_not_audit_gets_no_page_no_choices_and_no_export() {
    let world = busy().await;
    let hidden = AppChanges {
        visibility: Some(Visibility::Private),
        ..AppChanges::default()
    };
    world.service.update_app(&local(), &acme(), hidden).await.unwrap();
    let (reader, _) = world.token("reader", &[Scope::Read], Some("other"), &[]).await;
    let (all, of_acme) = (
        AuditFilter::default(),
        AuditFilter {
            app: Some(acme()),
            ..AuditFilter::default()
        },
    );
    for (filter, expected) in [
        (&all, ErrorCode::AuthMissingScope),
        (&of_acme, ErrorCode::AuthAppForbidden),
    ] {
        let page = world.service.audit_page(&reader, filter, AuditPlace::Newest, 50).await;
        assert_eq!(code(page), expected);
        assert_eq!(
            code(world.service.audit_choices(&reader, filter.app.as_ref()).await),
            expected
        );
        assert_eq!(
            code(world.service.audit_export(&reader, filter.clone()).await.map(drop)),
            expected
        );
    }
    let stranger = Caller::new(Principal::Anonymous);
    let release = Selector::new("1.0.0", None);
    let timeline = world
        .service
        .release_timeline(&stranger, &acme(), &release, AuditPlace::Newest, 50)
        .await;
    assert_eq!(code(timeline), ErrorCode::AuthMissing);
}

#[tokio::test]
async fn clocks_that_are_set_back_hide_nothing() {
    let world = busy().await;
    let last = page(&world, &AuditFilter::default(), AuditPlace::Newest, 1)
        .await
        .lines
        .remove(0)
        .event;
    world.pass(-5 * 86_400);
    let slug = "early".parse().unwrap();
    world
        .service
        .create_app(&local(), slug, AppChanges::default(), None)
        .await
        .unwrap();
    let early = page(&world, &AuditFilter::default(), AuditPlace::Newest, 1)
        .await
        .lines
        .remove(0)
        .event;
    let before = AuditFilter {
        until: Some(early.created_at.plus_millis(1)),
        ..AuditFilter::default()
    };
    assert_eq!(ids(&page(&world, &before, AuditPlace::Newest, 10).await), [early.id]);
    let after = AuditFilter {
        since: Some(last.created_at),
        ..AuditFilter::default()
    };
    assert_eq!(ids(&page(&world, &after, AuditPlace::Newest, 10).await), [last.id]);
    let paging = Paging { cursor: None, limit: 1 };
    assert_eq!(
        world.service.audit(&local(), &after, &paging).await.unwrap().items,
        [last]
    );
}

#[tokio::test]
async fn counts_that_cannot_be_written_wait() {
    let world = World::new();
    for _ in 0..3 {
        world.service.count_stranger("192.0.2.1".parse().unwrap());
    }
    world.pass(120);
    // As a full disk would, the table takes nothing for a while.
    let connection = rusqlite::Connection::open(world.folder.path().join("dist.db")).unwrap();
    let refuse = "CREATE TRIGGER full BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'full'); END";
    connection.execute_batch(refuse).unwrap();
    world.service.flush().await.unwrap_err();
    connection.execute_batch("DROP TRIGGER full").unwrap();
    world.service.flush().await.unwrap();
    world.service.flush().await.unwrap();
    let refused = AuditFilter {
        action: Some("access.strangers_refused".to_owned()),
        ..AuditFilter::default()
    };
    let page = world
        .service
        .audit(&local(), &refused, &Paging::default())
        .await
        .unwrap();
    assert_eq!((page.items.len(), &page.items[0].metadata["count"]), (1, &3.into()));
}
