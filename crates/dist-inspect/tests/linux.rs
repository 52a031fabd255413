//! Small Linux packages made here, and what is said of those that nobody could install.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use dist_inspect::{Context, Format, Report, Verdict, inspect};
use dist_model::Platform;
use sha2::{Digest as _, Sha256};

type Member<'a> = (&'a str, &'a [u8]);

fn look(name: &str, bytes: &[u8]) -> Report {
    inspect(&bytes, name, &Context::default()).unwrap().report
}

fn codes(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| &*finding.code).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar of these members, each with its type flag.
fn tar(members: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, flag, bytes) in members {
        let mut header = [0; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..107].copy_from_slice(b"0000755");
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[156] = *flag;
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend(header);
        tar.extend(*bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn ar(members: &[Member<'_>]) -> Vec<u8> {
    let mut ar = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        ar.extend(
            format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                100_644,
                bytes.len()
            )
            .bytes(),
        );
        ar.extend(*bytes);
        ar.resize(ar.len().next_multiple_of(2), b'\n');
    }
    ar
}

const ELF_ARM64: &[u8] = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xB7\0";

fn deb(control: &str, data: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let control = gzip(&tar(&[
        ("./control", b'0', control.as_bytes()),
        ("./conffiles", b'0', b"/etc/acme\n"),
        ("./postinst", b'0', b"#!/bin/sh\n"),
    ]));
    let data = tar(data);
    ar(&[
        ("debian-binary", b"2.0\n"),
        ("_gpgbuilder", b"x"),
        ("control.tar.gz", &control),
        ("data.tar", &data),
    ])
}

const CONTROL: &str = "Package: acme\nVersion: 1:2.4.0~rc1-1\nArchitecture: arm64\nDepends: libc6,\n libx (>= 1)\n\
                       Maintainer: A <a@b>\nDescription: A tool\n that does things\n";

#[test]
fn a_deb_tells_what_it_installs() {
    let entry = b"[Desktop Entry]\nName=Acme\nIcon=acme\n";
    let report = look(
        "acme.deb",
        &deb(
            CONTROL,
            &[
                ("./", b'5', b""),
                ("./usr/bin/acme", b'0', ELF_ARM64),
                ("./usr/share/applications/acme.desktop", b'0', entry),
                ("./usr/share/x\\x2dy", b'0', b""),
            ],
        ),
    );
    assert_eq!((report.verdict, codes(&report)), (Verdict::Passed, vec![]));
    let facts = serde_json::to_value(&report.facts).unwrap();
    assert_eq!(
        facts,
        serde_json::json!({
            "app_id": "acme", "version": "1:2.4.0~rc1-1", "archs": ["arm64"], "depends": "libc6, libx (>= 1)",
            "maintainer": "A <a@b>", "name": "A tool", "package_type": "deb", "signed": true, "files": 4,
            "members": ["debian-binary", "_gpgbuilder", "control.tar.gz", "data.tar"], "scripts": ["postinst"],
            "conffiles": ["/etc/acme"], "desktop_files": ["./usr/share/applications/acme.desktop"],
        })
    );
}

#[test]
fn a_deb_packed_by_lzma_is_read_like_any() {
    // Made with tar, xz --format=lzma and ar; dpkg-deb -c reads it.
    let report = look("acme.deb", include_bytes!("data/linux/lzma.deb"));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Passed, vec![]));
    assert_eq!(report.facts["files"], 3);
}

