//! `persist serve`: a store behind the request protocol.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lexopt::prelude::*;
use persist::{FolderBlobs, OpenError, Options, SqlStore, protocol};
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::process::umask;

const HELP: &str = "\
persist serve: a store for other processes, as lines of JSON

Usage: persist serve --db PATH [--listen unix:PATH | tcp:ADDRESS:PORT] [--blobs FOLDER]

Options:
      --db PATH        The database; it is made if there is none
      --listen WHERE   Answer on a Unix socket (unix:PATH) or on a loopback address
                       (tcp:127.0.0.1:PORT; port 0 takes a free one), which is then told on
                       standard error. By default: on standard input and output
      --blobs FOLDER   The folder of the blobs; by default the database's path with .blobs
                       at its end
  -h, --help           Print this
  -V, --version        Print the version

The process may be killed at any moment: started again it goes on where its last answer stood.

Exit codes:
  0  the input has ended
  1  the system failed in a way not listed below
  2  the command line is wrong
  3  there is no database there, and none can be made
  4  the file is no database, or one of another program
  5  the database was made by a newer version
  6  the database has tables that are made by other projections
  7  the database cannot be written: permissions, or a read-only file system
  8  the database or the socket is in use by another process
";

/// How many connections are served at once, a thread each.
const MAX_CONNECTIONS: usize = 64;
/// How long to wait when the system gives out no connection, which it has no room for then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    match Task::parse(lexopt::Parser::from_env()).and_then(Task::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            eprintln!("persist: {message}");
            ExitCode::from(code)
        }
    }
}

/// Why the process ends, and with which code.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn usage(message: impl fmt::Display) -> Self {
        let message = format!("{message}; see persist --help");
        Self { code: 2, message }
    }

    fn io(what: impl fmt::Display, error: &dyn fmt::Display) -> Self {
        let message = format!("{what}: {error}");
        Self { code: 1, message }
    }

    fn open(path: &Path, error: &OpenError) -> Self {
        let code = match error {
            OpenError::NotFound => 3,
            OpenError::NotADatabase | OpenError::Foreign { .. } => 4,
            OpenError::Newer { .. } => 5,
            OpenError::ProjectionMismatch { .. } => 6,
            OpenError::PermissionDenied(_) | OpenError::ReadOnly => 7,
            OpenError::Busy => 8,
            _ => 1,
        };
        Self::caused(path.display(), error, code)
    }

    /// What an error says, and each of its causes.
    fn caused(what: impl fmt::Display, error: &dyn std::error::Error, code: u8) -> Self {
        let mut message = format!("{what}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self { code, message }
    }
}

enum Task {
    Help,
    Version,
    Serve {
        db: PathBuf,
        blobs: PathBuf,
        listen: Option<Address>,
    },
}

enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Task {
    fn parse(mut arguments: lexopt::Parser) -> Result<Self, Failure> {
        let (mut serve, mut db, mut blobs, mut listen) = (false, None, None, None);
        while let Some(argument) = arguments.next().map_err(Failure::usage)? {
            match argument {
                Short('h') | Long("help") => return Ok(Self::Help),
                Short('V') | Long("version") => return Ok(Self::Version),
                Long("db") => db = Some(PathBuf::from(value(&mut arguments)?)),
                Long("blobs") => blobs = Some(PathBuf::from(value(&mut arguments)?)),
                Long("listen") => listen = Some(Address::parse(&value(&mut arguments)?)?),
                Value(command) if !serve && command == "serve" => serve = true,
                unexpected => return Err(Failure::usage(unexpected.unexpected())),
            }
        }
        if !serve {
            return Err(Failure::usage("the command is missing: persist serve --db PATH"));
        }
        let db = db.ok_or_else(|| Failure::usage("--db PATH is missing"))?;
        let blobs = blobs.unwrap_or_else(|| with_suffix(&db, ".blobs"));
        Ok(Self::Serve { db, blobs, listen })
    }

    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Help => print(HELP),
            Self::Version => print(concat!("persist ", env!("CARGO_PKG_VERSION"), "\n")),
            Self::Serve { db, blobs, listen } => serve(&db, &blobs, listen),
        }
    }
}

fn value(arguments: &mut lexopt::Parser) -> Result<OsString, Failure> {
    arguments.value().map_err(Failure::usage)
}

