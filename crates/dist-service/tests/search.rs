//! The one box that finds everything, on a real store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, artifact, local, request};
use dist_model::{Scope, Source};
use dist_service::{Found, PublishRequest, SearchHit};

fn shown(hits: &[SearchHit]) -> Vec<String> {
    let show = |hit: &SearchHit| match &hit.found {
        Found::App { slug, .. } => format!("app {slug}"),
        Found::Release {
            app, release, commit, ..
        } => {
            format!(
                "release {app} {}{}",
                release.label,
                commit.as_ref().map_or("", |_| " by commit")
            )
        }
        Found::Artifact { filename, .. } => format!("artifact {filename}"),
        Found::Channel { app, name } => format!("channel {app} {name}"),
        Found::Token { name, .. } => format!("token {name}"),
    };
    hits.iter()
        .map(|hit| format!("{}{}", if hit.exact { "=" } else { "" }, show(hit)))
        .collect()
}

#[tokio::test]
async fn one_box_finds_apps_releases_digests_commits_channels_and_tokens() {
    let world = World::new();
    let digest = world.upload(&local(), b"bytes").await;
    for (text, build, commit) in [("2.4.0", "812", "c0ffee0123456789"), ("2.4.1", "2", "c0ffee9999999999")] {
        world.pass(1);
        let source = Source {
            commit: Some(commit.to_owned()),
            ..Source::default()
        };
        let mut wanted = PublishRequest {
            source,
            ..request(text, Some("acme-beta"), vec![artifact("acme-linux", digest)])
        };
        wanted.build = build.parse().unwrap();
        world.service.publish(&local(), wanted, None).await.unwrap();
    }
    world.token("acme-ci", &[Scope::Read], None, &[]).await;
    let hex = digest.to_string();
    let cases = [
        ("acme", &["=app acme", "channel acme acme-beta", "token acme-ci"][..]),
        ("ACME", &["=app acme", "channel acme acme-beta", "token acme-ci"]),
        ("beta", &["channel acme acme-beta"]),
        ("2.4", &["release acme 2.4.1 (2)", "release acme 2.4.0 (812)"]),
        ("2.4.0", &["=release acme 2.4.0 (812)"]),
        ("2", &["=release acme 2.4.1 (2)", "release acme 2.4.0 (812)"]),
        ("81", &["release acme 2.4.0 (812)"]),
        ("c0ffee0", &["release acme 2.4.0 (812) by commit"]),
        (
            "C0FFEE",
            &["release acme 2.4.1 (2) by commit", "release acme 2.4.0 (812) by commit"],
        ),
        ("c0ffe", &[]),
        (&hex[..6], &["artifact acme-linux", "artifact acme-linux"]),
        (&hex[..5], &[]),
        (" acme-ci ", &["=token acme-ci"]),
        ("", &[]),
        ("%", &[]),
        ("\u{202e}<script>", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(
            shown(&world.service.search(&local(), text).await.unwrap()),
            expected,
            "{text:?}"
        );
    }
    let (reader, _) = world.token("reader", &[Scope::Read], None, &[]).await;
    assert_eq!(shown(&world.service.search(&reader, "acme-ci").await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn a_search_ends_at_twenty_and_the_whole_name_is_first() {
    let world = World::new();
    for n in 0..30 {
        world.publish(&format!("1.{n}"), None, &n.to_string()).await.unwrap();
    }
    let hits = world.service.search(&local(), "1.2").await.unwrap();
    assert_eq!(shown(&hits)[0], "=release acme 1.2");
    assert_eq!(hits.len(), 11, "1.2 and 1.20 to 1.29");
    assert_eq!(world.service.search(&local(), "1.").await.unwrap().len(), 20);
}
