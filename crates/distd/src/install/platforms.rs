//! What is true of installing a file on each platform: what its action does, what the system asks
//! or refuses, and what its signature says. Signatures were read and not traced to who is behind
//! them, and nothing here says more.

use dist_model::{App, Artifact, IosMode, Platform, Timestamp};
use dist_service::findings;

use super::kind::Kind;
use super::known::Known;
use super::section::{Action, Fact, Scene, Told};
use super::text::{day, platform_name, processor, until, visible_or};
use crate::web::text::human_size;

/// What there is to say of the file that suits the visitor best.
pub(super) fn tell(artifact: &Artifact, scene: &Scene<'_>) -> Told {
    match artifact.platform {
        Platform::AndroidApk | Platform::AndroidAab => android(artifact, scene),
        Platform::Ios => ios(artifact, scene),
        Platform::Macos => macos(artifact, scene),
        Platform::Linux => linux(artifact, scene),
        Platform::Windows => windows(artifact, scene),
    }
}

/// Why none of a platform's files is offered before the others.
pub(super) fn without_best(platform: Platform, artifacts: &[&Artifact]) -> Vec<String> {
    let is = |kind: Kind| artifacts.iter().any(|artifact| Kind::of(artifact) == kind);
    let mut remarks = Vec::new();
    if platform == Platform::AndroidAab {
        remarks.push("An app bundle is for uploading to a store; no device installs it.");
    }
    if is(Kind::Splits) {
        remarks.push(
            "A set of split APKs does not open on a phone: install it from a computer with bundletool install-apks, \
             or with an app that installs such sets.",
        );
    }
    if is(Kind::Nupkg) {
        remarks.push("These are what an installed app updates itself with, and nothing to start with.");
    }
    if remarks.is_empty() {
        remarks.push("None of these files runs on the processor of this device.");
    }
    remarks.into_iter().map(str::to_owned).collect()
}

/// A download that ends in a file which the system opens; another is offered more quietly.
fn download(artifact: &Artifact, scene: &Scene<'_>, is_primary: bool) -> Vec<Action> {
    let label = if is_primary {
        format!("Download for {}", platform_name(artifact.platform))
    } else {
        "Download the file".to_owned()
    };
    let size = human_size(artifact.size_bytes);
    let detail = match processor(artifact.platform, &artifact.arch) {
        none if none.is_empty() => size,
        processor => format!("{processor} · {size}"),
    };
    let action = scene.download(artifact).map(|url| Action {
        label,
        detail,
        url,
        is_primary,
    });
    action.into_iter().collect()
}

fn has_finding(artifact: &Artifact, codes: &[&str]) -> bool {
    let found = findings(&artifact.metadata);
    found.iter().any(|finding| codes.contains(&finding.code.as_ref()))
}

fn signed_by(known: Known<'_>) -> Option<Fact> {
    known.signer().map(|signer| Fact::text("Signed by", signer))
}

fn android(artifact: &Artifact, scene: &Scene<'_>) -> Told {
    /// Findings of an APK that no phone installs from a page.
    const DEAD: &[&str] = &["apk.test_only", "apk.split", "apk.split_required"];
    let known = Known::of(artifact);
    let installs = Kind::of(artifact) == Kind::Apk && !has_finding(artifact, DEAD);
    let asks = "Open the file when it has arrived. Android asks once to allow installing unknown apps from your \
                browser, and Play Protect may want to look at the app first.";
    let certificates = known
        .texts("cert_sha256")
        .map(|digest| Fact::code("Certificate", digest));
    Told {
        actions: download(artifact, scene, installs),
        remarks: installs.then(|| asks.to_owned()).into_iter().collect(),
        facts: signed_by(known).into_iter().chain(certificates).collect(),
        said: &[],
    }
}

/// True where an iPhone is sent to `TestFlight`, and nowhere else.
pub(super) fn is_testflight(app: &App) -> bool {
    app.ios_mode == IosMode::Testflight
}

fn ios(artifact: &Artifact, scene: &Scene<'_>) -> Told {
    match (scene.app.ios_mode, &scene.app.testflight_url) {
        (IosMode::Testflight, url) => Told {
            actions: url.iter().map(|url| testflight(url)).collect(),
            remarks: vec!["This app is installed on iPhone and iPad through Apple's TestFlight.".to_owned()],
            ..Told::default()
        },
        (IosMode::Enterprise, _) => enterprise(artifact, scene),
        (IosMode::ArtifactOnly, _) => artifact_only(artifact, scene),
    }
}

