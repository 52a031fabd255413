//! Every action of the log as a sentence.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dist_model::{About, AuditEvent, Event, Part, ReleaseName, Timestamp, sentence};
use serde_json::{Value, json};

fn event(action: &str, target_id: &str, metadata: &Value) -> AuditEvent {
    AuditEvent {
        id: 7,
        actor: "token:ci".to_owned().try_into().unwrap(),
        action: action.to_owned(),
        target_type: action.split('.').next().unwrap().to_owned(),
        target_id: target_id.to_owned(),
        metadata: metadata.as_object().cloned().unwrap(),
        created_at: Timestamp::default(),
    }
}

fn about() -> About {
    About {
        app: Some("acme".parse().unwrap()),
        release: Some(ReleaseName {
            id: "r1".parse().unwrap(),
            label: "2.4.0 (812)".to_owned(),
        }),
    }
}

fn text(parts: &[Part]) -> String {
    parts.iter().map(ToString::to_string).collect()
}

/// The data of an event as the audit shows it, its target's id, and its sentence.
fn example(action: &str) -> (Value, &'static str, &'static str) {
    const DIGEST: &str = "6666666666666666666666666666666666666666666666666666666666666666";
    let reference = json!({"app_id": "a1", "release_id": "r1", "version": "2.4.0", "build": "812"});
    let moved = json!({"app_id": "a1", "channel": "beta", "revision": 3, "release_id": "r1"});
    match action {
        "app.created" => (json!({"app": {"slug": "acme"}}), "a1", "made the app acme"),
        "app.updated" => (
            json!({"app_id": "a1", "slug": "acme", "changes": {"visibility": "private"}}),
            "a1",
            "changed acme: visibility private",
        ),
        "app.imported" => (json!({"app": {"slug": "acme"}}), "a1", "took over the app acme"),
        "release.drafted" => (
            json!({"release": {"id": "r1"}}),
            "r1",
            "began the draft acme 2.4.0 (812)",
        ),
        "artifact.added" => (
            json!({"artifact": {"filename": "acme.apk"}}),
            "r1",
            "added acme.apk to acme 2.4.0 (812)",
        ),
        "release.published" => (json!({"release": {"id": "r1"}}), "r1", "published acme 2.4.0 (812)"),
        "release.yanked" => (
            json!({"app_id": "a1", "release_id": "r1", "reason": "it crashes"}),
            "r1",
            "yanked acme 2.4.0 (812): it crashes",
        ),
        "release.discarded" => (reference, "r1", "discarded the draft acme 2.4.0 (812)"),
        "release.deleted" => (reference, "r1", "deleted acme 2.4.0 (812)"),
        "release.imported" => (json!({"release": {"id": "r1"}}), "r1", "took over acme 2.4.0 (812)"),
        "channel.published" => (moved, "beta", "published acme 2.4.0 (812) to beta"),
        "channel.promoted" => (
            json!({"app_id": "a1", "channel": "stable", "release_id": "r1", "from_channel": "beta"}),
            "stable",
            "promoted acme 2.4.0 (812) from beta to stable",
        ),
        "channel.rolled_back" => (moved, "beta", "rolled beta back to acme 2.4.0 (812)"),
        "channel.updated" => (
            json!({"app_id": "a1", "channel": "beta", "changes": {"policy": "promote_only", "rollout_percent": 10}}),
            "beta",
            "changed beta of acme: policy promote_only, rollout_percent 10",
        ),
        "channel.imported" => (json!({}), "beta", "took over the channel beta of acme"),
        "token.created" => (json!({"token": {"name": "ci"}}), "t1", "made the token ci"),
        "token.revoked" => (json!({"token_id": "t1", "name": "ci"}), "t1", "revoked the token ci"),
        "token.imported" => (json!({"token": {"name": "ci"}}), "t1", "took over the token ci"),
        "object.uploaded" => (
            json!({"size_bytes": 42}),
            DIGEST,
            "uploaded 42 bytes, 6666666666666666666666666666666666666666666666666666666666666666",
        ),
        "store.cleaned" => (
            json!({"objects": {DIGEST: 42}, "staging_files": 2}),
            "store",
            "removed 1 object of 42 bytes and 2 staging files",
        ),
        "store.backed_up" => (
            json!({"destination": "/backup", "position": 9, "objects": 2, "bytes": 84}),
            "store",
            "took a backup of 2 objects of 84 bytes to /backup",
        ),
        "store.restored" => (
            json!({"position": 9}),
            "store",
            "restored the store from a backup at event 9",
        ),
        "store.rebuilt" => (json!({}), "store", "made the tables again from the log"),
        "store.upgraded" => (json!({"version": "2.0.0"}), "store", "upgraded the store to 2.0.0"),
        "store.imported" => (json!({}), "store", "took over a store of the older format"),
        "audit.imported" => (json!({}), "1", "took over an event of the older format"),
        "access.refused" => (
            json!({"code": "auth.expired", "request": "POST /api/upload"}),
            "t1",
            "was refused POST /api/upload (auth.expired)",
        ),
        "access.strangers_refused" => (
            json!({"count": 3}),
            "192.0.2.1",
            "refused 3 requests of strangers from 192.0.2.1",
        ),
        _ => example_of_people(action),
    }
}

