//! Apps as folders, for all of Apple's systems, whatever holds their files.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{profile, signed_code};
use crate::archive::zip::Zip;
use crate::parse::plist::{Form, Plist};
use crate::parse::profile::Profile;
use crate::parse::skim::Skimmed;
use crate::parse::{car, icns, picture};
use crate::refusal::shown;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Icon, Inspection, Refusal, Report};

/// How long an `Info.plist` may be, in bytes.
pub(super) const PLIST: u64 = 4 << 20;
/// How long the list of an app's resources may be, in bytes.
pub(super) const RESOURCES: u64 = 32 << 20;
/// How long an icon may be, in bytes.
pub(super) const ICON: u64 = 16 << 20;
/// How long an executable may be to be held whole, in bytes, which its signature is compared with.
const EXECUTABLE: u64 = 32 << 20;
/// How long an asset catalogue may be of which the icon is shown, in bytes.
const CATALOGUE: u64 = 32 << 20;
/// How many bundles in an app are looked into, and how long their lists may be, in bytes.
const NESTED: usize = 200;
const NESTED_PLIST: u64 = 1 << 20;
/// The folders of whose bundles a device installs each along with the app.
const INSTALLED: [&str; 5] = [
    "PlugIns",
    "Extensions",
    "Watch",
    "AppClips",
    "com.apple.WatchPlaceholder",
];
/// How many names an app's icon may have.
const ICON_NAMES: usize = 50;

/// The files of an archive or a disk image.
pub(super) trait Files {
    /// The path of every file, and of folders where they are told, which end in a slash.
    fn paths(&self) -> Box<dyn Iterator<Item = &[u8]> + '_>;

    /// How many bytes the file of this path has; `None` where there is none.
    fn size(&self, path: &[u8]) -> Option<u64>;

    /// The bytes of the file of this path, of which there may be `max` at most; `None` where there is
    /// none.
    fn read(&self, path: &[u8], max: u64) -> Result<Option<Vec<u8>>, Refusal>;

    /// An executable by position, of which at least headers and signatures can be read; `None` where
    /// there is none.
    fn executable(&self, path: &[u8]) -> Result<Option<Box<dyn Source + '_>>, Refusal>;
}

/// An app's folder.
pub(super) struct Bundle<'a> {
    files: &'a dyn Files,
    /// Where it is.
    pub(super) path: Vec<u8>,
    /// The same and a slash, and for macOS `Contents/`.
    contents: Vec<u8>,
    pub(super) is_mac: bool,
}

impl<'a> Bundle<'a> {
    /// An app for iOS, whose files are right in its folder.
    pub(super) fn flat(files: &'a dyn Files, path: &[u8]) -> Self {
        Self {
            files,
            path: path.to_vec(),
            contents: [path, b"/"].concat(),
            is_mac: false,
        }
    }

    /// An app for macOS, whose files are in `Contents`.
    pub(super) fn mac(files: &'a dyn Files, path: &[u8]) -> Self {
        Self {
            files,
            path: path.to_vec(),
            contents: [path, b"/Contents/"].concat(),
            is_mac: true,
        }
    }

    /// The path of one of its files.
    fn path_of(&self, name: &str) -> Vec<u8> {
        [&self.contents, name.as_bytes()].concat()
    }

    /// The bytes of one of its files; `None` where there is none.
    pub(super) fn read(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, Refusal> {
        self.files.read(&self.path_of(name), max)
    }

    /// How many bytes one of its files has; `None` where there is none.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.files.size(&self.path_of(name))
    }