fn testflight(url: &str) -> Action {
    Action {
        label: "Open in TestFlight".to_owned(),
        detail: "testflight.apple.com".to_owned(),
        url: url.to_owned(),
        is_primary: true,
    }
}

/// What the remarks on profiles say already.
const SAID_OF_PROFILES: &[&str] = &[
    "provisioning.expired",
    "provisioning.development",
    "signature.certificate_expired",
];

fn artifact_only(artifact: &Artifact, scene: &Scene<'_>) -> Told {
    let mut told = Told {
        actions: download(artifact, scene, false),
        facts: signed_by(Known::of(artifact)).into_iter().collect(),
        said: SAID_OF_PROFILES,
        ..Told::default()
    };
    told.remarks.push(
        "This app cannot be installed from this page: an iPhone or iPad takes apps only from the App Store, from \
         TestFlight, or from an organisation that it belongs to."
            .to_owned(),
    );
    told.remarks
        .extend(profile(artifact, scene.now).map(|profile| profile.words));
    told
}

/// Findings of an IPA that every device refuses, whatever its profile allows.
const REFUSED: &[&str] = &[
    "ipa.payload_nested",
    "ipa.store_encrypted",
    "provisioning.missing",
    "provisioning.other_app",
    "provisioning.other_certificate",
    "provisioning.other_team",
    "provisioning.unsigned",
    "signature.ad_hoc",
    "signature.missing",
    "signature.self_signed",
];

fn enterprise(artifact: &Artifact, scene: &Scene<'_>) -> Told {
    let profile = profile(artifact, scene.now);
    let is_refused = has_finding(artifact, REFUSED);
    let mut told = Told {
        facts: signed_by(Known::of(artifact)).into_iter().collect(),
        said: SAID_OF_PROFILES,
        ..Told::default()
    };
    if !is_refused && profile.as_ref().is_none_or(|profile| profile.admits_anybody) {
        told.remarks.push(
            "Only devices that are enrolled with the organisation, or registered in the app's profile, can install \
             this."
                .to_owned(),
        );
        if !scene.opens_elsewhere() {
            // iOS fetches the manifest by itself, and has none of the browser's cookies.
            told.remarks.push(
                "This app is private: to install it, open a tester link to this channel on the iPhone or iPad."
                    .to_owned(),
            );
        // An iPad says that it is a Mac.
        } else if matches!(scene.visitor.platform(), None | Some(Platform::Ios | Platform::Macos)) {
            told.actions.push(Action {
                label: "Install".to_owned(),
                detail: human_size(artifact.size_bytes),
                url: scene.urls.install_on_ios(),
                is_primary: true,
            });
        } else {
            told.remarks
                .push("Open this page on the iPhone or iPad to install it.".to_owned());
        }
    }
    told.remarks.extend(profile.map(|profile| profile.words));
    told
}

/// What the provisioning profile inside an IPA comes to.
struct Profile {
    words: String,
    /// False where no device installs the app from here, whichever it is.
    admits_anybody: bool,
}

fn profile(artifact: &Artifact, now: Timestamp) -> Option<Profile> {
    let known = Known::of(artifact);
    let profile = known.part("provisioning");
    if profile.is_empty() {
        return None;
    }
    let dead = |words: String| {
        Some(Profile {
            words,
            admits_anybody: false,
        })
    };
    let time = |part: Known<'_>| part.text("expires").and_then(|text| text.parse::<Timestamp>().ok());
    let expires = time(profile);
    if let Some(end) = expires.filter(|end| *end <= now) {
        return dead(format!(
            "The profile inside the app expired on {}: no device installs or starts it any more.",
            day(end)
        ));
    }
    let signer = known.text("cert_sha256");
    let certificate = profile
        .parts("developer_certs")
        .find(|certificate| certificate.text("sha256") == signer);
    if let Some(end) = certificate.and_then(time).filter(|end| *end <= now) {
        return dead(format!(
            "The certificate that signed the app expired on {}: no device installs or starts it any more.",
            day(end)
        ));
    }
    let devices = match profile.number("devices") {
        Some(1) => "the 1 device that is".to_owned(),
        Some(count) => format!("the {count} devices that are"),
        None => "the devices that are".to_owned(),
    };
    let whom = match profile.text("kind")? {
        "enterprise" => {
            let team = visible_or(profile.text("team_name").unwrap_or_default(), "the organisation");
            format!("every device on which {team} is trusted (Settings › General › VPN & Device Management)")
        }
        "adhoc" => format!("only {devices} registered in it"),
        "development" => format!("only {devices} registered in it, in Developer Mode"),
        _ => {
            return dead(
                "The profile inside the app is for the App Store and TestFlight: no device installs it from here."
                    .to_owned(),
            );
        }
    };
    let span = expires.map_or_else(String::new, |end| format!(", {}", until(end, now)));
    Some(Profile {
        words: format!("The profile inside the app allows {whom}{span}."),
        admits_anybody: true,
    })
}

