//! What a manifest says about an app, in a package as in an app bundle.

use serde_json::Map;

use crate::parse::resources::{Element, MEDIUM_DENSITY, Table, Value};
use crate::{Finding, Refusal, Report, Severity};

/// The numbers of attributes, as `android.R.attr` has them.
mod attribute {
    pub(super) const LABEL: u32 = 0x0101_0001;
    pub(super) const ICON: u32 = 0x0101_0002;
    pub(super) const NAME: u32 = 0x0101_0003;
    pub(super) const DEBUGGABLE: u32 = 0x0101_000F;
    pub(super) const MIN_SDK: u32 = 0x0101_020C;
    pub(super) const VERSION_CODE: u32 = 0x0101_021B;
    pub(super) const VERSION_NAME: u32 = 0x0101_021C;
    pub(super) const TARGET_SDK: u32 = 0x0101_0270;
    pub(super) const MAX_SDK: u32 = 0x0101_0271;
    pub(super) const TEST_ONLY: u32 = 0x0101_0272;
    pub(super) const REQUIRED: u32 = 0x0101_028E;
    pub(super) const VERSION_CODE_MAJOR: u32 = 0x0101_0576;
    pub(super) const ROUND_ICON: u32 = 0x0101_052C;
    pub(super) const SPLIT_REQUIRED: u32 = 0x0101_0591;
    pub(super) const EXTRACT_LIBRARIES: u32 = 0x0101_04EA;
}

const MAIN: &str = "android.intent.action.MAIN";
const LAUNCHERS: [&str; 2] = [
    "android.intent.category.LAUNCHER",
    "android.intent.category.LEANBACK_LAUNCHER",
];
/// The Android that an app wants which names one that is not out yet: such a name is only taken by
/// those who test that one, and v2 signatures are older.
const PREVIEW_SDK: u32 = 30;

/// A manifest, and the resources that it refers to.
pub(in crate::formats) struct Manifest<'a> {
    root: Element,
    pub(super) table: Table<'a>,
}

impl<'a> Manifest<'a> {
    /// The manifest of which `root` is the outermost element.
    pub(in crate::formats) fn new(root: Element, table: Table<'a>) -> Result<Self, Refusal> {
        if root.name != "manifest" {
            return Err(Refusal::malformed("manifest", "it is none"));
        }
        Ok(Self { root, table })
    }

    fn application(&self) -> Option<&Element> {
        self.root.children_named("application").next()
    }

    /// The name of the split that it is of, where it is not the app's own.
    pub(in crate::formats) fn split(&self) -> Option<&str> {
        self.root.text("split")
    }

    /// The attribute of the last `uses-sdk` that has it, as Android takes it.
    fn sdk(&self, id: u32) -> Result<Option<Value>, Refusal> {
        let value = self
            .root
            .children_named("uses-sdk")
            .filter_map(|sdk| sdk.get(id))
            .last();
        value.map_or(Ok(None), |value| self.table.resolve(value, MEDIUM_DENSITY))
    }

    fn sdk_number(&self, id: u32) -> Result<Option<u32>, Refusal> {
        Ok(self.sdk(id)?.and_then(|value| match value {
            Value::Integer(number) => Some(number),
            Value::Text(text) => Some(text.parse().unwrap_or(PREVIEW_SDK)),
            _ => None,
        }))
    }

    /// The oldest Android that it is for, by its SDK level.
    pub(super) fn min_sdk(&self) -> Result<u32, Refusal> {
        Ok(self.sdk_number(attribute::MIN_SDK)?.unwrap_or(1))
    }

    /// The Android that it is made for, by its SDK level.
    pub(super) fn target_sdk(&self) -> Result<u32, Refusal> {
        let target = self.sdk_number(attribute::TARGET_SDK)?;
        target.map_or_else(|| self.min_sdk(), Ok)
    }

    /// What stands for the app in a launcher: its icon, its round one, then its launched activity's.
    pub(super) fn icons(&self) -> impl Iterator<Item = &Value> {
        let application = self.application();
        let of = |id| application.and_then(|application| application.get(id));
        let activity = self.launched().and_then(|activity| activity.get(attribute::ICON));
        [of(attribute::ICON), of(attribute::ROUND_ICON), activity]
            .into_iter()
            .flatten()
    }