    /// The paths in it, without its own.
    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.files
            .paths()
            .filter_map(|path| path.strip_prefix(&self.contents[..]))
    }

    /// The folders in it that are bundles too, by their paths in the app.
    fn nested(&self) -> BTreeSet<String> {
        const SUFFIXES: [&[u8]; 5] = [b".framework", b".app", b".appex", b".xpc", b".systemextension"];
        let mut nested = BTreeSet::new();
        let prefix = self.path.len() + 1;
        for path in self.files.paths() {
            let Some(name) = path.strip_prefix(&self.contents[..]) else {
                continue;
            };
            let start = path.len() - name.len();
            for end in name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                let folder = &path[..start + end.0];
                if nested.len() < NESTED && SUFFIXES.iter().any(|suffix| folder.ends_with(suffix)) {
                    nested.insert(String::from_utf8_lossy(&folder[prefix..]).into_owned());
                }
            }
        }
        nested
    }

    /// The executable, by its name in `Info.plist` or else that of the folder.
    fn executable(&self, info: &Plist) -> Result<Option<Box<dyn Source + 'a>>, Refusal> {
        let folder = self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let stem = String::from_utf8_lossy(folder.strip_suffix(b".app").unwrap_or(folder));
        let name = info.text("CFBundleExecutable").unwrap_or(&stem);
        let path = if self.is_mac {
            self.mac_executable(name)
        } else {
            self.path_of(name)
        };
        self.files.executable(&path)
    }

    /// Where the executable of this name is, as Apple's disks find it: case does not matter, nor in
    /// which of two ways letters with accents are written, so that those lead to the only file there.
    fn mac_executable(&self, name: &str) -> Vec<u8> {
        let path = self.path_of(&format!("MacOS/{name}"));
        if self.files.size(&path).is_some() {
            return path;
        }
        let folder = self.path_of("MacOS/");
        let mut others = self
            .files
            .paths()
            .filter(|other| other.starts_with(&folder) && !other.ends_with(b"/"));
        let other = if name.is_ascii() {
            others.find(|other| other.eq_ignore_ascii_case(&path))
        } else {
            let only = others.next();
            only.filter(|_| others.next().is_none())
        };
        other.map_or_else(|| path.clone(), <[u8]>::to_vec)
    }

    /// Whether a notarization ticket is stapled to it. Old tools put a link to the list of resources at
    /// the same place.
    fn has_ticket(&self) -> Result<bool, Refusal> {
        if !self.is_mac {
            return Ok(false);
        }
        let ticket = self.read("CodeResources", RESOURCES)?.unwrap_or_default();
        let is_list = [&b"_CodeSignature/"[..], b"<?xml", b"bplist"];
        Ok(!ticket.is_empty() && !is_list.iter().any(|start| ticket.starts_with(start)))
    }
}

/// What a bundle says, for those who judge its signature.
pub(super) struct Told {
    pub(super) app_id: String,
    pub(super) profile: Option<Profile>,
    /// Whether a notarization ticket is stapled to it, or to what it comes in.
    pub(super) has_ticket: bool,
}

/// Adds all that an app tells. `is_stapled` says whether a ticket is stapled to what it comes in.
pub(super) fn describe(
    bundle: &Bundle<'_>,
    is_stapled: bool,
    subject: &Subject<'_>,
    inspection: &mut Inspection,
) -> Result<(), Refusal> {
    let report = &mut inspection.report;
    report.set_text("bundle_path", Some(shown(&bundle.path)));
    let Some(bytes) = bundle.read("Info.plist", PLIST)? else {
        report.error(
            "bundle.no_info_plist",
            format!(
                "The app {} has no Info.plist, so that no system knows what it is.",
                shown(&bundle.path)
            ),
            "Pack the app as the build made it.",
        );
        return Ok(());
    };
    let info = Plist::parse(&bytes, subject.budget)?;
    tell_info(&info, &bytes, bundle.is_mac, report);
    tell_nested(bundle, subject, report)?;
    let told = Told {
        app_id: info.text("CFBundleIdentifier").unwrap_or_default().to_owned(),
        profile: read_profile(bundle, subject, report)?,
        has_ticket: is_stapled || bundle.has_ticket()?,
    };
    report.set_flag(
        "has_code_signature_dir",
        Some(bundle.size("_CodeSignature/CodeResources").is_some()),
    );
    report.set_flag("stapled_ticket", Some(told.has_ticket));
    if told.app_id.is_empty() {
        report.warning(
            "bundle.no_id",
            "The app has no CFBundleIdentifier, without which devices do not install it.",
            "Set PRODUCT_BUNDLE_IDENTIFIER and build it again.",
        );
    }
    if told.app_id.starts_with("$(") || told.app_id.starts_with("${") {
        report.warning(
            "bundle.id_variable",
            format!(
                "The app's CFBundleIdentifier is {}, which the build did not fill in.",
                told.app_id
            ),
            "Have Xcode process the Info.plist, or write the id into it.",
        );
    }
    match bundle.executable(&info)? {
        Some(executable) => signed_code::describe(executable.as_ref(), bundle, &bytes, &told, subject, report)?,
        None => report.warning(
            "bundle.no_executable",
            "The executable that the app's Info.plist names is not in it, so that it cannot start.",
            "Pack the app as the build made it.",
        ),
    }
    set_icon(bundle, &info, subject, inspection)
}

