//! A folder or a server: one method an operation, the same answers from both.

mod local;
mod objects;
mod reads;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use dist_api::client::{Client, Options, Retry};
use dist_inspect::Inspector;
use dist_model::Refusal;
use dist_service::OpenMode;

use crate::printer::Printer;
use crate::session::usage;
use crate::settings::{Place, Settings, read_named};

pub use local::{Local, caller, refusal};
pub use reads::ReleaseName;

/// Where the state is.
pub enum Target {
    /// A store on this machine.
    Local(Local),
    /// A server.
    Remote {
        /// The connection.
        client: Client,
        /// The idempotency key of this command.
        key: String,
    },
}

impl Target {
    /// Opens what `settings` name. Nothing is sent to a server yet. `key` makes a command that is
    /// run again do nothing twice; a server is given a fresh one where there is none, so that the
    /// command's own retries are safe.
    pub fn open(
        settings: &Settings,
        mode: OpenMode,
        key: Option<String>,
        inspector: Arc<dyn Inspector>,
        printer: Printer,
    ) -> Result<Self, Refusal> {
        let Some(place) = &settings.place else {
            return Err(usage(
                "this needs a server or a store: name one with --server URL or --local-store DIR (DIST_SERVER, DIST_LOCAL_STORE)",
            ));
        };
        match &place.value {
            Place::Folder(folder) => Ok(Self::Local(Local::open(folder, mode, key, inspector)?)),
            Place::Server(url) => Ok(Self::Remote {
                client: client(url, settings, printer)?,
                key: key.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>())),
            }),
        }
    }

    /// The store's folder opened, or `store.local_only` for a command that cannot work over HTTP.
    pub fn local(&self, command: &str) -> Result<&Local, Refusal> {
        match self {
            Self::Local(local) => Ok(local),
            Self::Remote { .. } => Err(local_only(command)),
        }
    }
}

/// The refusal of a command that works on a folder only.
pub fn local_only(command: &str) -> Refusal {
    Refusal::new(
        dist_model::ErrorCode::StoreLocalOnly,
        format!("{command} works on a store's folder: run it on the server's machine with --local-store DIR"),
    )
}

fn client(url: &str, settings: &Settings, printer: Printer) -> Result<Client, Refusal> {
    let token = settings.credential.as_ref().map(|credential| credential.value.read());
    let ca_file = settings.ca_file.as_ref();
    let ca_pem = ca_file.map(|path| read_named(&path.value, "the CA file"));
    let notice = move |refusal: &Refusal, delay: Duration| {
        printer.warn(&format!("{refusal}; trying again in {:.1} s", delay.as_secs_f64()));
    };
    Client::new(Options {
        server: url.to_owned(),
        token: token.transpose()?,
        ca_pem: ca_pem.transpose()?,
        retry: Retry {
            notice: Arc::new(notice),
            ..Retry::default()
        },
    })
}
