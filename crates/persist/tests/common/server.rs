//! The program `persist serve` as a child, and the same without a process.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::{fs, thread};

use persist::{Backend, MemoryBlobs, RemoteBackend, protocol};
use serde_json::Value;

/// A connection to a server in this process, which ends with it.
pub fn serve_in_process(backend: impl Backend + 'static) -> RemoteBackend {
    let (input, requests) = io::pipe().unwrap();
    let (answers, output) = io::pipe().unwrap();
    thread::spawn(move || protocol::serve(&backend, &MemoryBlobs::default(), BufReader::new(input), output));
    RemoteBackend::connect(BufReader::new(answers), requests).unwrap()
}

/// The program with its database in that folder, and its standard input and output.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
    command.args(["serve", "--db", "store.db"]).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// A child, killed with -9 when it goes out of scope.
pub struct Server(pub Child);

impl Server {
    /// Starts one that speaks over its standard input and output.
    pub fn start(folder: &Path) -> Self {
        Self(command(folder).spawn().unwrap())
    }

    /// Starts one that listens, and waits until it says where.
    pub fn listen(folder: &Path, listen: &str) -> (Self, String) {
        let mut command = command(folder);
        let spawned = command.args(["--listen", listen]).stderr(Stdio::piped()).spawn();
        let mut server = Self(spawned.unwrap());
        let mut said = String::new();
        BufReader::new(server.errors()).read_line(&mut said).unwrap();
        let address = said.trim_end().strip_prefix("listening on ").expect(&said);
        (server, address.to_owned())
    }

    pub fn input(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }

    pub fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().unwrap())
    }

    fn errors(&mut self) -> ChildStderr {
        self.0.stderr.take().unwrap()
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// The most memory that it ever held, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A conversation, line by line.
pub struct Session<R, W> {
    pub reader: R,
    pub writer: W,
}

impl<R: BufRead, W: Write> Session<R, W> {
    /// Sends a line, without its end, and reads its answer.
    pub fn ask(&mut self, line: impl AsRef<[u8]>) -> Value {
        self.writer.write_all(line.as_ref()).unwrap();
        self.writer.write_all(b"\n").unwrap();
        self.hear()
    }

    pub fn hear(&mut self) -> Value {
        let mut answer = String::new();
        self.reader.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).expect(&answer)
    }
}

/// How a child that refuses to start ends: its exit code, and what it says.
pub fn refusal(command: &mut Command) -> (i32, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code().unwrap(), said)
}