/// The facts of an `Info.plist`.
fn tell_info(info: &Plist, bytes: &[u8], is_mac: bool, report: &mut Report) {
    let form = match Form::of(bytes) {
        Form::Binary => "binary",
        Form::Xml => "xml",
        Form::OpenStep => "openstep",
    };
    report.set_text("info_plist_format", Some(form));
    let bundle_name = info.text("CFBundleName");
    let display_name = info.text("CFBundleDisplayName").filter(|name| !name.is_empty());
    report.set_text("app_id", info.text("CFBundleIdentifier"));
    report.set_text("name", display_name.or(bundle_name));
    report.set_text("display_name", display_name);
    report.set_text("bundle_name", bundle_name);
    report.set_text("version", info.text("CFBundleShortVersionString"));
    let build = info.get("CFBundleVersion");
    let number = || build.and_then(Plist::as_integer).map(|number| number.to_string());
    report.set_text("build", info.text("CFBundleVersion").map(str::to_owned).or_else(number));
    let min_os = if is_mac {
        "LSMinimumSystemVersion"
    } else {
        "MinimumOSVersion"
    };
    report.set_text("min_os", info.text(min_os));
    report.set_text("executable", info.text("CFBundleExecutable"));
    report.set_text("package_type", info.text("CFBundlePackageType"));
    report.set_list("supported_platforms", info.texts("CFBundleSupportedPlatforms"));
    // Some tools write one without a list, and the numbers as texts.
    let families = info.get("UIDeviceFamily");
    let families = families.map(|family| family.as_array().unwrap_or(std::slice::from_ref(family)));
    let family = |value: &Plist| value.as_integer().or_else(|| value.as_text()?.parse().ok());
    let families = families.unwrap_or_default().iter().filter_map(family);
    let families: Vec<Value> = families.map(Value::from).collect();
    if !families.is_empty() {
        report.facts.insert("device_family".to_owned(), families.into());
    }
    let schemes = info.array("CFBundleURLTypes").iter();
    report.set_list("url_schemes", schemes.flat_map(|kind| kind.texts("CFBundleURLSchemes")));
    let encryption = info.get("ITSAppUsesNonExemptEncryption");
    report.set_flag("uses_non_exempt_encryption", encryption.and_then(Plist::as_bool));
}

