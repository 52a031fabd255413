//! The laws of publishing and of channels, on states made by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use dist_model::decide::{
    self, AppIntent, ArtifactIntent, Context, Decided, Defaults, DraftIntent, MoveState, PublishDraftState,
    PublishIntent, PublishState, PublishStatus, Published, StackEntry, TokenIntent,
};
use dist_model::{
    Actor, App, AppChanges, Build, Channel, ChannelChanges, ChannelMove, ChannelPolicy, Digest, ErrorCode, Event,
    IosMode, Platform, Refusal, Release, ReleaseStatus, Scope, Scopes, Source, Timestamp, ValidationStatus, Visibility,
};
use proptest::prelude::*;

fn context() -> Context {
    Context {
        actor: Actor::Token("ci".to_owned()),
        now: Timestamp::from_millis(1_700_000_000_000),
    }
}

/// Ids `1`, `2`, `3` …
fn ids() -> impl FnMut() -> String {
    let mut last = 0;
    move || {
        last += 1;
        last.to_string()
    }
}

fn artifact(filename: &str, platform: Platform, byte: u8) -> ArtifactIntent {
    ArtifactIntent {
        platform,
        arch: String::new(),
        package_type: "zip".to_owned(),
        filename: filename.parse().unwrap(),
        content_type: "application/zip".to_owned(),
        sha256: Digest::from_bytes([byte; 32]),
        size_bytes: 1,
        metadata: serde_json::Map::new(),
        validation_status: ValidationStatus::Passed,
        bundle_id: None,
    }
}

fn intent(artifacts: Vec<ArtifactIntent>) -> PublishIntent {
    PublishIntent {
        slug: "acme".parse().unwrap(),
        display_name: Some("Acme".to_owned()),
        version: "1.0.0".parse().unwrap(),
        build: Build::none(),
        channel: Some("beta".parse().unwrap()),
        notes: String::new(),
        source: Source::default(),
        artifacts,
        draft: false,
    }
}

fn nothing() -> PublishState {
    PublishState {
        app: None,
        release: None,
        channel: None,
        was_in_channel: false,
    }
}

fn publish(state: PublishState, intent: &PublishIntent) -> Result<Decided<Published>, Refusal> {
    decide::publish(state, intent, Defaults::default(), &context(), &mut ids())
}

fn first() -> Published {
    publish(nothing(), &intent(vec![artifact("a.zip", Platform::Linux, 1)]))
        .unwrap()
        .value
}

/// The state that a publish leaves behind.
fn after(published: &Published, was_in_channel: bool) -> PublishState {
    let mut channel = Channel::new(published.app.id.clone(), "beta".parse().unwrap());
    if let Some(moved) = &published.channel {
        channel.revision = moved.revision;
        channel.current_release_id = Some(moved.release_id.clone());
    }
    PublishState {
        app: Some(published.app.clone()),
        release: Some((published.release.clone(), published.artifacts.clone())),
        channel: Some(MoveState {
            channel,
            last: published.channel.clone(),
        }),
        was_in_channel,
    }
}

fn actions(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::action).collect()
}

#[test]
fn the_first_publish_makes_the_app_the_release_and_the_move() {
    let decided = publish(nothing(), &intent(vec![artifact("a.zip", Platform::Linux, 1)])).unwrap();
    assert_eq!(
        actions(&decided.events),
        ["app.created", "release.published", "channel.published"]
    );
    let value = decided.value;
    assert_eq!(value.status, PublishStatus::Published);
    assert_eq!(value.app.display_name, "Acme");
    assert_eq!(value.release.channel.unwrap().as_str(), "beta");
    let moved = value.channel.unwrap();
    assert_eq!(
        (moved.revision, moved.previous_release_id, moved.below),
        (1, None, None)
    );
}

