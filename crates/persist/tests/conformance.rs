//! Every backend runs every case of the suite, under its own name.
#![allow(clippy::unwrap_used)]

mod scoreboard;

use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use persist::testing::{Started, Subject, cases};
use persist::{FolderBlobs, MemoryBlobs, MemoryLog, Options, RemoteBackend, SqlStore};
use tempfile::TempDir;

const BACKENDS: [scoreboard::Backend; 3] = [("memory", memory), ("sqlite", sqlite), ("protocol", protocol)];

fn main() {
    let trials = BACKENDS.iter().flat_map(|&(backend, subject)| {
        cases().map(move |case| {
            Trial::test(format!("{backend}::{}::{}", case.group, case.name), move || {
                case.check(subject()).map_err(Failed::from)
            })
        })
    });
    let mut trials: Vec<Trial> = trials.collect();
    trials.push(Trial::test("every group is whole", every_group_is_whole));
    trials.push(Trial::test("scoreboard", || {
        scoreboard::check(&BACKENDS).map_err(Failed::from)
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn memory() -> Subject {
    let (log, blobs) = (MemoryLog::default(), MemoryBlobs::default());
    Subject::new(move || Started {
        backend: Arc::new(log.clone()),
        blobs: Arc::new(blobs.clone()),
    })
}

fn sqlite() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    Subject::new(move || Started {
        backend: Arc::new(SqlStore::open(folder.path().join("store.db"), Options::default()).unwrap()),
        blobs: Arc::new(FolderBlobs::open(folder.path().join("blobs")).unwrap()),
    })
}

fn protocol() -> Subject {
    let mut place = Place {
        server: None,
        folder: tempfile::tempdir().unwrap(),
    };
    Subject::new(move || place.start())
}

/// A folder, and the server that keeps its store there.
struct Place {
    server: Option<Server>,
    folder: TempDir,
}

impl Place {
    /// Starts the server, after killing the one before.
    fn start(&mut self) -> Started {
        self.server = None;
        let server = self.server.insert(Server::start(self.folder.path()));
        Started {
            backend: Arc::new(server.remote.clone()),
            blobs: Arc::new(server.remote.clone()),
        }
    }
}

/// A child that runs the program. It is killed with the connection open, so that nothing tells it
/// to end.
struct Server {
    child: Child,
    remote: RemoteBackend,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_persist"))
            .args(["serve", "--db", "store.db"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        let remote = RemoteBackend::connect(BufReader::new(reader), writer).unwrap();
        Self { child, remote }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A suite that lost its cases would pass as well.
fn every_group_is_whole() -> Result<(), Failed> {
    let contract = [
        ("event", 6),
        ("log", 9),
        ("kv", 13),
        ("project", 9),
        ("subscribe", 9),
        ("concurrency", 8),
        ("snapshot", 11),
        ("compaction", 11),
        ("durable", 15),
        ("blob", 14),
        ("view", 11),
        ("cas", 11),
        ("catalog", 10),
        ("query", 9),
        ("batch", 10),
        ("upcast", 9),
        ("idempotency", 9),
        ("global", 11),
        ("example-acl", 10),
        ("recovery", 6),
    ];
    for (group, wanted) in contract {
        let found = cases().filter(|case| case.group == group).count();
        if found != wanted {
            return Err(format!("{group} has {found} cases, not {wanted}").into());
        }
    }
    Ok(())
}