/// The bundles in the app, and the ids of its extensions.
fn tell_nested(bundle: &Bundle<'_>, subject: &Subject<'_>, report: &mut Report) -> Result<(), Refusal> {
    let nested = bundle.nested();
    let prefix = if bundle.is_mac { "Contents/" } else { "" };
    let mut plugins = Vec::new();
    let mut frameworks = Vec::new();
    for path in &nested {
        let name = path.strip_prefix(prefix).unwrap_or(path);
        if let Some(name) = name
            .strip_prefix("Frameworks/")
            .filter(|name| name.ends_with(".framework"))
        {
            frameworks.push(name.to_owned());
        }
        let suffix = path.rsplit_once('.').map(|(_, suffix)| suffix);
        let is_extension = suffix == Some("appex");
        let parent = path.rsplit('/').nth(1).unwrap_or_default();
        let is_app = is_extension || suffix == Some("app");
        let is_needed = !bundle.is_mac && is_app && INSTALLED.contains(&parent);
        if !is_extension && !is_needed {
            continue;
        }
        let info = bundle.read(&format!("{name}/{prefix}Info.plist"), NESTED_PLIST)?;
        match info.map(|bytes| Plist::parse(&bytes, subject.budget)).transpose() {
            Ok(Some(info)) if is_extension => plugins.extend(info.text("CFBundleIdentifier").map(str::to_owned)),
            Ok(None) if is_needed => report.error(
                "bundle.nested_no_info_plist",
                format!("{path} in the app has no Info.plist, so that devices refuse the whole app."),
                "Pack the app as the build made it.",
            ),
            Err(refusal) if is_needed || !matches!(refusal, Refusal::Malformed { .. }) => return Err(refusal),
            // A Mac starts the app without it, as devices do with what is none of their business.
            _ => {}
        }
    }
    report.set_list("plugins", plugins);
    report.set_list("frameworks", frameworks);
    report.set_list("nested_bundles", nested);
    Ok(())
}

fn read_profile(bundle: &Bundle<'_>, subject: &Subject<'_>, report: &mut Report) -> Result<Option<Profile>, Refusal> {
    let name = if bundle.is_mac {
        "embedded.provisionprofile"
    } else {
        "embedded.mobileprovision"
    };
    let Some(bytes) = bundle.read(name, profile::SIZE)? else {
        return Ok(None);
    };
    match Profile::parse(&bytes, subject.budget) {
        Ok(found) => {
            profile::tell(&found, subject.now, report);
            Ok(Some(found))
        }
        Err(refusal @ Refusal::Malformed { .. }) => {
            report.warning(
                "provisioning.unreadable",
                format!("The app's provisioning profile cannot be read, so that devices refuse the app. {refusal}"),
                "Embed the profile as Apple made it.",
            );
            Ok(None)
        }
        Err(refusal) => Err(refusal),
    }
}

/// The largest of the icons that `Info.plist` names, or else of those in the asset catalogue.
fn set_icon(
    bundle: &Bundle<'_>,
    info: &Plist,
    subject: &Subject<'_>,
    inspection: &mut Inspection,
) -> Result<(), Refusal> {
    let icon = if bundle.is_mac {
        mac_icon(bundle, info, inspection)?
    } else {
        flat_icon(bundle, info)?
    };
    let Some(bytes) = icon else {
        inspection.icon = catalogued_icon(bundle, info, subject)?;
        return Ok(());
    };
    let icon = if bundle.is_mac {
        icns::icon(&bytes, subject.budget)
    } else {
        picture::icon(&bytes, subject.budget).map(Some)
    };
    match icon {
        Ok(icon) => inspection.icon = icon,
        Err(Refusal::Malformed { .. }) => inspection.report.info(
            "bundle.icon_unreadable",
            "The app's icon cannot be read, so that lists show none.",
            "See that the icon opens in a picture viewer.",
        ),
        Err(refusal) => return Err(refusal),
    }
    Ok(())
}

/// An icon from the asset catalogue, by its name there; `None` where there is none that can be read.
fn catalogued_icon(bundle: &Bundle<'_>, info: &Plist, subject: &Subject<'_>) -> Result<Option<Icon>, Refusal> {
    let mut names: Vec<&str> = ["CFBundleIconName", "CFBundleIconFile"]
        .into_iter()
        .filter_map(|key| info.text(key))
        .collect();
    for key in ["CFBundleIcons", "CFBundleIcons~ipad"] {
        let primary = info.get(key).and_then(|icons| icons.get("CFBundlePrimaryIcon"));
        // Of Apple TV it is the name itself.
        names.extend(primary.and_then(|icon| icon.text("CFBundleIconName").or_else(|| icon.as_text())));
    }
    let place = if bundle.is_mac {
        "Resources/Assets.car"
    } else {
        "Assets.car"
    };
    if names.is_empty() {
        return Ok(None);
    }
    let found = match bundle.read(place, CATALOGUE) {
        Ok(Some(bytes)) => car::icon(&bytes, &names, subject.budget),
        Ok(None) => return Ok(None),
        Err(refusal) => Err(refusal),
    };
    match found {
        Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => Err(stop),
        found => Ok(found.unwrap_or_default()),
    }
}