#[test]
fn the_same_again_is_unchanged_and_does_not_downgrade() {
    let first = first();
    let again = publish(
        after(&first, true),
        &intent(vec![artifact("a.zip", Platform::Linux, 1)]),
    )
    .unwrap();
    assert_eq!(again.value.status, PublishStatus::Unchanged);
    assert!(again.events.is_empty());
    let elsewhere = publish(
        after(&first, false),
        &intent(vec![artifact("a.zip", Platform::Linux, 1)]),
    )
    .unwrap();
    assert_eq!(elsewhere.value.status, PublishStatus::Unchanged);
    assert_eq!(actions(&elsewhere.events), ["channel.published"]);
}

#[test]
fn other_artifacts_under_the_same_version_conflict() {
    let first = first();
    for artifacts in [
        vec![artifact("a.zip", Platform::Linux, 2)],
        vec![artifact("b.zip", Platform::Linux, 1)],
        vec![
            artifact("a.zip", Platform::Linux, 1),
            artifact("b.zip", Platform::Linux, 1),
        ],
    ] {
        let refusal = publish(after(&first, true), &intent(artifacts)).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::ReleaseConflict);
    }
}

#[test]
fn a_yanked_or_deleted_release_is_never_published_again() {
    for (status, code) in [
        (ReleaseStatus::Yanked, ErrorCode::ReleaseYanked),
        (ReleaseStatus::Deleted, ErrorCode::ReleaseDeleted),
    ] {
        let mut state = after(&first(), true);
        state.release.as_mut().unwrap().0.status = status;
        assert_eq!(
            publish(state, &intent(vec![artifact("a.zip", Platform::Linux, 1)]))
                .unwrap_err()
                .code,
            code
        );
    }
}

#[test]
fn refusals_of_artifacts() {
    let failed = ArtifactIntent {
        validation_status: ValidationStatus::Failed,
        ..artifact("a.zip", Platform::Linux, 1)
    };
    assert_eq!(
        publish(nothing(), &intent(vec![failed])).unwrap_err().code,
        ErrorCode::ArtifactFailed
    );

    let twice = vec![
        artifact("a.zip", Platform::Linux, 1),
        artifact("a.zip", Platform::Linux, 2),
    ];
    assert_eq!(
        publish(nothing(), &intent(twice)).unwrap_err().code,
        ErrorCode::ArtifactDuplicate
    );

    assert_eq!(
        publish(nothing(), &intent(vec![])).unwrap_err().code,
        ErrorCode::ReleaseEmpty
    );

    let mut state = after(&first(), true);
    state.app.as_mut().unwrap().allowed_platforms = BTreeSet::from([Platform::Ios]);
    assert_eq!(
        publish(state, &intent(vec![artifact("a.zip", Platform::Linux, 1)]))
            .unwrap_err()
            .code,
        ErrorCode::PlatformNotAllowed
    );
}

#[test]
fn the_bundle_id_is_recorded_once_and_then_compared() {
    let with_id = |id: &str| ArtifactIntent {
        bundle_id: Some(id.to_owned()),
        ..artifact("a.ipa", Platform::Ios, 1)
    };
    let decided = publish(nothing(), &intent(vec![with_id("dev.acme")])).unwrap();
    assert_eq!(
        decided.value.app.bundle_ids,
        BTreeMap::from([(Platform::Ios, "dev.acme".to_owned())])
    );

    let mut state = after(&decided.value, true);
    state.release = None;
    let refusal = publish(state.clone(), &intent(vec![with_id("dev.other")])).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::BundleIdMismatch);
    assert_eq!(refusal.details["found"], "dev.other");
    assert_eq!(
        actions(&publish(state, &intent(vec![with_id("dev.acme")])).unwrap().events),
        ["release.published", "channel.published"]
    );

    let two = vec![
        with_id("dev.acme"),
        ArtifactIntent {
            filename: "b.ipa".parse().unwrap(),
            ..with_id("dev.other")
        },
    ];
    assert_eq!(
        publish(nothing(), &intent(two)).unwrap_err().code,
        ErrorCode::BundleIdMismatch
    );
}

