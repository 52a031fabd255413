//! Provisioning profiles: which apps of which team may run on which devices, and until when.

use super::asn1;
use super::cms::SignedData;
use super::plist::Plist;
use crate::{Budget, Refusal};

/// For whom a profile is. Its name often says something else, so that this follows from what it
/// allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For the developers' own devices, and for debugging; one for macOS does not say the latter.
    Development,
    /// For some devices.
    AdHoc,
    /// For all devices, by an enterprise for its people.
    Enterprise,
    /// For a store, which signs anew.
    AppStore,
}

impl Kind {
    /// The name in facts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::AdHoc => "adhoc",
            Self::Enterprise => "enterprise",
            Self::AppStore => "appstore",
        }
    }
}

/// A profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    plist: Plist,
    /// Whether it is a signed message, as Apple's are; who signed is not verified.
    pub is_signed: bool,
}

impl Profile {
    /// Reads a profile, which is a property list in a signed message. A bare list is read too.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and what a property list refuses.
    pub fn parse(bytes: &[u8], budget: &Budget) -> Result<Self, Refusal> {
        let is_signed = bytes.first() == Some(&asn1::tag::SEQUENCE);
        let plist = if is_signed {
            Plist::parse(&SignedData::parse(bytes)?.content_bytes()?, budget)?
        } else {
            Plist::parse(bytes, budget)?
        };
        let is_profile = ["UUID", "ExpirationDate", "TeamIdentifier"].map(|key| plist.get(key).is_some());
        if !is_profile.contains(&true) {
            return Err(Refusal::malformed(
                "provisioning profile",
                "it has neither an id nor a team",
            ));
        }
        Ok(Self { plist, is_signed })
    }

    /// For whom it is.
    pub fn kind(&self) -> Kind {
        if self.plist.get("ProvisionsAllDevices").and_then(Plist::as_bool) == Some(true) {
            return Kind::Enterprise;
        }
        if self.plist.get("ProvisionedDevices").is_none() {
            return Kind::AppStore;
        }
        if self.get_task_allow() == Some(true) || self.is_for_mac() {
            Kind::Development
        } else {
            Kind::AdHoc
        }
    }

    /// A text of its own list: `Name`, `UUID`, `AppIDName`, `TeamName`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.plist.text(key)
    }

    /// The teams, most often one.
    pub fn team_ids(&self) -> impl Iterator<Item = &str> {
        self.plist.texts("TeamIdentifier")
    }

    /// The systems, as in `iOS` and `OSX`.
    pub fn platforms(&self) -> impl Iterator<Item = &str> {
        self.plist.texts("Platform")
    }

    /// The devices, by their identifiers.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.plist.texts("ProvisionedDevices")
    }

    /// When it was made, in seconds since the Unix epoch.
    pub fn created(&self) -> Option<i64> {
        self.plist.get("CreationDate")?.as_date()
    }

    /// Until when it is valid, in seconds since the Unix epoch.
    pub fn expires(&self) -> Option<i64> {
        self.plist.get("ExpirationDate")?.as_date()
    }

    /// The certificates that may sign, in DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.plist
            .array("DeveloperCertificates")
            .iter()
            .filter_map(Plist::as_data)
    }

    /// The app that may run: a prefix, a dot, and an id or a pattern that ends in `*`.
    pub fn app_id(&self) -> Option<&str> {
        let entitlements = self.plist.get("Entitlements")?;
        let keys = ["application-identifier", "com.apple.application-identifier"];
        keys.iter().find_map(|key| entitlements.text(key))
    }

    /// Whether an app of this id may run; `None` where the profile does not say which.
    pub fn admits(&self, app_id: &str) -> Option<bool> {
        let (_, pattern) = self.app_id()?.split_once('.')?;
        Some(match pattern.strip_suffix('*') {
            Some(start) => app_id.starts_with(start),
            None => app_id == pattern,
        })
    }

    /// Whether a debugger may attach, where it says so.
    pub fn get_task_allow(&self) -> Option<bool> {
        let entitlements = self.plist.get("Entitlements")?;
        let keys = ["get-task-allow", "com.apple.security.get-task-allow"];
        keys.iter().find_map(|key| entitlements.get(key)?.as_bool())
    }

    fn is_for_mac(&self) -> bool {
        self.platforms().any(|platform| platform == "OSX")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn profile(contents: &str) -> Result<Profile, Refusal> {
        let plist = format!("<plist><dict>{contents}</dict></plist>");
        Profile::parse(plist.as_bytes(), &Budget::new(&Limits::default()))
    }

    #[test]
    fn the_kind_follows_from_what_is_allowed() {
        let id = "<key>UUID</key><string>x</string>";
        let all = "<key>ProvisionsAllDevices</key><true/>";
        let some = "<key>ProvisionedDevices</key><array><string>d</string></array>";
        let debug = "<key>Entitlements</key><dict><key>get-task-allow</key><true/></dict>";
        let mac = "<key>Platform</key><array><string>OSX</string></array>";
        for (parts, kind) in [
            (vec![], Kind::AppStore),
            (vec![all], Kind::Enterprise),
            (vec![some], Kind::AdHoc),
            (vec![some, debug], Kind::Development),
            (vec![some, mac], Kind::Development),
            (vec![mac], Kind::AppStore),
        ] {
            assert_eq!(profile(&format!("{id}{}", parts.concat())).unwrap().kind(), kind);
        }
        assert!(matches!(profile(""), Err(Refusal::Malformed { .. })));
    }

    #[test]
    fn a_pattern_admits_what_starts_like_it() {
        let admits = |pattern: &str, app: &str| {
            let entitlements = format!(
                "<key>UUID</key><string>x</string><key>Entitlements</key><dict>
                <key>application-identifier</key><string>{pattern}</string></dict>"
            );
            profile(&entitlements).unwrap().admits(app)
        };
        assert_eq!(admits("TEAM.*", "com.acme"), Some(true));
        assert_eq!(admits("TEAM.com.acme.*", "com.acme.app"), Some(true));
        assert_eq!(admits("TEAM.com.acme", "com.acme.app"), Some(false));
        assert_eq!(admits("TEAM", "com.acme"), None);
    }
}