    /// The application's own icon.
    pub(super) fn icon(&self) -> Option<&Value> {
        self.application()?.get(attribute::ICON)
    }

    /// The activity that a launcher starts.
    fn launched(&self) -> Option<&Element> {
        let named = |element: &Element, name: &str| matches!(element.get(attribute::NAME), Some(Value::Text(text)) if text == name);
        let is_launched = |activity: &&Element| {
            activity.children_named("intent-filter").any(|filter| {
                let is_main = filter.children_named("action").any(|action| named(action, MAIN));
                let mut categories = filter.children_named("category");
                is_main && categories.any(|category| LAUNCHERS.iter().any(|launcher| named(category, launcher)))
            })
        };
        let children = &self.application()?.children;
        let mut activities = children
            .iter()
            .filter(|child| matches!(child.name.as_str(), "activity" | "activity-alias"));
        activities.find(is_launched)
    }

    fn label(&self) -> Result<Option<String>, Refusal> {
        for element in [self.application(), self.launched()].into_iter().flatten() {
            if let Some(label) = element.get(attribute::LABEL)
                && let Some(text) = self.table.text(label)?.filter(|text| !text.is_empty())
            {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn shown(&self, value: Option<&Value>) -> Result<Option<String>, Refusal> {
        let value = value.map_or(Ok(None), |value| self.table.resolve(value, MEDIUM_DENSITY))?;
        Ok(value.and_then(|value| match value {
            Value::Text(text) => Some(text),
            Value::Integer(number) => Some(number.cast_signed().to_string()),
            Value::Boolean(_) | Value::Reference(_) | Value::Other => None,
        }))
    }

    fn flag(&self, element: Option<&Element>, id: u32) -> Result<bool, Refusal> {
        let value = element.and_then(|element| element.get(id));
        let value = value.map_or(Ok(None), |value| self.table.resolve(value, MEDIUM_DENSITY))?;
        Ok(matches!(value, Some(Value::Boolean(true) | Value::Integer(1..))))
    }

    /// Whether it says that libraries stay in the package, and are used from there.
    pub(super) fn keeps_libraries(&self) -> Result<bool, Refusal> {
        let value = self
            .application()
            .and_then(|application| application.get(attribute::EXTRACT_LIBRARIES));
        let value = value.map_or(Ok(None), |value| self.table.resolve(value, MEDIUM_DENSITY))?;
        Ok(matches!(value, Some(Value::Boolean(false) | Value::Integer(0))))
    }

    /// The version code, of which the upper half is a field of its own.
    fn build(&self) -> Result<Option<String>, Refusal> {
        let code = self.root.get(attribute::VERSION_CODE);
        if let (Some(Value::Integer(code)), Some(Value::Integer(major @ 1..))) =
            (code, self.root.get(attribute::VERSION_CODE_MAJOR))
        {
            return Ok(Some((u64::from(*major) << 32 | u64::from(*code)).to_string()));
        }
        self.shown(code)
    }

    /// The names that the elements of this name have, each once.
    fn names<'b>(&'b self, element: &'b str, is_required: bool) -> Vec<&'b str> {
        let mut names = Vec::new();
        for element in self.root.children_named(element) {
            let optional = element.get(attribute::REQUIRED) == Some(&Value::Boolean(false));
            if let Some(Value::Text(name)) = element.get(attribute::NAME)
                && optional != is_required
                && names.len() < NAMES
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// Adds its facts.
    pub(in crate::formats) fn describe(&self, report: &mut Report) -> Result<(), Refusal> {
        report.set_text("app_id", self.root.text("package"));
        report.set_text("version", self.shown(self.root.get(attribute::VERSION_NAME))?);
        report.set_text("build", self.build()?);
        for (key, id) in [
            ("min_os", attribute::MIN_SDK),
            ("target_os", attribute::TARGET_SDK),
            ("max_os", attribute::MAX_SDK),
        ] {
            report.set_text(key, self.shown(self.sdk(id)?.as_ref())?);
        }
        report.set_text("split", self.split());
        report.set_text("name", self.label()?);
        report.set_flag(
            "debuggable",
            Some(self.flag(self.application(), attribute::DEBUGGABLE)?),
        );
        report.set_flag("test_only", Some(self.flag(self.application(), attribute::TEST_ONLY)?));
        self.describe_icon(report)?;
        let mut permissions = self.names("uses-permission", true);
        permissions.extend(self.names("uses-permission-sdk-23", true));
        report.set_list("permissions", permissions);
        report.set_list("features", self.names("uses-feature", true));
        report.set_list("optional_features", self.names("uses-feature", false));
        Ok(())
    }

    /// Where the icon is, for a device of common density and for each density.
    fn describe_icon(&self, report: &mut Report) -> Result<(), Refusal> {
        let Some(icon) = self.icon() else { return Ok(()) };
        report.set_text("icon_path", self.shown(Some(icon))?);
        let mut paths = Map::new();
        for density in self.table.densities()? {
            if let Some(Value::Text(path)) = self.table.resolve(icon, density)? {
                paths.insert(density.to_string(), path.into());
            }
        }
        report.set_object("icons_by_density", paths);
        Ok(())
    }

    /// What its facts mean for an install.
    pub(in crate::formats) fn warn(&self, report: &mut Report) -> Result<(), Refusal> {
        let is = |report: &Report, key: &str| report.facts.get(key) == Some(&true.into());
        let target = self.target_sdk()?;
        let is_base = self.split().is_none();
        let found = [
            (!report.facts.contains_key("app_id"), NO_PACKAGE),
            (is(report, "debuggable"), DEBUGGABLE),
            (is(report, "test_only"), TEST_ONLY),
            (!is_base, SPLIT),
            (
                self.flag(Some(&self.root), attribute::SPLIT_REQUIRED)? && is_base,
                SPLIT_REQUIRED,
            ),
            (target < OLDEST_TARGET_14 && is_base, OLD_TARGET),
            (target == OLDEST_TARGET_14 && is_base, OLD_TARGET_15),
        ];
        for (severity, code, message, help) in found.into_iter().filter_map(|(is_so, row)| is_so.then_some(row)) {
            report.findings.push(Finding {
                severity,
                code: code.into(),
                message: message.to_owned(),
                help: help.into(),
            });
        }
        Ok(())
    }
}

/// How many names a list may have; each is held against those before it.
const NAMES: usize = 1000;
/// Android 14 refuses apps that are made for an older one, and Android 15 also those for this one.
const OLDEST_TARGET_14: u32 = 23;

type Row = (Severity, &'static str, &'static str, &'static str);
const NO_PACKAGE: Row = (
    Severity::Error,
    "apk.no_package",
    "The manifest does not name the app's package, so that no Android installs it.",
    "Set the package or the application ID in the build.",
);
const DEBUGGABLE: Row = (
    Severity::Warning,
    "apk.debuggable",
    "It is debuggable: anybody with the device can read the app's data, and stores refuse it.",
    "Publish the release build on channels that are not for tests.",
);
const TEST_ONLY: Row = (
    Severity::Warning,
    "apk.test_only",
    "It is marked as test-only: Android installs it with `adb install -t` and not from a page.",
    "Build it with Build > Generate APK or with Gradle, and not by running it from the IDE.",
);
const SPLIT: Row = (
    Severity::Warning,
    "apk.split",
    "It is one split of an app, and does not install without the base.",
    "Publish the whole set as .apks or .xapk, or a universal APK.",
);
const SPLIT_REQUIRED: Row = (
    Severity::Warning,
    "apk.split_required",
    "It is the base of an app in splits, and does not install without them.",
    "Publish the whole set as .apks or .xapk, or a universal APK.",
);
const OLD_TARGET: Row = (
    Severity::Info,
    "apk.old_target",
    "It is made for Android 5.1 or older: Android 14 and newer refuse to install it.",
    "Raise targetSdkVersion to 24 or more.",
);
const OLD_TARGET_15: Row = (
    Severity::Info,
    "apk.old_target",
    "It is made for Android 6: Android 15 and newer refuse to install it.",
    "Raise targetSdkVersion to 24 or more.",
);
