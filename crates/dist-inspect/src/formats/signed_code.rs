//! What the executable of an app tells: its processors, its signature, and whether that agrees with
//! the app around it. Whether Apple issued the certificates is not verified.

use serde_json::{Map, Value, json};

use super::bundle::{self, Bundle, Told};
use crate::parse::cms::SignedData;
use crate::parse::code_signature::{CodeSignature, flag, special};
use crate::parse::macho::{self, Slice};
use crate::parse::x509::Certificate;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Refusal, Report};

/// Apple's mark in certificates for apps that are not from its store.
const DEVELOPER_ID: &str = "1.2.840.113635.100.6.1.13";

/// How much code is held against its signature, in bytes: more takes too long.
const CODE: u64 = 32 << 20;

const SIGN_AGAIN: &str = "Sign the app again, and change nothing in it after.";
const SIGN: &str = "Sign the app with a certificate of your team.";

/// Adds what an app's executable tells.
pub(super) fn describe(
    executable: &dyn Source,
    bundle: &Bundle<'_>,
    info: &[u8],
    told: &Told,
    subject: &Subject<'_>,
    report: &mut Report,
) -> Result<(), Refusal> {
    let mut head = [0; 4];
    // A script is no Mach-O, and has its signature elsewhere.
    if executable.read_exact_at(0, &mut head).is_err() || !macho::is_macho(&head) {
        return Ok(());
    }
    let slices = match macho::slices(executable, subject.budget) {
        Err(refusal @ (Refusal::Malformed { .. } | Refusal::Truncated)) => {
            report.error(
                "bundle.executable_unreadable",
                format!("The app's executable is damaged, so that no system starts it. {refusal}"),
                "Build it again, and see that it is copied whole.",
            );
            return Ok(());
        }
        slices => slices?,
    };
    report.set_archs(slices.iter().filter_map(|slice| slice.arch));
    let mut signatures = Vec::new();
    for slice in &slices {
        match read_signature(slice, subject) {
            Ok(found) => signatures.extend(found),
            Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
            Err(refusal) => {
                report.error(
                    "signature.unreadable",
                    format!("The app's signature is damaged, so that no device installs it. {refusal}"),
                    SIGN_AGAIN,
                );
                return Ok(());
            }
        }
    }
    if signatures.len() < slices.len() {
        report.set_flag("signed", Some(false));
        set_team(None, None, told, report);
        let refuses = if bundle.is_mac {
            "Macs with Apple silicon refuse to start it"
        } else {
            "devices refuse it"
        };
        report.warning("signature.missing", format!("The app is not signed; {refuses}."), SIGN);
        return Ok(());
    }
    let resources = bundle.read("_CodeSignature/CodeResources", bundle::RESOURCES)?;
    for (signature, slice) in signatures.iter().zip(&slices) {
        check(signature, slice, [Some(info), resources.as_deref()], subject, report)?;
    }
    tell(&signatures, bundle.is_mac, told, subject, report)
}

fn read_signature(slice: &Slice<'_>, subject: &Subject<'_>) -> Result<Option<CodeSignature>, Refusal> {
    let Some(section) = slice.code_signature()? else {
        return Ok(None);
    };
    let signature = CodeSignature::read(&section, subject.budget)?;
    signature.message()?;
    Ok(Some(signature))
}