#[test]
fn a_promote_only_channel_takes_no_publish() {
    let mut state = after(&first(), false);
    state.channel.as_mut().unwrap().channel.policy = ChannelPolicy::PromoteOnly;
    state.release = None;
    let refusal = publish(state, &intent(vec![artifact("a.zip", Platform::Linux, 1)])).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::PromoteOnly);
    assert_eq!(refusal.code.kind().exit_code(), 6);
}

#[test]
fn a_draft_is_filled_by_several_jobs_and_published_whole() {
    let draft = |artifacts| PublishIntent {
        draft: true,
        ..intent(artifacts)
    };
    let begun = publish(nothing(), &draft(vec![artifact("a.ipa", Platform::Ios, 1)])).unwrap();
    assert_eq!(
        actions(&begun.events),
        ["app.created", "release.drafted", "artifact.added"]
    );
    assert_eq!(begun.value.status, PublishStatus::Draft);
    assert!(begun.value.release.published_at.is_none());

    let same = publish(
        after(&begun.value, false),
        &draft(vec![artifact("a.ipa", Platform::Ios, 1)]),
    )
    .unwrap();
    assert!(same.events.is_empty(), "the same bytes again change nothing");

    let replaced = publish(
        after(&begun.value, false),
        &draft(vec![artifact("a.ipa", Platform::Ios, 9)]),
    )
    .unwrap();
    let Event::ArtifactAdded(event) = &replaced.events[0] else {
        panic!("{:?}", replaced.events)
    };
    assert_eq!(event.replaced.as_ref().unwrap().1, Digest::from_bytes([1; 32]));
    assert_eq!(replaced.value.artifacts.len(), 1);

    let straight = publish(
        after(&begun.value, false),
        &intent(vec![artifact("a.ipa", Platform::Ios, 1)]),
    )
    .unwrap_err();
    assert_eq!(straight.code, ErrorCode::ReleaseIsDraft);

    let state = PublishDraftState {
        app: begun.value.app,
        release: begun.value.release,
        artifacts: begun.value.artifacts,
        channel: None,
        was_in_channel: false,
    };
    let require = DraftIntent {
        require: BTreeSet::from([Platform::Ios, Platform::Windows]),
        ..DraftIntent::default()
    };
    let refusal = decide::publish_draft(state.clone(), &require, &context()).unwrap_err();
    assert_eq!(
        (refusal.code, &refusal.details["missing"]),
        (ErrorCode::ReleaseIncomplete, &serde_json::json!(["windows"]))
    );

    let published = decide::publish_draft(state, &DraftIntent::default(), &context()).unwrap();
    assert_eq!(
        actions(&published.events),
        ["release.published", "channel.published"],
        "the draft remembers its channel"
    );
    assert_eq!(published.value.release.status, ReleaseStatus::Published);
}

#[test]
fn a_published_draft_again_moves_a_channel_that_never_had_it_and_no_other() {
    let published = first();
    let state = |was_in_channel| {
        let PublishState { app, channel, .. } = after(&published, was_in_channel);
        PublishDraftState {
            app: app.unwrap(),
            release: published.release.clone(),
            artifacts: published.artifacts.clone(),
            channel,
            was_in_channel,
        }
    };
    let again = decide::publish_draft(state(true), &DraftIntent::default(), &context()).unwrap();
    assert_eq!((again.value.status, again.events), (PublishStatus::Unchanged, vec![]));

    let moved = decide::publish_draft(state(false), &DraftIntent::default(), &context()).unwrap();
    assert_eq!(actions(&moved.events), ["channel.published"]);
    assert_eq!(
        (moved.value.status, moved.value.channel.unwrap().revision),
        (PublishStatus::Unchanged, 2)
    );

    let mut closed = state(false);
    closed.channel.as_mut().unwrap().channel.policy = ChannelPolicy::PromoteOnly;
    let stale = DraftIntent {
        if_current: Some(7),
        ..DraftIntent::default()
    };
    let lacking = DraftIntent {
        require: BTreeSet::from([Platform::Ios]),
        ..DraftIntent::default()
    };
    for (state, intent, code) in [
        (closed, DraftIntent::default(), ErrorCode::PromoteOnly),
        (state(false), stale, ErrorCode::ChannelMoved),
        (state(true), lacking, ErrorCode::ReleaseIncomplete),
    ] {
        let refusal = decide::publish_draft(state, &intent, &context()).unwrap_err();
        assert_eq!(refusal.code, code);
    }
}

