//! Whether a package is signed, and by whom, for the devices that it is for.
//!
//! Android 13 and newer look at v3.1, v3, v2 and v1, Android 9 at v3 and older, Android 7 at v2 and
//! v1, each at the newest that is there, and older ones at v1 alone.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::contents::Signed;
use super::manifest::Manifest;
use super::v1::{self, Jar};
use super::v2::{self, Signer};
use crate::archive::zip::Zip;
use crate::parse::signing_block::SigningBlock;
use crate::parse::x509::Certificate;
use crate::source::Source;
use crate::{Budget, Refusal, Report};

/// The first Android that looks at v2, and at v3.
const ANDROID_7: u32 = 24;
const ANDROID_9: u32 = 28;
/// The first Android that looks at v3.1.
const ANDROID_13: u32 = 33;
/// The Androids that look at signatures in another way than those before.
const TURNS: [u32; 3] = [v1::STRONGEST, ANDROID_7, ANDROID_9];
/// From this target on Android 11 and newer want more than v1.
const TARGET_11: u32 = 30;

/// Why a signature does not hold.
#[derive(Debug)]
pub(in crate::formats) enum Fault {
    /// It is wrong, and how, without a full stop.
    Broken(String),
    /// It was not read to its end.
    Stop(Refusal),
}

impl Fault {
    pub(super) fn broken(why: impl Into<String>) -> Self {
        Self::Broken(why.into())
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. } => Self::Stop(refusal),
            broken => Self::Broken(broken.to_string().trim_end_matches('.').to_owned()),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Refusal::from(error).into()
    }
}

/// The signatures of a package that some device looks at.
#[derive(Default)]
struct Signatures {
    v1: Option<Jar>,
    v2: Option<Vec<Signer>>,
    v3: Option<Vec<Signer>>,
    v31: Option<Vec<Signer>>,
}

/// Adds what the signatures of a package come to.
pub(super) fn describe(
    source: &dyn Source,
    zip: &Zip<'_>,
    manifest: &Manifest<'_>,
    budget: &Budget,
    report: &mut Report,
) -> Result<(), Refusal> {
    let (min_sdk, target_sdk) = (manifest.min_sdk()?, manifest.target_sdk()?);
    let (signatures, since) = match Signatures::verify_newest(source, zip, min_sdk, budget) {
        Ok((signatures, None)) => (signatures, min_sdk),
        Ok((signatures, Some((since, why)))) => {
            let message = format!(
                "Its signature does not hold before SDK {since}: older Androids refuse to install it, which it is for by minSdkVersion {min_sdk}; {why}."
            );
            report.warning(OLD_BROKEN.0, message, OLD_BROKEN.1);
            (signatures, since)
        }
        Err(Fault::Stop(refusal)) => return Err(refusal),
        Err(Fault::Broken(why)) => {
            report.set_flag("signed", Some(false));
            let (code, help) = BROKEN;
            report.error(
                code,
                format!("Its signature does not hold, so that no Android installs it: {why}."),
                help,
            );
            return Ok(());
        }
    };
    signatures.tell(report);
    signatures.warn(since, target_sdk, report);
    Ok(())
}