/// The same for what people did about people.
fn example_of_people(action: &str) -> (Value, &'static str, &'static str) {
    let ann = json!({"user_id": "u1", "email": "ann@example.org", "issuer": "https://id.example.org"});
    let link = json!({"link_id": "l1", "app_id": "a1", "channel": "beta"});
    match action {
        "user.created" => (
            json!({"user": {"email": "ann@example.org"}}),
            "u1",
            "let in ann@example.org",
        ),
        "user.updated" => (
            json!({"email": "ann@example.org", "changes": {"disabled": true}}),
            "u1",
            "disabled ann@example.org",
        ),
        "user.invited" => (ann, "u1", "made a link to set a password for ann@example.org"),
        "user.password_set" => (ann, "u1", "set the password of ann@example.org"),
        "user.identified" => (
            ann,
            "u1",
            "tied ann@example.org to their account at https://id.example.org",
        ),
        "session.started" => (
            json!({"session": {"address": "192.0.2.1"}, "email": "ann@example.org"}),
            "u1",
            "signed in from 192.0.2.1",
        ),
        "session.ended" => (ann, "u1", "ended a session of ann@example.org"),
        "session.refused" => (
            json!({"address": "192.0.2.1", "email": "ann@example.org"}),
            "192.0.2.1",
            "refused somebody at 192.0.2.1 who tried to sign in as ann@example.org",
        ),
        "link.created" => (
            json!({"link": {"channel": "beta"}}),
            "l1",
            "made a tester link to beta of acme",
        ),
        "link.revoked" => (link, "l1", "revoked a tester link to beta of acme"),
        _ => panic!("{action} has no example: add one here, and words for it in sentence.rs"),
    }
}

#[test]
fn every_action_is_a_sentence() {
    for action in Event::ACTIONS {
        let (data, target_id, expected) = example(action);
        let parts = sentence(&event(action, target_id, &data), &about());
        assert_eq!(text(&parts), format!("token:ci {expected}"), "{action}");
    }
}

#[test]
fn a_promotion_names_what_can_be_linked() {
    let (data, target_id, _) = example("channel.promoted");
    let parts = sentence(&event("channel.promoted", target_id, &data), &about());
    let app = about().app;
    let channel = |name: &str| Part::Channel {
        app: app.clone(),
        name: name.parse().unwrap(),
    };
    let words = |text: &str| Part::Text(text.to_owned());
    let expected = [
        Part::Actor("token:ci".to_owned().try_into().unwrap()),
        words(" promoted "),
        Part::App("acme".parse().unwrap()),
        words(" "),
        Part::Release {
            app: app.clone(),
            release: about().release.unwrap(),
        },
        words(" from "),
        channel("beta"),
        words(" to "),
        channel("stable"),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn what_is_gone_is_told_from_the_event_alone() {
    let cases = [
        ("release.discarded", "token:ci discarded the draft 2.4.0 (812)"),
        ("app.updated", "token:ci changed acme: visibility private"),
        ("channel.published", "token:ci published r1 to beta"),
    ];
    for (action, expected) in cases {
        let (data, target_id, _) = example(action);
        assert_eq!(
            text(&sentence(&event(action, target_id, &data), &About::default())),
            expected
        );
    }
}

#[test]
fn an_unknown_action_says_so_and_hostile_data_stays_data() {
    let unknown = event("legacy.thing", "<b>", &json!({}));
    assert_eq!(
        text(&sentence(&unknown, &About::default())),
        "token:ci did legacy.thing to legacy <b>"
    );
    for action in Event::ACTIONS {
        let hostile = json!({"app": 1, "changes": [1], "objects": "x", "token": [], "release": null, "count": -1});
        let parts = sentence(&event(action, "\u{202e}<script>", &hostile), &About::default());
        assert!(parts.len() > 1, "{action}");
    }
}