#[test]
fn only_drafts_are_discarded_and_only_published_releases_yanked() {
    let published = first().release;
    assert_eq!(
        decide::discard(&published).unwrap_err().code,
        ErrorCode::ReleaseNotDraft
    );
    let draft = Release {
        status: ReleaseStatus::Draft,
        ..published.clone()
    };
    assert_eq!(actions(&decide::discard(&draft).unwrap().events), ["release.discarded"]);
    assert_eq!(
        decide::yank(&draft, &[], None).unwrap_err().code,
        ErrorCode::ReleaseIsDraft
    );
    let in_use = decide::yank(&published, &["beta".parse().unwrap()], None).unwrap_err();
    assert_eq!(
        (in_use.code, &in_use.details["channels"]),
        (ErrorCode::ReleaseInUse, &serde_json::json!(["beta"]))
    );
    assert_eq!(
        actions(&decide::yank(&published, &[], None).unwrap().events),
        ["release.yanked"]
    );
    let yanked = Release {
        status: ReleaseStatus::Yanked,
        ..published
    };
    assert!(decide::yank(&yanked, &[], None).unwrap().events.is_empty());
}

fn app() -> App {
    let slug = "acme".parse().unwrap();
    decide::create_app(None, &slug, &AppIntent::default(), &context(), &mut ids())
        .unwrap()
        .value
}

#[test]
fn ios_modes_have_preconditions() {
    let testflight = AppChanges {
        ios_mode: Some(IosMode::Testflight),
        ..AppChanges::default()
    };
    assert_eq!(
        decide::update_app(&app(), &testflight, &context()).unwrap_err().code,
        ErrorCode::TestflightUrlRequired
    );
    for url in [
        "http://testflight.apple.com/join/x",
        "https://testflight.apple.com.evil.example/join/x",
        "https://testflight.apple.com/",
        "https://evil@testflight.apple.com/join/x",
        "https://testflight.apple.com/join/x\"onclick",
    ] {
        let changes = AppChanges {
            testflight_url: Some(url.to_owned()),
            ..testflight.clone()
        };
        assert_eq!(
            decide::update_app(&app(), &changes, &context()).unwrap_err().code,
            ErrorCode::TestflightUrlRequired,
            "{url}"
        );
    }
    let changes = AppChanges {
        testflight_url: Some("https://testflight.apple.com/join/AbC".to_owned()),
        ..testflight
    };
    assert_eq!(
        actions(&decide::update_app(&app(), &changes, &context()).unwrap().events),
        ["app.updated"]
    );

    let enterprise = AppChanges {
        ios_mode: Some(IosMode::Enterprise),
        ..AppChanges::default()
    };
    assert_eq!(
        decide::update_app(&app(), &enterprise, &context()).unwrap_err().code,
        ErrorCode::BundleIdRequired
    );
    let changes = AppChanges {
        bundle_ids: BTreeMap::from([(Platform::Ios, "dev.acme".to_owned())]),
        ..enterprise
    };
    let app = decide::update_app(&app(), &changes, &context()).unwrap().value;
    let removed = AppChanges {
        bundle_ids: BTreeMap::from([(Platform::Ios, String::new())]),
        ..AppChanges::default()
    };
    assert_eq!(
        decide::update_app(&app, &removed, &context()).unwrap_err().code,
        ErrorCode::BundleIdRequired,
        "the id stays while the mode needs it"
    );
}

