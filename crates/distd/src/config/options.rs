//! Flags, environment and file, and how they come together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use dist_model::Visibility;
use serde::Deserialize;

use super::{Config, size};

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
    #[error("the settings file {} cannot be read", path.display())]
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
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let file = match &self.config {
            Some(path) => read(path)?,
            None => Self::default(),
        };
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
        config.limits.connections = self.max_connections.or(file.max_connections);
        if let Some(log) = self.log.or(file.log) {
            config.log = log;
        }
        Ok(config)
    }
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
        ] {
            let error = resolve(file, Options::default()).unwrap_err();
            assert!(error.to_string().contains(part), "{file:?}: {error}");
        }
    }
}
