//! `PostgreSQL` with its default, durable settings, driven by its own `pgbench`.
//!
//! Each transaction is one prepared statement, so that it costs one round trip.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::peers::{TYPE, data};
use crate::table::Contestant;

/// The rows that the store writes: the head, the stream, the event.
pub const SAME_ROWS: Script = Script {
    name: "PostgreSQL, the same rows",
    file: "same-rows.sql",
};
/// An event whose position a sequence gives out: with gaps, and not in the order of commits. No
/// two transactions write the same row, so none waits for another.
pub const INSERT: Script = Script {
    name: "PostgreSQL, an insert alone (gaps)",
    file: "insert.sql",
};

/// A transaction for `pgbench`.
#[derive(Clone, Copy)]
pub struct Script {
    name: &'static str,
    file: &'static str,
}

const SCHEMA: &str = "
    CREATE TABLE persist_head (id INT PRIMARY KEY, position BIGINT NOT NULL);
    INSERT INTO persist_head VALUES (1, 0);
    CREATE TABLE persist_streams (stream TEXT PRIMARY KEY, last_seq BIGINT NOT NULL);
    CREATE TABLE persist_events (position BIGINT PRIMARY KEY, stream TEXT NOT NULL, seq BIGINT NOT NULL,
        type TEXT NOT NULL, at BIGINT NOT NULL, recorded_at BIGINT NOT NULL, format BIGINT NOT NULL,
        meta TEXT, body TEXT, UNIQUE (stream, seq));
    CREATE TABLE inserted (position BIGSERIAL PRIMARY KEY, stream TEXT NOT NULL, type TEXT NOT NULL,
        at BIGINT NOT NULL, recorded_at BIGINT NOT NULL, format BIGINT NOT NULL, meta TEXT, body TEXT);
    CREATE INDEX ON inserted (stream, position);";

/// A server of its own in a temporary folder, which ends with this value.
pub struct Postgres {
    programs: PathBuf,
    /// Who runs the server, which refuses to be root: a user and a group.
    user: Option<(u32, u32)>,
    folder: TempDir,
    server: Option<Child>,
}

/// A contestant whose clients each commit so many events at a time.
pub fn contestant(postgres: &Result<Postgres, String>, script: Script, clients: u64, events: u64) -> Contestant<'_> {
    match postgres {
        Ok(postgres) => Contestant::new(script.name, move |time| postgres.rate(script, clients, events, time)),
        Err(why) => Contestant::missing(script.name, why),
    }
}

impl Postgres {
    /// Makes a database and starts its server, or says why that cannot be.
    pub fn start() -> Result<Self, String> {
        let programs = programs().ok_or("PostgreSQL's server and pgbench are not installed")?;
        let user = if geteuid().is_root() {
            Some(unprivileged().ok_or("there is no user `postgres` to run PostgreSQL as")?)
        } else {
            None
        };
        let mut postgres = Self {
            programs,
            user,
            folder: tempfile::tempdir().map_err(|error| error.to_string())?,
            server: None,
        };
        postgres
            .make()
            .map_err(|error| format!("PostgreSQL does not start: {error}"))?;
        Ok(postgres)
    }

    fn make(&mut self) -> io::Result<()> {
        let folder = self.folder.path().to_owned();
        if let Some((user, group)) = self.user {
            chown(&folder, Some(user), Some(group))?;
        }
        let data = folder.join("data");
        finished(
            self.command("initdb")
                .arg("-D")
                .arg(&data)
                .args(["-A", "trust", "-U", "bench"]),
        )?;
        let log = File::create(folder.join("log"))?;
        let mut server = self.command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(&folder);
        // By its socket in the folder alone; everything else is the default.
        server
            .args(["-c", "listen_addresses="])
            .stdout(log.try_clone()?)
            .stderr(log);
        self.server = Some(server.spawn()?);
        self.wait_until_ready()?;
        let body = data_literal();
        finished(self.client("psql").args(["-q", "-v", "ON_ERROR_STOP=1", "-c", SCHEMA]))?;
        let same_rows = format!(
            "WITH head AS (UPDATE persist_head SET position = position + :events WHERE id = 1 RETURNING position), \
             tip AS (INSERT INTO persist_streams VALUES ('hot', :events) ON CONFLICT (stream) \
             DO UPDATE SET last_seq = persist_streams.last_seq + :events RETURNING last_seq) \
             INSERT INTO persist_events SELECT position - n, 'hot', last_seq - n, '{TYPE}', 0, 0, 1, NULL, {body} \
             FROM head, tip, generate_series(:events - 1, 0, -1) AS n;\n"
        );
        let insert = format!(
            "INSERT INTO inserted (stream, type, at, recorded_at, format, body) \
             VALUES ('hot', '{TYPE}', 0, 0, 1, {body});\n"
        );
        fs::write(folder.join(SAME_ROWS.file), same_rows)?;
        fs::write(folder.join(INSERT.file), insert)
    }

    fn wait_until_ready(&self) -> io::Result<()> {
        for _ in 0..200 {
            if self.client("pg_isready").output()?.status.success() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        Err(io::Error::other(format!("the server is not ready after 10 s: {log}")))
    }

    /// Events a second, as `pgbench` counts transactions.
    fn rate(&self, script: Script, clients: u64, events: u64, time: Duration) -> f64 {
        let clients = clients.to_string();
        let seconds = time.as_secs().max(1).to_string();
        let output = finished(
            self.client("pgbench")
                .args(["-n", "-M", "prepared", "-c", &clients, "-T", &seconds])
                .args(["-D", &format!("events={events}"), "-f"])
                .arg(self.folder.path().join(script.file)),
        )
        .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = "));
        let tps = tps
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_else(|| panic!("{text}"));
        tps.parse::<f64>().unwrap() * events as f64
    }

    /// One of its programs, run as the user that it needs.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// A program that talks to the server.
    fn client(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command
            .arg("-h")
            .arg(self.folder.path())
            .args(["-U", "bench", "-d", "postgres"]);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // SIGINT is its fast shutdown.
            let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
            let asked = pid.is_some_and(|pid| kill_process(pid, Signal::INT).is_ok());
            if !asked {
                let _ = server.kill();
            }
            let _ = server.wait();
        }
    }
}

/// The newest version's programs, where Debian has them.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    programs.filter(|bin| has(bin, "postgres") && has(bin, "pgbench")).max()
}

fn has(folder: &Path, program: &str) -> bool {
    folder.join(program).exists()
}

/// The user and the group that Debian's package makes.
fn unprivileged() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let fields: Vec<_> = users
        .lines()
        .find(|line| line.starts_with("postgres:"))?
        .split(':')
        .collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

/// A colon before a name would be a variable of `pgbench`.
fn data_literal() -> String {
    format!("E'{}'", data().to_string().replace(':', "\\x3a"))
}

fn finished(command: &mut Command) -> io::Result<Output> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {said}", command.get_program().display())))
}
