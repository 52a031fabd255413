//! `cargo xtask durability`: the order of what the server asks of the kernel, from a trace of its
//! system calls. Nothing is acknowledged before it is on the disk: the file is synced before it
//! gets its name, its folder after it got it, the log's write before the answer.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::http::{Client, Request};
use crate::server::{Binaries, Launch};

const CALLS: &str = "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,write,writev,pwrite64,pwritev,sendto,sendmsg,recvfrom,read";
const TRACE_LIMIT: Duration = Duration::from_secs(20);

/// Traces one upload and one publish.
pub fn run(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, trace) = (folder.path().join("data"), folder.path().join("trace"));
    let words = ["strace", "-D", "-f", "-yy", "-s", "0", "-e", CALLS, "-o"];
    let strace = words.iter().map(PathBuf::from).chain([trace.clone()]);
    let server = Launch::new(binaries, &data).under(strace).start()?;
    let client = Client {
        token: Some(binaries.token(&data, "durability", "publish")?),
        ..server.client.clone()
    };
    let bytes = b"bytes that must be on the disk before they are acknowledged";
    let digest = hex::encode(Sha256::digest(bytes));
    let upload_port = ask(&client, "/api/upload", bytes)?;
    let release = json!({
        "app": "durable", "version": "1.0.0", "channel": "beta",
        "artifacts": [{"platform": "linux", "filename": "file.bin", "sha256": digest}],
    });
    let publish_port = ask(&client, "/api/apps/durable/releases", release.to_string().as_bytes())?;
    server.stop()?;

    let trace = Trace::read(&trace)?;
    trace.check_upload(upload_port, &digest).context("upload")?;
    trace.check_publish(publish_port).context("publish")?;
    println!("upload: sync of the file, rename, sync of the folder, write and sync of the log, answer");
    println!("publish: write and sync of the log, answer");
    Ok(())
}

/// Sends a request on a connection of its own; gives the connection's port on our side, by which
/// the trace names it.
fn ask(client: &Client, path: &str, body: &[u8]) -> Result<u16> {
    let mut connection = client.connect()?;
    let port = connection.local_port()?;
    let request = Request {
        method: "POST",
        path,
        headers: &[],
        length: body.len() as u64,
        body: &mut &*body,
    };
    connection.exchange(request, |_| {})?.expect_ok()?;
    Ok(port)
}

/// A system call; `from` and `to` are the lines where it began and returned.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: String,
    from: usize,
    to: usize,
}

impl Call {
    fn is_sync_of(&self, path: &str) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.arguments.contains(path)
    }

    fn is_write_to(&self, path: &str) -> bool {
        // The descriptor and what it stands for come first.
        let target = self.arguments.split(", ").next().unwrap_or_default();
        matches!(
            self.name.as_str(),
            "write" | "writev" | "pwrite64" | "pwritev" | "sendto" | "sendmsg"
        ) && target.contains(path)
    }

    fn is_read_of(&self, path: &str) -> bool {
        matches!(self.name.as_str(), "read" | "recvfrom") && self.arguments.contains(path)
    }

    fn gives_name(&self, name: &str) -> bool {
        (self.name.starts_with("rename") || self.name.starts_with("link")) && self.arguments.contains(name)
    }
}

struct Trace {
    calls: Vec<Call>,
}

const LOG: &str = "/dist.db-wal>";

impl Trace {
    /// Reads what strace wrote, which ends a little after the traced program.
    fn read(path: &Path) -> Result<Self> {
        let deadline = Instant::now() + TRACE_LIMIT;
        loop {
            let text = fs::read_to_string(path)?;
            let last = text.lines().last().unwrap_or_default();
            if last.contains("+++ exited") || last.contains("+++ killed") {
                return Ok(Self::parse(&text));
            }
            ensure!(Instant::now() < deadline, "strace has not finished its trace: {last}");
            sleep(Duration::from_millis(20));
        }
    }

    /// A call that another thread's lines interrupt is written in two parts.
    fn parse(text: &str) -> Self {
        let mut calls: Vec<Call> = Vec::new();
        let mut open: HashMap<&str, usize> = HashMap::new();
        for (line, words) in text.lines().enumerate() {
            let Some((thread, what)) = words.split_once(' ') else {
                continue;
            };
            let what = what.trim_start();
            if what.starts_with("<... ") {
                if let Some(call) = open.remove(thread).and_then(|at| calls.get_mut(at)) {
                    call.to = line;
                }
            } else if let Some((name, arguments)) = what.split_once('(') {
                if arguments.contains("<unfinished ...>") {
                    open.insert(thread, calls.len());
                }
                calls.push(Call {
                    name: name.to_owned(),
                    arguments: arguments.to_owned(),
                    from: line,
                    to: line,
                });
            }
        }
        Self { calls }
    }

