//! What Prometheus's own tool says of the metrics of a running server, and of the alerts.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::server::{Binaries, Launch};
use crate::{shell, tools};

const LIMIT: Duration = Duration::from_mins(1);

/// Checks the exposition, the configuration and the rules, and runs the rules' own tests.
pub fn run(binaries: &Binaries) -> Result<()> {
    let promtool = tools::promtool()?;
    let rules = shell::root().join("deploy/prometheus");
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let mut check = shell::command(&promtool);
        shell::run(check.args(arguments).current_dir(&rules), LIMIT)?;
    }

    let folder = tempfile::tempdir()?;
    let server = Launch::new(binaries, folder.path().join("data")).start()?;
    server.client.get("/api/apps")?.expect_ok()?;
    let metrics = server.client.get("/metrics")?.expect_ok()?;
    let mut check = shell::command(&promtool);
    check
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut check = check.stderr(Stdio::piped()).spawn()?;
    check
        .stdin
        .take()
        .context("promtool takes no input")?
        .write_all(classic(&String::from_utf8_lossy(&metrics.body)).as_bytes())?;
    let output = check.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "promtool check metrics: {}: {said}",
        output.status
    );
    ensure!(server.stop()?.success(), "the server did not stop as it should");
    Ok(())
}

/// The metrics in the older format, which is all that the tool reads: there a description has the name
/// of the samples, with their suffix, and facts are gauges.
fn classic(metrics: &str) -> String {
    let suffixed = |name: &str| {
        let is = |kind: &str| metrics.contains(&format!("# TYPE {name} {kind}\n"));
        match (is("counter"), is("info")) {
            (true, _) => format!("{name}_total"),
            (_, true) => format!("{name}_info"),
            _ => name.to_owned(),
        }
    };
    let line = |line: &str| match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
        ["#", "TYPE", name, "info"] => format!("# TYPE {} gauge\n", suffixed(name)),
        ["#", kind, name, text] => format!("# {kind} {} {text}\n", suffixed(name)),
        _ => format!("{line}\n"),
    };
    metrics.lines().map(line).collect()
}