/// Compares what was signed with what is there: the code, `Info.plist` and the list of resources.
fn check(
    signature: &CodeSignature,
    slice: &Slice<'_>,
    [info, resources]: [Option<&[u8]>; 2],
    subject: &Subject<'_>,
    report: &mut Report,
) -> Result<(), Refusal> {
    let message = signature.message()?;
    let message = message.as_ref();
    let special = |slot, contents: Option<&[u8]>| contents.and_then(|contents| signature.is_special(slot, contents));
    let is_code = match signature.is_code(&slice.section, CODE, subject.budget) {
        // Of what came packed, only the signature is held where it is large.
        Err(Refusal::Truncated) => None,
        is_code => is_code?,
    };
    let checks = [
        (
            message.and_then(|message| signature.is_signed_directory(message)),
            "its code directory is another one than was signed",
        ),
        (
            message.and_then(|message| signature.are_signed_directories(message, subject.budget)),
            "it has a code directory besides those that were signed",
        ),
        (
            message.and_then(|message| signature.is_by_its_signer(message)),
            "the certificate that it names did not make it",
        ),
        (is_code, "its code was changed after it was signed"),
        (
            special(special::INFO, info),
            "its Info.plist was changed after it was signed",
        ),
        (
            special(special::RESOURCES, resources),
            "the list of its resources was changed after it was signed",
        ),
    ];
    let broken = checks.iter().find(|(is_same, _)| *is_same == Some(false));
    let is_told = report.findings.iter().any(|finding| finding.code == "signature.broken");
    if let Some((_, why)) = broken.filter(|_| !is_told) {
        report.error(
            "signature.broken",
            format!("The app's signature does not hold, so that no device installs it: {why}."),
            SIGN_AGAIN,
        );
    }
    Ok(())
}

/// The facts of the signatures of all processors, of which the first stands for all, and what they
/// mean for those who install the app.
fn tell(
    signatures: &[CodeSignature],
    is_mac: bool,
    told: &Told,
    subject: &Subject<'_>,
    report: &mut Report,
) -> Result<(), Refusal> {
    let Some(signature) = signatures.first() else {
        return Ok(());
    };
    let directory = signature.directory();
    report.set_object("code_signature", facts(signature));
    report.set_list("cdhashes", signatures.iter().map(CodeSignature::cdhash));
    if is_mac {
        report.set_flag("hardened_runtime", Some(directory.has(flag::RUNTIME)));
    }
    if let Some(entitlements) = signature.entitlements.as_ref().and_then(bundle::json) {
        report.set_object("entitlements", entitlements.as_object().cloned().unwrap_or_default());
    }
    let message = signature.message()?;
    let signer = message.as_ref().and_then(signer);
    report.set_flag("signed", Some(signer.is_some()));
    report.set_flag("ad_hoc", Some(signer.is_none()));
    set_signer(signer.as_ref(), report);
    set_team(directory.team_id.as_deref(), signer.as_ref(), told, report);
    let Some(signer) = signer else {
        let refuses = if is_mac {
            "Gatekeeper refuses it"
        } else {
            "devices refuse it"
        };
        report.warning(
            "signature.ad_hoc",
            format!("The app is signed by nobody (ad-hoc); {refuses}."),
            SIGN,
        );
        return Ok(());
    };
    if signer.subject == signer.issuer {
        report.warning(
            "signature.self_signed",
            "The signer's certificate is issued by itself, and not by Apple, so that no device trusts it.",
            SIGN,
        );
    }
    if is_mac {
        judge_mac(&signer, directory.has(flag::RUNTIME), told, report);
    } else {
        judge_ios(&signer, directory.team_id.as_deref(), told, subject.now, report);
    }
    Ok(())
}

fn facts(signature: &CodeSignature) -> Map<String, Value> {
    let directory = signature.directory();
    let flags = [
        (flag::ADHOC, "adhoc"),
        (flag::RUNTIME, "runtime"),
        (flag::LINKER_SIGNED, "linker-signed"),
    ];
    let named = flags
        .iter()
        .filter(|(flag, _)| directory.has(*flag))
        .map(|(_, name)| *name);
    let mut facts = Map::new();
    facts.insert("identifier".to_owned(), directory.identifier.as_str().into());
    if let Some(team) = &directory.team_id {
        facts.insert("team_id".to_owned(), team.as_str().into());
    }
    facts.insert("cdhash".to_owned(), signature.cdhash().into());
    facts.insert("hash".to_owned(), directory.hash.as_str().into());
    facts.insert("flags".to_owned(), json!(named.collect::<Vec<_>>()));
    facts.insert("flags_raw".to_owned(), format!("{:#x}", directory.flags).into());
    facts.insert("version".to_owned(), format!("{:#x}", directory.version).into());
    facts
}

