//! Bytes that nobody meant, for every reader: whatever they are, there is an answer.

#![allow(clippy::unwrap_used)]

use dist_inspect::archive::compress::{Compression, Decoder};
use dist_inspect::archive::{ar, tar};
use dist_inspect::parse::cms::SignedData;
use dist_inspect::parse::elf::Elf;
use dist_inspect::parse::plist::Plist;
use dist_inspect::parse::x509::Certificate;
use dist_inspect::parse::{asn1, macho, picture, text, xml};
use dist_inspect::{Budget, Limits};
use proptest::prelude::*;

/// Little enough that a trap ends soon, and much enough that all else is read.
fn budget() -> Budget {
    Budget::new(&Limits {
        nodes: 10_000,
        total_bytes: 1 << 20,
        ..Limits::default()
    })
}

fn read_with_all(bytes: &[u8]) {
    let budget = budget();
    let _ = ar::members(&bytes, &budget);
    let _ = tar::walk(bytes, &budget, |_, _| Ok(()));
    let _ = Decoder::new(bytes, Compression::of(bytes), &budget).read_all(1 << 20);
    let _ = Plist::parse(bytes, &budget);
    let _ = xml::parse(bytes, &budget);
    let _ = text(bytes);
    let _ = Elf::read(&bytes, &budget);
    let _ = picture::icon(bytes, &budget);
    for slice in macho::slices(&bytes, &budget).unwrap_or_default() {
        let _ = (slice.code_signature(), slice.min_os());
    }
    if let Ok(value) = asn1::first(bytes) {
        let _ = (value.octets(), value.oid(), value.text());
    }
    if let Ok(certificate) = Certificate::parse(bytes) {
        let _ = (certificate.subject.in_order(), certificate.has_extension("2.5.29.15"));
    }
    if let Ok(message) = SignedData::parse(bytes) {
        let _ = message.content_bytes();
    }
}

/// How the things start that are read.
const MAGIC: [&[u8]; 15] = [
    b"",
    b"!<arch>\n",
    b"\x1F\x8B\x08\0",
    b"\xFD7zXZ\0\0\x04",
    b"\x28\xB5\x2F\xFD",
    b"BZh9",
    b"bplist00",
    b"<?xml version=\"1.0\"?><a>",
    b"\x7FELF\x02\x01\x01",
    b"\x7FELF\x01\x02\x01",
    b"\xCA\xFE\xBA\xBE\0\0\0\x02",
    b"\xCF\xFA\xED\xFE",
    b"\x89PNG\r\n\x1A\n\0\0\0\x04CgBI",
    b"RIFF\x40\0\0\0WEBPVP8L",
    b"\x30\x80\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02\xA0\x80",
];

proptest! {
    #[test]
    fn any_bytes_get_an_answer(
        magic in prop::sample::select(MAGIC.to_vec()),
        tail in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        read_with_all(&[magic, &tail].concat());
    }

    /// Small numbers make sizes and counts that are believed.
    #[test]
    fn small_numbers_get_an_answer(
        magic in prop::sample::select(MAGIC.to_vec()),
        tail in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 2, 4, 8, 32, 48, 0x80, 0xD1, 0xA2]), 0..400),
    ) {
        read_with_all(&[magic, &tail].concat());
    }
}
