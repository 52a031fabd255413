//! Names, notes, file names and facts by somebody who means harm, in every place where they show.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;

use super::{ANDROID, IPHONE, LINUX, MAC, WINDOWS, lacks, page, with_reports};
use crate::common::{Answer, Site};

const AGENTS: [&str; 5] = [ANDROID, IPHONE, MAC, LINUX, WINDOWS];

/// Fails where a page has an element, or an attribute that runs something, that no template has, or
/// a character that nobody sees.
#[track_caller]
fn check(answer: &Answer) {
    let text = answer.text();
    let elements: BTreeSet<&str> = text
        .split('<')
        .skip(1)
        .map(|tag| {
            tag.trim_start_matches(['/', '!'])
                .split(['>', ' ', '\n'])
                .next()
                .unwrap()
        })
        .collect();
    lacks(&text, &["<script>", "<img src=x", "onerror=alert(1)>"]);
    for attribute in ["href=\"", "src=\""] {
        for address in text.split(attribute).skip(1) {
            let ours = [
                "https://get.example.org/dist/",
                "data:image/svg+xml,%3Csvg",
                "itms-services://?",
            ];
            assert!(ours.iter().any(|our| address.starts_with(our)), "{attribute}{address}");
        }
    }
    for element in elements {
        let ours = "a aside b bdi body button code dd details div doctype dl dt footer h1 h2 h3 head header html img li \
                    link main meta p path pre script section span style summary svg table tbody td th thead time title \
                    tr ul";
        assert!(
            ours.split_whitespace().any(|our| our == element),
            "<{element}> in {text}"
        );
    }
    assert_eq!(text.matches("<script").count(), 1, "{text}");
    for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{0}'] {
        assert!(!text.contains(hidden), "{hidden:?} in {text}");
    }
    let policy = answer.header("content-security-policy");
    let nonce = policy.split("nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(
        policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for element in ["style", "script"] {
        assert!(text.contains(&format!("<{element} nonce=\"{nonce}\">")), "{text}");
    }
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn hostile_values_are_text_wherever_they_show() {
    for value in [
        "\"><script>alert(1)</script><&'.bin",
        "<img src=x onerror=alert(1)>",
        "x\u{200b}\u{feff}y",
        "{{ 7 * 7 }}{% raw %}",
        "javascript:alert(1)",
        "' onmouseover='alert(1)",
        &"W".repeat(200),
        "]]><!-- -->",
    ] {
        let site = with_reports(|name, report| {
            for key in ["signer", "signer_name", "min_os", "name", "version"] {
                report.set_text(key, Some(format!("CN={name}\u{202e}")));
            }
            report.set_list("cert_sha256", [name]);
            report.set_flag("signed", Some(true));
            report.warning("test.hostile", format!("It is {name}\u{202e}."), "Help.");
        })
        .await;
        // A path would be no file name, and is refused long before it is on a page.
        let filename = value.replace('/', "|");
        let mut artifacts = Vec::new();
        for platform in ["linux", "macos", "windows"] {
            for number in 1..=2 {
                let digest = site.upload(&site.admin, format!("{platform} {number}")).await;
                artifacts.push(
                    json!({"platform": platform, "filename": format!("{number}{filename}"), "sha256": digest,
                    "package_type": value, "arch": value}),
                );
            }
        }
        let manifest = json!({"app": "acme", "display_name": value, "version": "1.0.0", "channel": "beta",
            "notes": format!("{value}\u{202e}\n\n[x]({value})"), "artifacts": artifacts});
        let answer = site.post("/api/apps/acme/releases", &manifest).await;
        // Some of them are no kind or processor; the rest is then published without.
        if answer.status != 201 {
            let mut manifest = manifest.clone();
            for artifact in manifest["artifacts"].as_array_mut().unwrap() {
                let artifact = artifact.as_object_mut().unwrap();
                artifact.remove("package_type");
                artifact.remove("arch");
            }
            site.post("/api/apps/acme/releases", &manifest).await.expect(201);
        }
        for agent in AGENTS {
            check(&page(&site, agent).await);
        }
        check(&site.get("/").await.expect(200));
    }
}

#[tokio::test]
async fn hostile_names_are_text_in_the_manifest_for_iphones() {
    let site = Site::start().await;
    site.publish_example("acme", "hello-1.0.0.ipa", "ios").await;
    for name in ["]]></string><key>x", "&xxe;\u{ffff}\u{202e}", "\u{200b}"] {
        let changes = json!({"ios_mode": "enterprise", "bundle_ids": {"ios": "a<b>&c"}, "display_name": name});
        site.patch("/api/apps/acme", &changes).await.expect(200);
        let text = site.get("/install/acme/beta/manifest.plist").await.expect(200).text();
        lacks(&text, &["]]>", "&xxe;", "\u{ffff}", "\u{202e}", "\u{200b}", "a<b>"]);
        assert_eq!(text.matches("<key>").count(), 9, "{text}");
    }
    let text = site.get("/install/acme/beta/manifest.plist").await.expect(200).text();
    assert!(text.contains("<string>acme</string>"), "{text}");
}

#[tokio::test]
async fn a_hostile_file_name_stays_one_word_of_a_command() {
    let site = with_reports(|_, _| {}).await;
    let digest = site.upload(&site.admin, "x").await;
    let manifest = json!({"app": "acme", "version": "1.0.0", "channel": "beta",
        "artifacts": [{"platform": "linux", "filename": "-a'$(reboot)`x`;b.deb", "sha256": digest}]});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    let text = page(&site, LINUX).await.text();
    let digest = site.upload(&site.admin, "y").await;
    let manifest = json!({"app": "acme", "version": "2.0.0", "channel": "windows",
        "artifacts": [{"platform": "windows", "filename": "a’; calc; ‘[b].zip", "sha256": digest}]});
    site.post("/api/apps/acme/releases", &manifest).await.expect(201);
    let call = site
        .call(Method::GET, "/install/acme/windows")
        .header("user-agent", WINDOWS);
    let powershell = call.send().await.expect(200).text();
    let word = "-LiteralPath &#39;.\\a’’; calc; ‘‘[b].zip&#39;)";
    assert!(powershell.contains(word), "{powershell}");
    let word = "&#39;./-a&#39;\\&#39;&#39;$(reboot)`x`;b.deb&#39;";
    assert!(text.contains(&format!("sudo apt install {word}")), "{text}");
}
