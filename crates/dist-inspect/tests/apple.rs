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
fn zip(members: &[(&str, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, contents) in members {
        let (mut entry, config) = archive.new_file(*name).start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(contents.as_ref()).unwrap();
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

fn mac_app(info: &str, executable: &[u8], more: &[(&str, &[u8])]) -> Report {
    let own = [
        ("Acme.app/Contents/Info.plist", info.as_bytes()),
        ("Acme.app/Contents/MacOS/Acme", executable),
    ];
    look("acme.zip", &zip(&[&own, more].concat()))
}

#[test]
fn only_what_a_device_installs_needs_an_info_plist_of_its_own() {
    for folder in ["Assets/demo.app", "Frameworks/a.framework/b.app"] {
        let report = ipa(&[(&format!("Payload/Acme.app/{folder}/a"), "")]);
        assert_eq!(codes(&report), [""; 0], "{folder}");
    }
    for folder in ["Watch/a.app", "AppClips/a.app", "Watch/a.app/PlugIns/b.appex"] {
        let report = ipa(&[
            ("Payload/Acme.app/Watch/a.app/Info.plist", &info()),
            (&format!("Payload/Acme.app/{folder}/b"), ""),
        ]);
        let is_refused = codes(&report) == ["bundle.nested_no_info_plist"];
        assert_eq!(is_refused, folder != "Watch/a.app", "{report:?}");
    }
    // On a Mac an extension for devices is nobody's.
    let flat = ("Acme.app/Contents/PlugIns/a.appex/Info.plist", &b"<plist"[..]);
    let broken = ("Acme.app/Contents/PlugIns/b.appex/Contents/Info.plist", &b"<plist"[..]);
    assert_eq!(codes(&mac_app(&info(), b"#!/bin/sh", &[flat, broken])), [""; 0]);
}

#[test]
fn numbers_alone_are_told_as_lists_and_texts_are() {
    for (family, device) in [
        ("<integer>1</integer>", "iphone"),
        ("<string>2</string>", "ipad"),
        ("<array><integer>1</integer><string>2</string></array>", "universal"),
    ] {
        let more = format!("<key>UIDeviceFamily</key>{family}<key>CFBundleVersion</key><integer>7</integer>");
        let info = plist(&[("CFBundleIdentifier", "com.acme")], &more);
        let report = look("a.ipa", &zip(&[("Payload/Acme.app/Info.plist", &info)]));
        assert_eq!(report.facts["device"], device);
        assert_eq!(report.facts["build"], "7");
    }
}

#[test]
fn an_info_plist_in_the_form_of_openstep_tells_as_much() {
    let info = "{ CFBundleIdentifier = com.acme; CFBundleExecutable = Acme; CFBundleName = \"The App\"; }";
    let report = mac_app(info, b"#!/bin/sh", &[]);
    assert_eq!(codes(&report), [""; 0]);
    assert_eq!(report.facts["name"], "The App");
    assert_eq!(report.facts["info_plist_format"], "openstep");
}

#[test]
fn a_link_to_the_list_of_resources_is_no_ticket() {
    for (contents, is_ticket) in [
        ("s8ch\x01\0", true),
        ("_CodeSignature/CodeResources", false),
        ("<?xml version=\"1.0\"?><plist/>", false),
        ("", false),
    ] {
        let ticket = ("Acme.app/Contents/CodeResources", contents.as_bytes());
        let report = mac_app(&info(), b"#!/bin/sh", &[ticket]);
        assert_eq!(report.facts["stapled_ticket"], is_ticket);
    }
    let report = ipa(&[("Payload/Acme.app/CodeResources", "s8ch")]);
    assert_eq!(report.facts["stapled_ticket"], false);
}

const ARM: u32 = 0x0100_000C;
const INTEL: u32 = 0x0100_0007;

fn bytes_of(numbers: &[u32], to_bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
    numbers.iter().flat_map(|number| to_bytes(*number)).collect()
}

/// An executable for one processor, of a platform, whose signature has these flags and hashes nothing.
fn thin(cpu: u32, platform: u32, more: &[u32], flags: Option<u32>) -> Vec<u8> {
    let mut commands = [&[0x32, 24, platform, 0x000D_0000, 0, 0][..], more].concat();
    let mut count = if more.is_empty() { 1 } else { 2 };
    let mut signature = Vec::new();
    if let Some(flags) = flags {
        let directory = [0xFADE_0C02, 46, 0x2_0001, flags, 46, 44, 0, 0, 0, 0x2002_000C, 0];
        signature = bytes_of(&[0xFADE_0CC0, 66, 1, 0, 20], u32::to_be_bytes);
        signature.extend(bytes_of(&directory, u32::to_be_bytes));
        signature.extend(b"a\0");
        let end = u32::try_from(32 + commands.len() * 4 + 16).unwrap();
        commands.extend([0x1D, 16, end, 66]);
        count += 1;
    }
    let size = u32::try_from(commands.len() * 4).unwrap();
    let header = [0xFEED_FACF, cpu, 0, 2, count, size, 0, 0];
    let code = bytes_of(&[&header, &commands[..]].concat(), u32::to_le_bytes);
    [code, signature].concat()
}

fn fat(slices: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let count = u32::try_from(slices.len()).unwrap();
    let (mut header, mut offset) = (vec![0xCAFE_BABE, count], 8 + 20 * count);
    for (cpu, slice) in slices {
        let len = u32::try_from(slice.len()).unwrap();
        header.extend([*cpu, 0, offset, len, 0]);
        offset += len;
    }
    let slices = slices.iter().flat_map(|(_, slice)| slice.clone());
    bytes_of(&header, u32::to_be_bytes).into_iter().chain(slices).collect()
}

#[test]
fn code_that_no_device_runs_fails() {
    let encrypted = [0x2C, 24, 0, 0, 1, 0];
    for (executable, expected) in [
        (thin(ARM, 2, &[], None), "signature.missing"),
        (thin(ARM, 11, &[], None), "signature.missing"),
        (thin(ARM, 1, &[], None), "ipa.no_device"),
        (thin(ARM, 7, &[], None), "ipa.no_device"),
        (thin(INTEL, 2, &[], None), "ipa.no_device"),
        (
            fat(&[(INTEL, thin(INTEL, 7, &[], None)), (ARM, thin(ARM, 2, &[], None))]),
            "signature.missing",
        ),
        (thin(ARM, 2, &encrypted, None), "ipa.store_encrypted"),
    ] {
        let members = [
            ("Payload/Acme.app/Info.plist", info().into_bytes()),
            ("Payload/Acme.app/Acme", executable),
        ];
        let report = look("a.ipa", &zip(&members));
        assert_eq!(codes(&report)[0], expected, "{report:?}");
    }
}

#[test]
fn the_parts_of_a_mac_app_are_signed_each_by_itself() {
    let messages = |executable: &[u8]| {
        let report = mac_app(&info(), executable, &[]);
        assert_eq!(report.facts["signed"], false);
        let findings = report.findings.iter();
        findings.map(|finding| finding.message.clone()).collect::<Vec<_>>()
    };
    let (intel, arm) = (thin(INTEL, 1, &[], None), thin(ARM, 1, &[], None));
    assert_eq!(messages(&intel), ["The app is not signed; Gatekeeper refuses it."]);
    assert_eq!(
        messages(&fat(&[(INTEL, intel.clone()), (ARM, arm)])),
        ["The app is not signed; Macs with Apple silicon refuse to start it."]
    );
    // As linkers make it.
    let both = fat(&[(INTEL, intel), (ARM, thin(ARM, 1, &[], Some(0x2_2002)))]);
    assert_eq!(
        messages(&both),
        [
            "The app is signed by nobody (ad-hoc); Gatekeeper refuses it.",
            "The app is not signed for x86_64; Gatekeeper refuses it."
        ]
    );
    let report = mac_app(&info(), &both, &[]);
    assert_eq!(report.facts["ad_hoc"], true);
    let flags = serde_json::json!(["adhoc", "library-validation", "linker-signed"]);
    assert_eq!(report.facts["code_signature"]["flags"], flags);
}

#[test]
fn an_executable_is_found_as_the_disks_of_macs_find_it() {
    for (named, there, is_found) in [
        ("acme", "Acme", true),
        ("Acm\u{e9}", "Acme\u{301}", true),
        ("acme", "Acmes", false),
    ] {
        let info = plist(&[("CFBundleIdentifier", "a"), ("CFBundleExecutable", named)], "");
        let path = format!("Acme.app/Contents/MacOS/{there}");
        let members = [("Acme.app/Contents/Info.plist", info.as_str()), (&path, "#!/bin/sh")];
        let report = look("a.zip", &zip(&members));
        assert_eq!(codes(&report).is_empty(), is_found, "{named}");
    }
}

#[test]
fn of_several_apps_the_one_that_tells_most_is_told() {
    let plists = ["com.acme", "com.acme.remove"].map(|id| plist(&[("CFBundleIdentifier", id)], ""));
    let [own, remove] = &plists;
    let report = look(
        "a.zip",
        &zip(&[
            ("Broken.app/Contents/MacOS/a", ""),
            ("Uninstall Acme.app/Contents/Info.plist", remove.as_str()),
            ("Uninstall Acme.app/Contents/MacOS/Uninstall Acme", ""),
            ("Acme.app/Contents/Info.plist", own),
            ("Acme.app/Contents/MacOS/Acme", ""),
        ]),
    );
    assert_eq!((codes(&report), &report.facts["app_id"]), (vec![], &"com.acme".into()));
}

#[test]
fn an_id_that_the_build_did_not_fill_in_is_a_warning() {
    for id in ["$(PRODUCT_BUNDLE_IDENTIFIER)", "${PRODUCT_BUNDLE_IDENTIFIER}"] {
        let info = plist(&[("CFBundleIdentifier", id)], "");
        assert_eq!(codes(&mac_app(&info, b"#!/bin/sh", &[])), ["bundle.id_variable"]);
    }
}