fn mac_icon(bundle: &Bundle<'_>, info: &Plist, inspection: &mut Inspection) -> Result<Option<Vec<u8>>, Refusal> {
    // The second names it in the asset catalogue, beside which Xcode writes a file of the same name.
    let named = ["CFBundleIconFile", "CFBundleIconName"].map(|key| info.text(key));
    let Some(name) = named.into_iter().flatten().find(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let name = if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}.icns")
    };
    inspection.report.set_text("icon", Some(&name));
    bundle.read(&format!("Resources/{name}"), ICON)
}

fn flat_icon(bundle: &Bundle<'_>, info: &Plist) -> Result<Option<Vec<u8>>, Refusal> {
    let mut stems: Vec<&str> = info.texts("CFBundleIconFiles").collect();
    stems.extend(info.text("CFBundleIconFile"));
    for key in ["CFBundleIcons", "CFBundleIcons~ipad"] {
        let primary = info.get(key).and_then(|icons| icons.get("CFBundlePrimaryIcon"));
        stems.extend(primary.into_iter().flat_map(|icon| icon.texts("CFBundleIconFiles")));
    }
    stems.truncate(ICON_NAMES);
    let is_icon = |name: &&[u8]| {
        let is_named = |stem: &&str| name.starts_with(stem.trim_end_matches(".png").as_bytes());
        name.ends_with(b".png") && !name.contains(&b'/') && stems.iter().any(is_named)
    };
    let size = |name: &&[u8]| bundle.files.size(&[&bundle.contents, *name].concat());
    let largest = bundle.names().filter(is_icon).max_by_key(size);
    largest.map_or(Ok(None), |name| {
        bundle.files.read(&[&bundle.contents, name].concat(), ICON)
    })
}

/// A property list as JSON, without its bytes and dates, which JSON has no form for.
pub(super) fn json(plist: &Plist) -> Option<Value> {
    Some(match plist {
        Plist::Bool(flag) => Value::from(*flag),
        Plist::Integer(number) => Value::from(*number),
        Plist::Real(number) => Value::from(*number),
        Plist::Text(text) => Value::from(text.as_str()),
        Plist::Array(list) => list.iter().filter_map(json).collect(),
        Plist::Dict(dict) => {
            let values = dict.iter().filter_map(|(key, value)| Some((key.clone(), json(value)?)));
            Value::Object(values.collect::<Map<_, _>>())
        }
        Plist::Data(_) | Plist::Date(_) => return None,
    })
}

impl Files for Zip<'_> {
    fn paths(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        Box::new(self.members().map(|member| member.name))
    }

    fn size(&self, path: &[u8]) -> Option<u64> {
        self.find(path).map(|member| member.size())
    }

    fn read(&self, path: &[u8], max: u64) -> Result<Option<Vec<u8>>, Refusal> {
        self.find(path).map(|member| Zip::read(self, &member, max)).transpose()
    }

    fn executable(&self, path: &[u8]) -> Result<Option<Box<dyn Source + '_>>, Refusal> {
        let Some(member) = self.find(path) else {
            return Ok(None);
        };
        Ok(Some(if member.is_stored() {
            Box::new(self.section(&member)?)
        } else if member.size() <= EXECUTABLE.min(self.budget().limits().member_bytes) {
            Box::new(Zip::read(self, &member, EXECUTABLE)?)
        } else {
            let reader = self.reader(&member)?.without_crc();
            Box::new(Skimmed::read(reader, member.size(), self.budget())?)
        }))
    }
}
