//! The program really run, against a folder or against a server on it.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Where the scenario's state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `--local-store`.
    Local,
    /// `--server`, with an admin's token.
    Remote,
}

/// A store, a working folder, and perhaps a server.
pub struct World {
    pub kind: Kind,
    folder: TempDir,
    server: Option<Server>,
    token: String,
}

/// A server in this process, stopped when it is dropped.
struct Server {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a run of the program came to.
pub struct Run {
    pub line: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    /// A store with an admin's token, which the log of both kinds so begins with.
    pub fn new(kind: Kind) -> Self {
        Self::with_limits(kind, distd::Limits::default())
    }

    /// The same, where a server has these limits.
    pub fn with_limits(kind: Kind, limits: distd::Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let mut world = Self {
            kind: Kind::Local,
            folder,
            server: None,
            token: String::new(),
        };
        let made = world.json(&["token", "create", "--name", "admin", "--scope", "admin"]);
        made["secret"].as_str().unwrap().clone_into(&mut world.token);
        world.kind = kind;
        if kind == Kind::Remote {
            world.server = Some(Server::start(&world.store(), limits));
        }
        world
    }

    /// The store's folder.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The folder in which the program runs.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Writes a file into the working folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The program, told by the environment where the state is.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(&self.work(), arguments);
        match &self.server {
            Some(server) => command.env("DIST_SERVER", &server.url).env("DIST_TOKEN", &self.token),
            None => command.env("DIST_LOCAL_STORE", self.store()),
        };
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Run {
        finish(arguments, self.command(arguments))
    }

    /// Runs it with another token than the admin's.
    pub fn run_as(&self, token: &str, arguments: &[&str]) -> Run {
        let mut command = self.command(arguments);
        command.env("DIST_TOKEN", token);
        finish(arguments, command)
    }

    /// Runs it with `--json`, expects success, and answers the one object on stdout.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(run.code, 0, "{}: {}{}", run.line, run.stdout, run.stderr);
        run.json()
    }

    /// Makes a token with more arguments and answers its secret.
    pub fn token(&self, name: &str, arguments: &[&str]) -> String {
        let made = self.json(&[&["token", "create", "--name", name], arguments].concat());
        made["secret"].as_str().unwrap().to_owned()
    }

    /// Everything that a refused command must leave as it was: each table but those of the log and
    /// of usage, and the objects.
    pub fn snapshot(&self) -> BTreeMap<String, Vec<String>> {
        const TABLES: [&str; 9] = [
            "apps",
            "app_bundle_ids",
            "releases",
            "artifacts",
            "channels",
            "channel_history",
            "object_uploads",
            "doomed_objects",
            "install_links",
        ];
        let database = rusqlite::Connection::open(self.store().join("dist.db")).unwrap();
        let mut state = BTreeMap::new();
        for table in TABLES {
            state.insert(table.to_owned(), rows(&database, &format!("SELECT * FROM {table}")));
        }
        let tokens = rows(&database, "SELECT id, name, scopes, expires_at, revoked_at FROM tokens");
        state.insert("tokens".to_owned(), tokens);
        for folder in ["objects", "staging"] {
            let mut names: Vec<String> = std::fs::read_dir(self.store().join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            state.insert(folder.to_owned(), names);
        }
        state
    }
}

fn rows(database: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = database.prepare(sql).unwrap();
    let columns = statement.column_count();
    let found = statement.query_map([], |row| {
        let cells: Vec<String> = (0..columns).map(|i| format!("{:?}", row.get_ref(i).unwrap())).collect();
        Ok(cells.join("|"))
    });
    let mut found: Vec<String> = found.unwrap().map(Result::unwrap).collect();
    found.sort();
    found
}

/// The program in a folder, with nothing of this process's environment.
pub fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dist"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// The same, started by a shell that did something first.
pub fn program_in_shell(folder: &Path, first: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{first} && exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_dist"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn finish(arguments: &[&str], mut command: Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Run {
        line: arguments.join(" "),
        code: status.code().expect("not killed"),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

impl Run {
    /// The one object on stdout.
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error} in {:?} {}", self.line, self.stdout, self.stderr));
        assert!(value.is_object(), "{}: {value}", self.line);
        value
    }

