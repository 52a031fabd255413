//! From what was said of the settings to what the server is told.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use super::options::Settings;
use super::problem::Level;
use super::settings::{
    BACKUP_DIR, DATA, DEFAULT_VISIBILITY, LISTEN, LOG, MAX_CONNECTIONS, METRICS_LISTEN, PORT_FILE, PUBLIC_URL, Setting,
    TRUSTED_PROXIES, UPLOAD_LIMIT,
};
use super::{Config, ConfigError, Problem, oidc, size};

/// Reads one setting after the other and remembers what is wrong with each.
pub(super) struct Reading<'a> {
    settings: &'a Settings,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    /// The value of a setting, where something was said of it that makes sense.
    pub fn get<T, E: Display>(&mut self, setting: &Setting, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let value = self.settings.values.get(setting.key)?;
        parse(&value.text)
            .map_err(|error| self.refuse(setting, &error.to_string()))
            .ok()
    }

    pub fn text(&mut self, setting: &Setting) -> Option<String> {
        self.get(setting, |text| {
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned()).ok_or("it is empty")
        })
    }

    pub fn path(&mut self, setting: &Setting) -> Option<PathBuf> {
        self.text(setting).map(PathBuf::from)
    }

    /// Whether anything was said of a setting, sense or not.
    pub fn is_said(&self, setting: &Setting) -> bool {
        self.settings.values.contains_key(setting.key)
    }

    pub fn refuse(&mut self, setting: &Setting, message: &str) {
        self.problems
            .push(Problem::error(&self.settings.place(setting), message));
    }
}

impl Settings {
    /// What the server is told.
    ///
    /// # Errors
    /// Where it cannot be started so; everything that is wrong is named.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let (config, problems) = self.read();
        let errors: Vec<Problem> = problems.into_iter().filter(|it| it.level == Level::Error).collect();
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::new(errors))
        }
    }

    /// What the server would be told, and everything that is wrong or doubtful about how it was said.
    /// Where a setting is wrong, its place in the configuration is as if nothing had been said.
    pub(super) fn read(&self) -> (Config, Vec<Problem>) {
        let mut reading = Reading {
            settings: self,
            problems: self.problems.clone(),
        };
        let data = reading.path(DATA).unwrap_or_default();
        let listen = reading.get(LISTEN, address);
        let mut config = Config::new(data, listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 8787))));
        config.public_url = reading.get(PUBLIC_URL, public_url);
        config.trusted_proxies = reading.get(TRUSTED_PROXIES, proxies).unwrap_or_default();
        config.metrics_listen = reading.get(METRICS_LISTEN, address);
        if listen.is_some_and(|listen| config.metrics_listen.is_some_and(|metrics| clash(listen, metrics))) {
            let message = "the server listens there already: leave it out to have /metrics on the main address";
            reading.refuse(METRICS_LISTEN, message);
        }
        config.port_file = reading.path(PORT_FILE);
        config.default_visibility = reading.get(DEFAULT_VISIBILITY, str::parse).unwrap_or_default();
        config.backup_dir = reading.path(BACKUP_DIR);
        if let Some(bytes) = reading.get(UPLOAD_LIMIT, size::parse) {
            config.limits.upload_bytes = bytes;
        }
        config.limits.connections = reading.get(MAX_CONNECTIONS, |text| match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{text:?} is no number of connections such as 1000")),
        });
        if let Some(filter) = reading.get(LOG, log_filter) {
            config.log = filter;
        }
        config.oidc = oidc::read(&mut reading);
        (config, reading.problems)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no address with a port, such as 127.0.0.1:8787 or [::1]:8787"))
}

/// Whether two addresses cannot both be listened on.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_host
}

/// Networks, or single addresses.
fn proxies(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |text: &str| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse()
            .or_else(|_| address())
            .map_err(|_| format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"))
    };
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    texts.map(network).collect()
}

