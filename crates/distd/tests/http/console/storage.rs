//! What the store takes, what a cleanup frees, backups, and how the system does.

use dist_model::Role;
use serde_json::json;

use crate::common::Site;

#[tokio::test]
async fn use_is_told_by_app() {
    let site = Site::start().await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let empty = site.open(&admin, "/admin/storage").await.expect(200).text();
    assert!(empty.contains("Nothing stored yet"), "{empty}");
    site.publish("acme", "1.0.0", "beta").await;
    let page = site.open(&admin, "/admin/storage").await.expect(200).text();
    for part in [
        "Storage by app",
        "<dt>Releases take</dt><dd>10 B",
        "id=\"app-acme\"",
        "value=\"100\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[tokio::test]
async fn a_cleanup_says_what_goes_before_it_does() {
    let site = Site::start().await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let nothing = site.open(&admin, "/admin/storage/cleanup").await.expect(200).text();
    assert!(
        nothing.contains("Retention lets go of no release") && nothing.contains(">Clean up now<"),
        "{nothing}"
    );
    for minor in 0..6 {
        site.publish("acme", &format!("1.{minor}.0"), "beta").await;
    }
    site.patch("/api/apps/acme/channels/beta", &json!({"retention_keep": 2}))
        .await
        .expect(200);
    let plan = site.open(&admin, "/admin/storage/cleanup").await.expect(200).text();
    for part in ["<bdi>1.0.0</bdi>", "beta keeps 2", "Delete 1 release and clean up now"] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
    assert!(!plan.contains("<bdi>1.1.0</bdi>"), "{plan}");
    let deleted = "release.deleted".to_owned();
    assert!(!site.actions().await.contains(&deleted), "a plan changes nothing");
    let done = site.submit(&admin, "/admin/storage/cleanup", &[]).await.expect(303);
    let path = done.header("location").strip_prefix("/dist").unwrap();
    let told = site.open(&admin, path).await.expect(200).text();
    assert!(told.contains("The cleanup is done."), "{told}");
    assert!(site.actions().await.contains(&deleted));
    let after = site.open(&admin, "/admin/storage/cleanup").await.expect(200).text();
    assert!(after.contains("Retention lets go of no release"), "{after}");
}

#[tokio::test]
async fn health_asks_for_a_backup_until_there_is_one() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let before = site.open(&admin, "/admin/health").await.expect(200).text();
    assert!(
        before.contains("No backup was ever taken.") && before.contains("There are none yet"),
        "{before}"
    );
    let confirm = site.open(&admin, "/admin/storage/backup").await.expect(200).text();
    assert!(
        confirm.contains("No backup was ever taken.") && confirm.contains(">Back up now<"),
        "{confirm}"
    );
    let done = site.submit(&admin, "/admin/storage/backup", &[]).await.expect(303);
    assert_eq!(done.header("location"), "/dist/admin/storage?done=backed-up");
    assert_eq!(site.names_in("backups").len(), 1);
    let after = site.open(&admin, "/admin/health").await.expect(200).text();
    assert!(!after.contains("No backup was ever taken."), "{after}");
    let storage = site.open(&admin, "/admin/storage").await.expect(200).text();
    assert!(storage.contains(" took a backup of 1 object of "), "{storage}");
}

#[tokio::test]
async fn sign_in_settings_are_shown_as_they_are() {
    let site = Site::start_with(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let admin = site.person("admin@example.org", Some(Role::Admin), &[]).await;
    let page = site.open(&admin, "/admin/sign-in-settings").await.expect(200).text();
    for part in [
        "after 12 hours without use, and after 7 days",
        "10.0.0.0/8",
        "--oidc-issuer",
        "SameSite=Lax, Secure<",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
}
