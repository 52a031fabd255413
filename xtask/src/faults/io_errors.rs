//! A disk that fails: system calls of a running server that return EIO.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{admin, artifacts, digest, expect_whole, publish, random_bytes, upload};
use crate::http::{Answer, Client};
use crate::server::{Binaries, Launch, Server};
use crate::shell;

const ATTACH_LIMIT: Duration = Duration::from_secs(10);

/// A call that fails.
#[derive(Debug)]
struct Fault {
    calls: &'static str,
    /// The one file or folder of the store where it does.
    path: Option<&'static str>,
    /// Which of a thread's calls fail, in strace's words.
    when: &'static str,
}

/// What an upload does to the file and its folder. A staging file has no name to filter by, but
/// while nothing else is asked for, an upload's are the first such calls.
const UPLOAD: &[Fault] = &[
    Fault {
        calls: "pwritev",
        path: None,
        when: "when=1",
    },
    Fault {
        calls: "fsync",
        path: None,
        when: "when=1",
    },
    Fault {
        calls: "rename,renameat,renameat2,linkat",
        path: None,
        when: "when=1",
    },
    Fault {
        calls: "fsync",
        path: Some("objects"),
        when: "when=1+",
    },
];

/// What a commit does to the log.
const COMMIT: &[Fault] = &[
    Fault {
        calls: "pwrite64",
        path: Some("dist.db-wal"),
        when: "when=1",
    },
    Fault {
        calls: "pwrite64",
        path: Some("dist.db-wal"),
        when: "when=2",
    },
    Fault {
        calls: "pwrite64",
        path: Some("dist.db-wal"),
        when: "when=4+",
    },
    Fault {
        calls: "fsync,fdatasync",
        path: Some("dist.db-wal"),
        when: "when=1",
    },
    Fault {
        calls: "fsync,fdatasync",
        path: Some("dist.db-wal"),
        when: "when=1+",
    },
];

/// Each fault meets an upload or a publish, which must not be acknowledged; after a restart the
/// store is whole and can be written.
pub fn run(binaries: &Binaries) -> Result<()> {
    for fault in UPLOAD.iter().chain(COMMIT) {
        meet(binaries, fault, Write::Upload)?;
    }
    for fault in COMMIT {
        meet(binaries, fault, Write::Publish)?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Write {
    Upload,
    Publish,
}

fn meet(binaries: &Binaries, fault: &Fault, write: Write) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Launch::new(binaries, &data).start()?;
    let client = admin(binaries, &server)?;
    let bytes = random_bytes(100_000);
    if matches!(write, Write::Publish) {
        upload(&client, &bytes)?.expect_ok()?;
    }
    let injection = Injection::attach(&server, fault, folder.path())?;
    let answer = match write {
        Write::Upload => upload(&client, &bytes),
        Write::Publish => publish(&client, "1.0.0", &digest(&bytes)),
    }?;
    let was_hit = injection.detach()?;
    let what = format!("{write:?} with EIO at {fault:?}");
    check(&answer, was_hit).with_context(|| format!("{what}; the server's log ends with\n{}", server.log()))?;
    if answer.code() == "store.outcome_unknown" {
        let ready = client.get("/readyz")?;
        let said = String::from_utf8_lossy(&ready.body);
        ensure!(
            ready.status == 503 && said.contains("store.stopped"),
            "/readyz answered {} {said} after {what}",
            ready.status
        );
    }
    // A server that has lost its disk may not stop in order, but it stops.
    server.stop()?;
    after_restart(binaries, &data, &bytes, write).with_context(|| format!("after {what}"))
}

fn check(answer: &Answer, was_hit: bool) -> Result<()> {
    ensure!(
        was_hit,
        "no call was hit, so that nothing was shown (answered {})",
        answer.status
    );
    let code = answer.code();
    ensure!(
        answer.status == 500 && matches!(code.as_str(), "store.io" | "store.outcome_unknown" | "store.stopped"),
        "answered {} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(())
}

fn after_restart(binaries: &Binaries, data: &Path, bytes: &[u8], write: Write) -> Result<()> {
    let server = Launch::new(binaries, data).start()?;
    let client = Client {
        token: Some(binaries.token(data, "after", "admin")?),
        ..server.client.clone()
    };
    if matches!(write, Write::Publish) {
        // The failed commit is there as a whole or not at all.
        let found = artifacts(&client, "1.0.0")?;
        ensure!(
            found.is_none() || found == Some(vec![digest(bytes)]),
            "the release has {found:?}"
        );
    }
    upload(&client, bytes)?.expect_ok()?;
    publish(&client, "1.0.0", &digest(bytes))?.expect_ok()?;
    server.stop()?;
    expect_whole(binaries, data)
}

/// A tracer that makes calls fail while it is attached.
struct Injection {
    tracer: Child,
    trace: std::path::PathBuf,
}

impl Injection {
    fn attach(server: &Server, fault: &Fault, folder: &Path) -> Result<Self> {
        let trace = folder.join("trace");
        let said = folder.join("said");
        let mut strace = shell::command("strace");
        strace.args(["-f", "-y", "-e", &format!("trace={}", fault.calls)]);
        strace.args(["-e", &format!("inject={}:error=EIO:{}", fault.calls, fault.when)]);
        if let Some(path) = fault.path {
            strace.arg("-P").arg(server.data.join(path));
        }
        strace
            .arg("-o")
            .arg(&trace)
            .arg("-p")
            .arg(OsString::from(server.pid().to_string()));
        let tracer = strace.stderr(Stdio::from(fs::File::create(&said)?)).spawn()?;
        let injection = Self { tracer, trace };
        let deadline = Instant::now() + ATTACH_LIMIT;
        // It says so once all threads are attached.
        while !fs::read_to_string(&said)?.contains("attached") {
            ensure!(Instant::now() < deadline, "strace does not attach");
            sleep(Duration::from_millis(5));
        }
        Ok(injection)
    }

    /// Lets the calls be; tells whether any was hit.
    fn detach(mut self) -> Result<bool> {
        shell::end(&mut self.tracer)?;
        Ok(fs::read_to_string(&self.trace)?.contains("(INJECTED)"))
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.tracer.kill();
        let _ = self.tracer.wait();
    }
}
