//! What a real child process asks of the real disk, in order, as `strace` saw it.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Tells a child where its store is.
pub const FOLDER: &str = "PERSIST_POWER_FOLDER";
/// Marks what a child says, so that it is not mistaken for what the test harness says.
pub const SAID: &str = "child: ";

/// Everything that changes files; not every architecture has those with a question mark.
const CALLS: &str = "trace=openat,write,writev,pwrite64,pwritev,ftruncate,fallocate,fsync,fdatasync,\
                     ?rename,renameat,renameat2,?link,linkat,?unlink,unlinkat";

/// One thing that happened, files by their names in the store's folder, which itself is `""`.
#[derive(Debug)]
pub enum Step {
    /// The name stands for a new, empty file if it stood for none.
    Create(String),
    /// Bytes were written at an offset.
    Write { name: String, at: usize, bytes: Vec<u8> },
    /// The file got this length.
    Truncate { name: String, length: usize },
    /// The name stands for nothing any more.
    Unlink(String),
    /// What was written so far is on the disk; of the folder: what its names stand for.
    Sync(String),
    /// A sync failed: what it was for may be on the disk or not, and no later sync of the file is
    /// about it.
    FailedSync(String),
    /// The child said this, to which no answer waits for a disk any more.
    Said(String),
}

/// Runs one test of this binary as a child, with the system calls failing that `inject` names,
/// and gives back everything that it did to the files of `folder`.
pub fn run(test: &str, folder: &Path, inject: Option<&str>) -> Vec<Step> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("strace")
        .args(["-f", "--seccomp-bpf", "-y", "-xx", "-s", "65536", "-e", CALLS])
        .args(inject.map(|fault| format!("--inject={fault}")))
        .arg("-o")
        .arg(trace.path())
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .expect("these tests need strace");
    let text = fs::read_to_string(trace.path()).unwrap();
    assert!(output.status.success(), "{test} failed under {inject:?}: {output:?}");
    Parser::new(&folder.canonicalize().unwrap()).parse(&text)
}

struct Parser<'a> {
    folder: &'a Path,
    steps: Vec<Step>,
    /// How many syncs are under way.
    syncing: usize,
}

impl<'a> Parser<'a> {
    fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            steps: Vec::new(),
            syncing: 0,
        }
    }

    /// A call that another thread's lines interrupt is written in two parts; it counts where it
    /// returned.
    fn parse(mut self, text: &str) -> Vec<Step> {
        let mut unfinished = HashMap::new();
        for line in text.lines() {
            let (thread, call) = line.split_once(' ').unwrap();
            let call = call.trim_start();
            if let Some(start) = call.strip_suffix(" <unfinished ...>") {
                self.syncing += usize::from(is_sync(start));
                unfinished.insert(thread, start);
            } else if let Some(end) = call.strip_prefix("<... ") {
                let start: &str = unfinished.remove(thread).unwrap();
                self.syncing -= usize::from(is_sync(start));
                let (_, end) = end.split_once(" resumed>").unwrap();
                self.call(&format!("{start}{end}"));
            } else {
                self.call(call);
            }
        }
        self.steps
    }

    fn call(&mut self, line: &str) {
        let Some(call) = Call::parse(line) else { return };
        let name = self.name(&call.path());
        let step = match (call.function, name) {
            ("write", None) => {
                self.steps.extend(call.said());
                return;
            }
            (_, Some(name)) => call.step(name),
            (_, None) => None,
        };
        let Some(step) = step else { return };
        // Otherwise it would matter where a sync began.
        let sync = matches!(step, Step::Sync(_) | Step::FailedSync(_));
        assert!(sync || self.syncing == 0, "a sync was under way during {line}");
        self.steps.push(step);
    }

    /// The name of a file that has to survive. `SQLite` makes the index of the log anew after a
    /// reboot, and the file that is locked has no content.
    fn name(&self, path: &[u8]) -> Option<String> {
        let path = Path::new(std::str::from_utf8(path).ok()?);
        let name = path.strip_prefix(self.folder).ok()?.to_str()?;
        let passing = ["-shm", ".lock"].iter().any(|end| name.ends_with(end));
        (!passing).then(|| name.to_owned())
    }
}

/// A system call that has returned.
struct Call<'a> {
    function: &'a str,
    arguments: &'a str,
    result: &'a str,
}

impl<'a> Call<'a> {
    /// Signals and ends of threads are on lines of another form.
    fn parse(line: &'a str) -> Option<Self> {
        let (function, rest) = line.split_once('(')?;
        let (arguments, result) = rest.rsplit_once(" = ")?;
        Some(Self {
            function,
            arguments: arguments.trim_end().trim_end_matches(')'),
            result,
        })
    }

    /// The path that the call names, or else that of its descriptor.
    fn path(&self) -> Vec<u8> {
        match self.function {
            "openat" | "unlink" | "unlinkat" => self.quoted(),
            _ => unhex(between(self.arguments, '<', '>')),
        }
    }

    fn quoted(&self) -> Vec<u8> {
        assert!(!self.arguments.contains("\"..."), "the trace is cut short");
        unhex(between(self.arguments, '"', '"'))
    }

    fn last_number(&self) -> usize {
        self.arguments.rsplit(", ").next().unwrap().parse().unwrap()
    }

    /// What the call did to the file of this name, if it did something.
    fn step(&self, name: String) -> Option<Step> {
        let failed = self.result.starts_with("-1");
        Some(match self.function {
            "fsync" | "fdatasync" if failed => Step::FailedSync(name),
            _ if failed => return None,
            "fsync" | "fdatasync" => Step::Sync(name),
            "openat" if self.arguments.contains("O_CREAT") => Step::Create(name),
            "openat" => return None,
            "unlink" | "unlinkat" => Step::Unlink(name),
            "ftruncate" => Step::Truncate {
                name,
                length: self.last_number(),
            },
            "pwrite64" => {
                let mut bytes = self.quoted();
                bytes.truncate(self.result.parse().unwrap());
                let at = self.last_number();
                Step::Write { name, at, bytes }
            }
            other => panic!("{other} is not understood: {}", self.arguments),
        })
    }

    /// What a child says in its output.
    fn said(&self) -> Vec<Step> {
        let text = String::from_utf8_lossy(&self.quoted()).into_owned();
        text.lines()
            .filter_map(|line| line.split_once(SAID))
            .map(|(_, said)| Step::Said(said.to_owned()))
            .collect()
    }
}

fn is_sync(call: &str) -> bool {
    call.starts_with("fsync(") || call.starts_with("fdatasync(")
}

/// What stands between the first `open` and the next `close`.
fn between(text: &str, open: char, close: char) -> &str {
    let (_, rest) = text.split_once(open).unwrap_or_default();
    rest.split_once(close).unwrap_or_default().0
}

/// Text of the form `\x2f\x74`.
fn unhex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap();
    text.as_bytes()
        .chunks(4)
        .map(|byte| u8::try_from(16 * digit(byte[2]) + digit(byte[3])).unwrap())
        .collect()
}