fn macos(artifact: &Artifact, scene: &Scene<'_>) -> Told {
    const ANYWAY: &str = "To open it all the same, go to System Settings › Privacy & Security and choose Open Anyway.";
    let known = Known::of(artifact);
    let kind = Kind::of(artifact);
    let mut told = Told {
        actions: download(artifact, scene, true),
        facts: signed_by(known).into_iter().collect(),
        said: &[
            "signature.missing",
            "signature.ad_hoc",
            "signature.no_ticket",
            "pkg.no_ticket",
        ],
        ..Told::default()
    };
    let how = match kind {
        Kind::Dmg => "Open the disk image and drag the app to Applications.",
        Kind::Pkg => "Open the package and follow the installer.",
        _ => "",
    };
    told.remarks.extend((!how.is_empty()).then(|| how.to_owned()));
    if let Some(is_hardened) = known.flag("hardened_runtime") {
        told.facts
            .push(Fact::text("Hardened runtime", if is_hardened { "yes" } else { "no" }));
    }
    let tickets = [known.flag("stapled_ticket"), known.flag("dmg_stapled_ticket")];
    let has_ticket = tickets.contains(&Some(true));
    if tickets.iter().any(Option::is_some) {
        let ticket = if has_ticket {
            "stapled ticket present"
        } else {
            "no ticket stapled"
        };
        told.facts.push(Fact::text("Notarization", ticket));
    }
    let is_signed = known.flag("signed");
    told.remarks.extend(match is_signed {
        Some(true) if has_ticket => Some(
            "It carries a notarization ticket, which Gatekeeper checks when you first open it; this page has not \
             checked it."
                .to_owned(),
        ),
        Some(true) => Some(format!(
            "It carries no notarization ticket. Where Apple has not notarized it, Gatekeeper blocks it. {ANYWAY}"
        )),
        Some(false) if kind != Kind::Pkg && known.flag("ad_hoc") != Some(true) => Some(format!(
            "It is not signed: Macs with Apple silicon do not start it, and on others Gatekeeper blocks it. {ANYWAY}"
        )),
        Some(false) => Some(format!(
            "No developer that Apple knows has signed it, so that Gatekeeper blocks it. {ANYWAY}"
        )),
        None => None,
    });
    told
}

fn linux(artifact: &Artifact, scene: &Scene<'_>) -> Told {
    Told {
        actions: download(artifact, scene, true),
        facts: signed_by(Known::of(artifact)).into_iter().collect(),
        ..Told::default()
    }
}

fn windows(artifact: &Artifact, scene: &Scene<'_>) -> Told {
    let known = Known::of(artifact);
    let is_signed = known.flag("signed");
    let is_package = Kind::of(artifact) == Kind::Msix;
    let remark = match (is_package, is_signed) {
        (true, Some(true)) => "Windows installs it only where it trusts the certificate of who signed it.",
        (true, Some(false)) => "It is not signed, and Windows installs no app package that is not.",
        (false, Some(true)) => {
            "SmartScreen may warn all the same, until Microsoft knows the file or who signed it. To go on, choose More \
             info and then Run anyway."
        }
        (false, Some(false)) => {
            "It is not signed: Windows does not know the publisher, and SmartScreen says that it protected your PC. To \
             go on, choose More info and then Run anyway."
        }
        (_, None) => "",
    };
    Told {
        actions: download(artifact, scene, !(is_package && is_signed == Some(false))),
        remarks: (!remark.is_empty()).then(|| remark.to_owned()).into_iter().collect(),
        facts: signed_by(known).into_iter().collect(),
        said: &["authenticode.missing"],
    }
}
