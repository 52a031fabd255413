//! What every command that reads or changes state works with.

use std::sync::Arc;

use dist_inspect::Inspector;
use dist_model::{ChannelName, ErrorCode, Refusal, Slug};
use dist_service::OpenMode;

use crate::printer::Printer;
use crate::settings::{Setting, Settings};
use crate::target::Target;

/// A request is done once, however often the command runs under the same key.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Once {
    /// Do this once, however often the command is run with the same key
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// The app, where a command needs one.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct AppFlag {
    /// The app's slug [env: DIST_APP]
    #[arg(long, value_name = "APP")]
    pub app: Option<String>,
}

/// What one run works with.
pub struct Session {
    /// What was said about the target.
    pub settings: Settings,
    /// Where answers go.
    pub printer: Printer,
    /// Who looks into files, here and in a store's folder.
    pub inspector: Arc<dyn Inspector>,
}

impl Session {
    /// The store or server that the settings name; a store must exist.
    pub fn target(&self) -> Result<Target, Refusal> {
        self.open(OpenMode::Existing, &Once::default())
    }

    /// The same, for a command that writes under a key.
    pub fn target_once(&self, once: &Once) -> Result<Target, Refusal> {
        self.open(OpenMode::Existing, once)
    }

    /// The same, for a command that begins a store where there is none.
    pub fn target_or_new(&self, once: &Once) -> Result<Target, Refusal> {
        self.open(OpenMode::Create, once)
    }

    fn open(&self, mode: OpenMode, once: &Once) -> Result<Target, Refusal> {
        let (key, inspector) = (once.idempotency_key.clone(), Arc::clone(&self.inspector));
        Target::open(&self.settings, mode, key, inspector, self.printer)
    }

    /// The app that a flag or the settings name.
    pub fn app(&self, flag: &AppFlag) -> Result<Slug, Refusal> {
        named(
            flag.app.as_deref(),
            self.settings.app.as_ref(),
            "an app",
            "--app or DIST_APP",
        )?
        .parse()
    }

    /// The channel that a flag or the settings name.
    pub fn channel(&self, flag: Option<&str>) -> Result<ChannelName, Refusal> {
        named(
            flag,
            self.settings.channel.as_ref(),
            "a channel",
            "--channel or DIST_CHANNEL",
        )?
        .parse()
    }
}

fn named<'a>(
    flag: Option<&'a str>,
    setting: Option<&'a Setting<String>>,
    what: &str,
    how: &str,
) -> Result<&'a str, Refusal> {
    flag.or(setting.map(|setting| setting.value.as_str()))
        .ok_or_else(|| usage(format!("this needs {what}: name one with {how}")))
}

/// A refusal of the command line itself.
pub fn usage(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::UsageError, message)
}
