//! Data folders that this program cannot or must not use.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{admin, expect, expect_exit, expect_whole};
use crate::server::{self, Binaries, Launch};
use crate::shell;

/// As long as a write waits for a lock, and a little more.
const LOCK_PATIENCE: Duration = Duration::from_secs(25);

/// A folder with a store that has one app.
pub fn store(binaries: &Binaries) -> Result<(tempfile::TempDir, std::path::PathBuf)> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    create_app(binaries, &data, "first")?;
    Ok((folder, data))
}

pub fn create_app(binaries: &Binaries, data: &Path, slug: &str) -> Result<()> {
    let (exit, answer) = binaries.local(data, &["app", "create", slug])?;
    ensure!(exit == 0, "app create: exit {exit}: {answer}");
    Ok(())
}

pub fn list_apps(binaries: &Binaries, data: &Path) -> Result<(i32, serde_json::Value)> {
    binaries.local(data, &["app", "list"])
}

/// What `distd` says on its way out; its exit code must be this.
pub fn failed_start(mut command: Command, exit: i32) -> Result<String> {
    let output = shell::output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(exit),
        "distd: {}, not {exit}: {said}",
        output.status
    );
    Ok(said)
}

pub fn distd(binaries: &Binaries, data: &Path) -> Command {
    let mut command = shell::command(&binaries.distd);
    command.arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
    command
}

/// The folder belongs to root, and the programs run as somebody else.
pub fn wrong_owner(binaries: &Binaries) -> Result<()> {
    let (folder, data) = store(binaries)?;
    // Everybody may come this far, and no further.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let as_nobody = |mut command: Command, program: &str| -> Result<Command> {
        // The build may lie where only root may look.
        let copy = folder.path().join(program);
        fs::copy(command.get_program(), &copy)?;
        let mut nobody = Command::new("setpriv");
        nobody
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy);
        nobody.args(command.get_args()).current_dir("/").stdin(Stdio::null());
        command = nobody;
        Ok(command)
    };
    let refuse = |path: &Path, whose: &str| -> Result<()> {
        let list = binaries.dist([
            "app".as_ref(),
            "list".as_ref(),
            "--local-store".as_ref(),
            data.as_os_str(),
        ]);
        let message = expect_exit(
            &server::answer(&mut as_nobody(list, "dist")?)?,
            4,
            "store.permission_denied",
        )?;
        let wanted = format!(
            "{} belongs to user {whose} and cannot be written by user 65534:65534: give it away with `chown -R 65534:65534 {}`",
            path.display(),
            data.display()
        );
        ensure!(message == wanted, "dist: {message:?}, not {wanted:?}");
        let said = failed_start(as_nobody(distd(binaries, &data), "distd")?, 4)?;
        ensure!(said.contains(&wanted), "distd: {said:?} does not say {wanted:?}");
        Ok(())
    };
    refuse(&data, "0:0").context("a folder of root's")?;
    // The folder is theirs, and a file in it is not, as after somebody has restored it as root.
    chown(&data, Some(65534), None)?;
    refuse(&data.join("dist.db"), "0:0").context("a database of root's")?;
    // Not even to be looked into.
    fs::set_permissions(&data, Permissions::from_mode(0o700))?;
    chown(&data, Some(0), None)?;
    refuse(&data, "0:0").context("a folder that is closed")?;
    fs::set_permissions(&data, Permissions::from_mode(0o755))?;
    expect_whole(binaries, &data)
}

/// Another process that holds the database's write lock until it is dropped.
struct Lock {
    holder: Child,
}

impl Lock {
    fn take(data: &Path) -> Result<Self> {
        let mut sqlite = shell::command("sqlite3");
        sqlite
            .arg(data.join("dist.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = sqlite.spawn()?;
        let commands = holder.stdin.as_mut().context("no stdin")?;
        commands.write_all(b"BEGIN IMMEDIATE;\nSELECT 'held';\n")?;
        let mut said = [0; 5];
        holder.stdout.as_mut().context("no stdout")?.read_exact(&mut said)?;
        ensure!(said == *b"held\n", "the lock was not taken");
        Ok(Self { holder })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where it has ended by itself the lock is gone too.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Somebody else writes to the database and does not end.
pub fn locked(binaries: &Binaries) -> Result<()> {
    let (_folder, data) = store(binaries)?;
    let server = Launch::new(binaries, &data).start()?;
    let client = admin(binaries, &server)?;
    let lock = Lock::take(&data)?;
    let start = Instant::now();
    let done = binaries.local(&data, &["app", "create", "second"])?;
    expect_exit(&done, 8, "store.busy").context("dist")?;
    expect(
        &client.post("/api/apps", &json!({"slug": "second"}))?,
        503,
        "store.busy",
    )
    .context("distd")?;
    ensure!(
        start.elapsed() < 2 * LOCK_PATIENCE,
        "busy only after {} s",
        start.elapsed().as_secs()
    );
    client.get("/api/apps")?.expect_ok().context("a read beside the lock")?;
    drop(lock);
    create_app(binaries, &data, "second")?;
    client.post("/api/apps", &json!({"slug": "third"}))?.expect_ok()?;
    server.stop()?;
    expect_whole(binaries, &data)
}

pub fn sqlite(database: &Path, sql: &str) -> Result<String> {
    shell::read(shell::command("sqlite3").arg(database).arg(sql))
}

/// The store was written by a version that does not exist yet.
pub fn newer(binaries: &Binaries) -> Result<()> {
    let (_folder, data) = store(binaries)?;
    let database = data.join("dist.db");
    let version = sqlite(&database, "PRAGMA user_version")?;
    sqlite(&database, "PRAGMA user_version = 1000000")?;
    let before = contents(&data)?;
    expect_exit(&list_apps(binaries, &data)?, 5, "store.newer")?;
    failed_start(distd(binaries, &data), 5)?;
    ensure!(contents(&data)? == before, "the refusal changed the store");
    sqlite(&database, &format!("PRAGMA user_version = {}", version.trim()))?;
    expect_whole(binaries, &data)
}

/// The database is another program's.
pub fn foreign(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("dist.db");
    sqlite(&database, "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")?;
    let before = fs::read(&database)?;
    expect_exit(&list_apps(binaries, folder.path())?, 5, "store.foreign")?;
    failed_start(distd(binaries, folder.path()), 5)?;
    ensure!(fs::read(&database)? == before, "the refusal changed the database");
    Ok(())
}

/// The db.json of an older version ends in the middle.
pub fn broken_import(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let half = r#"{"apps": [{"id": "a1", "slug": "acme", "display_name": "Acme"}], "releases": [{"id": "r1", "ver"#;
    fs::write(folder.path().join("db.json"), half)?;
    let before = contents(folder.path())?;
    expect_exit(&list_apps(binaries, folder.path())?, 7, "import.invalid")?;
    failed_start(distd(binaries, folder.path()), 7)?;
    ensure!(contents(folder.path())? == before, "the refusal changed the folder");
    Ok(())
}

/// Names and bytes of a folder's files, apart from what `SQLite` keeps beside an open database.
pub fn contents(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && !name.ends_with("-shm") && !name.ends_with("-wal") {
            files.push((name, fs::read(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}