    /// Expects a refusal as JSON with this code and exit code.
    pub fn refused(&self, code: &str, exit: i32) -> Value {
        let answer = self.json();
        assert_eq!(
            (answer["error"]["code"].as_str().unwrap_or("none"), self.code),
            (code, exit),
            "{}: {answer} {}",
            self.line,
            self.stderr
        );
        answer["error"]["details"].clone()
    }
}

impl Server {
    fn start(data: &Path, limits: distd::Limits) -> Self {
        let mut config = distd::Config::new(data, "127.0.0.1:0".parse().unwrap());
        config.limits = limits;
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = distd::Server::bind(config).await.unwrap();
                tell.send(server.local_addr()).unwrap();
                let wait = async {
                    let _ = stopped.await;
                };
                server.serve(wait).await.unwrap();
            });
        });
        Self {
            url: format!("http://{}", told.recv().unwrap()),
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A Debian package, each `seed` with its own bytes.
pub fn deb(seed: &str) -> Vec<u8> {
    const EMPTY: usize = 1024;
    let mut bytes = deb_without_data(seed, EMPTY as u64);
    bytes.extend([0; EMPTY]);
    bytes
}

/// A Debian package of `size` bytes, nearly all of them zeros that take no room.
pub fn large_deb(path: &Path, size: u64) {
    let before = deb_without_data("large", 0).len() as u64;
    std::fs::write(path, deb_without_data("large", size - before)).unwrap();
    let file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.set_len(size).unwrap();
}

/// An app for Android whose resources are 60 MB of zeros, which are read as one.
pub fn large_apk(path: &Path) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("AndroidManifest.xml", stored).unwrap();
    zip.start_file("resources.arsc", stored).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(60 << 20), &mut zip).unwrap();
    zip.finish().unwrap();
}

/// A Debian package up to the `data` bytes of its last member, which are zeros if there are no
/// files.
fn deb_without_data(seed: &str, data: u64) -> Vec<u8> {
    let control = format!(
        "Package: acme\nVersion: 1.0\nArchitecture: amd64\nMaintainer: Acme <acme@example.org>\n\
         Description: An example, {seed}\n"
    );
    let mut bytes = b"!<arch>\n".to_vec();
    let control = tar("./control", &control);
    for (name, length, content) in [
        ("debian-binary", 4, &b"2.0\n"[..]),
        ("control.tar", control.len() as u64, &control),
        ("data.tar", data, &[]),
    ] {
        bytes.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{length:<10}`\n", 0, 0, 0, 100_644).bytes());
        bytes.extend(content);
    }
    bytes
}

/// A tar of one file.
fn tar(name: &str, content: &str) -> Vec<u8> {
    let mut header = [0; 512];
    let mut put = |at: usize, field: &str| header[at..at + field.len()].copy_from_slice(field.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000000");
    // The sum is taken with blanks in its place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend(content.bytes());
    // To the end of its block, and two empty ones.
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    bytes
}

/// What differs from run to run and between a folder and a server, made the same.
pub fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"dist_[0-9a-f]{64}", "[secret]"),
        (r"\?link=[0-9a-f]{64}", "?link=[secret]"),
        (r"[0-9a-f]{64}", "[sha256]"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[id]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
        (r"http://127\.0\.0\.1:\d+/", "/"),
        (r#""[^" ]*/store/backups/[^"]*""#, r#""[backup]""#),
        (r"/tmp/[^ ]*/store/backups/\S*", "[backup]"),
        (r#""(local:\d+|token:admin)""#, r#""[actor]""#),
        (r"(local:\d+|token:admin) *", "[actor] "),
        (r"(ACTOR|BY) +", "$1  "),
        (r#""last_used_at":(null|"\[time\]")"#, r#""last_used_at":[used]"#),
    ]
}
