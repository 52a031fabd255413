use super::*;
use crate::Limits;

fn read(bytes: &[u8]) -> Result<Plist, Refusal> {
    Plist::parse(bytes, &Budget::new(&Limits::default()))
}

/// A binary list of these objects, of which the first is the root.
fn binary(objects: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets.push(u8::try_from(bytes.len()).unwrap());
        bytes.extend_from_slice(object);
    }
    let table = bytes.len() as u64;
    bytes.extend(&offsets);
    bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
    for number in [objects.len() as u64, 0, table] {
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

#[test]
fn both_forms_say_the_same() {
    let xml = br#"<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "x">
        <plist version="1.0"><dict><key>name</key><string>A&amp;B</string><key>on</key><true/><key>n</key>
        <integer> 258 </integer><key>list</key><array><data>AQID/w==</data><date>2001-01-01T00:00:01Z</date>
        <real>0.5</real></array></dict></plist>"#;
    let real = [&[0x23][..], &0.5_f64.to_be_bytes()].concat();
    let date = [&[0x33][..], &1.0_f64.to_be_bytes()].concat();
    let bytes = binary(&[
        &[0xD4, 1, 2, 3, 4, 5, 6, 7, 8],
        b"\x54name",
        b"\x52on",
        b"\x51n",
        b"\x54list",
        b"\x53A&B",
        b"\x09",
        b"\x11\x01\x02",
        &[0xA3, 9, 10, 11],
        b"\x44\x01\x02\x03\xFF",
        &date,
        &real,
    ]);
    let plist = read(&bytes).unwrap();
    assert_eq!(plist, read(xml).unwrap());
    assert_eq!(plist.text("name"), Some("A&B"));
    assert_eq!(plist.array("list")[1].as_date(), Some(EPOCH + 1));
    assert_eq!((Form::of(&bytes), Form::of(xml)), (Form::Binary, Form::Xml));
}

#[test]
fn the_form_of_openstep_is_read() {
    let text = br#"// Made by hand.
        { CFBundleIdentifier = com.acme; "CFBundleName" = "A \"B\" \U00e9\n"; /* a list */
          list = (a, 'b c', <01 fF>, ( ), { x = 1; },); alone; last = /usr/bin }"#;
    let plist = read(text).unwrap();
    assert_eq!(plist.text("CFBundleIdentifier"), Some("com.acme"));
    assert_eq!(plist.text("CFBundleName"), Some("A \"B\" \u{e9}\n"));
    let list = plist.array("list");
    assert_eq!((list[0].as_text(), list[1].as_text()), (Some("a"), Some("b c")));
    assert_eq!(
        (list[2].as_data(), list[3].as_array()),
        (Some(&b"\x01\xFF"[..]), Some(&[][..]))
    );
    assert_eq!((list[4].text("x"), list.len()), (Some("1"), 5));
    assert_eq!(
        (plist.text("alone"), plist.text("last")),
        (Some("alone"), Some("/usr/bin"))
    );
    assert_eq!(Form::of(text), Form::OpenStep);
}

#[test]
fn what_openstep_leaves_open_is_refused() {
    for text in [
        "{",
        "{a",
        "{a=",
        "{a=b",
        "{a=\"b",
        "{a=<0>;}",
        "{a=(b c);}",
        "{}x",
        "{a=b c=d;}",
        "/* {}",
        "{a=\"\\",
    ] {
        assert!(
            matches!(read(text.as_bytes()), Err(Refusal::Malformed { .. })),
            "{text}"
        );
    }
    let deep = "{a=(".repeat(1000);
    assert!(matches!(read(deep.as_bytes()), Err(Refusal::Nesting { .. })));
    let many = format!("{{{}}}", "k;".repeat(300_000));
    assert!(matches!(read(many.as_bytes()), Err(Refusal::TooManyNodes { .. })));
}

#[test]
fn whole_numbers_may_have_no_sign() {
    let number = |text: &str| read(format!("<plist><integer>{text}</integer></plist>").as_bytes());
    assert_eq!(number("-1").unwrap(), Plist::Integer(-1));
    // As the binary form has it, in 64 bits.
    assert_eq!(number("18446744073709551615").unwrap(), Plist::Integer(-1));
    assert!(number("18446744073709551616").is_err());
}

#[test]
fn cycles_and_bombs_are_refused() {
    assert!(matches!(read(&binary(&[&[0xA1, 0]])), Err(Refusal::Nesting { .. })));
    // Each list has the next one twice: 2^30 values in 30 objects.
    let lists: Vec<[u8; 3]> = (1..31).map(|next| [0xA2, next, next]).collect();
    let mut objects: Vec<&[u8]> = lists.iter().map(<[u8; 3]>::as_slice).collect();
    objects.push(b"\x09");
    assert!(matches!(read(&binary(&objects)), Err(Refusal::TooManyNodes { .. })));
    let mut huge = binary(&[b"\x09"]);
    let count = huge.len() - 24;
    huge[count] = 1;
    assert!(matches!(read(&huge), Err(Refusal::Malformed { .. })));
}

#[test]
fn broken_ones_are_refused() {
    let cases: [&[u8]; 7] = [
        b"bplist00",
        &binary(&[b"\x5F\x14\xFF\xFF"]),
        &binary(&[&[0xD1, 0, 0]]),
        &binary(&[&[0xA1, 9]]),
        b"<plist><dict><key>a</key></dict></plist>",
        b"<plist/>",
        b"<plist><integer>x</integer></plist>",
    ];
    for case in cases {
        assert!(read(case).is_err(), "{case:?}");
    }
}

#[test]
fn dates_are_in_seconds() {
    assert_eq!(date("2026-01-31T09:30:00Z"), Some(1_769_851_800));
    assert_eq!(date("2026-13-31T09:30:00Z"), None);
    assert_eq!(date("2026-01-31T9223372036854775807:30:00Z"), None);
}
