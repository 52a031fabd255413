//! What each platform's action is, and what is said of it.

use std::sync::Arc;

use dist_inspect::Format;
use http::Method;
use serde_json::{Value, json};

use super::{ANDROID, IPHONE, LINUX, MAC, Told, WINDOWS, has, lacks, own, page, publish, with_reports};
use crate::common::Site;

const ITMS: &str = "itms-services://";

async fn with_ipa() -> Site {
    let site = Site::start().await;
    site.publish_example("acme", "hello-1.0.0.ipa", "ios").await;
    site
}

#[tokio::test]
async fn an_ipa_is_not_installable_by_itself() {
    let site = with_ipa().await;
    let text = page(&site, IPHONE).await.text();
    has(&text, &["cannot be installed from this page", "for iPhone and iPad.\""]);
    lacks(&text, &[ITMS, "/download/", "\"Install "]);
    site.patch("/api/apps/acme", &json!({"ios_public_download": true}))
        .await
        .expect(200);
    let text = page(&site, IPHONE).await.text();
    has(&text, &["cannot be installed from this page", "/download/"]);
    lacks(&text, &[ITMS, "button primary"]);
    let plist = site.get("/install/acme/beta/manifest.plist").await.expect(404);
    assert_eq!(plist.code(), "route.not_found");
}

#[tokio::test]
async fn testflight_is_the_only_action_of_its_mode() {
    let site = with_ipa().await;
    let url = "https://testflight.apple.com/join/AbCdEf";
    let changes = json!({"ios_mode": "testflight", "testflight_url": url, "ios_public_download": true});
    site.patch("/api/apps/acme", &changes).await.expect(200);
    for agent in [IPHONE, LINUX] {
        let text = page(&site, agent).await.text();
        has(&text, &[&format!("href=\"{url}\"")]);
        // What is wrong with the file is not wrong with what Apple made of it.
        lacks(&text, &[ITMS, "/download/", "devices refuse it"]);
    }
    site.get("/install/acme/beta/manifest.plist").await.expect(404);
}

#[tokio::test]
async fn enterprise_apps_install_over_the_air() {
    let site = Site::start_with(|config| {
        config.public_url = Some("http://get.example.org".to_owned());
        config.inspector = Arc::new(Told(|_, _| {}));
    })
    .await;
    let digest = site.publish_example("acme", "hello-1.0.0.ipa", "ios").await;
    let changes =
        json!({"ios_mode": "enterprise", "bundle_ids": {"ios": "dev.dist.hello"}, "display_name": "A <b> & \"c\""});
    site.patch("/api/apps/acme", &changes).await.expect(200);
    let link =
        "itms-services://?action=download-manifest&#38;url=https://get.example.org/install/acme/beta/manifest.plist";
    // An iPad says that it is a Mac.
    for agent in [IPHONE, MAC] {
        has(
            &page(&site, agent).await.text(),
            &[link, "Only devices that are enrolled"],
        );
    }
    for agent in [ANDROID, LINUX, WINDOWS] {
        let text = page(&site, agent).await.text();
        has(&text, &["Open this page on the iPhone or iPad"]);
        lacks(&text, &[ITMS]);
    }
    let plist = site.get("/install/acme/beta/manifest.plist").await.expect(200);
    assert!(plist.header("content-type").starts_with("text/xml"));
    let plist = plist.text();
    for part in [
        "<string>software-package</string>".to_owned(),
        format!("<string>https://get.example.org/download/{digest}?artifact="),
        "<string>dev.dist.hello</string>".to_owned(),
        "<string>1.0.0</string>".to_owned(),
    ] {
        has(&plist, &[&part]);
    }
    lacks(&plist, &["<b>"]);
}

async fn enterprise(report: fn(&str, &mut dist_inspect::Report)) -> String {
    let site = with_reports(report).await;
    publish(&site, "1.0.0", &[("ios", "acme.ipa")]).await;
    let changes = json!({"ios_mode": "enterprise", "bundle_ids": {"ios": "com.acme"}});
    site.patch("/api/apps/acme", &changes).await.expect(200);
    own(&site, IPHONE).await
}