#[test]
fn a_deb_that_dpkg_refuses_fails() {
    let with = |line: &str| {
        let (name, _) = line.split_once(':').unwrap();
        let lines = CONTROL
            .lines()
            .map(|old| if old.starts_with(name) { line } else { old });
        let control = lines.collect::<Vec<_>>().join("\n") + "\n";
        look("a.deb", &deb(&control, &[]))
    };
    for (line, code) in [
        ("Package: ../../etc/x", "deb.name_invalid"),
        ("Package: -a", "deb.name_invalid"),
        ("Package: a b", "deb.name_invalid"),
        ("Package:", "deb.field_missing"),
        ("Version:", "deb.field_missing"),
        ("Version: 1 0", "deb.version_invalid"),
        ("Version: a:1", "deb.version_invalid"),
        ("Version: :1", "deb.version_invalid"),
        ("Version: 1-", "deb.version_invalid"),
        ("Version: 1/2", "deb.version_invalid"),
        ("Version: 1_2", "deb.version_invalid"),
        ("Version: rc1", "deb.version_invalid"),
        ("Architecture:", "deb.field_missing"),
        ("Architecture: arm/64", "deb.arch_invalid"),
        ("Architecture: any", "deb.arch_invalid"),
        ("Architecture: linux-any", "deb.arch_invalid"),
        ("Maintainer: a\nRecommends: libc6,", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: | a", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: Foo bar", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: a (>= 1_0)", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: a (>= 1", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: a (>=)", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: a (<> 1)", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: a: b", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: a [amd64]", "deb.relation_invalid"),
        ("Maintainer: a\nRecommends: a/b", "deb.relation_invalid"),
        ("Maintainer: a\nEssential: maybe", "deb.field_invalid"),
        ("Maintainer: a\nMulti-Arch: yes", "deb.field_invalid"),
    ] {
        let report = with(line);
        assert_eq!(
            (report.verdict, codes(&report)),
            (Verdict::Failed, vec![code]),
            "{line}"
        );
    }
    for good in [
        "Package: libstdc++6",
        "Version: 2024a",
        "Version: 1:2:3-4-5",
        "Maintainer: a\nRecommends:",
        "Maintainer: a\nRecommends: libc6 (>= 2.34), python3:any (>=3.9~) | Python , a(= 1:2-3),b (1)",
        "Maintainer: a\nEssential: Yes\nMulti-Arch: foreign\nBreaks: a (<< 2)",
    ] {
        assert_eq!(with(good).verdict, Verdict::Passed, "{good}");
    }
}

#[test]
fn a_deb_has_its_members_in_order() {
    let control = gzip(&tar(&[("control", b'0', CONTROL.as_bytes())]));
    let data = tar(&[]);
    let version = ("debian-binary", &b"2.0\n"[..]);
    let control_at = |name| (name, control.as_slice());
    let data_at = |name| (name, data.as_slice());
    for (members, code) in [
        (
            vec![version, data_at("data.tar"), control_at("control.tar.gz")],
            "deb.no_control",
        ),
        (vec![version, control_at("control.tar.gz")], "deb.no_data"),
        (
            vec![version, control_at("control.tar.gz"), ("extra", b"")],
            "deb.no_data",
        ),
        (
            vec![version, control_at("control.tar.bz2"), data_at("data.tar")],
            "deb.compression_unknown",
        ),
        (
            vec![version, control_at("control.tar.gz"), data_at("data.tar.rar")],
            "deb.compression_unknown",
        ),
        (
            vec![
                ("debian-binary", b"9.0\n"),
                control_at("control.tar.gz"),
                data_at("data.tar"),
            ],
            "deb.format_unknown",
        ),
    ] {
        let report = look("a.deb", &ar(&members));
        assert_eq!((report.verdict, codes(&report)), (Verdict::Failed, vec![code]));
    }
}

#[test]
fn a_deb_for_another_processor_than_its_programs_is_a_warning() {
    let control = CONTROL.replace("arm64", "amd64");
    let report = look("a.deb", &deb(&control, &[("usr/bin/acme", b'0', ELF_ARM64)]));
    assert_eq!(
        (report.verdict, codes(&report)),
        (Verdict::Warning, vec!["deb.arch_differs"])
    );
    let control = CONTROL.replace("arm64", "all");
    let report = look("a.deb", &deb(&control, &[("usr/bin/acme", b'0', ELF_ARM64)]));
    assert_eq!(report.verdict, Verdict::Passed);
}

#[test]
fn a_deb_may_have_what_dpkg_takes() {
    let whole = deb(CONTROL, &[("/usr/bin/acme", b'0', ELF_ARM64)]);
    let report = look("a.deb", &whole);
    assert_eq!((report.verdict, codes(&report)), (Verdict::Passed, vec![]));
    let report = look("a.deb", &[whole, b"\n".to_vec()].concat());
    assert_eq!((report.verdict, codes(&report)), (Verdict::Passed, vec![]));
    // Libraries for 32 bits are packed for 64, too.
    let elf_x86 = [&b"\x7FELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x03\0"[..], b"\x03\0"].concat();
    let control = CONTROL.replace("arm64", "amd64") + "License: MIT\nVendor: Acme Inc\n";
    let report = look("a.deb", &deb(&control, &[("usr/lib32/liba.so", b'0', &elf_x86)]));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Passed, vec![]));
    assert_eq!(
        (&report.facts["license"], &report.facts["vendor"]),
        (&"MIT".into(), &"Acme Inc".into())
    );
}