/// Who signed a message, where their certificate is in it.
pub(super) fn signer<'a>(message: &SignedData<'a>) -> Option<Certificate<'a>> {
    message.signers.first()?.certificate.clone()
}

/// The facts of the certificate of who signed.
pub(super) fn set_signer(signer: Option<&Certificate<'_>>, report: &mut Report) {
    report.set_list("signer", signer.map(|signer| signer.subject.in_order()));
    report.set_list("cert_sha256", signer.map(Certificate::sha256));
}

/// The team, from the signature, or else from the profile, or else from the certificate.
fn set_team(directory: Option<&str>, signer: Option<&Certificate<'_>>, told: &Told, report: &mut Report) {
    let profile = told.profile.as_ref().and_then(|profile| profile.team_ids().next());
    let unit = signer.and_then(|signer| signer.subject.get("OU"));
    let known = [
        ("CodeDirectory", directory),
        ("provisioning profile", profile),
        ("certificate", unit.as_deref()),
    ];
    let found = known.iter().find_map(|(from, team)| Some((*from, (*team)?)));
    report.set_text("team_id", found.map(|(_, team)| team));
    report.set_text("team_id_from", found.map(|(from, _)| from));
}

/// What keeps a signed app from starting on a Mac.
fn judge_mac(signer: &Certificate<'_>, is_hardened: bool, told: &Told, report: &mut Report) {
    if !signer.has_extension(DEVELOPER_ID) {
        report.warning(
            "signature.no_developer_id",
            format!(
                "The app is signed as {}, which is no Developer ID, so that Gatekeeper refuses it on other Macs.",
                signer.subject.common_name()
            ),
            "Sign it with a Developer ID Application certificate and have it notarized.",
        );
    } else if !told.has_ticket {
        report.warning(
            "signature.no_ticket",
            "No notarization ticket is stapled to it; where it was not notarized, or is first started without \
             network, Gatekeeper refuses it.",
            "Have it notarized, and run xcrun stapler staple on it.",
        );
    }
    if !is_hardened {
        report.info(
            "signature.no_hardened_runtime",
            "The app does not use the hardened runtime, without which Apple does not notarize it.",
            "Sign it with --options runtime.",
        );
    }
}

/// What keeps a signed app from being installed on a device.
fn judge_ios(signer: &Certificate<'_>, team: Option<&str>, told: &Told, now: i64, report: &mut Report) {
    let Some(profile) = &told.profile else {
        report.warning(
            "provisioning.missing",
            "The app has no provisioning profile, so that devices install it from the App Store only.",
            "Export it with a profile for ad-hoc or enterprise distribution.",
        );
        return;
    };
    if !signer.is_valid_at(now) {
        report.warning(
            "signature.certificate_expired",
            "The signer's certificate has expired, so that devices neither install nor start the app.",
            "Renew the certificate, make a new profile with it, and sign the app again.",
        );
    }
    if !profile.certificates().any(|certificate| certificate == signer.raw) {
        report.warning(
            "provisioning.other_certificate",
            "The profile does not list the certificate that the app is signed with, so that devices refuse it.",
            "Sign the app with a certificate of the profile, or make a new profile with this one.",
        );
    }
    if let Some(team) = team.filter(|team| profile.team_ids().all(|other| other != *team)) {
        report.warning(
            "provisioning.other_team",
            format!(
                "The app is signed by team {team}, and its profile is of team {}, so that devices refuse it.",
                profile.team_ids().collect::<Vec<_>>().join(", ")
            ),
            "Sign the app with a profile of the same team.",
        );
    }
    if profile.admits(&told.app_id) == Some(false) {
        report.warning(
            "provisioning.other_app",
            format!(
                "The profile is for {}, and the app is {}, so that devices refuse it.",
                profile.app_id().unwrap_or_default(),
                told.app_id
            ),
            "Sign the app with a profile for its id.",
        );
    }
}
