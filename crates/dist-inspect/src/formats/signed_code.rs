//! What the executable of an app tells: its processors, its signature, and whether that agrees with
//! the app around it. Whether Apple issued the certificates is not verified.

use serde_json::{Map, Value, json};

use super::bundle::{self, Bundle, Told};
use super::ipa::NO_DEVICE;
use super::seal;
use crate::parse::cms::SignedData;
use crate::parse::code_signature::{CodeSignature, flag, special};
use crate::parse::macho::{self, Slice};
use crate::parse::x509::Certificate;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Refusal, Report};

/// Apple's mark in certificates for apps that are not from its store.
const DEVELOPER_ID: &str = "1.2.840.113635.100.6.1.13";
/// The same for those that come from it.
const MAC_APP_STORE: &str = "1.2.840.113635.100.6.1.9";
/// The platforms of code that no device runs: macOS, Catalyst, and the simulators.
const NOT_DEVICES: [u32; 6] = [1, 6, 7, 8, 9, 12];

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
    if !bundle.is_mac {
        judge_device(&slices, report);
    }
    let (mut signed, mut unsigned, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
    for slice in &slices {
        match read_signature(slice, subject) {
            Ok(Some(found)) => {
                signed.push(slice);
                signatures.push(found);
            }
            Ok(None) => unsigned.push(slice),
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
    // Of a Mac's processors each looks at its own part.
    if signatures.is_empty() || !(bundle.is_mac || unsigned.is_empty()) {
        set_team(None, None, told, report);
    } else {
        let resources = bundle.read("_CodeSignature/CodeResources", bundle::RESOURCES)?;
        for (signature, slice) in signatures.iter().zip(signed) {
            check(signature, slice, [Some(info), resources.as_deref()], subject, report)?;
        }
        tell(&signatures, bundle.is_mac, told, subject, report)?;
        if let (Some(signature), Some(resources)) = (signatures.first(), resources) {
            check_seal(signature, bundle, &resources, subject, report)?;
        }
    }
    if !unsigned.is_empty() {
        report.set_flag("signed", Some(false));
        tell_unsigned(&unsigned, unsigned.len() < slices.len(), bundle.is_mac, report);
    }
    Ok(())
}

/// Says that the parts for some or all processors are not signed.
fn tell_unsigned(unsigned: &[&Slice<'_>], is_part: bool, is_mac: bool, report: &mut Report) {
    let archs: Vec<&str> = unsigned.iter().filter_map(|slice| slice.arch).collect();
    // Only those of Apple's own make insist on it, and not for the code of others that they translate.
    let is_needed = archs.iter().any(|arch| arch.starts_with("arm"));
    let refuses = match (is_mac, is_needed) {
        (false, _) => "devices refuse it",
        (true, true) => "Macs with Apple silicon refuse to start it",
        (true, false) => "Gatekeeper refuses it",
    };
    let part = if is_part {
        format!(" for {}", archs.join(" and "))
    } else {
        String::new()
    };
    report.warning(
        "signature.missing",
        format!("The app is not signed{part}; {refuses}."),
        SIGN,
    );
}

/// What keeps devices from running the code, whoever signed it.
fn judge_device(slices: &[Slice<'_>], report: &mut Report) {
    let is_foreign = |slice: &Slice<'_>| {
        let platform = slice.min_os().and_then(|(platform, _)| platform);
        // Of old code for simulators only the processor tells.
        matches!(slice.arch, Some("i386" | "x86_64")) || platform.is_some_and(|number| NOT_DEVICES.contains(&number))
    };
    if slices.iter().all(is_foreign) {
        report.error(
            NO_DEVICE,
            "The app's executable is built for the simulator or for macOS, so that no device installs it.",
            "Build it for a device, as with -sdk iphoneos.",
        );
    }
    let is_encrypted = slices.iter().filter_map(Slice::is_encrypted).max();
    report.set_flag("encrypted", is_encrypted);
    if is_encrypted == Some(true) {
        report.warning(
            "ipa.store_encrypted",
            "The App Store encrypted the code for whoever bought the app, so that no other device starts it.",
            "Publish the IPA that Xcode exported.",
        );
    }
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
    // Of what somebody signed, the list is not left out.
    let resources = resources.or(message.map(|_| &[][..]));
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
            "the list of its resources is missing, or was changed after it was signed",
        ),
    ];
    if let Some((_, why)) = checks.iter().find(|(is_same, _)| *is_same == Some(false)) {
        tell_broken(why, report);
    }
    Ok(())
}

/// Compares the files of an app with the list that somebody signed. What is on a disk has more names
/// than are read, as files with several have.
fn check_seal(
    signature: &CodeSignature,
    bundle: &Bundle<'_>,
    resources: &[u8],
    subject: &Subject<'_>,
    report: &mut Report,
) -> Result<(), Refusal> {
    let is_sealed = signature.is_special(special::RESOURCES, resources) == Some(true);
    if !is_sealed || subject.zip().is_none() || signature.message()?.is_none() {
        return Ok(());
    }
    if let Some(why) = seal::fault(bundle, resources, subject.budget)? {
        tell_broken(&why, report);
    }
    Ok(())
}

/// One reason is enough.
fn tell_broken(why: &str, report: &mut Report) {
    if report.findings.iter().all(|finding| finding.code != "signature.broken") {
        report.error(
            "signature.broken",
            format!("The app's signature does not hold, so that no device installs it: {why}."),
            SIGN_AGAIN,
        );
    }
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
    let named = flag::NAMES
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
    if signer.has_extension(MAC_APP_STORE) {
        return;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// Made here, with the mark of Apple's store.
    const FROM_THE_STORE: &str = "MIIBgDCCASegAwIBAgIUaaYsiJ5xrvC8lpzLqTXmNFjRTBMwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBUzAgFw0yNjExMjEyMjQx \
        NDlaGA8yMTI2MTAyODIyNDE0OVowDDEKMAgGA1UEAwwBUzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBaS3X758bNlbptnCuU3 \
        Xp+9Oz2l55n347sLjFvWCrDQi/m+dZ4LHntFu+8xQ1bJZTD+DWV+ymk+WN8kCu/aEdWjZTBjMB0GA1UdDgQWBBSJb88QL91NYAR0 \
        klBgGmhv7/OTaTAfBgNVHSMEGDAWgBSJb88QL91NYAR0klBgGmhv7/OTaTAPBgNVHRMBAf8EBTADAQH/MBAGCiqGSIb3Y2QGAQkE \
        AgUAMAoGCCqGSM49BAMCA0cAMEQCIB2bHrQKWOiFW9SAOgALBSWhfNh2DXPBBnTjWHy0pZ4BAiAt09DB2Rex+NT0wQIVM94n8rUe \
        Az9t2rFYw8tkeN+suw==";

    #[test]
    fn an_app_from_the_store_lacks_no_developer_id() {
        let der = STANDARD.decode(FROM_THE_STORE.replace(' ', "")).unwrap();
        let told = Told {
            app_id: "com.acme".to_owned(),
            profile: None,
            has_ticket: false,
        };
        let mut report = crate::claim("acme.app.zip");
        judge_mac(&Certificate::parse(&der).unwrap(), false, &told, &mut report);
        assert_eq!(report.findings, []);
    }
}