/// Links are made by appending to the public URL, so it can have a path, and neither query nor
/// fragment; and everybody sees it, so it can have no password.
fn public_url(text: &str) -> Result<String, String> {
    let parsed = text.parse::<http::Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    match parsed {
        Some(uri)
            if uri
                .authority()
                .is_some_and(|authority| authority.as_str().contains('@')) =>
        {
            Err("it has a name or a password in it, which every link would show".to_owned())
        }
        Some(uri) if uri.query().is_none() && !text.contains('#') => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no URL such as https://get.example.org/dist")),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{text:?} is no filter such as info,distd=debug: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dist_model::Visibility;

    use super::*;
    use crate::config::options::{Environment, Options};

    /// What flags, environment and a file come to; the file's name is not said, as it is the usual one.
    fn read(file: &str, environment: &Environment, flags: &Options) -> (Config, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("distd.toml");
        std::fs::write(&path, file).unwrap();
        let (mut config, problems) = flags.gather_from(environment, &path).read();
        config.data = config
            .data
            .strip_prefix(folder.path())
            .unwrap_or(&config.data)
            .to_owned();
        let shown = format!("{}/", folder.path().display());
        let problems = problems.iter().map(|problem| problem.to_string().replace(&shown, ""));
        (config, problems.collect())
    }

    fn problems(file: &str) -> Vec<String> {
        read(file, &Environment::default(), &Options::default()).1
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
        let file = "data = 'store'\nlisten = '127.0.0.1:1'\nupload-limit = '1MiB'\ndefault-visibility = 'private'\n";
        let environment = [
            ("DISTD_LISTEN", "127.0.0.1:2"),
            ("DISTD_UPLOAD_LIMIT", "2MiB"),
            ("DISTD_DEFAULT_VISIBILITY", ""),
        ];
        let (config, problems) = read(file, &environment.into(), &[("listen", "127.0.0.1:3")].into());
        assert_eq!(config.data, Path::new("store"), "relative to the file");
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.limits.upload_bytes, 2 << 20);
        assert_eq!(
            config.default_visibility,
            Visibility::Private,
            "an empty variable is none"
        );
        assert_eq!(config.log, "info");
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn with_nothing_said_the_server_starts() {
        let (config, problems) = read("", &Environment::default(), &Options::default());
        let library = Config::new("dist-data", config.listen);
        assert_eq!(
            (config.data, config.listen.to_string()),
            (library.data, "0.0.0.0:8787".to_owned())
        );
        assert_eq!(config.limits.upload_bytes, library.limits.upload_bytes);
        assert_eq!(
            (config.log, config.default_visibility),
            (library.log, library.default_visibility)
        );
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn a_service_has_its_data_where_systemd_made_a_folder() {
        let environment = Environment::from([("STATE_DIRECTORY", "/var/lib/distd:/var/lib/other")]);
        let data = |flags: &Options| read("", &environment, flags).0.data;
        assert_eq!(data(&Options::default()), Path::new("/var/lib/distd"));
        assert_eq!(data(&[("data", "mine")].into()), Path::new("mine"));
    }

    #[test]
    fn everything_that_is_wrong_is_named_with_its_place() {
        let file = "listen = 'here'\nlog = 7\nmax-connections = 0\ncolour = 1\npublic_url = 'x'\n";
        let environment = [("DISTD_UPLOAD_LIMIT", "much")];
        let (_, problems) = read(file, &environment.into(), &[("default-visibility", "secret")].into());
        assert_eq!(
            problems,
            [
                "distd.toml:2: log: it is written as in `log = \"info,distd=debug\"`",
                "distd.toml:4: nobody reads the key \"colour\": see `distd --help`",
                "distd.toml:5: nobody reads the key \"public_url\": did you mean \"public-url\"?",
                "distd.toml:1: listen: \"here\" is no address with a port, such as 127.0.0.1:8787 or [::1]:8787",
                "--default-visibility: \"secret\" is no visibility: use one of public, unlisted, private",
                "DISTD_UPLOAD_LIMIT: \"much\" is no unit: use B, KiB, MiB, GiB or TiB",
                "distd.toml:3: max-connections: \"0\" is no number of connections such as 1000",
            ]
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (file, part) in [
            ("public-url = 'example.org'", "public-url"),
            ("public-url = 'https://example.org/?a'", "public-url"),
            ("public-url = 'https://me:pass@example.org'", "password"),
            ("data = [", "distd.toml:1"),
            ("\n\ndata = ''", "it is empty"),
            ("trusted-proxies = ['10.0.0.0/33']", "10.0.0.0/33"),
            (
                "trusted-proxies = '10.0.0.0/8'",
                "trusted-proxies = [\"127.0.0.1\", \"::1\"]",
            ),
            ("listen = '0.0.0.0:1'\nmetrics-listen = '127.0.0.1:1'", "metrics-listen"),
            ("log = 'distd=loud'", "distd=loud"),
            (
                "oidc-issuer = 'http://id.example.org'\noidc-client-id = 'x'",
                "oidc-issuer",
            ),
            ("oidc-issuer = 'https://id.example.org'", "oidc-client-id"),
            ("oidc-client-id = 'x'", "oidc-issuer"),
            ("oidc-name = 'x'", "oidc-issuer"),
            (
                "oidc-issuer = 'https://a'\noidc-client-id = 'x'\noidc-default-role = 'viewer'",
                "oidc-allowed-domain",
            ),
            (
                "oidc-issuer = 'https://a'\noidc-client-id = 'x'\noidc-client-secret-file = '/nowhere'",
                "/nowhere",
            ),
        ] {
            let problems = problems(file);
            assert!(
                problems.len() == 1 && problems[0].contains(part),
                "{file:?}: {problems:?}"
            );
        }
    }

    #[test]
    fn no_problem_shows_what_may_be_a_secret() {
        let environment = [("DISTD_OIDC_CLIENT_SECRET", "hunter2")];
        let file = "oidc-client-secret = 'hunter2'\nlog = ['hunter2']\npublic-url = 'https://me:hunter2@example.org'";
        let (_, problems) = read(file, &environment.into(), &Options::default());
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(!problems.join(" ").contains("hunter2"), "{problems:?}");
        assert!(
            problems[0].contains("did you mean DISTD_OIDC_CLIENT_SECRET_FILE?"),
            "{problems:?}"
        );
        assert!(
            problems[1].contains("did you mean \"oidc-client-secret-file\"?"),
            "{problems:?}"
        );
    }

    #[test]
    fn variables_that_nobody_reads_are_doubtful_unless_kubernetes_set_them() {
        let environment = [
            ("DISTD_CONFIG_FILE", "x"),
            ("DISTD_PORT", "8080"),
            ("DISTD_PUBLICURL", "https://get.example.org"),
        ];
        let (_, problems) = read("", &environment.into(), &Options::default());
        assert_eq!(
            problems,
            [
                "DISTD_CONFIG_FILE: nobody reads this variable: see `distd --help`",
                "DISTD_PORT: nobody reads this variable: see `distd --help`",
                "DISTD_PUBLICURL: nobody reads this variable: did you mean DISTD_PUBLIC_URL?",
            ]
        );
        let of_kubernetes = [
            ("DISTD_PORT", "tcp://10.0.0.1:8787"),
            ("DISTD_PORT_8787_TCP", "tcp://10.0.0.1:8787"),
            ("DISTD_PORT_8787_TCP_ADDR", "10.0.0.1"),
            ("DISTD_PORT_8787_TCP_PORT", "8787"),
            ("DISTD_PORT_8787_TCP_PROTO", "tcp"),
            ("DISTD_SERVICE_HOST", "10.0.0.1"),
            ("DISTD_SERVICE_PORT", "8787"),
            ("DISTD_SERVICE_PORT_HTTP", "8787"),
        ];
        assert_eq!(read("", &of_kubernetes.into(), &Options::default()).1, [""; 0]);
    }

    #[test]
    fn proxies_are_networks_or_addresses() {
        let (config, _) = read(
            "trusted-proxies = ['10.0.0.0/8', '::1']",
            &Environment::default(),
            &Options::default(),
        );
        let (same, _) = read(
            "",
            &[("DISTD_TRUSTED_PROXIES", "10.0.0.0/8, ::1")].into(),
            &Options::default(),
        );
        assert_eq!(
            config.trusted_proxies,
            ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]
        );
        assert_eq!(same.trusted_proxies, config.trusted_proxies);
    }

    #[test]
    fn a_provider_is_named_by_its_host_unless_it_has_a_name() {
        let oidc = |file: &str| read(file, &Environment::default(), &Options::default()).0.oidc.unwrap();
        let file = "oidc-issuer = 'https://id.example.org/realms/a'\noidc-client-id = 'dist'\n";
        let plain = oidc(file);
        assert_eq!((plain.name.as_str(), plain.admission), ("id.example.org", None));
        let named = oidc(&format!(
            "{file}oidc-name = 'Acme'\noidc-default-role = 'viewer'\noidc-allowed-domain = 'Acme.example'"
        ));
        assert_eq!(
            (named.name.as_str(), named.admission.unwrap().domain.as_str()),
            ("Acme", "acme.example")
        );
    }

    /// Only the secret is not there.
    #[test]
    fn the_example_file_can_be_used_line_by_line() {
        let example = include_str!("../../../../deploy/distd.toml");
        let lines = example.lines().filter_map(|line| line.strip_prefix('#'));
        let settings: Vec<&str> = lines.filter(|line| !line.starts_with([' ', '#'])).collect();
        assert_eq!(settings.len(), crate::config::SETTINGS.len());
        let problems = problems(&settings.join("\n"));
        assert!(
            problems.len() == 1 && problems[0].contains("/run/secrets/"),
            "{problems:?}"
        );
    }
}
