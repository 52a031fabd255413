//! Flags, environment and file, and how they come together.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use dist_model::{Role, Visibility};
use ipnet::IpNet;
use serde::Deserialize;

use super::{Config, oidc, size};

/// The server's flags, each with its environment variable. What neither gives is looked up in the
/// file that `--config` names, whose keys are spelled as the flags are.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Options {
    /// The data folder; made where there is none
    #[arg(long, env = "DISTD_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 0.0.0.0:8787]
    #[arg(long, env = "DISTD_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// What links start with, such as `https://get.example.org/dist`
    #[arg(long, env = "DISTD_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Serve /metrics on this address instead of the main one
    #[arg(long, env = "DISTD_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,
    /// Write the listening port to this file once the server listens
    #[arg(long, env = "DISTD_PORT_FILE", value_name = "FILE")]
    pub port_file: Option<PathBuf>,
    /// The largest upload, such as 8GiB [default: 8GiB]
    #[arg(long, env = "DISTD_UPLOAD_LIMIT", value_name = "SIZE")]
    pub upload_limit: Option<String>,
    /// The most connections at once [default: from the descriptor limit]
    #[arg(long, env = "DISTD_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// Who may see an app that a publish creates: public, unlisted or private [default: public]
    #[arg(long, env = "DISTD_DEFAULT_VISIBILITY", value_name = "WHO")]
    pub default_visibility: Option<Visibility>,
    /// Where backups are written [default: backups in the data folder]
    #[arg(long, env = "DISTD_BACKUP_DIR", value_name = "DIR")]
    pub backup_dir: Option<PathBuf>,
    /// The proxies that may say where a request comes from: addresses or networks such as 10.0.0.0/8
    #[arg(long, env = "DISTD_TRUSTED_PROXIES", value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxies: Option<Vec<String>>,
    /// The OIDC provider that people sign in with, by its issuer URL
    #[arg(long, env = "DISTD_OIDC_ISSUER", value_name = "URL")]
    pub oidc_issuer: Option<String>,
    /// What the provider calls this server
    #[arg(long, env = "DISTD_OIDC_CLIENT_ID", value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// A file with the secret that the provider gave this server
    #[arg(long, env = "DISTD_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// What the button to sign in there says [default: the issuer's host]
    #[arg(long, env = "DISTD_OIDC_NAME", value_name = "NAME")]
    pub oidc_name: Option<String>,
    /// Let in people of --oidc-allowed-domain whom nobody let in, with this role
    #[arg(long, env = "DISTD_OIDC_DEFAULT_ROLE", value_name = "ROLE")]
    pub oidc_default_role: Option<Role>,
    /// What their e-mail addresses end in after the @
    #[arg(long, env = "DISTD_OIDC_ALLOWED_DOMAIN", value_name = "DOMAIN")]
    pub oidc_allowed_domain: Option<String>,
    /// What is logged: error, warn, info, debug, or a filter such as `distd=debug` [default: info]
    #[arg(long, env = "DISTD_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// A TOML file with these settings
    #[arg(long, env = "DISTD_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The data folder is named nowhere.
    #[error("no data folder: name one with --data DIR or DISTD_DATA")]
    NoData,
    /// The file cannot be read.
    #[error("the file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or value that is not known.
    #[error("the settings file {} is wrong: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A setting has a value that cannot be.
    #[error("{setting}: {reason}")]
    Invalid {
        /// The setting, as its flag is spelled.
        setting: &'static str,
        /// Why.
        reason: String,
    },
}

impl Options {
    /// The settings that these flags, the environment behind them and the file come to.
    ///
    /// # Errors
    /// Where the file cannot be read or a setting is wrong; the message names it.
    pub fn resolve(mut self) -> Result<Config, ConfigError> {
        let mut file = match &self.config {
            Some(path) => read(path)?,
            None => Self::default(),
        };
        let oidc = oidc::resolve(&mut self, &mut file)?;
        let data = self.data.or(file.data).ok_or(ConfigError::NoData)?;
        let listen = self
            .listen
            .or(file.listen)
            .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 8787)));
        let mut config = Config::new(data, listen);
        config.public_url = self.public_url.or(file.public_url).map(public_url).transpose()?;
        config.metrics_listen = self.metrics_listen.or(file.metrics_listen);
        config.port_file = self.port_file.or(file.port_file);
        config.default_visibility = self.default_visibility.or(file.default_visibility).unwrap_or_default();
        config.backup_dir = self.backup_dir.or(file.backup_dir);
        if let Some(text) = self.upload_limit.or(file.upload_limit) {
            config.limits.upload_bytes = size::parse(&text).map_err(|reason| ConfigError::Invalid {
                setting: "--upload-limit",
                reason,
            })?;
        }
        config.trusted_proxies = proxies(self.trusted_proxies.or(file.trusted_proxies).unwrap_or_default())?;
        config.oidc = oidc;
        config.limits.connections = self.max_connections.or(file.max_connections);
        if let Some(log) = self.log.or(file.log) {
            config.log = log;
        }
        Ok(config)
    }
}

