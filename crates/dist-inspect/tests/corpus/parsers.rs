//! The shared parsers, on what is inside of real files.

use dist_inspect::archive::zip::Zip;
use dist_inspect::parse::cms::SignedData;
use dist_inspect::parse::plist::Plist;
use dist_inspect::parse::{macho, xml};
use dist_inspect::source::Source;
use dist_inspect::{Budget, Limits, Refusal};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::{Fixture, ensure};

type Parser = fn(&Fixture, &[u8]) -> Result<(), Failed>;

/// The parser that a file is for, if it is.
pub fn parser(fixture: &Fixture) -> Option<Parser> {
    match fixture.kind.as_str() {
        _ if fixture.path.contains("/bad/") => None,
        "mobileprovision" if fixture.expected["cms_ok"] == true => Some(profile),
        "ipa" => Some(ipa),
        "msix" if fixture.path.ends_with('x') => Some(msix),
        _ => None,
    }
}

fn budget() -> Budget {
    Budget::new(&Limits::default())
}

fn agrees(what: &str, ours: Option<&str>, theirs: &Value) -> Result<(), Failed> {
    ensure(ours == theirs.as_str(), || {
        format!("{what}: {theirs} expected, {ours:?} found")
    })
}

/// A profile is a signed message with a property list in it.
fn profile(fixture: &Fixture, bytes: &[u8]) -> Result<(), Failed> {
    let message = SignedData::parse(bytes).map_err(told)?;
    let plist = Plist::parse(&message.content_bytes().map_err(told)?, &budget()).map_err(told)?;
    let expected = &fixture.expected["provisioning"];
    agrees("name", plist.text("Name"), &expected["name"])?;
    agrees("uuid", plist.text("UUID"), &expected["uuid"])?;
    let signer = message.signers.first().ok_or("there is no signer")?;
    ensure(signer.certificate.is_some(), || {
        "the signer has no certificate".to_owned()
    })?;
    let made = plist.get("CreationDate").and_then(Plist::as_date);
    // One was signed by hand, and does not say when.
    let late = signer.signing_time().zip(made).map(|(signed, made)| signed - made);
    ensure(late.is_none_or(|late| late.abs() < 86_400), || {
        format!("signed {late:?} s after it was made")
    })
}

/// The app's own list, executable and signature.
fn ipa(fixture: &Fixture, bytes: &[u8]) -> Result<(), Failed> {
    let budget = budget();
    let zip = Zip::open(&bytes, &budget).map_err(told)?;
    let Some(app) = fixture
        .expected
        .get("app_bundles_found")
        .and_then(|found| found[0].as_str())
    else {
        return Ok(());
    };
    let read = |path: &str| {
        let member = zip
            .find(format!("{app}/{path}").as_bytes())
            .ok_or(format!("there is no {path}"))?;
        zip.read(&member, 64 << 20).map_err(told)
    };
    let info = Plist::parse(&read("Info.plist")?, &budget).map_err(told)?;
    agrees("app_id", info.text("CFBundleIdentifier"), &fixture.expected["app_id"])?;
    agrees(
        "version",
        info.text("CFBundleShortVersionString"),
        &fixture.expected["version"],
    )?;
    let Some(team) = fixture.expected.get("team_id") else {
        return Ok(());
    };
    let program = read(info.text("CFBundleExecutable").unwrap_or_default())?;
    for slice in macho::slices(&program, &budget).map_err(told)? {
        let signature = slice.code_signature().map_err(told)?.ok_or("there is no signature")?;
        let blob = signature.bytes(0..signature.len(), 1 << 20).map_err(told)?;
        // The message is the blob of this kind; where it starts is the formats' to find.
        let start = blob.windows(4).position(|window| window == [0xFA, 0xDE, 0x0B, 0x01]);
        let Some(start) = start.filter(|start| blob.len() > start + 16) else {
            continue;
        };
        let message = SignedData::parse(&blob[start + 8..]).map_err(told)?;
        let signer = message.signers.first().and_then(|signer| signer.certificate.as_ref());
        let unit = signer.and_then(|signer| signer.subject.get("OU"));
        agrees("team_id", unit.as_deref(), team)?;
    }
    Ok(())
}

/// The manifest's identity and the signature's signer.
fn msix(fixture: &Fixture, bytes: &[u8]) -> Result<(), Failed> {
    let budget = budget();
    let zip = Zip::open(&bytes, &budget).map_err(told)?;
    let Some(manifest) = zip.find(b"AppxManifest.xml") else {
        return Ok(());
    };
    let package = xml::parse(&zip.read(&manifest, 1 << 20).map_err(told)?, &budget).map_err(told)?;
    let identity = package.child("Identity").ok_or("there is no identity")?;
    agrees("app_id", identity.attribute("Name"), &fixture.expected["app_id"])?;
    agrees(
        "publisher",
        identity.attribute("Publisher"),
        &fixture.expected["publisher"],
    )?;
    let Some(signature) = zip.find(b"AppxSignature.p7x") else {
        return Ok(());
    };
    let signature = zip.read(&signature, 1 << 20).map_err(told)?;
    let message = SignedData::parse(signature.strip_prefix(b"PKCX").ok_or("there is no PKCX")?).map_err(told)?;
    let signer = message.signers.first().and_then(|signer| signer.certificate.as_ref());
    let signer = signer.ok_or("there is no signer")?;
    ensure(
        signer.sha256().len() == 64 && signer.not_before < signer.not_after,
        || "no sense".to_owned(),
    )?;
    let theirs = fixture.expected.get("signer").map(Value::to_string).unwrap_or_default();
    let name = signer.subject.common_name();
    ensure(theirs.is_empty() || theirs.contains(&name), || {
        format!("{theirs} expected, {name} found")
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(refusal: Refusal) -> Failed {
    refusal.to_string().into()
}
