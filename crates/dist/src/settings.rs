//! Where the store is and who asks: flags before environment before the file `dist.toml`.
//!
//! The only module that looks at the process's environment. Everything is resolved once, and each
//! value remembers where it came from, which `dist config show` prints.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use dist_model::{ErrorCode, Refusal, nearest};

/// The environment variables that `dist` itself reads.
pub mod variables {
    /// The server's URL.
    pub const SERVER: &str = "DIST_SERVER";
    /// The token's secret.
    pub const TOKEN: &str = "DIST_TOKEN";
    /// A file that holds the token's secret.
    pub const TOKEN_FILE: &str = "DIST_TOKEN_FILE";
    /// The folder of a local store.
    pub const LOCAL_STORE: &str = "DIST_LOCAL_STORE";
    /// The app, where `--app` is not given.
    pub const APP: &str = "DIST_APP";
    /// The channel, where `--channel` is not given.
    pub const CHANNEL: &str = "DIST_CHANNEL";
    /// `dist ci publish`: the manifest.
    pub const MANIFEST: &str = "DIST_MANIFEST";
    /// `dist ci publish`: the artifacts in place of a manifest, a path or a glob a line.
    pub const FILES: &str = "DIST_FILES";
    /// `dist ci publish`: the version.
    pub const VERSION: &str = "DIST_VERSION";
    /// `dist ci publish`: the build.
    pub const BUILD: &str = "DIST_BUILD";
    /// `dist ci publish`: `true` begins or fills a draft.
    pub const DRAFT: &str = "DIST_DRAFT";
    /// `dist ci publish`: `true` writes nothing.
    pub const DRY_RUN: &str = "DIST_DRY_RUN";
    /// `dist ci publish`: `true` refuses what is otherwise a warning.
    pub const STRICT: &str = "DIST_STRICT";
    /// Set to anything: no colours.
    pub const NO_COLOR: &str = "NO_COLOR";

    /// All of them.
    pub const ALL: &[&str] = &[
        SERVER,
        TOKEN,
        TOKEN_FILE,
        LOCAL_STORE,
        APP,
        CHANNEL,
        MANIFEST,
        FILES,
        VERSION,
        BUILD,
        DRAFT,
        DRY_RUN,
        STRICT,
        NO_COLOR,
    ];
}

/// The name of the settings file, looked for from the working directory upward.
const FILE: &str = "dist.toml";

