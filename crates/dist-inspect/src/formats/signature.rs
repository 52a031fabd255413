//! What the Authenticode signatures of programs and packages for Windows say, whatever they sign.

use sha2::digest::DynDigest;

use crate::parse::authenticode::{Algorithm, Signature};
use crate::parse::date::rfc3339;
use crate::parse::x509::Certificate;
use crate::subject::Subject;
use crate::{Refusal, Report};

/// Makes the digest that a signature should have, with the algorithm that it names.
pub(super) type Hash<'h> = &'h dyn Fn(&mut dyn DynDigest) -> Result<(), Refusal>;

/// A code, and what to do about it.
type Code = (&'static str, &'static str);

const MISSING: Code = (
    "authenticode.missing",
    "Sign it with signtool, osslsigncode or jsign, and with a timestamp.",
);
const BROKEN: Code = ("authenticode.broken", "Sign it again, as the last step of the build.");
const DIGEST_MISMATCH: Code = (
    "authenticode.digest_mismatch",
    "Sign it after the last change, and see that it is copied whole.",
);
const NOT_TIMESTAMPED: Code = (
    "authenticode.not_timestamped",
    "Sign it with a timestamp (signtool /tr).",
);
const EXPIRED: Code = ("authenticode.expired", "Sign it with a certificate that is valid.");
const WEAK_DIGEST: Code = (
    "authenticode.weak_digest",
    "Sign it with SHA-256 (signtool /fd SHA256).",
);

/// Says that there is no signature.
pub(super) fn tell_none(report: &mut Report, consequence: &str) {
    report.set_flag("signed", Some(false));
    report.warning(
        MISSING.0,
        format!("It is not signed, so that {consequence}."),
        MISSING.1,
    );
}

/// Says what the signatures in `blob` are, and whether they are of the file that `hash` reads. One
/// that cannot be read is a finding.
pub(super) fn tell(subject: &Subject<'_>, report: &mut Report, blob: &[u8], hash: Hash<'_>) -> Result<(), Refusal> {
    report.set_flag("signed", Some(true));
    let Some(signature) = parse(report, blob) else {
        return Ok(());
    };
    tell_signer(subject, report, &signature);
    let nested = signature.nested().and_then(|nested| Signature::parse(nested).ok());
    let mut names = Vec::new();
    let mut matches = None;
    for one in [Some(&signature), nested.as_ref()].into_iter().flatten() {
        let Some(algorithm) = one.algorithm else { continue };
        names.push(algorithm.name);
        let is_same = digest(algorithm, hash)? == one.digest && one.is_of_its_digest() != Some(false);
        matches = Some(is_same && matches != Some(false));
    }
    tell_algorithms(report, &names);
    tell_match(report, matches);
    Ok(())
}

/// Reads a signature; what cannot be read is told.
pub(super) fn parse<'a>(report: &mut Report, blob: &'a [u8]) -> Option<Signature<'a>> {
    match Signature::parse(blob) {
        Ok(signature) => Some(signature),
        Err(refusal) => {
            tell_broken(report, &refusal);
            None
        }
    }
}

/// Says that there is a signature, and that it cannot be read.
pub(super) fn tell_broken(report: &mut Report, refusal: &Refusal) {
    let message = format!("Its signature cannot be read, and Windows says that it is damaged. {refusal}");
    report.error(BROKEN.0, message, BROKEN.1);
}

fn digest(algorithm: Algorithm, hash: Hash<'_>) -> Result<Vec<u8>, Refusal> {
    let mut hasher = algorithm.hasher();
    hash(hasher.as_mut())?;
    Ok(hasher.finalize().into_vec())
}

/// Says how the file is hashed, the first signature before one that stands beside it.
pub(super) fn tell_algorithms(report: &mut Report, names: &[&str]) {
    report.set_text("digest_alg", names.first());
    report.set_list("digest_algs", names.iter().filter(|_| names.len() > 1));
    if !names.is_empty() && names.iter().all(|name| *name == "SHA1") {
        let message = "It is signed with SHA-1, which Windows no longer trusts.";
        report.warning(WEAK_DIGEST.0, message, WEAK_DIGEST.1);
    }
}

/// Says whether what is signed is this file.
pub(super) fn tell_match(report: &mut Report, matches: Option<bool>) {
    report.set_flag("digest_matches", matches);
    if matches == Some(false) {
        let message = "It was changed after it was signed: its digest is not the one in the signature, \
                       so that Windows does not trust it.";
        report.error(DIGEST_MISMATCH.0, message, DIGEST_MISMATCH.1);
    }
}

/// Says who signed, and when.
pub(super) fn tell_signer(subject: &Subject<'_>, report: &mut Report, signature: &Signature<'_>) {
    let signer = &signature.signer;
    let subjects = signature.message.certificates.iter();
    report.set_list(
        "certificates",
        subjects.map(|certificate| certificate.subject.in_order()),
    );
    report.set_flag("timestamped", Some(signer.timestamp().is_some()));
    let confirmed = signer.confirmed_time();
    report.set_text("signed_at", confirmed.or_else(|| signer.signing_time()).map(rfc3339));
    let Some(certificate) = &signer.certificate else {
        let message = "Its signature lacks the certificate of who signed, so that Windows cannot check it.";
        return report.error(BROKEN.0, message, BROKEN.1);
    };
    report.set_text("signer", Some(certificate.subject.in_order()));
    report.set_text("signer_name", Some(certificate.subject.common_name()));
    report.set_text("issuer", Some(certificate.issuer.in_order()));
    report.set_list("cert_sha256", [certificate.sha256()]);
    report.set_text("cert_expires", Some(rfc3339(certificate.not_after)));
    tell_validity(subject, report, certificate, confirmed);
}

/// A confirmed time counts, and else the present.
fn tell_validity(subject: &Subject<'_>, report: &mut Report, certificate: &Certificate<'_>, confirmed: Option<i64>) {
    let [from, until] = [certificate.not_before, certificate.not_after].map(rfc3339);
    if let Some(confirmed) = confirmed {
        if !certificate.is_valid_at(confirmed.saturating_mul(1000)) {
            let message = format!("It was not signed while its certificate was valid, from {from} until {until}.");
            report.warning(EXPIRED.0, message, EXPIRED.1);
        }
    } else if !certificate.is_valid_at(subject.now) {
        let message = format!(
            "Its certificate is valid from {from} until {until} and not now, and nobody confirmed when it was \
             signed, so that Windows no longer trusts it."
        );
        report.warning(EXPIRED.0, message, EXPIRED.1);
    } else {
        let message = format!(
            "Nobody confirmed when it was signed, so that its signature ends with its certificate, on {until}."
        );
        report.info(NOT_TIMESTAMPED.0, message, NOT_TIMESTAMPED.1);
    }
}
