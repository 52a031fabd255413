//! Installer packages for macOS: components, with a `PackageInfo` each, and product archives, whose
//! `Distribution` says which components to install.

use serde_json::{Map, Value};

use super::{Otherwise, Row, signed_code};
use crate::parse::cms::SignedData;
use crate::parse::hash::Hash;
use crate::parse::public_key::{Padding, PublicKey};
use crate::parse::x509::Certificate;
use crate::parse::xar::{File, Signature, Xar};
use crate::parse::xml::{self, Element};
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

/// How long a `Distribution` or `PackageInfo` may be, in bytes.
const DOCUMENT: u64 = 8 << 20;
/// How many components are looked into.
const COMPONENTS: usize = 100;
/// How many elements of one kind are told.
const TOLD: usize = 200;
/// Apple's mark in certificates for packages that are not from its store.
const DEVELOPER_ID: &str = "1.2.840.113635.100.6.1.14";

pub(super) static PKG: Row = Row {
    format: Format::Pkg,
    package_type: "pkg",
    content_type: "application/vnd.apple.installer+xml",
    extensions: &["pkg"],
    recognises: |subject| subject.starts_with(b"xar!"),
    otherwise: Otherwise::Bytes(
        "pkg.not_a_xar",
        "An installer package is a xar archive, and this is none.",
    ),
    describe,
};

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    let xar = Xar::open(subject.source, subject.budget)?;
    if !xar.has_told_size {
        report.error(
            "pkg.toc_size",
            "The table of contents has another size than the header says, so that installers refuse it.",
            "Build it again, and see that it is copied whole.",
        );
    }
    let is_right = xar.is_checksum_right()?;
    report.set_flag("toc_checksum_verifies", is_right);
    if is_right == Some(false) {
        report.error(
            "pkg.toc_checksum",
            "The table of contents does not have the checksum that stands in the package, so that installers refuse it.",
            "Build it again, and see that it is copied whole.",
        );
    }
    // What is stapled stands at the end, before a trailer of 16 bytes.
    let trailer = subject.tail.get(subject.tail.len().saturating_sub(16)..);
    let has_ticket = trailer.is_some_and(|trailer| trailer.starts_with(b"t8lr"));
    report.set_flag("stapled_ticket", Some(has_ticket));
    tell_signature(&xar, has_ticket, report)?;
    let files = xar.files()?;
    if let Some(file) = files
        .iter()
        .find(|file| file.data.as_ref().is_some_and(|data| !xar.is_whole(data)))
    {
        report.error(
            "pkg.cut",
            format!(
                "The bytes of {} are not all there, so that nothing can be installed.",
                file.path
            ),
            "Build it again, and see that it is copied whole.",
        );
    }
    tell_contents(&xar, &files, subject, report)
}

/// The facts of the documents in the package.
fn tell_contents(xar: &Xar<'_>, files: &[File], subject: &Subject<'_>, report: &mut Report) -> Result<(), Refusal> {
    let read = |file: &File| xml::parse(&xar.read(file, DOCUMENT)?, subject.budget);
    let distribution = files.iter().find(|file| file.path == "Distribution");
    let distribution = distribution.map(read).transpose()?;
    let is_info = |file: &&File| file.path.rsplit('/').next() == Some("PackageInfo");
    let components = files.iter().filter(is_info).take(COMPONENTS);
    let components: Vec<Element> = components.map(read).collect::<Result<_, _>>()?;
    let kind = match (&distribution, components.is_empty()) {
        (_, false) => "component",
        (Some(_), true) => "product-archive",
        (None, true) => {
            report.error(
                "pkg.no_package",
                "The archive has neither a Distribution nor a PackageInfo, so that there is nothing to install.",
                "Build it with pkgbuild or productbuild.",
            );
            return Ok(());
        }
    };
    report.set_text("package_type", Some(kind));
    let mut bundles = Vec::new();
    if let Some(distribution) = &distribution {
        tell_distribution(distribution, report);
        let references = distribution.all("pkg-ref");
        let versions = references.flat_map(|reference| reference.all("bundle-version"));
        bundles.extend(versions.flat_map(|version| version.all("bundle")).map(attributes));
    }
    for component in &components {
        let own = component
            .all("bundle")
            .filter(|bundle| bundle.attribute("id").is_some());
        bundles.extend(own.map(attributes));
    }
    report.set_objects("bundles", bundles);
    let ids = components
        .iter()
        .filter_map(|component| component.attribute("identifier"));
    report.set_list("package_ids", ids);
    tell_identity(distribution.as_ref(), &components, report);
    Ok(())
}

/// What a `Distribution` says of the product.
fn tell_distribution(distribution: &Element, report: &mut Report) {
    let title = distribution.child_text("title");
    // Else it is a key of a table of translations.
    report.set_text("name", title.filter(|title| !title.ends_with("_TITLE")));
    let product = distribution.child("product");
    report.set_text("product_id", product.and_then(|product| product.attribute("id")));
    report.set_text(
        "product_version",
        product.and_then(|product| product.attribute("version")),
    );
    let systems = distribution.path(&["volume-check", "allowed-os-versions", "os-version"]);
    report.set_text("min_os", systems.and_then(|system| system.attribute("min")));
    let options = distribution.child("options");
    let archs = options.and_then(|options| options.attribute("hostArchitectures"));
    let archs = archs.into_iter().flat_map(|archs| archs.split(','));
    report.set_archs(archs.map(str::trim).filter(|arch| !arch.is_empty()));
    let mut references = Vec::new();
    add_references(distribution, &mut references);
    report.set_objects("pkg_refs", references);
}