/// The environment, taken once.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own. Variables that are no UTF-8 are none that we read.
    pub fn of_process() -> Self {
        let pairs = std::env::vars_os();
        Self(
            pairs
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// A variable; one that is set to nothing counts as not set, as CI systems pass on unset
    /// secrets so.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A switch: off where the variable is not set.
    ///
    /// # Errors
    /// `usage.error` for anything but `true` and `false`: a misspelt `--dry-run` must not publish.
    pub fn switch(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(other) => Err(Refusal::new(
                ErrorCode::UsageError,
                format!("{name} is {other:?}: use true or false"),
            )),
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}

/// Where the state is: a server or a folder, exactly one of the two.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Where the state is")]
pub struct Connection {
    /// The server's URL [env: DIST_SERVER]
    #[arg(long, value_name = "URL", global = true)]
    pub server: Option<String>,
    /// The token's secret; better given in DIST_TOKEN or a file, where other users cannot see it
    #[arg(long, value_name = "SECRET", global = true)]
    pub token: Option<String>,
    /// A file that holds the token's secret [env: DIST_TOKEN_FILE]
    #[arg(long, value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// More root certificates, PEM, beside the system's
    #[arg(long, value_name = "FILE", global = true)]
    pub ca_file: Option<PathBuf>,
    /// The folder of a store on this machine, in place of a server [env: DIST_LOCAL_STORE]
    #[arg(long, value_name = "DIR", global = true)]
    pub local_store: Option<PathBuf>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment => f.write_str("environment"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// Everything that was said, in one of the three places.
#[derive(Clone, Debug)]
struct Layer {
    origin: Origin,
    server: Option<String>,
    local_store: Option<PathBuf>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    app: Option<String>,
    channel: Option<String>,
}

/// A server or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A server's URL.
    Server(String),
    /// A store's folder.
    Folder(PathBuf),
}

/// A secret, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// The secret itself.
    Secret(String),
    /// The file.
    File(PathBuf),
}

/// The resolved settings. Nothing is read from a file that a setting names until it is needed.
#[derive(Clone)]
pub struct Settings {
    /// Where the state is.
    pub place: Option<Setting<Place>>,
    /// Who asks.
    pub credential: Option<Setting<Credential>>,
    /// More root certificates.
    pub ca_file: Option<Setting<PathBuf>>,
    /// The app, where no flag names it.
    pub app: Option<Setting<String>>,
    /// The channel, where no flag names it.
    pub channel: Option<Setting<String>>,
}

impl Settings {
    /// Brings flags, environment and the nearest `dist.toml` from `folder` upward together.
    ///
    /// # Errors
    /// `usage.error` where the file is wrong, or one place names two that exclude each other.
    pub fn resolve(flags: &Connection, environment: &Environment, folder: &Path) -> Result<Self, Refusal> {
        let mut layers = vec![Layer::of_flags(flags), Layer::of_environment(environment)];
        if let Some(path) = folder
            .ancestors()
            .map(|folder| folder.join(FILE))
            .find(|path| path.is_file())
        {
            layers.push(Layer::of_file(&path)?);
        }
        Ok(Self {
            place: first(&layers, Layer::place)?,
            credential: first(&layers, Layer::credential)?,
            ca_file: first(&layers, |layer| Ok(layer.ca_file.clone()))?,
            app: first(&layers, |layer| Ok(layer.app.clone()))?,
            channel: first(&layers, |layer| Ok(layer.channel.clone()))?,
        })
    }
}

/// What the first layer that says anything says.
fn first<T>(
    layers: &[Layer],
    pick: impl Fn(&Layer) -> Result<Option<T>, Refusal>,
) -> Result<Option<Setting<T>>, Refusal> {
    for layer in layers {
        if let Some(value) = pick(layer)? {
            let origin = layer.origin.clone();
            return Ok(Some(Setting { value, origin }));
        }
    }
    Ok(None)
}

impl Layer {
    fn of_flags(flags: &Connection) -> Self {
        Self {
            origin: Origin::Flag,
            server: flags.server.clone(),
            local_store: flags.local_store.clone(),
            token: flags.token.clone(),
            token_file: flags.token_file.clone(),
            ca_file: flags.ca_file.clone(),
            app: None,
            channel: None,
        }
    }

    fn of_environment(environment: &Environment) -> Self {
        let text = |name| environment.get(name).map(str::to_owned);
        Self {
            origin: Origin::Environment,
            server: text(variables::SERVER),
            local_store: text(variables::LOCAL_STORE).map(PathBuf::from),
            token: text(variables::TOKEN),
            token_file: text(variables::TOKEN_FILE).map(PathBuf::from),
            ca_file: None,
            app: text(variables::APP),
            channel: text(variables::CHANNEL),
        }
    }

    /// Reads a `dist.toml`; its paths are relative to it.
    fn of_file(path: &Path) -> Result<Self, Refusal> {
        const KEYS: [&str; 6] = ["server", "local_store", "app", "channel", "ca_file", "token_file"];
        let wrong = |what: String| {
            Refusal::new(ErrorCode::UsageError, format!("{}: {what}", path.display()))
                .with("path", path.display().to_string())
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let table: toml::Table = text
            .parse()
            .map_err(|error| wrong(format!("{error}").trim().to_owned()))?;
        let mut values = BTreeMap::new();
        for (key, value) in table {
            if !KEYS.contains(&key.as_str()) {
                let hint = nearest(&key, KEYS).map_or_else(
                    || format!("use {}", KEYS.join(", ")),
                    |near| format!("did you mean {near:?}?"),
                );
                let hint = if key == "token" {
                    "a secret does not belong in a file that is checked in: use token_file".to_owned()
                } else {
                    hint
                };
                return Err(wrong(format!("nobody reads the key {key:?}: {hint}")));
            }
            let Some(text) = value.as_str() else {
                return Err(wrong(format!("{key} must be a text")));
            };
            values.insert(key, text.to_owned());
        }
        let beside = |value: String| {
            path.parent()
                .map_or_else(|| PathBuf::from(&value), |folder| folder.join(&value))
        };
        Ok(Self {
            server: values.remove("server"),
            local_store: values.remove("local_store").map(beside),
            token: None,
            token_file: values.remove("token_file").map(beside),
            ca_file: values.remove("ca_file").map(beside),
            app: values.remove("app"),
            channel: values.remove("channel"),
            origin: Origin::File(path.to_owned()),
        })
    }

    fn place(&self) -> Result<Option<Place>, Refusal> {
        match (self.server.clone(), self.local_store.clone()) {
            (Some(_), Some(_)) => Err(self.both("a server and a local store")),
            (server, folder) => Ok(server.map(Place::Server).or_else(|| folder.map(Place::Folder))),
        }
    }

    fn credential(&self) -> Result<Option<Credential>, Refusal> {
        match (self.token.clone(), self.token_file.clone()) {
            (Some(_), Some(_)) => Err(self.both("a token and a token file")),
            (secret, file) => Ok(secret.map(Credential::Secret).or_else(|| file.map(Credential::File))),
        }
    }

    fn both(&self, what: &str) -> Refusal {
        let place = match &self.origin {
            Origin::Flag => "the command line names".to_owned(),
            Origin::Environment => "the environment names".to_owned(),
            Origin::File(path) => format!("{} names", path.display()),
        };
        Refusal::new(ErrorCode::UsageError, format!("{place} both {what}: name one of them"))
    }
}

impl Credential {
    /// The secret; a file may end in a line break.
    pub fn read(&self) -> Result<String, Refusal> {
        let path = match self {
            Self::Secret(secret) => return Ok(secret.trim().to_owned()),
            Self::File(path) => path,
        };
        let text = read_named(path, "the token file")?;
        let text = String::from_utf8(text).unwrap_or_default();
        match text.trim() {
            "" => Err(Refusal::new(
                ErrorCode::UsageError,
                format!("the token file {} holds no token", path.display()),
            )),
            secret => Ok(secret.to_owned()),
        }
    }
}

/// The bytes of a file that a setting names.
pub fn read_named(path: &Path, what: &str) -> Result<Vec<u8>, Refusal> {
    std::fs::read(path).map_err(|error| {
        Refusal::new(
            ErrorCode::UsageError,
            format!("{what} {} cannot be read: {error}", path.display()),
        )
        .with("path", path.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &Connection, environment: &Environment, file: &str) -> Result<Settings, Refusal> {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        if !file.is_empty() {
            std::fs::write(folder.path().join(FILE), file).unwrap();
        }
        Settings::resolve(flags, environment, &below)
    }

    fn server(url: &str) -> Connection {
        Connection {
            server: Some(url.to_owned()),
            ..Connection::default()
        }
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file() {
        let environment = Environment::from([("DIST_LOCAL_STORE", "/env"), ("DIST_APP", "")]);
        let file = "server = 'http://file'\napp = 'acme'\n";
        let place = |settings: Settings| settings.place.unwrap().value;
        let flags = resolve(&server("http://flag"), &environment, file).unwrap();
        assert_eq!(place(flags), Place::Server("http://flag".into()));
        let settings = resolve(&Connection::default(), &environment, file).unwrap();
        assert_eq!(settings.place.as_ref().unwrap().origin, Origin::Environment);
        assert_eq!(
            settings.app.as_ref().unwrap().value,
            "acme",
            "an empty variable is none"
        );
        assert_eq!(place(settings), Place::Folder("/env".into()));
        let none = resolve(&Connection::default(), &Environment::default(), file).unwrap();
        assert_eq!(place(none), Place::Server("http://file".into()));
    }

    #[test]
    fn two_places_in_one_layer_are_refused() {
        let flags = Connection {
            local_store: Some("/x".into()),
            ..server("http://x")
        };
        let environment = Environment::from([("DIST_TOKEN", "a"), ("DIST_TOKEN_FILE", "b")]);
        for refusal in [
            resolve(&flags, &Environment::default(), "").err().unwrap(),
            resolve(&Connection::default(), &environment, "").err().unwrap(),
        ] {
            assert_eq!(refusal.code, ErrorCode::UsageError);
            assert!(refusal.message.contains("both"), "{refusal}");
        }
    }

    #[test]
    fn the_file_is_read_strictly_and_its_paths_are_beside_it() {
        for (file, part) in [
            ("sever = 'x'", "did you mean \"server\"?"),
            ("token = 'x'", "token_file"),
            ("app = 1", "app must be a text"),
            ("app = ", "dist.toml"),
        ] {
            let refusal = resolve(&Connection::default(), &Environment::default(), file)
                .err()
                .unwrap();
            assert!(refusal.message.contains(part), "{file}: {refusal}");
        }
        let settings = resolve(&Connection::default(), &Environment::default(), "local_store = 'data'").unwrap();
        let Setting {
            value: Place::Folder(path),
            origin: Origin::File(file),
        } = settings.place.unwrap()
        else {
            panic!("a folder from the file")
        };
        assert_eq!(path, file.with_file_name("data"));
    }

    #[test]
    fn a_token_file_may_end_in_a_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "dist_abc\r\n").unwrap();
        assert_eq!(Credential::File(path.clone()).read().unwrap(), "dist_abc");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(Credential::File(path).read().unwrap_err().code, ErrorCode::UsageError);
    }
}
