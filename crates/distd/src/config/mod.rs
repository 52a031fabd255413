//! What the server is told: flags before environment before file, resolved once.
//!
//! [`SETTINGS`] is the one table of what can be told. [`Options`] takes the flags and gathers what was
//! said in all the places, each value with its origin; from that come the [`Config`], and what
//! `distd config` shows and checks.

mod check;
mod command;
mod file;
mod oidc;
mod options;
mod problem;
mod resolve;
mod settings;
mod size;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dist_inspect::{InProcess, Inspector};
use dist_model::Visibility;
use ipnet::IpNet;

pub use command::ConfigCommand;
pub use oidc::OidcConfig;
pub use options::{HEADING, Options, USUAL_FILE};
pub(crate) use options::{ListenOptions, StoreOptions};
pub use problem::{ConfigError, Level, Problem};
pub use settings::{Kind, Otherwise, SETTINGS, Setting};

/// Everything that the server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder; made where there is none.
    pub data: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What links start with, path included; `http://` and the listening address where absent.
    pub public_url: Option<String>,
    /// Where `/metrics` is served instead of on the main address.
    pub metrics_listen: Option<SocketAddr>,
    /// A file that the listening port is written to, for whoever started the server on port 0.
    pub port_file: Option<PathBuf>,
    /// Who may see an app that a publish creates.
    pub default_visibility: Visibility,
    /// Where backups are written; `backups` in the data folder where absent.
    pub backup_dir: Option<PathBuf>,
    /// The proxies that may say where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// The provider that people may sign in with.
    pub oidc: Option<OidcConfig>,
    /// Who looks into uploaded files. The program `distd` has child processes do it; a server inside
    /// of another program does it by itself, unless that program gives it a [`ChildInspector`].
    ///
    /// [`ChildInspector`]: dist_inspect::ChildInspector
    pub inspector: Arc<dyn Inspector>,
    /// What is logged, in the syntax of `tracing`'s filters.
    pub log: String,
    /// Sizes and times.
    pub limits: Limits,
}

/// What a client may take of the server: sizes and times.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The size of one object, in bytes.
    pub upload_bytes: u64,
    /// The size of a JSON body, in bytes.
    pub json_bytes: usize,
    /// How many connections are open at once; from the descriptor limit where absent.
    pub connections: Option<usize>,
    /// How long a client may take to send a request's headers, and leave a connection idle.
    pub header_time: Duration,
    /// How long a client may send nothing of a body, or take nothing of an answer.
    pub stall_time: Duration,
    /// The time over which the rate of a body is measured.
    pub rate_window: Duration,
    /// The least rate of a body over that time, in bytes a second.
    pub least_rate: u64,
    /// How long requests under way may go on after the server was told to stop.
    pub shutdown_grace: Duration,
    /// How long a resumable upload is kept after its last part: no longer than the grace after which
    /// a cleanup sweeps staging files that nobody writes to.
    pub upload_expiry: Duration,
    /// How often what nothing refers to is looked for.
    pub cleanup_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 8 << 30,
            json_bytes: 1 << 20,
            connections: None,
            header_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(30),
            rate_window: Duration::from_mins(1),
            least_rate: 1024,
            shutdown_grace: Duration::from_secs(30),
            upload_expiry: Duration::from_hours(1),
            cleanup_interval: Duration::from_hours(1),
        }
    }
}

impl Config {
    /// A server on `data` and `listen`, everything else by default.
    pub fn new(data: impl AsRef<Path>, listen: SocketAddr) -> Self {
        Self {
            data: data.as_ref().to_owned(),
            listen,
            public_url: None,
            metrics_listen: None,
            port_file: None,
            default_visibility: Visibility::default(),
            backup_dir: None,
            trusted_proxies: Vec::new(),
            oidc: None,
            inspector: Arc::new(InProcess),
            log: "info".to_owned(),
            limits: Limits::default(),
        }
    }
}