#[test]
fn a_change_that_changes_nothing_is_no_event() {
    let changes = AppChanges {
        visibility: Some(Visibility::Public),
        ..AppChanges::default()
    };
    assert!(
        decide::update_app(&app(), &changes, &context())
            .unwrap()
            .events
            .is_empty()
    );
    let channel = Channel::new("1".parse().unwrap(), "beta".parse().unwrap());
    let same = ChannelChanges {
        rollout_percent: Some(100),
        ..ChannelChanges::default()
    };
    assert!(decide::update_channel(true, &channel, &same).unwrap().events.is_empty());
    assert_eq!(
        actions(&decide::update_channel(false, &channel, &same).unwrap().events),
        ["channel.updated"],
        "it makes the channel"
    );
    let over = ChannelChanges {
        rollout_percent: Some(101),
        ..ChannelChanges::default()
    };
    assert_eq!(
        decide::update_channel(true, &channel, &over).unwrap_err().code,
        ErrorCode::ChannelInvalid
    );
}

#[test]
fn tokens_need_a_name_a_scope_and_a_future() {
    let good = TokenIntent {
        name: "ci".to_owned(),
        scopes: Scopes(BTreeSet::from([Scope::Publish])),
        app_slug: None,
        channels: BTreeSet::new(),
        expires_at: None,
    };
    let make = |taken, intent: &TokenIntent| {
        decide::create_token(taken, intent, Digest::from_bytes([0; 32]), &context(), &mut ids())
    };
    assert_eq!(actions(&make(false, &good).unwrap().events), ["token.created"]);
    assert_eq!(make(true, &good).unwrap_err().code, ErrorCode::TokenExists);
    for bad in [
        TokenIntent {
            name: String::new(),
            ..good.clone()
        },
        TokenIntent {
            name: " ci".to_owned(),
            ..good.clone()
        },
        TokenIntent {
            name: "a\nb".to_owned(),
            ..good.clone()
        },
        TokenIntent {
            name: "ci\u{202e}".to_owned(),
            ..good.clone()
        },
        TokenIntent {
            scopes: Scopes(BTreeSet::new()),
            ..good.clone()
        },
        TokenIntent {
            expires_at: Some(context().now),
            ..good.clone()
        },
    ] {
        assert_eq!(make(false, &bad).unwrap_err().code, ErrorCode::TokenInvalid);
    }
}

#[test]
fn scopes_imply_what_the_contract_says() {
    let allows = |held: Scope| {
        [Scope::Read, Scope::Publish, Scope::Promote, Scope::Admin]
            .map(|needed| Scopes(BTreeSet::from([held])).allow(needed))
    };
    assert_eq!(allows(Scope::Read), [true, false, false, false]);
    assert_eq!(allows(Scope::Publish), [true, true, false, false]);
    assert_eq!(allows(Scope::Promote), [true, false, true, false]);
    assert_eq!(allows(Scope::Admin), [true, true, true, true]);
}

/// A channel and its history, kept as the tables keep them.
#[derive(Default)]
struct History {
    moves: Vec<ChannelMove>,
    yanked: BTreeSet<String>,
}

impl History {
    fn state(&self) -> MoveState {
        let mut channel = Channel::new("1".parse().unwrap(), "beta".parse().unwrap());
        if let Some(last) = self.moves.last() {
            channel.revision = last.revision;
            channel.current_release_id = Some(last.release_id.clone());
        }
        MoveState {
            channel,
            last: self.moves.last().cloned(),
        }
    }

    fn status(&self, release: &str) -> ReleaseStatus {
        if self.yanked.contains(release) {
            ReleaseStatus::Yanked
        } else {
            ReleaseStatus::Published
        }
    }

    fn promote(&mut self, release: &str) -> Result<(), Refusal> {
        let release = Release {
            id: release.parse().unwrap(),
            status: self.status(release),
            ..first().release
        };
        let decided = decide::promote(&self.state(), &release, None, None)?;
        if !decided.events.is_empty() {
            self.moves.push(decided.value);
        }
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), Refusal> {
        let entry = |revision: u64| {
            let found = &self.moves[usize::try_from(revision).unwrap() - 1];
            Ok::<_, Refusal>(Some(StackEntry {
                release_id: found.release_id.clone(),
                below: found.below,
                status: self.status(found.release_id.as_str()),
            }))
        };
        let moved = decide::roll_back(&self.state(), None, entry)?.value;
        self.moves.push(moved);
        Ok(())
    }

