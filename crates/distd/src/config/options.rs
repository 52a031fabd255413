//! What was said of the settings: by flags, by the environment, in a file; the first of them counts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use clap::error::Error as ParseError;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use dist_model::nearest;

use super::settings::{DATA, Kind, LISTEN, Otherwise, PREFIX, PUBLIC_URL, SETTINGS, Setting};
use super::{Config, ConfigError, Problem, file};

/// Where the settings file is looked for unless somebody says where it is.
pub const USUAL_FILE: &str = "/etc/distd/distd.toml";
/// The folder that systemd made for the service (`systemd.exec(5)`); of several, the first.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// The data folder of whoever names none.
const USUAL_DATA: &str = "dist-data";

/// The settings file, which is told as a setting is, but not in itself.
const CONFIG: &Setting = &Setting {
    key: "config",
    kind: Kind::Path,
    placeholder: "FILE",
    meaning: "A TOML file with these settings",
    more: "",
    otherwise: Otherwise::Words("/etc/distd/distd.toml where it is there"),
    example: USUAL_FILE,
};

/// The server's flags: one for each setting, and `--config`. What they leave open is told by the
/// environment and by the settings file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    flags: BTreeMap<&'static str, String>,
}

/// The variables that the server reads, taken once.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(BTreeMap<String, OsString>);

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Flag,
    Environment,
    /// A line of the settings file.
    File(PathBuf, usize),
    /// systemd, by `STATE_DIRECTORY`.
    StateDirectory,
    Default,
}

/// What was said of a setting, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub text: String,
    pub origin: Origin,
}

/// What was said of every setting, before anybody asks whether it makes sense.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(super) values: BTreeMap<&'static str, Value>,
    /// What is wrong or doubtful about how it was said.
    pub(super) problems: Vec<Problem>,
}

impl Options {
    /// The settings that these flags, the environment of the process and the settings file come to.
    ///
    /// # Errors
    /// Where the server cannot be started with them; everything that is wrong is named.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        self.gather().config()
    }

    /// What was said in all the places.
    pub(crate) fn gather(&self) -> Settings {
        self.gather_from(&Environment::of_process(), Path::new(USUAL_FILE))
    }

    pub(super) fn gather_from(&self, environment: &Environment, usual_file: &Path) -> Settings {
        let mut problems = environment.doubts();
        let mut text_of = |setting: &Setting| {
            let (name, value) = (setting.variable(), environment.get(&setting.variable())?);
            if value.to_str().is_none() {
                problems.push(Problem::error(&name, "it is not UTF-8"));
            }
            value.to_str().map(str::to_owned)
        };
        let named = self.flags.get(CONFIG.key).cloned().or_else(|| text_of(CONFIG));
        let path = named.map(PathBuf::from);
        let path = path.or_else(|| is_there(usual_file).then(|| usual_file.to_owned()));
        let (mut values, wrong) = path.map_or_else(Default::default, |path| file::read(&path));
        for setting in SETTINGS {
            let by_variable = text_of(setting).map(|text| Value::new(text, Origin::Environment));
            let by_flag = self.flags.get(setting.key).cloned();
            let said = by_flag.map(|text| Value::new(text, Origin::Flag)).or(by_variable);
            let said = said.or_else(|| values.remove(setting.key));
            if let Some(value) = said.or_else(|| otherwise(setting, environment)) {
                values.insert(setting.key, value);
            }
        }
        problems.extend(wrong);
        Settings { values, problems }
    }

    fn of_matches(matches: &ArgMatches) -> Self {
        let given = |setting: &'static Setting| {
            // A command may have only some of the flags.
            let texts = matches.try_get_many::<String>(setting.key).ok().flatten()?;
            Some((setting.key, texts.cloned().collect::<Vec<_>>().join(",")))
        };
        Self {
            flags: SETTINGS.iter().chain([&CONFIG]).copied().filter_map(given).collect(),
        }
    }
}