#[tokio::test]
async fn what_every_device_refuses_has_no_install_action() {
    let site = with_ipa().await;
    site.patch("/api/apps/acme", &json!({"ios_mode": "enterprise"}))
        .await
        .expect(200);
    let text = own(&site, IPHONE).await;
    has(&text, &["The app is not signed; devices refuse it."]);
    lacks(&text, &[ITMS, "can install"]);
}

/// iOS fetches the manifest without the cookies of the browser.
#[tokio::test]
async fn a_session_installs_no_private_app_on_an_iphone() {
    let site = with_reports(|_, _| {}).await;
    publish(&site, "1.0.0", &[("ios", "acme.ipa")]).await;
    let changes = json!({"ios_mode": "enterprise", "bundle_ids": {"ios": "com.acme"}, "visibility": "private"});
    site.patch("/api/apps/acme", &changes).await.expect(200);
    for agent in [IPHONE, LINUX] {
        let call = site.call(Method::GET, "/install/acme/beta").token(&site.admin);
        let text = call.header("user-agent", agent).send().await.expect(200).text();
        has(&text, &["open a tester link to this channel on the iPhone or iPad"]);
        lacks(&text, &[ITMS, "<svg"]);
    }
}

fn profile(report: &mut dist_inspect::Report, profile: &Value) {
    report.set_object("provisioning", profile.as_object().unwrap().clone());
}

#[tokio::test]
async fn a_profile_says_whom_it_allows_and_until_when() {
    let text = enterprise(|_, report| {
        profile(
            report,
            &json!({"kind": "adhoc", "devices": 12, "expires": "9000-01-31T00:00:00.000Z"}),
        );
    })
    .await;
    has(
        &text,
        &[
            ITMS,
            "only the 12 devices that are registered in it, until 31 Jan 9000, ",
        ],
    );
    let text = enterprise(|_, report| {
        profile(report, &json!({"kind": "enterprise", "team_name": "Acme <b> Inc."}));
    })
    .await;
    has(&text, &[ITMS, "every device on which Acme &#60;b&#62; Inc. is trusted"]);
    let text = enterprise(|_, report| profile(report, &json!({"kind": "development", "devices": 1}))).await;
    has(
        &text,
        &["only the 1 device that is registered in it, in Developer Mode."],
    );
}

#[tokio::test]
async fn what_no_device_installs_has_no_install_action() {
    let text = enterprise(|_, report| {
        profile(
            report,
            &json!({"kind": "enterprise", "expires": "2020-02-01T00:00:00.000Z"}),
        );
        report.warning("provisioning.expired", "It expired.", "Renew it.");
    })
    .await;
    has(&text, &["The profile inside the app expired on 1 Feb 2020"]);
    lacks(&text, &[ITMS, "It expired.", "Only devices that are enrolled"]);
    let text = enterprise(|_, report| {
        report.set_list("cert_sha256", ["aa"]);
        let certificates = json!([{"sha256": "bb"}, {"sha256": "aa", "expires": "2021-03-01T00:00:00.000Z"}]);
        profile(
            report,
            &json!({"kind": "adhoc", "devices": 3, "developer_certs": certificates}),
        );
    })
    .await;
    has(&text, &["The certificate that signed the app expired on 1 Mar 2021"]);
    lacks(&text, &[ITMS]);
    let text = enterprise(|_, report| profile(report, &json!({"kind": "appstore"}))).await;
    has(&text, &["no device installs it from here"]);
    lacks(&text, &[ITMS]);
}

#[tokio::test]
async fn an_apk_is_downloaded_and_told_about() {
    let site = Site::start().await;
    let digest = site.publish_example("acme", "hello-1.0.0.apk", "android_apk").await;
    let text = own(&site, ANDROID).await;
    has(
        &text,
        &[
            "button primary",
            "Download for Android",
            "hello-1.0.0.apk",
            "Android 5.0 (API 21) or later",
            "16.8 KiB",
            &digest,
            "dist example (throw-away key)",
            "4649ae2734a3225902d818d743705b596946c3a148c3a49cef4b4c30af395d07",
            "allow installing unknown apps",
        ],
    );
}