/// The references to components, in the order of the document, whose depth its parser bounds.
fn add_references(element: &Element, references: &mut Vec<Map<String, Value>>) {
    for child in &element.children {
        if child.local_name() == "pkg-ref" && references.len() < TOLD {
            references.push(attributes(child));
        }
        add_references(child, references);
    }
}

/// The id and version: those of the component, if it is the only one, or else the product's.
fn tell_identity(distribution: Option<&Element>, components: &[Element], report: &mut Report) {
    let product = distribution.and_then(|distribution| distribution.child("product"));
    let of =
        |element: Option<&Element>, key: &str| element.and_then(|element| element.attribute(key)).map(str::to_owned);
    let first = components.first();
    let sources = [
        ("component", of(first, "identifier"), of(first, "version")),
        ("product id", of(product, "id"), of(product, "version")),
    ];
    let is_clear = components.len() == 1 || product.is_none();
    let ordered = if is_clear {
        [&sources[0], &sources[1]]
    } else {
        [&sources[1], &sources[0]]
    };
    if let Some((from, id, version)) = ordered.into_iter().find(|(_, id, _)| id.is_some()) {
        report.set_text("app_id", id.as_deref());
        report.set_text("app_id_from", Some(from));
        report.set_text("version", version.as_deref());
    }
}

fn attributes(element: &Element) -> Map<String, Value> {
    let attributes = element.attributes.iter().take(TOLD);
    attributes
        .map(|(key, value)| (key.clone(), value.as_str().into()))
        .collect()
}

/// Who signed the table of contents, and so all that it tells.
fn tell_signature(xar: &Xar<'_>, has_ticket: bool, report: &mut Report) -> Result<(), Refusal> {
    let signatures = xar.signatures()?;
    report.set_list("signature_styles", signatures.iter().map(|signature| &signature.style));
    report.set_flag("signed", Some(!signatures.is_empty()));
    let Some(signature) = signatures.first() else {
        report.warning(
            "pkg.unsigned",
            "The package is not signed, so that Gatekeeper refuses to open it.",
            "Sign it with a Developer ID Installer certificate and have it notarized.",
        );
        return Ok(());
    };
    check_signatures(xar, &signatures, report)?;
    let signer = signature
        .certificates
        .first()
        .and_then(|der| Certificate::parse(der).ok());
    signed_code::set_signer(signer.as_ref(), report);
    let Some(signer) = signer else {
        report.error(
            "pkg.no_certificate",
            "The package is signed without a certificate that can be read, so that installers refuse it.",
            "Sign it again, with productsign.",
        );
        return Ok(());
    };
    report.set_text("team_id", signer.subject.get("OU"));
    report.set_text("team_id_from", signer.subject.get("OU").map(|_| "certificate"));
    if !signer.has_extension(DEVELOPER_ID) || signer.subject == signer.issuer {
        report.warning(
            "pkg.no_developer_id",
            format!(
                "The package is signed as {}, which is no Developer ID of Apple's, so that Gatekeeper refuses it.",
                signer.subject.common_name()
            ),
            "Sign it with a Developer ID Installer certificate and have it notarized.",
        );
    } else if !has_ticket {
        report.warning(
            "pkg.no_ticket",
            "No notarization ticket is stapled to it; where it was not notarized, or is opened without network, \
             Gatekeeper refuses it.",
            "Have it notarized, and run xcrun stapler staple on it.",
        );
    }
    Ok(())
}

/// Whether all signatures are of this table's checksum.
fn check_signatures(xar: &Xar<'_>, signatures: &[Signature], report: &mut Report) -> Result<(), Refusal> {
    let Some(checksum) = xar.checksum()? else { return Ok(()) };
    let mut held = None;
    for signature in signatures {
        let holds = match signature.style.as_str() {
            "CMS" => {
                let message = SignedData::parse(&signature.bytes)?;
                let is_by_signer = message.signers.first().and_then(|signer| signer.verifies(&checksum));
                is_by_signer.or_else(|| message.is_about(&checksum))
            }
            "RSA" => is_by_key(signature, &checksum),
            _ => None,
        };
        held = holds.map(|holds| holds && held != Some(false)).or(held);
    }
    report.set_flag("signature_valid", held);
    if held == Some(false) {
        report.error(
            "pkg.signature_broken",
            "The signature is about another table of contents than this one, or of another key than its \
             certificate's, so that installers refuse it.",
            "Sign it again, and change nothing in it after.",
        );
    }
    Ok(())
}

/// Whether a plain signature is one of `checksum`, which is a hash already: its length tells of which
/// kind. Some tools hash it once more.
fn is_by_key(signature: &Signature, checksum: &[u8]) -> Option<bool> {
    let certificate = Certificate::parse(signature.certificates.first()?).ok()?;
    let key = PublicKey::parse(certificate.public_key).ok()?;
    let bytes = &signature.bytes;
    let is_of_hash = |hash: Hash| {
        let is_its_kind = hash.digest(b"").len() == checksum.len();
        (is_its_kind && key.verifies_digest(Padding::Pkcs1, hash, checksum, bytes))
            || key.verifies(Padding::Pkcs1, hash, checksum, bytes)
    };
    Some([Hash::Sha1, Hash::Sha256, Hash::Sha512].into_iter().any(is_of_hash))
}