/// A file that is there and cannot be looked at is none that may be passed over.
fn is_there(file: &Path) -> bool {
    let found = file.metadata();
    !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// What holds where nobody says anything.
fn otherwise(setting: &Setting, environment: &Environment) -> Option<Value> {
    if setting.key == DATA.key {
        let state = environment.get(STATE_DIRECTORY).and_then(OsStr::to_str);
        let state = state.and_then(|folders| folders.split(':').next());
        return Some(match state {
            Some(folder) => Value::new(folder.to_owned(), Origin::StateDirectory),
            None => Value::new(USUAL_DATA.to_owned(), Origin::Default),
        });
    }
    match setting.otherwise {
        Otherwise::Value(text) => Some(Value::new(text.to_owned(), Origin::Default)),
        Otherwise::Words(_) | Otherwise::Nothing => None,
    }
}

impl Settings {
    /// How a setting is called where it was said, so that one finds what to change.
    pub(super) fn place(&self, setting: &Setting) -> String {
        match self.values.get(setting.key).map(|value| &value.origin) {
            Some(Origin::Flag) => setting.flag(),
            Some(Origin::Environment) => setting.variable(),
            Some(Origin::File(path, line)) => format!("{}:{line}: {}", path.display(), setting.key),
            Some(Origin::StateDirectory) => STATE_DIRECTORY.to_owned(),
            Some(Origin::Default) | None => setting.key.to_owned(),
        }
    }

    /// Where the data folder was named.
    pub(crate) fn origin_of_data(&self) -> String {
        let data = self.values.get(DATA.key);
        data.map_or_else(String::new, |value| value.origin.to_string())
    }
}

impl Value {
    pub(super) fn new(text: String, origin: Origin) -> Self {
        Self { text, origin }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment => f.write_str("environment"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::StateDirectory => f.write_str(STATE_DIRECTORY),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Environment {
    /// The process's own.
    fn of_process() -> Self {
        let ours = |name: &str| name.starts_with(PREFIX) || name == STATE_DIRECTORY;
        let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(named.filter(|(name, _)| ours(name)).collect())
    }

    /// A variable; one that is set to nothing counts as not set, as compose files pass on unset ones so.
    fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(name)
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// Variables that begin as ours do and that nobody reads: typos, most of the time. They are no error,
    /// since others set such variables too.
    fn doubts(&self) -> Vec<Problem> {
        let known: Vec<String> = SETTINGS.iter().chain([&CONFIG]).map(|it| it.variable()).collect();
        let tails = || known.iter().filter_map(|name| name.strip_prefix(PREFIX));
        let unknown = self.0.iter().filter_map(|(name, value)| {
            let tail = name.strip_prefix(PREFIX)?;
            (!known.contains(name) && !is_service_link(tail, value)).then_some((name, tail))
        });
        unknown
            .map(|(name, tail)| {
                let hint = nearest(tail, tails()).map_or_else(
                    || "see `distd --help`".to_owned(),
                    |near| format!("did you mean {PREFIX}{near}?"),
                );
                Problem::warning(name, &format!("nobody reads this variable: {hint}"))
            })
            .collect()
    }
}

/// Whether Kubernetes or Docker set the variable for a service that is named `distd`, as in
/// `DISTD_SERVICE_HOST=10.0.0.1` and `DISTD_PORT_8787_TCP=tcp://10.0.0.1:8787`.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
fn is_service_link(tail: &str, value: &OsStr) -> bool {
    let is_address = value
        .to_str()
        .and_then(|value| value.split_once("://"))
        .is_some_and(|(scheme, _)| matches!(scheme, "tcp" | "udp" | "sctp"));
    let is_part = ["_PROTO", "_PORT", "_ADDR"].iter().any(|end| tail.ends_with(end)) && tail.starts_with("PORT_");
    is_address || is_part || tail.ends_with("SERVICE_HOST") || tail.contains("SERVICE_PORT")
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.into())).into())
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&'static str, &str); N]> for Options {
    fn from(pairs: [(&'static str, &str); N]) -> Self {
        Self {
            flags: pairs.map(|(key, value)| (key, value.to_owned())).into(),
        }
    }
}

impl Setting {
    fn argument(&self) -> Arg {
        let otherwise = match self.otherwise {
            Otherwise::Value(text) | Otherwise::Words(text) => format!(" [default: {text}]"),
            Otherwise::Nothing => String::new(),
        };
        let help = format!("{}{otherwise} [env: {}]", self.meaning, self.variable());
        let action = match self.kind {
            Kind::List => ArgAction::Append,
            Kind::Text | Kind::Path | Kind::Number => ArgAction::Set,
        };
        Arg::new(self.key)
            .long(self.key)
            .value_name(self.placeholder)
            .help(help)
            .help_heading(HEADING)
            .action(action)
    }
}

/// Under which heading the help lists the settings.
pub const HEADING: &str = "Settings";

impl Args for Options {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().chain([&CONFIG]).map(|setting| setting.argument()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ParseError> {
        Ok(Self::of_matches(matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ParseError> {
        self.flags.extend(Self::of_matches(matches).flags);
        Ok(())
    }
}

/// The flags of a command beside the server, which needs to know only some of the settings.
macro_rules! options_of {
    ($(#[$doc:meta])* $name:ident: $($setting:ident),+) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name(pub Options);

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                command.args([$($setting),+].map(|setting| setting.argument().global(true)))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ParseError> {
                Options::from_arg_matches(matches).map(Self)
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ParseError> {
                self.0.update_from_arg_matches(matches)
            }
        }
    };
}

options_of! {
    /// Where the store is, and what its links start with.
    StoreOptions: DATA, PUBLIC_URL, CONFIG
}
options_of! {
    /// Where the server listens.
    ListenOptions: LISTEN, CONFIG
}
