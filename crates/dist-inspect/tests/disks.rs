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

/// An empty volume of FAT, as from which computers start.
fn empty_volume() -> Vec<u8> {
    let mut bytes = vec![0; 64 * 512];
    bytes[..11].copy_from_slice(b"\xEB\x3C\x90MSDOS5.0");
    // Sectors of 512 bytes, one a cluster, one reserved; two tables of one; 16 files at the root.
    bytes[11..24].copy_from_slice(&[0, 2, 1, 1, 0, 2, 16, 0, 64, 0, 0xF8, 1, 0]);
    bytes[54..62].copy_from_slice(b"FAT12   ");
    bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
    bytes
}

#[test]
fn the_volume_with_the_app_is_looked_at() {
    let volumes = [empty_volume(), disk!("joliet"), empty_volume()];
    let mut disk = vec![0; 34 * 512];
    disk[512..520].copy_from_slice(b"EFI PART");
    disk[584] = 2;
    (disk[592], disk[596]) = (3, 128);
    for (place, volume) in volumes.iter().enumerate() {
        let entry = 1024 + place * 128;
        disk[entry] = 1;
        let start = disk.len() as u64 / 512;
        disk[entry + 32..entry + 40].copy_from_slice(&start.to_le_bytes());
        disk.extend(volume);
        disk.resize(disk.len().next_multiple_of(512), 0);
        let last = disk.len() as u64 / 512 - 1;
        disk[entry + 40..entry + 48].copy_from_slice(&last.to_le_bytes());
    }
    let report = look(&disk);
    assert_eq!(report.facts["file_system"], "ISO 9660", "{report:#?}");
    assert_eq!(report.facts["app_id"], "com.acme.disk");
}

#[test]
fn an_image_with_its_tables_in_a_resource_fork_is_told_and_not_opened() {
    let mut trailer = vec![0; 512];
    trailer[..4].copy_from_slice(b"koly");
    assert_eq!(codes(&look(&trailer)), ["file.malformed"]);
    // The length of the fork.
    trailer[55] = 100;
    assert_eq!(codes(&look(&trailer)), ["dmg.old"]);
}

#[test]
fn a_package_that_is_a_folder_is_a_package() {
    let mut disk = disk!("rock_ridge");
    for place in 0..disk.len() - 4 {
        if disk[place..].starts_with(b".app") {
            disk[place..place + 4].copy_from_slice(b".pkg");
        }
    }
    assert_eq!(codes(&look(&disk)), ["dmg.package"]);
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