#[test]
fn a_deb_is_unpacked_by_the_names_of_its_members() {
    let control = tar(&[("control", b'0', CONTROL.as_bytes())]);
    let look_at = |name, data: &[u8]| {
        let members = [
            ("debian-binary", &b"2.0\n"[..]),
            ("control.tar.gz", &control),
            (name, data),
        ];
        look("a.deb", &ar(&members)).verdict
    };
    let data = tar(&[("usr/bin/acme", b'0', ELF_ARM64)]);
    assert_eq!(look_at("data.tar.gz", &gzip(&data)), Verdict::Passed);
    assert_eq!(look_at("data.tar.gz", &data), Verdict::Passed);
    assert_eq!(look_at("data.tar.xz", &gzip(&data)), Verdict::Failed);
    assert_eq!(look_at("data.tar", &gzip(&data)), Verdict::Failed);
}

#[test]
fn a_tar_without_a_magic_number_is_one_by_its_name() {
    let mut old = tar(&[("acme", b'0', ELF_ARM64)]);
    old[257..263].fill(0);
    old[148..156].fill(b' ');
    let sum: u32 = old[..512].iter().map(|byte| u32::from(*byte)).sum();
    old[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let report = look("acme.tar", &old);
    assert_eq!((report.format, report.verdict), (Format::Tar, Verdict::Passed));
    assert_eq!(report.facts["main_binary"], "acme");
    assert_eq!(look("acme.bin", &old).format, Format::Unknown);
    old[0] = b'b';
    assert_eq!(codes(&look("acme.tar", &old)), ["tar.bad_magic"]);
}

#[test]
fn a_bare_program_tells_what_it_runs_on() {
    let look_at = |name, bytes: &[u8]| {
        let report = look(name, bytes);
        assert_eq!((report.format, report.verdict), (Format::Unknown, Verdict::Passed));
        (report.platform, report.arch)
    };
    let arm64 = || Some("arm64".to_owned());
    assert_eq!(look_at("acme", ELF_ARM64), (Some(Platform::Linux), arm64()));
    assert_eq!(look_at("acme-linux-amd64", ELF_ARM64), (Some(Platform::Linux), arm64()));
    assert_eq!(look_at("acme-android-arm64", ELF_ARM64), (None, arm64()));
    let mut elf = ELF_ARM64.to_vec();
    elf[7] = 9;
    assert_eq!(look_at("acme", &elf), (None, arm64()));
    assert_eq!(look_at("acme", b"#!/bin/sh"), (None, None));
}

#[test]
fn a_tar_tells_its_programs_and_what_unpacks_badly() {
    let elf_x86_64 = [&ELF_ARM64[..18], b"\x3E\0"].concat();
    let report = look(
        "acme-linux.tar.gz",
        &gzip(&tar(&[
            ("acme-2.4.0-linux/", b'5', b""),
            ("acme-2.4.0-linux/bin/acme", b'0', ELF_ARM64),
            ("acme-2.4.0-linux/bin/helper", b'0', ELF_ARM64),
            ("acme-2.4.0-linux/lib/x86/libacme.so", b'0', &elf_x86_64),
        ])),
    );
    let facts = serde_json::to_value(&report.facts).unwrap();
    assert_eq!(
        facts,
        serde_json::json!({"archs": ["arm64", "x86_64"], "version_from_dir": "2.4.0",
            "main_binary": "acme-2.4.0-linux/bin/acme"})
    );
    assert_eq!((report.verdict, report.arch), (Verdict::Passed, None));
    for (name, platform) in [("acme.tar", Some(Platform::Linux)), ("acme-freebsd.tar", None)] {
        assert_eq!(
            look(name, &tar(&[("acme", b'0', ELF_ARM64)])).platform,
            platform,
            "{name}"
        );
    }
    let report = look(
        "a.tar",
        &tar(&[("a", b'0', b"1"), ("null", b'3', b""), ("a", b'0', b"2")]),
    );
    assert_eq!(codes(&report), ["tar.device", "tar.duplicate_name"]);
    assert_eq!(report.verdict, Verdict::Warning);
}

#[test]
fn an_appimage_without_an_image_fails() {
    let mut elf = vec![0; 64];
    elf[..20].copy_from_slice(ELF_ARM64);
    elf[8..11].copy_from_slice(b"AI\x02");
    let report = look("a.AppImage", &elf);
    assert_eq!(
        (report.verdict, codes(&report)),
        (Verdict::Failed, vec!["appimage.no_image"])
    );
    assert_eq!(report.facts["archs"], serde_json::json!(["arm64"]));
}

#[test]
fn an_appimage_may_have_an_image_of_dwarfs() {
    let mut elf = vec![0; 64];
    elf[..20].copy_from_slice(ELF_ARM64);
    elf[8..11].copy_from_slice(b"AI\x02");
    // The table of sections: its place, the size of each, and their number.
    elf[40] = 64;
    elf[58] = 64;
    elf[60] = 1;
    let report = look("a.AppImage", &[&elf, &[0; 64][..], b"DWARFS\x02\x05"].concat());
    assert_eq!(
        (report.verdict, codes(&report)),
        (Verdict::Passed, vec!["appimage.image_not_read"])
    );
    assert_eq!(report.facts["appimage_type"], 2);
}

/// A header of texts by tag.
fn rpm_header(texts: &[(u32, &str)]) -> Vec<u8> {
    const TEXT: u32 = 6;
    let mut store = Vec::new();
    let mut index = Vec::new();
    for (tag, text) in texts {
        let offset = u32::try_from(store.len()).unwrap();
        index.extend([*tag, TEXT, offset, 1].into_iter().flat_map(u32::to_be_bytes));
        store.extend(text.bytes().chain([0]));
    }
    let sizes = [0, texts.len(), store.len()].map(|size| u32::try_from(size).unwrap());
    let sizes: Vec<u8> = sizes.into_iter().flat_map(u32::to_be_bytes).collect();
    [b"\x8E\xAD\xE8\x01", &sizes[..], &index, &store].concat()
}

fn rpm(texts: &[(u32, &str)], payload: &[u8]) -> Vec<u8> {
    let payload_digest = hex::encode(Sha256::digest(payload));
    let header = rpm_header(&[texts, &[(5092, &payload_digest)]].concat());
    let digest = hex::encode(Sha256::digest(&header));
    let mut rpm = [
        b"\xED\xAB\xEE\xDB\x03".to_vec(),
        vec![0; 91],
        rpm_header(&[(273, &digest)]),
    ]
    .concat();
    rpm.resize(rpm.len().next_multiple_of(8), 0);
    [rpm, header, payload.to_vec()].concat()
}

#[test]
fn an_rpm_has_its_digests() {
    let texts = [
        (1000, "acme"),
        (1001, "2.4.0"),
        (1002, "1"),
        (1022, "aarch64"),
        (1044, "acme.src.rpm"),
    ];
    let whole = rpm(&texts, b"payload");
    let report = look("acme.rpm", &whole);
    let facts = serde_json::to_value(&report.facts).unwrap();
    assert_eq!(
        facts,
        serde_json::json!({
            "app_id": "acme", "version": "2.4.0", "release": "1", "archs": ["arm64"], "arch_raw": "aarch64",
            "sourcerpm": "acme.src.rpm", "package_type": "binary", "signed": false, "digests_ok": true,
        })
    );
    assert_eq!(codes(&report), ["rpm.unsigned"]);
    for (from_end, part) in [(1, "payload"), (12, "header")] {
        let mut damaged = whole.clone();
        let place = damaged.len() - from_end;
        damaged[place] ^= 1;
        let report = look("acme.rpm", &damaged);
        assert_eq!(codes(&report), ["rpm.unsigned", "rpm.digest_mismatch"]);
        assert!(
            report.findings[1].message.starts_with(&format!("The {part} ")),
            "{report:?}"
        );
        assert_eq!(
            (report.verdict, &report.facts["digests_ok"]),
            (Verdict::Failed, &false.into())
        );
    }
    let report = look("acme.rpm", &rpm(&texts[..2], b""));
    assert_eq!(
        codes(&report),
        ["rpm.source_package", "rpm.field_missing", "rpm.unsigned"]
    );
    assert_eq!(report.facts["package_type"], "source");
}
