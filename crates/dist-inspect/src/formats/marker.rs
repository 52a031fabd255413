//! The members that tell zips apart.

/// A member of a zip that says what the zip is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Marker {
    /// `AndroidManifest.xml`
    AndroidManifest,
    /// `BundleConfig.pb`
    BundleConfig,
    /// `toc.pb`
    SplitsToc,
    /// `manifest.json`
    XapkManifest,
    /// `*.apk`, not in a folder
    InnerApk,
    /// Anything in `Payload/*.app/`
    IosApp,
    /// The same one folder down
    NestedIosApp,
    /// Anything in `*.app/Contents/`, at most one folder deep
    MacApp,
    /// `AppxManifest.xml`
    AppxManifest,
    /// `AppxBlockMap.xml`
    AppxBlockMap,
    /// `AppxMetadata/AppxBundleManifest.xml`
    AppxBundleManifest,
    /// `*.nuspec`, not in a folder
    Nuspec,
}

impl Marker {
    /// What a member of this name says. Names are compared as bytes, as those who install compare
    /// them, but for Windows, where case does not matter.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        let ends_with = |suffix: &[u8]| name.len() > suffix.len() && name.ends_with(suffix);
        let is_top = !name.contains(&b'/');
        match name {
            b"AndroidManifest.xml" => Some(Self::AndroidManifest),
            b"BundleConfig.pb" => Some(Self::BundleConfig),
            b"toc.pb" => Some(Self::SplitsToc),
            b"manifest.json" => Some(Self::XapkManifest),
            b"AppxBlockMap.xml" => Some(Self::AppxBlockMap),
            _ if is_top && ends_with(b".apk") => Some(Self::InnerApk),
            _ if is_top && ends_with(b".nuspec") => Some(Self::Nuspec),
            _ if name.eq_ignore_ascii_case(b"AppxManifest.xml") => Some(Self::AppxManifest),
            _ if name.eq_ignore_ascii_case(b"AppxMetadata/AppxBundleManifest.xml") => Some(Self::AppxBundleManifest),
            _ if is_in_ios_app(name) => Some(Self::IosApp),
            _ if is_in_nested_ios_app(name) => Some(Self::NestedIosApp),
            _ if is_in_mac_app(name) => Some(Self::MacApp),
            _ => None,
        }
    }
}

fn is_in_ios_app(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'/');
    let is_app = |folder: &[u8]| folder.len() > 4 && folder.ends_with(b".app");
    // The third part is there, if empty, even for the folder itself.
    parts.next() == Some(b"Payload") && parts.next().is_some_and(is_app) && parts.next().is_some()
}

fn is_in_nested_ios_app(name: &[u8]) -> bool {
    let slash = name.iter().position(|byte| *byte == b'/');
    slash.is_some_and(|slash| is_in_ios_app(&name[slash + 1..]))
}

fn is_in_mac_app(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'/');
    let is_app = |folder: &[u8]| folder.len() > 4 && folder.ends_with(b".app");
    let is_in_app = !name.starts_with(b"__MACOSX/") && parts.by_ref().take(2).any(is_app);
    // The part after it is there, if empty, even for the folder itself.
    is_in_app && parts.next() == Some(b"Contents") && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_by_name_and_place() {
        let cases: [(&str, Option<Marker>); 17] = [
            ("AndroidManifest.xml", Some(Marker::AndroidManifest)),
            ("base/AndroidManifest.xml", None),
            ("splits/base.apk", None),
            ("base.apk", Some(Marker::InnerApk)),
            (".apk", None),
            ("Payload/Acme.app/", Some(Marker::IosApp)),
            ("Payload/Acme.app", None),
            ("Payload/.app/x", None),
            ("x/Payload/Acme.app/Info.plist", Some(Marker::NestedIosApp)),
            ("Acme.app/Contents/Info.plist", Some(Marker::MacApp)),
            ("Acme 1.0/Acme.app/Contents/Info.plist", Some(Marker::MacApp)),
            ("Acme.app/Contents/MacOS/Acme", Some(Marker::MacApp)),
            ("Acme.app/Info.plist", None),
            ("a/b/Acme.app/Contents/Info.plist", None),
            ("__MACOSX/Acme.app/Contents/._Info.plist", None),
            ("appxmanifest.xml", Some(Marker::AppxManifest)),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(Marker::of(name.as_bytes()), expected, "{name}");
        }
    }
}