#[tokio::test]
async fn what_android_does_not_open_is_no_big_button() {
    let site = with_reports(|name, report| {
        if name == "test.apk" {
            report.warning("apk.test_only", "It is test-only.", "Build it.");
        }
    })
    .await;
    publish(&site, "1.0.0", &[("android_apk", "test.apk")]).await;
    let text = own(&site, ANDROID).await;
    has(&text, &["Download the file", "It is test-only."]);
    lacks(&text, &["button primary", "unknown apps"]);
    let site = with_reports(|name, report| {
        report.format = if name == "a.aab" { Format::Aab } else { Format::Apks };
        report.package_type = report.format.as_str().into();
    })
    .await;
    publish(&site, "1.0.0", &[("android_apk", "a.apks"), ("android_aab", "a.aab")]).await;
    let text = page(&site, ANDROID).await.text();
    has(
        &text,
        &[
            "A set of split APKs does not open on a phone",
            "An app bundle is for uploading to a store",
            "/download/",
        ],
    );
    lacks(&text, &["class=\"button"]);
}

#[tokio::test]
async fn a_mac_is_told_what_gatekeeper_does() {
    for (signed, ticket, says, fact) in [
        (
            true,
            true,
            "It carries a notarization ticket, which Gatekeeper checks",
            "stapled ticket present",
        ),
        (true, false, "It carries no notarization ticket", "no ticket stapled"),
        (
            false,
            false,
            "It is not signed: Macs with Apple silicon do not start it",
            "no ticket stapled",
        ),
    ] {
        let site = with_reports(|name, report| {
            report.set_flag("signed", Some(name.contains("signed")));
            report.set_flag("stapled_ticket", Some(name.contains("ticket")));
            report.set_flag("hardened_runtime", Some(true));
            report.set_list("signer", ["UID=1, CN=Developer ID Application: Acme\\, Inc. (1), C=DE"]);
        })
        .await;
        let name = format!(
            "{}{}.dmg",
            if signed { "signed" } else { "x" },
            if ticket { "ticket" } else { "" }
        );
        publish(&site, "1.0.0", &[("macos", &name)]).await;
        let text = own(&site, MAC).await;
        has(
            &text,
            &[
                says,
                fact,
                "Hardened runtime",
                "Developer ID Application: Acme, Inc. (1)",
            ],
        );
        assert_eq!(text.contains("choose Open Anyway"), !ticket, "{text}");
        has(&text, &[" | shasum -a 256 -c"]);
        lacks(&text, &["verified", "sudo", "tar -xf"]);
    }
}

#[tokio::test]
async fn windows_is_told_what_smartscreen_does() {
    let site = with_reports(|name, report| {
        report.set_flag("signed", Some(name.contains("signed")));
        report.set_text("signer_name", Some("Acme Ltd"));
    })
    .await;
    publish(&site, "1.0.0", &[("windows", "setup.exe")]).await;
    has(
        &own(&site, WINDOWS).await,
        &["Windows does not know the publisher", "Get-FileHash", "certutil"],
    );
    publish(&site, "1.1.0", &[("windows", "signed.exe")]).await;
    has(
        &own(&site, WINDOWS).await,
        &["SmartScreen may warn all the same", "Acme Ltd"],
    );
    publish(&site, "1.2.0", &[("windows", "app.msix")]).await;
    let text = own(&site, WINDOWS).await;
    has(&text, &["Windows installs no app package that is not"]);
    lacks(&text, &["button primary"]);
}

