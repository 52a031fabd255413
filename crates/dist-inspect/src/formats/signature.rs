//! What the Authenticode signatures of programs and packages for Windows say, whatever they sign.

use sha2::digest::DynDigest;

use crate::parse::authenticode::Signature;
use crate::parse::cms::{SignedData, Signer};
use crate::parse::date::rfc3339;
use crate::parse::hash::Hash;
use crate::parse::x509::Certificate;
use crate::subject::Subject;
use crate::{Refusal, Report};

/// Makes the digest that a signature should have, with the algorithm that it names.
pub(super) type HashFile<'h> = &'h dyn Fn(&mut dyn DynDigest) -> Result<(), Refusal>;

/// A code, and what to do about it.
type Code = (&'static str, &'static str);

const MISSING: Code = (
    "authenticode.missing",
    "Sign it with signtool, osslsigncode or jsign, and with a timestamp.",
);
const BROKEN: Code = ("authenticode.broken", "Sign it again, as the last step of the build.");
const INVALID: Code = (
    "authenticode.signature_invalid",
    "Sign it again, and take care who had it since.",
);
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

/// When Windows stopped to trust what is signed with SHA-1: at the start of 2016.
const SHA1_END: i64 = 1_451_606_400;

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
pub(super) fn tell(
    subject: &Subject<'_>,
    report: &mut Report,
    blob: &[u8],
    hash_file: HashFile<'_>,
) -> Result<(), Refusal> {
    report.set_flag("signed", Some(true));
    let Some(signature) = parse(report, blob) else {
        return Ok(());
    };
    tell_signer(subject, report, &signature.message, &signature.signer);
    let nested = signature.nested();
    let nested: Vec<_> = nested
        .iter()
        .filter_map(|nested| Signature::parse(nested).ok())
        .collect();
    let signatures: Vec<_> = std::iter::once(&signature).chain(&nested).collect();
    tell_signed(report, &signatures);
    let mut matches = None;
    for one in signatures {
        let Some(hash) = one.hash else { continue };
        let mut hasher = hash.hasher();
        hash_file(hasher.as_mut())?;
        matches = Some(one.digest == *hasher.finalize() && matches != Some(false));
    }
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

/// Says how the file is hashed, the first signature before one that stands beside it, and whether
/// they are made with the keys of their certificates.
pub(super) fn tell_signed(report: &mut Report, signatures: &[&Signature<'_>]) {
    let hashes: Vec<Hash> = signatures.iter().filter_map(|signature| signature.hash).collect();
    let names: Vec<&str> = hashes.iter().copied().map(name).collect();
    report.set_text("digest_alg", names.first());
    report.set_list("digest_algs", names.iter().filter(|_| names.len() > 1));
    let trusted = signatures
        .iter()
        .filter(|signature| !is_weak(signature.hash, signature.signer.confirmed_time()));
    if !hashes.is_empty() && trusted.count() == 0 {
        let message = format!(
            "It is signed with {}, which Windows no longer trusts.",
            names.join(" and ")
        );
        report.warning(WEAK_DIGEST.0, message, WEAK_DIGEST.1);
    }
    let checked: Vec<bool> = signatures
        .iter()
        .filter_map(|signature| signature.is_by_its_signer())
        .collect();
    let is_valid = checked.iter().all(|is_valid| *is_valid);
    report.set_flag("signature_valid", (!checked.is_empty()).then_some(is_valid));
    if !is_valid {
        let message = "The certificate that it names did not make its signature, so that Windows does not trust it.";
        report.error(INVALID.0, message, INVALID.1);
    }
}

/// Whether Windows no longer trusts a signature because of its hash function, by the time at which it
/// is confirmed to have been made.
fn is_weak(hash: Option<Hash>, confirmed: Option<i64>) -> bool {
    match hash {
        None | Some(Hash::Md5) => true,
        Some(Hash::Sha1) => confirmed.is_none_or(|confirmed| confirmed >= SHA1_END),
        Some(_) => false,
    }
}

/// The name of a hash function as tools for Windows write it.
fn name(hash: Hash) -> &'static str {
    match hash {
        Hash::Md5 => "MD5",
        Hash::Sha1 => "SHA1",
        Hash::Sha224 => "SHA224",
        Hash::Sha256 => "SHA256",
        Hash::Sha384 => "SHA384",
        Hash::Sha512 => "SHA512",
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
pub(super) fn tell_signer(subject: &Subject<'_>, report: &mut Report, message: &SignedData<'_>, signer: &Signer<'_>) {
    let subjects = message.certificates.iter();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha1_is_trusted_where_it_is_confirmed_to_be_old() {
        assert!(is_weak(Some(Hash::Sha1), None) && is_weak(Some(Hash::Sha1), Some(SHA1_END)));
        assert!(!is_weak(Some(Hash::Sha1), Some(SHA1_END - 1)));
        assert!(is_weak(Some(Hash::Md5), Some(0)) && !is_weak(Some(Hash::Sha256), None));
    }
}