    fn current(&self) -> Option<&str> {
        self.moves.last().map(|last| last.release_id.as_str())
    }
}

#[test]
fn after_a_b_c_two_rollbacks_give_a_and_a_third_finds_nothing() {
    let mut history = History::default();
    for release in ["a", "b", "c"] {
        history.promote(release).unwrap();
    }
    history.roll_back().unwrap();
    assert_eq!(history.current(), Some("b"));
    history.roll_back().unwrap();
    assert_eq!(history.current(), Some("a"));
    assert_eq!(history.roll_back().unwrap_err().code, ErrorCode::ChannelNoPrevious);
    assert_eq!(
        history.moves.last().unwrap().revision,
        5,
        "the revision counts every move"
    );
    history.promote("d").unwrap();
    history.roll_back().unwrap();
    assert_eq!(history.current(), Some("a"));
}

#[test]
fn a_promotion_checks_the_revision_and_the_release() {
    let mut history = History::default();
    history.promote("a").unwrap();
    let release = |status| Release {
        id: "b".parse().unwrap(),
        status,
        ..first().release
    };
    let stale = decide::promote(&history.state(), &release(ReleaseStatus::Published), None, Some(0)).unwrap_err();
    assert_eq!(
        (stale.code, stale.code.kind().http_status()),
        (ErrorCode::ChannelMoved, 412)
    );
    for (status, code) in [
        (ReleaseStatus::Draft, ErrorCode::ReleaseIsDraft),
        (ReleaseStatus::Yanked, ErrorCode::ReleaseYanked),
        (ReleaseStatus::Deleted, ErrorCode::ReleaseDeleted),
    ] {
        assert_eq!(
            decide::promote(&history.state(), &release(status), None, Some(1))
                .unwrap_err()
                .code,
            code
        );
    }
}

proptest! {
    /// Against the plainest model of a stack: a list that promotion pushes to and rollback pops.
    #[test]
    fn the_history_is_a_stack(steps in prop::collection::vec((0_u8..4, 0_u8..5), 0..60)) {
        let mut history = History::default();
        let mut stack: Vec<String> = Vec::new();
        for (step, name) in steps {
            let name = name.to_string();
            match step {
                0 | 1 => {
                    let done = history.promote(&name);
                    if history.yanked.contains(&name) {
                        prop_assert_eq!(done.unwrap_err().code, ErrorCode::ReleaseYanked);
                    } else if stack.last() != Some(&name) {
                        stack.push(name);
                    }
                }
                2 => {
                    let Some(current) = stack.last().cloned() else {
                        prop_assert_eq!(history.roll_back().unwrap_err().code, ErrorCode::ChannelNoPrevious);
                        continue;
                    };
                    let place = stack[..stack.len() - 1].iter().rposition(|entry| !history.yanked.contains(entry) && *entry != current);
                    let done = history.roll_back();
                    if let Some(place) = place { stack.truncate(place + 1) } else { prop_assert_eq!(done.unwrap_err().code, ErrorCode::ChannelNoPrevious) }
                }
                _ => {
                    // What a channel points at cannot be yanked.
                    if stack.last() != Some(&name) {
                        history.yanked.insert(name);
                    }
                }
            }
            prop_assert_eq!(history.current(), stack.last().map(String::as_str));
            prop_assert!(history.moves.iter().zip(1..).all(|(moved, revision)| moved.revision == revision));
        }
    }

    /// What is decided can be stored and read again.
    #[test]
    fn events_round_trip(byte in any::<u8>(), draft in any::<bool>()) {
        let decided = publish(nothing(), &PublishIntent { draft, ..intent(vec![artifact("a.zip", Platform::Linux, byte)]) }).unwrap();
        for event in decided.events {
            let data = event.to_data().unwrap();
            let read = Event::from_data(event.action(), &data).unwrap().unwrap();
            prop_assert_eq!(read.stream(), event.stream());
            prop_assert_eq!(read, event);
        }
    }
}
