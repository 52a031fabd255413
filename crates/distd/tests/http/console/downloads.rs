//! Downloads over time.

use dist_model::Role;

use crate::common::{Site, sha256};

#[tokio::test]
async fn downloads_are_plotted_by_app_and_by_release() {
    let site = Site::start().await;
    let viewer = site.person("viewer@example.org", Some(Role::Viewer), &[]).await;
    let empty = site.open(&viewer, "/admin/downloads").await.expect(200).text();
    assert!(empty.contains("No apps yet"), "{empty}");
    let release = site.publish("acme", "1.0.0", "beta").await;
    site.publish("other", "1.0.0", "beta").await;
    let nothing = site.open(&viewer, "/admin/downloads/acme").await.expect(200).text();
    assert!(nothing.contains("No downloads in this time"), "{nothing}");
    for _ in 0..3 {
        site.get(&format!("/download/{}", sha256("acme 1.0.0")))
            .await
            .expect(200);
    }
    site.service.flush().await.unwrap();

    let all = site.open(&viewer, "/admin/downloads?days=90").await.expect(200).text();
    for part in [
        "Downloads a day, by app",
        "href=\"?days=90\" aria-current=\"page\"",
        "<a class=\"row-link\" id=\"app-acme\" href=\"/dist/admin/downloads/acme?days=90\">acme</a></th><td class=\"end\">3</td><td class=\"end\">3</td><td class=\"end\">100 %</td>",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
    let id = release["release"]["id"].as_str().unwrap();
    let app = site.open(&viewer, "/admin/downloads/acme").await.expect(200).text();
    for part in [
        "Adoption by version",
        "Downloads a day",
        &format!("/dist/admin/apps/acme/releases/{id}\"><bdi>1.0.0</bdi>"),
    ] {
        assert!(app.contains(part), "{part} in {app}");
    }
}
