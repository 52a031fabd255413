//! A store on this machine, worked on by whoever may open its folder.

use std::path::Path;
use std::sync::Arc;

use dist_api::Links;
use dist_inspect::Inspector;
use dist_model::{ErrorKind, Refusal};
use dist_service::{Caller, Error, Idempotency, OpenMode, Principal, Service, Setup};
use serde::Serialize;

/// An open store. Closed when it is dropped: what was answered is on disk by then.
pub struct Local {
    /// The use-cases.
    pub service: Service,
    /// The user who runs the command.
    pub caller: Caller,
    /// Links without a host: a folder does not know under which URL it is served.
    pub links: Links,
    key: Option<String>,
}

impl Local {
    /// Opens the store in `folder`, into whose files `inspector` looks.
    pub fn open(
        folder: &Path,
        mode: OpenMode,
        key: Option<String>,
        inspector: Arc<dyn Inspector>,
    ) -> Result<Self, Refusal> {
        init_logs();
        let setup = Setup {
            inspector,
            ..Setup::default()
        };
        Ok(Self {
            service: Service::open(folder, mode, setup).map_err(refusal)?,
            caller: caller(),
            links: Links::new(""),
            key,
        })
    }

    /// The key of this command together with what it asks for.
    pub fn once(&self, operation: &str, request: &impl Serialize) -> Result<Option<Idempotency>, Refusal> {
        let Some(key) = &self.key else { return Ok(None) };
        let request = serde_json::to_vec(request).unwrap_or_default();
        Idempotency::new(key, &[operation.as_bytes(), &request]).map(Some)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.service.shutdown();
    }
}

/// The user at the shell.
pub fn caller() -> Caller {
    Caller::new(Principal::Local(rustix::process::getuid().as_raw()))
}

/// What a local failure is refused with. There is no server whose log could be looked at, so the
/// causes of what should not fail are told here.
#[allow(clippy::needless_pass_by_value, reason = "given to map_err")]
pub fn refusal(error: Error) -> Refusal {
    let refusal = error.refusal();
    if !matches!(refusal.code.kind(), ErrorKind::Internal | ErrorKind::Full) {
        return refusal;
    }
    let mut causes = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        causes.push(next.to_string());
        cause = next.source();
    }
    refusal.with("causes", causes)
}

/// What the libraries warn of goes to stderr, plainly.
fn init_logs() {
    // A second target in one process finds the first one's subscriber.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_target(false)
        .with_ansi(false)
        .without_time()
        .try_init();
}