#[tokio::test]
async fn linux_gets_the_exact_commands() {
    for (name, install) in [
        ("acme_1.0_amd64.deb", "sudo apt install ./acme_1.0_amd64.deb"),
        ("acme-1.0.x86_64.rpm", "sudo dnf install ./acme-1.0.x86_64.rpm"),
        ("Acme.AppImage", "chmod +x ./Acme.AppImage\n./Acme.AppImage"),
        ("acme.tar.gz", "tar -xf ./acme.tar.gz"),
        ("acme.flatpak", "flatpak install --user ./acme.flatpak"),
        ("acme.snap", "sudo snap install --dangerous ./acme.snap"),
    ] {
        let site = with_reports(|_, _| {}).await;
        let release = publish(&site, "1.0.0", &[("linux", name)]).await;
        let artifact = &release["artifacts"][0];
        let (digest, id) = (artifact["sha256"].as_str().unwrap(), artifact["id"].as_str().unwrap());
        let commands = format!(
            "curl -fLo {name} &#39;https://get.example.org/dist/download/{digest}?artifact={id}&#39;\n\
             echo &#39;{digest}  ./{name}&#39; | sha256sum -c\n{install}\n"
        );
        let commands: Vec<_> = commands.lines().map(|line| format!("<code>{line}\n</code>")).collect();
        let commands = commands.concat();
        has(&own(&site, LINUX).await, &[&commands]);
    }
}

#[tokio::test]
async fn the_file_for_the_visitors_processor_is_the_big_button() {
    let site = with_reports(|_, _| {}).await;
    let files = [
        ("windows", "acme-windows-arm64.zip"),
        ("windows", "acme-windows-x86_64.zip"),
        ("linux", "acme-linux-arm64.tar.gz"),
        ("macos", "acme-macos-arm64.zip"),
        ("macos", "acme-macos-x86_64.zip"),
    ];
    publish(&site, "1.0.0", &files).await;
    let fact = |name: &str| format!("<dt>File</dt><dd><bdi>{name}</bdi>");
    has(
        &own(&site, WINDOWS).await,
        &[&fact("acme-windows-x86_64.zip"), "For ARM64"],
    );
    let hinted = site
        .call(Method::GET, "/install/acme/beta")
        .header("user-agent", WINDOWS)
        .header("sec-ch-ua-platform", "\"Windows\"")
        .header("sec-ch-ua-arch", "\"arm\"")
        .header("sec-ch-ua-bitness", "\"64\"")
        .send()
        .await
        .expect(200);
    has(&hinted.text(), &[&fact("acme-windows-arm64.zip")]);
    assert_eq!(
        hinted.header("accept-ch"),
        "sec-ch-ua-platform, sec-ch-ua-arch, sec-ch-ua-bitness"
    );
    has(hinted.header("vary"), &["user-agent", "sec-ch-ua-arch"]);
    // No Mac says which processor it has, so that there is a button for each.
    has(&own(&site, MAC).await, &[&fact("acme-macos-arm64.zip"), "For Intel"]);
    let text = own(&site, LINUX).await;
    has(
        &text,
        &[
            "None of these files runs on the processor of this device",
            "acme-linux-arm64.tar.gz",
        ],
    );
    lacks(&text, &["class=\"button"]);
}

#[tokio::test]
async fn what_a_browser_says_of_every_processor_rules_nothing_out() {
    let site = with_reports(|_, _| {}).await;
    let files = [
        ("windows", "acme-windows-arm64.zip"),
        ("linux", "acme-linux-arm64.tar.gz"),
    ];
    publish(&site, "1.0.0", &files).await;
    let chromium = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0";
    for agent in [WINDOWS, chromium] {
        has(&own(&site, agent).await, &["button primary", "ARM64"]);
    }
}

#[tokio::test]
async fn a_manifest_may_spell_a_processor_as_its_builders_do() {
    let site = with_reports(|_, _| {}).await;
    let sha256 = site.upload(&site.admin, "for amd64").await;
    let artifact = json!({"platform": "linux", "arch": "amd64", "filename": "acme.tar.gz", "sha256": sha256});
    let manifest = json!({"app": "acme", "version": "1.0.0", "channel": "beta", "artifacts": [artifact]});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    has(&own(&site, LINUX).await, &["Download for Linux", "x86_64"]);
}
