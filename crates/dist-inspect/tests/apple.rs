//! Apps made here: what is said of each before anybody tries to install it.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use dist_inspect::{Context, Report, Severity, inspect};

/// 2026-01-01.
const NOW: i64 = 1_767_225_600_000;

fn look(name: &str, bytes: &[u8]) -> Report {
    let context = Context {
        now: NOW,
        ..Context::default()
    };
    inspect(&bytes, name, &context).unwrap().report
}

fn codes(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| &*finding.code).collect()
}

/// A zip of stored members.
fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, contents) in members {
        let (mut entry, config) = archive.new_file(*name).start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(contents.as_bytes()).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

/// A property list of texts and of whatever else stands there as XML.
fn plist(texts: &[(&str, &str)], more: &str) -> String {
    let text = |(key, text): &(&str, &str)| format!("<key>{key}</key><string>{text}</string>");
    let texts: String = texts.iter().map(text).collect();
    format!("<plist><dict>{texts}{more}</dict></plist>")
}

fn info() -> String {
    plist(
        &[("CFBundleIdentifier", "com.acme"), ("CFBundleExecutable", "Acme")],
        "",
    )
}

fn profile(expires: &str, more: &str) -> String {
    let date = format!("<key>ExpirationDate</key><date>{expires}</date>");
    plist(&[("UUID", "1")], &format!("{date}{more}"))
}

fn ipa(members: &[(&str, &str)]) -> Report {
    let info = info();
    let own = [
        ("Payload/Acme.app/Info.plist", info.as_str()),
        ("Payload/Acme.app/Acme", "code"),
    ];
    look("acme.ipa", &zip(&[&own, members].concat()))
}

#[test]
fn a_profile_says_who_can_install_the_app_and_until_when() {
    let embedded = "Payload/Acme.app/embedded.mobileprovision";
    let devices = "<key>ProvisionedDevices</key><array><string>a</string><string>b</string></array>";
    let report = ipa(&[(embedded, &profile("2026-02-01T00:00:00Z", devices))]);
    assert_eq!(codes(&report), ["provisioning.unsigned", "provisioning.adhoc"]);
    assert!(report.findings[1].message.contains("only the 2 devices"), "{report:?}");
    assert_eq!(report.facts["provisioning"]["device_ids"][1], "b");
    assert_eq!(report.facts["provisioning"]["expires"], "2026-02-01T00:00:00.000Z");

    let all = "<key>ProvisionsAllDevices</key><true/>";
    let report = ipa(&[(embedded, &profile("2025-12-31T23:59:59Z", all))]);
    assert_eq!(codes(&report), ["provisioning.unsigned", "provisioning.expired"]);
    assert!(report.findings[1].message.contains("2025-12-31"), "{report:?}");
    let report = ipa(&[(embedded, "nothing")]);
    assert_eq!(codes(&report), ["provisioning.unreadable"]);
}

#[test]
fn an_app_that_no_device_installs_fails() {
    let simulator = "<key>CFBundleSupportedPlatforms</key><array><string>iPhoneSimulator</string></array>";
    let simulator = plist(
        &[("CFBundleIdentifier", "com.acme"), ("CFBundleExecutable", "Acme")],
        simulator,
    );
    let app = [
        ("Payload/Acme.app/Info.plist", simulator.as_str()),
        ("Payload/Acme.app/Acme", "code"),
    ];
    let cases = [
        (look("a.ipa", &zip(&app)), "ipa.no_device"),
        (
            look("a.ipa", &zip(&[("Payload/Acme.app/Acme", "")])),
            "bundle.no_info_plist",
        ),
        (ipa(&[("Payload/Other.app/Info.plist", "")]), "ipa.several_apps"),
        (
            ipa(&[("Payload/Acme.app/PlugIns/a.appex/a", "")]),
            "bundle.nested_no_info_plist",
        ),
        (
            look("a.ipa", &zip(&[("Payload/Acme.app/Info.plist", "<plist/>")])),
            "file.malformed",
        ),
    ];
    for (report, code) in cases {
        let errors = report
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        assert_eq!(
            errors.map(|finding| &*finding.code).collect::<Vec<_>>(),
            [code],
            "{report:?}"
        );
    }
}

#[test]
fn an_app_without_its_executable_or_id_is_a_warning() {
    let info = info();
    let report = look("a.zip", &zip(&[("Acme.app/Contents/Info.plist", &info)]));
    assert_eq!(codes(&report), ["bundle.no_executable"]);
    let script = [
        ("Acme.app/Contents/Info.plist", "<plist><dict/></plist>"),
        ("Acme.app/Contents/MacOS/Acme", "#!/bin/sh"),
    ];
    let report = look("a.zip", &zip(&script));
    assert_eq!(codes(&report), ["bundle.no_id"]);
    assert!(!report.facts.contains_key("signed"), "{report:?}");
}

#[test]
fn an_encrypted_image_is_told_and_not_opened() {
    let report = look("a.dmg", b"encrcdsa and what nobody reads");
    assert_eq!(codes(&report), ["dmg.encrypted"]);
    assert_eq!(report.facts["encrypted"], true);
}

#[test]
fn names_without_end_are_no_quadratic_trap() {
    let names: Vec<String> = (0..20_000)
        .map(|number| format!("<string>n{number}</string>"))
        .collect();
    let names = names.concat();
    let icons = format!("<key>CFBundleIconFiles</key><array>{names}</array>");
    let info = plist(&[("CFBundleIdentifier", "com.acme")], &icons);
    let pictures: Vec<String> = (0..20_000)
        .map(|number| format!("Payload/A.app/m{number}.png"))
        .collect();
    let mut members: Vec<(&str, &str)> = pictures.iter().map(|name| (name.as_str(), "")).collect();
    members.push(("Payload/A.app/Info.plist", &info));
    assert_eq!(codes(&look("a.ipa", &zip(&members))), ["bundle.no_executable"]);
}