impl Signatures {
    /// What the signatures come to for all Androids that a package is for; where they do not hold for
    /// all, for those from which on they do, and why they do not for the older ones.
    fn verify_newest(
        source: &dyn Source,
        zip: &Zip<'_>,
        min_sdk: u32,
        budget: &Budget,
    ) -> Result<(Self, Option<(u32, String)>), Fault> {
        let why = match Self::verify(source, zip, min_sdk, budget) {
            Ok(signatures) => return Ok((signatures, None)),
            Err(Fault::Broken(why)) => why,
            Err(stop) => return Err(stop),
        };
        for since in TURNS.into_iter().filter(|since| *since > min_sdk) {
            match Self::verify(source, zip, since, budget) {
                Ok(signatures) => return Ok((signatures, Some((since, why)))),
                Err(Fault::Broken(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
        Err(Fault::Broken(why))
    }

    fn verify(source: &dyn Source, zip: &Zip<'_>, min_sdk: u32, budget: &Budget) -> Result<Self, Fault> {
        let mut found = Self::default();
        if let Some(block) = SigningBlock::find(source, zip.directory().end)? {
            let mut signed = Signed::new(source, &block, budget);
            found.v31 = v2::verify(v2::V31, &mut signed)?;
            found.v3 = v2::verify(v2::V3, &mut signed)?;
            if min_sdk < ANDROID_9 || found.v3.is_none() {
                found.v2 = v2::verify(v2::V2, &mut signed)?;
            }
        }
        found.check_rotation(min_sdk)?;
        if found.v3.is_none() && found.v2.iter().flatten().any(|signer| signer.expects_v3) {
            return Err(Fault::broken(
                "its v3 signature was stripped: the v2 signature says that there is one",
            ));
        }
        let newer: Vec<u32> = [(2, found.v2.is_some()), (3, found.v3.is_some())]
            .into_iter()
            .filter_map(|(scheme, is_there)| is_there.then_some(scheme))
            .collect();
        if min_sdk < ANDROID_7 || newer.is_empty() {
            found.v1 = v1::verify(zip, min_sdk, &newer)?;
        }
        found.check_signers()?;
        Ok(found)
    }

    /// Whether each Android that looks at v3 finds a signer, and v3 and v3.1 agree on where one takes the
    /// place of the other: else one of them was stripped.
    fn check_rotation(&self, min_sdk: u32) -> Result<(), Fault> {
        let Some(v3) = &self.v3 else {
            return if self.v31.is_some() {
                Err(Fault::broken("it has a v3.1 signature and none of v3"))
            } else {
                Ok(())
            };
        };
        let rotates_at = self.v31.iter().flatten().map(|signer| signer.sdks.0).min();
        for claimed in v3.iter().filter_map(|signer| signer.rotates_at) {
            match rotates_at {
                None => {
                    return Err(Fault::broken(
                        "its v3.1 signature was stripped: the v3 signature says that there is one",
                    ));
                }
                Some(found) if found != claimed => {
                    return Err(Fault::broken(
                        "its v3.1 signature is for other Androids than its v3 signature says",
                    ));
                }
                Some(_) => {}
            }
        }
        let last = rotates_at.map_or(v2::NEWEST_SDK, |rotates_at| rotates_at.saturating_sub(1));
        v2::check_succession(v3, min_sdk.max(ANDROID_9), last)?;
        if let Some((v31, first)) = self.v31.as_ref().zip(rotates_at) {
            v2::check_succession(v31, min_sdk.max(ANDROID_13).max(first), v2::NEWEST_SDK)?;
        }
        Ok(())
    }

    /// Whether all schemes have the same signers, or successors of theirs.
    fn check_signers(&self) -> Result<(), Fault> {
        let by_v2: Option<Vec<&Vec<u8>>> = self
            .v2
            .as_ref()
            .map(|signers| signers.iter().map(|signer| &signer.certificate).collect());
        let by_v1 = self.v1.as_ref().map(|jar| &jar.certificates);
        if let (Some(v1), Some(v2)) = (by_v1, &by_v2)
            && (v1.len() != v2.len() || !v1.iter().all(|certificate| v2.contains(&certificate)))
        {
            return Err(Fault::broken("its v1 and v2 signatures are of different signers"));
        }
        let old = by_v2.or_else(|| by_v1.map(|v1| v1.iter().collect()));
        if let (Some(old), Some(v3)) = (old, &self.v3) {
            let is_successor = |signer: &Signer| old.iter().all(|certificate| signer.lineage.contains(certificate));
            if !v3.iter().all(is_successor) {
                return Err(Fault::broken(
                    "its v3 signature is of another signer than the older ones",
                ));
            }
        }
        Ok(())
    }

    /// The certificates of the newest scheme; v3.1 and v3 are one scheme for different devices.
    fn certificates(&self) -> Vec<&Vec<u8>> {
        let mut signers: Vec<&Signer> = self.v31.iter().chain(&self.v3).flatten().collect();
        if signers.is_empty() {
            signers.extend(self.v2.iter().flatten());
        }
        if signers.is_empty() {
            return self.v1.iter().flat_map(|jar| &jar.certificates).collect();
        }
        // Of several for different devices, the newest devices' comes first.
        signers.sort_by_key(|signer| std::cmp::Reverse(signer.sdks.0));
        let mut certificates: Vec<&Vec<u8>> = Vec::new();
        for signer in signers {
            if !certificates.contains(&&signer.certificate) {
                certificates.push(&signer.certificate);
            }
        }
        certificates
    }

    /// The certificates that those of v3 succeeded, by a proof of the older key: what they signed can
    /// be updated with this.
    fn succeeded(&self) -> BTreeSet<&Vec<u8>> {
        let certificates = self.certificates();
        let signers = self.v31.iter().chain(&self.v3).flatten();
        let lineages = signers.flat_map(|signer| &signer.lineage);
        lineages.filter(|older| !certificates.contains(older)).collect()
    }

    fn tell(&self, report: &mut Report) {
        let certificates = self.certificates();
        report.set_flag("signed", Some(!certificates.is_empty()));
        tell_signers(&certificates, report);
        if certificates.is_empty() {
            return;
        }
        let succeeded = self.succeeded().into_iter();
        let succeeded = succeeded.filter_map(|certificate| Certificate::parse(certificate).ok());
        report.set_list(
            "succeeded_cert_sha256",
            succeeded.map(|certificate| certificate.sha256()),
        );
        let schemes = [
            ("v1", self.v1.is_some()),
            (v2::V2.name, self.v2.is_some()),
            (v2::V3.name, self.v3.is_some()),
            (v2::V31.name, self.v31.is_some()),
        ];
        let schemes: Map<String, Value> = schemes
            .into_iter()
            .map(|(name, is_there)| (name.to_owned(), is_there.into()))
            .collect();
        report.set_object("apk_signature_schemes", schemes);
    }

    fn warn(&self, min_sdk: u32, target_sdk: u32, report: &mut Report) {
        // There is no v3.1 without v3.
        let is_new = self.v2.is_some() || self.v3.is_some();
        if !is_new && self.v1.is_none() {
            report.warning(UNSIGNED.0, "It is not signed, and no Android installs it.", UNSIGNED.1);
            return;
        }
        if self.v1.is_none() && min_sdk < ANDROID_7 {
            let message = format!(
                "It has no v1 signature: Android 6 and older refuse to install it, which it is for by minSdkVersion {min_sdk}."
            );
            report.warning(NO_V1.0, message, NO_V1.1);
        }
        if let Some(known) = self.v1.as_ref().map(|jar| jar.min_sdk).filter(|known| *known > min_sdk) {
            let message = format!(
                "Its v1 signature is of a kind that is known from SDK {known} on: older Androids refuse to install it, which it is for by minSdkVersion {min_sdk}."
            );
            report.warning(NEW_V1.0, message, NEW_V1.1);
        }
        if !is_new && min_sdk.min(target_sdk) >= TARGET_11 {
            let message =
                format!("It has no signature but v1, so that no Android installs it: its target is {target_sdk}.");
            report.error(ONLY_V1.0, message, ONLY_V1.1);
        } else if !is_new && target_sdk >= TARGET_11 {
            let message = format!(
                "It has no signature but v1: Android 11 and newer refuse to install it, since its target is {target_sdk}."
            );
            report.warning(ONLY_V1.0, message, ONLY_V1.1);
        }
    }
}

/// Adds the signers' certificates, and what follows from who they are.
pub(in crate::formats) fn tell_signers(certificates: &[&Vec<u8>], report: &mut Report) {
    let read: Vec<Certificate<'_>> = certificates
        .iter()
        .filter_map(|certificate| Certificate::parse(certificate).ok())
        .collect();
    report.set_list("cert_sha256", read.iter().map(Certificate::sha256));
    let names: Vec<String> = read.iter().map(|certificate| certificate.subject.reversed()).collect();
    report.set_text("signer", Some(names.join("; ")));
    if read
        .iter()
        .any(|certificate| certificate.subject.get("CN").as_deref() == Some("Android Debug"))
    {
        let (code, help) = DEBUG_KEY;
        let message = "It is signed with a debug key, which every machine has its own of: an update that was built on another one does not install over it.";
        report.warning(code, message, help);
    }
}

const BROKEN: (&str, &str) = (
    "apk.signature_broken",
    "Sign it as the last step of the build, and change nothing after; `apksigner verify` tells more.",
);
const UNSIGNED: (&str, &str) = ("apk.unsigned", "Sign it with apksigner.");
const NO_V1: (&str, &str) = (
    "apk.no_v1_signature",
    "Sign it with v1, too, or raise minSdkVersion to 24.",
);
const OLD_BROKEN: (&str, &str) = (
    "apk.old_signature_broken",
    "Sign it as the last step of the build with apksigner, which signs for all Androids that it is for.",
);
const NEW_V1: (&str, &str) = (
    "apk.new_v1_signature",
    "Raise minSdkVersion, or let apksigner choose the algorithm.",
);
const ONLY_V1: (&str, &str) = ("apk.only_v1_signature", "Sign it with apksigner, which adds v2 and v3.");
const DEBUG_KEY: (&str, &str) = ("apk.debug_key", "Sign releases with a key of their own.");
