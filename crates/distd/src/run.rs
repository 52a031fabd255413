//! The program: settings, logs, signals.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use dist_inspect::ChildInspector;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Options};
use crate::server::Server;

/// The exit code of wrong settings.
const USAGE: u8 = 2;

/// Runs the server until SIGTERM or SIGINT, and says on stderr what goes wrong. A second signal
/// ends the process at once.
///
/// It starts its own runtime, so it must not be called from inside of one, and it inspects in
/// processes of the running program, which must begin with [`dist_inspect::run_if_inspector`].
pub fn run(options: &Options) -> ExitCode {
    let settings = options.gather();
    let mut config = match settings.config() {
        Ok(config) => config,
        Err(error) => {
            for problem in error.problems() {
                eprintln!("distd: {problem}");
            }
            return ExitCode::from(USAGE);
        }
    };
    if let Err(error) = init_logs(&config.log) {
        return fail(&error, USAGE);
    }
    log_panics();
    for doubt in settings.doubts(&config) {
        tracing::warn!("{doubt}");
    }
    // Relative to the folder that the server was started in, it may be another than one thinks.
    let data = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    tracing::info!("the data folder is {} ({})", data.display(), settings.origin_of_data());
    config.inspector = Arc::new(ChildInspector::of_this_program());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    let code = runtime.block_on(serve(config));
    // A backup or a verification whose client was cut off may go on for hours on a thread that blocks.
    // It ends with the process: what it leaves is told from what is whole.
    runtime.shutdown_background();
    code
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("distd: {error}");
    ExitCode::from(code)
}

async fn serve(config: Config) -> ExitCode {
    let signals = signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let (mut term, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => return fail(&error, 1),
    };
    let server = match Server::bind(config).await {
        Ok(server) => server,
        Err(error) => {
            let code = if let crate::StartError::Store(error) = &error {
                // Whoever starts a server reads its log: the refusal says what to do.
                let refusal = error.refusal();
                tracing::error!(code = refusal.code.as_str(), "cannot start: {}", refusal.message);
                refusal.code.kind().exit_code()
            } else {
                tracing::error!(error = crate::error::chain(&error), "cannot start");
                1
            };
            return ExitCode::from(code);
        }
    };
    tracing::info!("listening on http://{}", server.local_addr());
    if let Some(url) = server.setup_url() {
        tracing::warn!("nobody administers this server yet; make the first admin at {url}");
    }
    if let Some(address) = server.metrics_addr() {
        tracing::info!("metrics on http://{address}/metrics");
    }
    let shutdown = async move {
        tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(1);
        });
    };
    match server.serve(shutdown).await {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(
                error = crate::error::chain(&error),
                "stopped, and the last counts are lost"
            );
            ExitCode::from(1)
        }
    }
}

/// Lines for a person at a terminal, JSON for everything else; on stderr.
fn init_logs(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Another subscriber may be there already, where the server runs inside another program.
    let _ = if std::io::stderr().is_terminal() {
        logs.with_target(false).try_init()
    } else {
        let logs = logs.json().flatten_event(true).with_span_list(false);
        logs.with_ansi(false).try_init()
    };
    Ok(())
}

/// A panic is a line of the log like any other, with the request that it happened in.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        tracing::error!(at, "panicked: {}", panic.payload_as_str().unwrap_or("without a word"));
    }));
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_panic_is_one_line_of_the_log() {
        let mut log = tempfile::tempfile().unwrap();
        let subscriber = tracing_subscriber::fmt().with_writer(Arc::new(log.try_clone().unwrap()));
        let subscriber = subscriber.json().flatten_event(true).with_span_list(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::error_span!("request", request_id = "ci-42").entered();
            log_panics();
            let _ = std::panic::catch_unwind(|| panic!("fell\nover"));
        });
        let _ = std::panic::take_hook();
        let mut text = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["message"], &line["span"]["request_id"]),
            (&"panicked: fell\nover".into(), &"ci-42".into())
        );
        assert!(line["at"].as_str().unwrap().contains("run.rs:"), "{line}");
    }
}