    /// The last call before `end` that `is` the one; its absence is what `what` says.
    fn last_before(&self, end: usize, what: &str, is: impl Fn(&Call) -> bool) -> Result<&Call> {
        let found = self
            .calls
            .iter()
            .filter(|call| call.to < end && is(call))
            .max_by_key(|call| call.to);
        found.with_context(|| format!("no {what} before line {end} of the trace"))
    }

    /// When the server began to answer the connection whose port on our side is `port`.
    fn answer(&self, port: u16) -> Result<&Call> {
        let socket = format!("->127.0.0.1:{port}]");
        let found = self.calls.iter().find(|call| call.is_write_to(&socket));
        found.with_context(|| format!("no answer to {socket} in the trace"))
    }

    fn request(&self, port: u16) -> Result<&Call> {
        let socket = format!("->127.0.0.1:{port}]");
        let found = self.calls.iter().find(|call| call.is_read_of(&socket));
        found.with_context(|| format!("no request from {socket} in the trace"))
    }

    /// The log was written for this request, and all of that was synced before the answer.
    fn check_log(&self, after: usize, answer: usize) -> Result<()> {
        let write = self.last_before(answer, "write to the log", |call| call.is_write_to(LOG))?;
        ensure!(write.from > after, "nothing was written to the log for this request");
        let sync = self.last_before(answer, "sync of the log", |call| call.is_sync_of(LOG))?;
        ensure!(
            sync.from > write.to,
            "the log is written at {write:?} and not synced before the answer"
        );
        Ok(())
    }

    fn check_upload(&self, port: u16, digest: &str) -> Result<()> {
        let answer = self.answer(port)?.from;
        let named = self.last_before(answer, "rename of the file", |call| call.gives_name(digest))?;
        let synced = self.last_before(named.from, "sync of the file", |call| call.is_sync_of("/staging/"))?;
        let written = self.last_before(answer, "write of the file", |call| call.is_write_to("/staging/"))?;
        ensure!(
            synced.from > written.to,
            "the file is written at {written:?} after its sync"
        );
        let folder = self.last_before(answer, "sync of the folder", |call| call.is_sync_of("/objects>"))?;
        ensure!(
            folder.from > named.to,
            "the folder is not synced after the rename at {named:?}"
        );
        self.check_log(folder.to, answer)
    }

    fn check_publish(&self, port: u16) -> Result<()> {
        self.check_log(self.request(port)?.to, self.answer(port)?.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: &str = "\
7 pwritev(9</d/staging/a>, [\"\"], 1, 0) = 5
7 fsync(9</d/staging/a> <unfinished ...>
8 read(3<x>) = 0
7 <... fsync resumed>) = 0
7 renameat2(4</d/staging>, \"a\", 5</d/objects>, \"d1\", RENAME_NOREPLACE) = 0
7 fsync(5</d/objects>) = 0
6 pwrite64(6</d/dist.db-wal>, \"\"..., 4096, 0) = 4096
6 fdatasync(6</d/dist.db-wal>) = 0
8 writev(11<TCP:[127.0.0.1:1->127.0.0.1:2]>, [\"\"], 1) = 9";

    fn check(trace: &str) -> Result<()> {
        Trace::parse(trace).check_upload(2, "d1")
    }

    #[test]
    fn the_right_order_passes_and_every_other_does_not() {
        check(UPLOAD).unwrap();
        let lines: Vec<&str> = UPLOAD.lines().collect();
        let without = |at: usize| {
            let kept: Vec<&str> = lines
                .iter()
                .enumerate()
                .filter(|(line, _)| *line != at)
                .map(|(_, line)| *line)
                .collect();
            kept.join("\n")
        };
        // Everything but the other thread's read and the end of the interrupted sync is needed.
        for at in [1, 4, 5, 6, 7, 8] {
            check(&without(at)).unwrap_err();
        }
        let mut late = lines.clone();
        late.swap(7, 8);
        check(&late.join("\n")).unwrap_err();
        let mut early = lines.clone();
        early.swap(4, 5);
        check(&early.join("\n")).unwrap_err();
    }
}