fn print(text: &str) -> Result<(), Failure> {
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::io("standard output", &error))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl Address {
    fn parse(text: &OsStr) -> Result<Self, Failure> {
        let text = text.to_string_lossy();
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => {
                let address: SocketAddr = address.parse().map_err(|_| {
                    Failure::usage(format!("{address} is not an address and a port, such as 127.0.0.1:0"))
                })?;
                if !address.ip().is_loopback() {
                    return Err(Failure::usage(format!(
                        "{} can be reached from other machines, and the protocol asks nobody who they are: \
                         listen on 127.0.0.1 or [::1]",
                        address.ip()
                    )));
                }
                Ok(Self::Tcp(address))
            }
            _ => Err(Failure::usage(format!(
                "--listen takes unix:PATH or tcp:ADDRESS:PORT, not {text}"
            ))),
        }
    }
}

fn serve(db: &Path, blobs: &Path, listen: Option<Address>) -> Result<(), Failure> {
    // Before the store and its threads: what they make must not get the socket's mode. Whoever
    // connects meanwhile waits.
    let listener = listen.map(|address| Listener::bind(&address)).transpose()?;
    let store = SqlStore::open(db, Options::default()).map_err(|error| Failure::open(db, &error))?;
    let blobs = FolderBlobs::open(blobs).map_err(|error| Failure::caused(blobs.display(), &error, 1))?;
    let server = Server { store, blobs };
    if let Some((_, address)) = &listener {
        eprintln!("listening on {address}");
    }
    match listener.map(|(listener, _)| listener) {
        None => server
            .converse(io::stdin().lock(), io::stdout().lock())
            .map_err(|error| Failure::io("standard input and output", &error)),
        Some(Listener::Unix(listener, _lock)) => server.accept(|| listener.accept().map(|(stream, _)| stream)),
        Some(Listener::Tcp(listener)) => server.accept(|| {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }),
    }
}

enum Listener {
    /// With the lock that keeps others from taking its file for a stale one.
    Unix(UnixListener, File),
    Tcp(TcpListener),
}

impl Listener {
    /// Binds the socket, and says where.
    fn bind(address: &Address) -> Result<(Self, String), Failure> {
        match address {
            Address::Unix(path) => Ok((bind_unix(path)?, format!("unix:{}", path.display()))),
            Address::Tcp(address) => {
                let failed = |error: io::Error| match error.kind() {
                    io::ErrorKind::AddrInUse => in_use(address),
                    _ => Failure::io(address, &error),
                };
                let listener = TcpListener::bind(address).map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok((Self::Tcp(listener), format!("tcp:{bound}")))
            }
        }
    }
}

fn in_use(address: impl fmt::Display) -> Failure {
    let message = format!("{address} is in use by another process");
    Failure { code: 8, message }
}

/// Binds a socket that only this user can connect to. A file that a killed server left behind is
/// replaced; one behind which a server answers is not.
fn bind_unix(path: &Path) -> Result<Listener, Failure> {
    let failed = |error: io::Error| Failure::io(path.display(), &error);
    let lock = File::options()
        .create(true)
        .append(true)
        .open(with_suffix(path, ".lock"));
    let lock = lock.map_err(failed)?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(in_use(path.display()));
    }
    if let Ok(there) = fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(Failure::io(path.display(), &"there is a file that is not a socket"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(in_use(path.display()));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound.map_err(failed)?;
    Ok(Listener::Unix(listener, lock))
}

#[derive(Clone)]
struct Server {
    store: SqlStore,
    blobs: FolderBlobs,
}

impl Server {
    fn converse(&self, input: impl BufRead, output: impl Write) -> io::Result<()> {
        protocol::serve(&self.store, &self.blobs, input, output)
    }

    /// Serves each connection on a thread of its own, for ever.
    fn accept<S: Send + 'static>(&self, accept: impl Fn() -> io::Result<S>) -> !
    where
        for<'s> &'s S: Read + Write,
    {
        // Every connection holds one of these.
        let connections = Arc::new(());
        loop {
            let stream = match accept() {
                Ok(stream) => stream,
                Err(error) => {
                    eprintln!("persist: a connection failed: {error}");
                    thread::sleep(ACCEPT_PAUSE);
                    continue;
                }
            };
            if Arc::strong_count(&connections) > MAX_CONNECTIONS {
                // Whoever does not wait for the answer does not need it.
                let _ = (&stream).write_all(too_many().as_bytes());
                continue;
            }
            let (server, held) = (self.clone(), Arc::clone(&connections));
            let spawned = thread::Builder::new().spawn(move || {
                // A connection that breaks ends like one that is closed.
                let _ = server.converse(BufReader::new(&stream), &stream);
                drop(held);
            });
            if let Err(error) = spawned {
                eprintln!("persist: a connection got no thread: {error}");
            }
        }
    }
}

fn too_many() -> String {
    format!(
        "{{\"error\":{{\"code\":\"busy\",\"message\":\"{MAX_CONNECTIONS} connections are open; \
         close one or try again later\"}}}}\n"
    )
}
