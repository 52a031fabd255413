//! Provisioning profiles: by themselves, and in apps.

use dist_model::Timestamp;
use serde_json::{Map, Value, json};

use super::{Otherwise, Row};
use crate::parse::profile::{Kind, Profile};
use crate::parse::x509::Certificate;
use crate::subject::Subject;
use crate::{Format, Inspection, Refusal, Report};

/// How long a profile may be, in bytes; those with a thousand devices have less than 200 KB.
pub(super) const SIZE: u64 = 4 << 20;

/// How many certificates are told.
const CERTIFICATES: usize = 200;

/// A profile is part of an app and no artifact, but people have them and ask what they are.
pub(super) static PROFILE: Row = Row {
    format: Format::Unknown,
    package_type: "mobileprovision",
    content_type: "application/octet-stream",
    extensions: &["mobileprovision", "provisionprofile"],
    recognises: |subject| subject.is_named(PROFILE.extensions) && read(subject).is_ok(),
    otherwise: Otherwise::Bytes(
        "unknown.no_profile",
        "The file is named like a provisioning profile, and none can be read in it.",
    ),
    describe,
};

fn read(subject: &Subject<'_>) -> Result<Profile, Refusal> {
    let bytes = subject.source.bytes(0..subject.source.len(), SIZE)?;
    Profile::parse(&bytes, subject.budget)
}

fn describe(subject: &Subject<'_>, inspection: &mut Inspection) -> Result<(), Refusal> {
    tell(&read(subject)?, subject.now, &mut inspection.report);
    Ok(())
}

/// Adds what a profile says, and what it means for those who install an app with it.
pub(super) fn tell(profile: &Profile, now: i64, report: &mut Report) {
    report.set_object("provisioning", facts(profile));
    if !profile.is_signed {
        report.warning(
            "provisioning.unsigned",
            "The provisioning profile is not signed, so that no device accepts it.",
            "Embed the profile as Apple made it.",
        );
    }
    if let Some(expires) = profile.expires().filter(|expires| *expires < now.div_euclid(1000)) {
        report.warning(
            "provisioning.expired",
            format!(
                "The provisioning profile expired on {}; devices neither install nor start the app.",
                Timestamp::from_millis(expires.saturating_mul(1000)).day()
            ),
            "Make a new profile and sign the app with it.",
        );
    }
    let devices = profile.devices().count();
    match profile.kind() {
        Kind::Development => report.warning(
            "provisioning.development",
            format!("It is a development build: only the {devices} devices that the profile lists can install it."),
            "Export it for ad-hoc, enterprise or App Store distribution.",
        ),
        Kind::AdHoc => report.info(
            "provisioning.adhoc",
            format!("It is an ad-hoc build: only the {devices} devices that the profile lists can install it."),
            "See that the device is listed, or add it to the profile and sign again.",
        ),
        Kind::AppStore => report.info(
            "provisioning.appstore",
            "It is for the App Store and TestFlight: no device installs it from anywhere else.",
            "Upload it there, or export it for ad-hoc or enterprise distribution.",
        ),
        Kind::Enterprise => {}
    }
}

fn facts(profile: &Profile) -> Map<String, Value> {
    let time = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000)).to_string();
    let list = |texts: Vec<&str>| (!texts.is_empty()).then(|| json!(texts));
    let devices: Vec<&str> = profile.devices().collect();
    let facts = [
        ("kind", Some(json!(profile.kind().as_str()))),
        ("name", profile.text("Name").map(Value::from)),
        ("uuid", profile.text("UUID").map(Value::from)),
        ("app_id_name", profile.text("AppIDName").map(Value::from)),
        ("team_id", profile.team_ids().next().map(Value::from)),
        ("team_ids", list(profile.team_ids().collect())),
        ("team_name", profile.text("TeamName").map(Value::from)),
        ("devices", Some(json!(devices.len()))),
        ("device_ids", list(devices)),
        ("created", profile.created().map(time).map(Value::from)),
        ("expires", profile.expires().map(time).map(Value::from)),
        ("entitlement_app_id", profile.app_id().map(Value::from)),
        ("get_task_allow", profile.get_task_allow().map(Value::from)),
        ("platform", list(profile.platforms().collect())),
        ("certs", Some(json!(profile.certificates().count()))),
        ("developer_certs", Some(certificates(profile))),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    known.collect()
}

/// Who may sign; what cannot be read is left out.
fn certificates(profile: &Profile) -> Value {
    let certificates = profile
        .certificates()
        .take(CERTIFICATES)
        .filter_map(|der| Certificate::parse(der).ok());
    let tell = |certificate: Certificate<'_>| {
        json!({
            "subject": certificate.subject.in_order(),
            "expires": Timestamp::from_millis(certificate.not_after.saturating_mul(1000)).to_string(),
            "sha256": certificate.sha256(),
        })
    };
    certificates.map(tell).collect()
}
