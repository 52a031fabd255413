//! Disk images of a small app, made by genisoimage, hfsutils and mtools, gzipped.

#![allow(clippy::unwrap_used)]

use std::io::Read as _;

use dist_inspect::{Context, Report, Verdict, inspect};
use serde_json::json;

macro_rules! disk {
    ($name:literal) => {
        unpack(include_bytes!(concat!("data/disks/", $name, ".dmg.gz")))
    };
}

fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut unpacked).unwrap();
    unpacked
}

fn look(bytes: &[u8]) -> Report {
    inspect(&bytes, "acme.dmg", &Context::default()).unwrap().report
}

fn codes(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| &*finding.code).collect()
}

#[test]
fn a_disk_of_any_kind_tells_the_app_on_it() {
    for (name, bytes, file_system) in [
        ("Rock Ridge", disk!("rock_ridge"), "ISO 9660"),
        ("Joliet", disk!("joliet"), "ISO 9660"),
        ("UDF beside ISO 9660", disk!("udf"), "ISO 9660"),
        ("HFS beside ISO 9660, in a map of Apple's", disk!("hybrid"), "HFS"),
        ("HFS", disk!("hfs"), "HFS"),
        ("FAT in a map of PCs", disk!("fat"), "FAT"),
        ("FAT in a GPT", disk!("gpt"), "FAT"),
    ] {
        let report = look(&bytes);
        assert_eq!(report.facts["file_system"], file_system, "{name}: {report:#?}");
        assert_eq!(report.facts["app_id"], "com.acme.disk", "{name}");
        assert_eq!(report.facts["build"], "45", "{name}");
        assert_eq!(report.facts["executable"], "Acme of the long name", "{name}");
        assert!(!codes(&report).contains(&"bundle.no_executable"), "{name}: {report:#?}");
        assert_eq!(report.facts["dmg_signed"], json!(false), "{name}");
    }
}

#[test]
fn a_disk_that_is_cut_is_refused_by_its_map() {
    let gpt = disk!("gpt");
    let report = look(&gpt[..gpt.len() / 2]);
    assert_eq!(
        (report.verdict, codes(&report)),
        (Verdict::Failed, vec!["file.truncated"])
    );
}

#[test]
fn an_encrypted_image_is_told_by_its_start_or_its_end() {
    for bytes in [
        [&b"encrcdsa"[..], &[0; 2000]].concat(),
        [&[0; 2000][..], b"cdsaencr"].concat(),
    ] {
        let report = look(&bytes);
        assert_eq!(
            (report.facts["encrypted"].clone(), codes(&report)),
            (json!(true), vec!["dmg.encrypted"])
        );
    }
}

#[test]
fn a_disk_with_any_byte_changed_is_read_or_refused() {
    for bytes in [disk!("joliet"), disk!("hfs"), disk!("gpt")] {
        let used: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
        for place in used.iter().step_by(used.len() / 200) {
            let mut changed = bytes.clone();
            changed[*place] ^= 0x81;
            look(&changed);
        }
    }
}
