//! Inspection in processes of its own, so that no file can harm the program or hide other files:
//! whatever a parser does, it does it with little memory, for a short time, and without files or
//! processes of its own.
//!
//! A process serves one file after another, since starting one for each would cost a small publish
//! more than all the rest. One that dies is replaced, and its file is tried again in a new one: what a
//! file is said to be depends neither on what was inspected before nor on who ended the process.

mod serve;
mod wire;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dist_model::Timestamp;

use crate::{Inspection, Inspector, Unfinished, Workers};

pub use serve::run_if_inspector;

/// By this name the program knows that it is to inspect, and administrators know why it runs.
const NAME: &str = "dist-inspect";
/// The program that runs, even though another may have its path since an upgrade.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// The address space of a process, in bytes: the program itself and half a gigabyte at most, of which
/// real files take a small part.
const MEMORY: u64 = 512 << 20;
/// How long the inspection of one file may take.
const TIME: Duration = Duration::from_mins(1);
/// In how many processes a file is tried before it is held to be what ends them.
const ATTEMPTS: u32 = 2;

/// Inspects in child processes of a program whose `main` begins with [`run_if_inspector`].
#[derive(Debug)]
pub struct ChildInspector {
    program: PathBuf,
    memory: u64,
    time: Duration,
    most: usize,
    children: Mutex<Children>,
    freed: Condvar,
}

/// The processes, at work or waiting for it.
#[derive(Debug, Default)]
struct Children {
    idle: Vec<Worker>,
    busy: usize,
    started: u64,
    died: u64,
    timed_out: u64,
    files: u64,
    time: Duration,
}

impl ChildInspector {
    /// Inspects in processes of `program`, one a processor at most, with `memory` bytes of address
    /// space each and `time` for a file.
    pub fn new(program: impl Into<PathBuf>, memory: u64, time: Duration) -> Self {
        Self {
            program: program.into(),
            memory,
            time,
            most: std::thread::available_parallelism().map_or(1, usize::from),
            children: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// The same in processes of the running program, with half a gigabyte and a minute for a file.
    pub fn of_this_program() -> Self {
        Self::new(THIS_PROGRAM, MEMORY, TIME)
    }

    /// The ids of the processes that wait for work.
    pub fn idle_processes(&self) -> Vec<u32> {
        self.lock().idle.iter().map(|worker| worker.child.id()).collect()
    }

    /// Waits for a turn, and answers a process that waits for work, if there is one.
    fn begin(&self) -> (Turn<'_>, Option<Worker>) {
        let mut children = self.lock();
        while children.busy >= self.most {
            children = self.freed.wait(children).unwrap_or_else(PoisonError::into_inner);
        }
        children.busy += 1;
        let idle = children.idle.pop();
        (Turn(self), idle)
    }

    fn lock(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> io::Result<Worker> {
        let worker = Worker::start(&self.program, self.memory)
            .map_err(|error| io::Error::other(format!("no process to inspect in can be started: {error}")))?;
        self.lock().started += 1;
        Ok(worker)
    }

    /// Has `worker` inspect the file, and keeps it unless it failed.
    fn ask(&self, mut worker: Worker, file: &File, name: &str, now: Timestamp) -> Result<wire::Answer, Fault> {
        let began = Instant::now();
        let answer = worker.ask(file, name, now, self.time);
        let mut children = self.lock();
        children.files += 1;
        children.time += began.elapsed();
        match &answer {
            Ok(_) => children.idle.push(worker),
            Err(fault) => {
                match fault {
                    Fault::Time => children.timed_out += 1,
                    Fault::Died(_) => children.died += 1,
                }
                drop(children);
                let status = worker.end();
                tracing::warn!(name, ?fault, status, "an inspection came to no end");
            }
        }
        answer
    }
}

impl Inspector for ChildInspector {
    fn inspect(&self, file: &File, name: &str, now: Timestamp) -> io::Result<Inspection> {
        let (_turn, mut idle) = self.begin();
        for _ in 0..ATTEMPTS {
            let worker = match idle.take() {
                Some(worker) => worker,
                None => self.start()?,
            };
            match self.ask(worker, file, name, now) {
                Ok(answer) => return answer.into_inspection(),
                Err(Fault::Time) => return Ok(Unfinished::TimedOut.inspection(name)),
                Err(Fault::Died(_)) => {}
            }
        }
        Ok(Unfinished::Crashed.inspection(name))
    }

    fn workers(&self) -> Option<Workers> {
        let children = self.lock();
        Some(Workers {
            busy: children.busy,
            idle: children.idle.len(),
            most: self.most,
            started: children.started,
            died: children.died,
            timed_out: children.timed_out,
            files: children.files,
            time: children.time,
        })
    }
}

/// The right to have one process at work.
struct Turn<'a>(&'a ChildInspector);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
        self.0.freed.notify_one();
    }
}

/// Why a process did not answer.
#[derive(Debug)]
enum Fault {
    Time,
    Died(#[expect(dead_code, reason = "for the log")] io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Time,
            _ => Self::Died(error),
        }
    }
}

/// A process that inspects, and ends when it is dropped.
#[derive(Debug)]
struct Worker {
    child: Child,
    socket: UnixStream,
}

impl Worker {
    fn start(program: &Path, memory: u64) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .arg0(NAME)
            .arg(memory.to_string())
            .env_clear()
            // An interrupt at the terminal is for the program, which may let work under way finish.
            .process_group(0)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, socket })
    }

    fn ask(&mut self, file: &File, name: &str, now: Timestamp, time: Duration) -> Result<wire::Answer, Fault> {
        let deadline = Instant::now() + time;
        let request = wire::Request {
            name: name.to_owned(),
            now: now.as_millis(),
            time_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        };
        wire::send(&self.socket, &request, file)?;
        let answer = Timely {
            socket: &self.socket,
            deadline,
        };
        let mut answer = BufReader::new(answer.take(wire::MOST_BYTES));
        let mut line = Vec::new();
        answer.read_until(b'\n', &mut line)?;
        Ok(wire::Answer::read(&line, &mut answer)?)
    }

    /// Ends it, and says how it ended.
    fn end(mut self) -> String {
        let _ = self.child.kill();
        self.child
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads from a socket until a deadline, however slowly bytes come.
struct Timely<'a> {
    socket: &'a UnixStream,
    deadline: Instant,
}

impl Read for Timely<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut socket = self.socket;
        socket.read(buffer)
    }
}