/// Networks, or single addresses.
fn proxies(networks: Vec<String>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: String| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| address()).map_err(|_| ConfigError::Invalid {
            setting: "--trusted-proxies",
            reason: format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"),
        })
    };
    networks.into_iter().map(network).collect()
}

fn read(path: &Path) -> Result<Options, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::Malformed {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Links are made by appending to the public URL, so it can have a path, and neither query nor
/// fragment.
fn public_url(url: String) -> Result<String, ConfigError> {
    let parsed = url.parse::<http::Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    match parsed {
        Some(uri) if uri.query().is_none() && !url.contains('#') => Ok(url),
        _ => Err(ConfigError::Invalid {
            setting: "--public-url",
            reason: format!("{url:?} is no URL such as https://get.example.org/dist"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(file: &str, options: Options) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("distd.toml");
        std::fs::write(&path, file).unwrap();
        Options {
            config: Some(path),
            ..options
        }
        .resolve()
    }

    #[test]
    fn flags_beat_the_file_and_the_file_beats_the_defaults() {
        let file =
            "data = '/srv/dist'\nlisten = '127.0.0.1:1'\nupload-limit = '1MiB'\ndefault-visibility = 'private'\n";
        let flags = Options {
            listen: Some("127.0.0.1:2".parse().unwrap()),
            ..Options::default()
        };
        let config = resolve(file, flags).unwrap();
        assert_eq!(config.data, Path::new("/srv/dist"));
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.limits.upload_bytes, 1 << 20);
        assert_eq!(config.default_visibility, Visibility::Private);
        assert_eq!(config.log, "info");
    }

    #[test]
    fn wrong_settings_are_named() {
        for (file, part) in [
            ("", "--data"),
            ("data = 'x'\ncolour = 1", "colour"),
            ("data = 'x'\nupload-limit = 'much'", "--upload-limit"),
            ("data = 'x'\npublic-url = 'example.org'", "--public-url"),
            ("data = 'x'\npublic-url = 'https://example.org/?a'", "--public-url"),
            ("data = [", "distd.toml"),
            ("data = 'x'\ntrusted-proxies = ['10.0.0.0/33']", "--trusted-proxies"),
            (
                "data = 'x'\noidc-issuer = 'http://id.example.org'\noidc-client-id = 'x'",
                "--oidc-issuer",
            ),
            ("data = 'x'\noidc-issuer = 'https://id.example.org'", "--oidc-client-id"),
            ("data = 'x'\noidc-client-id = 'x'", "--oidc-issuer"),
            (
                "data = 'x'\noidc-issuer = 'https://id.example.org'\noidc-client-id = 'x'\noidc-default-role = 'viewer'",
                "--oidc-allowed-domain",
            ),
            (
                "data = 'x'\noidc-issuer = 'https://id.example.org'\noidc-client-id = 'x'\noidc-client-secret-file = '/nowhere'",
                "/nowhere",
            ),
        ] {
            let error = resolve(file, Options::default()).unwrap_err();
            assert!(error.to_string().contains(part), "{file:?}: {error}");
        }
    }

    #[test]
    fn proxies_are_networks_or_addresses() {
        let file = "data = 'x'\ntrusted-proxies = ['10.0.0.0/8', '::1']";
        let proxies = resolve(file, Options::default()).unwrap().trusted_proxies;
        assert_eq!(proxies, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    }

    #[test]
    fn a_provider_is_named_by_its_host_unless_it_has_a_name() {
        let file = "data = 'x'\noidc-issuer = 'https://id.example.org/realms/a'\noidc-client-id = 'dist'\n";
        let oidc = resolve(file, Options::default()).unwrap().oidc.unwrap();
        assert_eq!((oidc.name.as_str(), oidc.admission), ("id.example.org", None));
        let file =
            format!("{file}oidc-name = 'Acme'\noidc-default-role = 'viewer'\noidc-allowed-domain = 'Acme.example'");
        let oidc = resolve(&file, Options::default()).unwrap().oidc.unwrap();
        assert_eq!(
            (oidc.name.as_str(), oidc.admission.unwrap().domain.as_str()),
            ("Acme", "acme.example")
        );
    }
}
