//! The program: where it listens, whom it serves at once, and how it refuses to start.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use common::server::{Server, Session, command, refusal};
use common::{amount, stream, with_totals};
use persist::blob::BlobStore;
use persist::{Backend, Options, Position, RemoteBackend, SqlStore, log};
use rusqlite::Connection;
use tempfile::tempdir;

const HELLO: &str = r#"{"op":"persist/hello","args":[]}"#;

fn session(socket: &Path) -> Session<BufReader<UnixStream>, UnixStream> {
    let writer = UnixStream::connect(socket).unwrap();
    let reader = BufReader::new(writer.try_clone().unwrap());
    Session { reader, writer }
}

#[test]
fn two_connections_on_one_unix_socket_share_the_store() {
    let folder = tempdir().unwrap();
    let (_server, _) = Server::listen(folder.path(), "unix:socket");
    let socket = folder.path().join("socket");
    // Half a line of one connection is nobody else's business.
    let mut idle = session(&socket);
    idle.writer.write_all(&HELLO.as_bytes()[..10]).unwrap();
    let remotes = [(); 2].map(|()| RemoteBackend::unix(&socket).unwrap());
    thread::scope(|scope| {
        for remote in &remotes {
            scope.spawn(move || {
                for n in 0..50 {
                    log::append(remote, &stream("s"), amount(n)).unwrap();
                }
            });
        }
    });
    let events = log::read(&remotes[0], &stream("s")).unwrap();
    let seqs: Vec<u64> = events.iter().map(|each| each.event.seq.get()).collect();
    assert_eq!(seqs, (1..=100).collect::<Vec<_>>());
    assert_eq!(log::read(&remotes[1], &stream("s")).unwrap(), events);
    idle.writer.write_all(&HELLO.as_bytes()[10..]).unwrap();
    assert_eq!(idle.ask("")["ok"]["head"], 100);
}

#[test]
fn a_socket_is_its_owners_alone() {
    let folder = tempdir().unwrap();
    let _server = Server::listen(folder.path(), "unix:socket");
    let other = folder.path().join("other.db");
    drop(SqlStore::open(&other, Options::default()).unwrap());
    let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("socket"), 0o600);
    assert_eq!(
        mode("store.db"),
        mode("other.db"),
        "the database has the mode of any other"
    );
}

#[test]
fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listening = || {
        let mut command = command(folder.path());
        command.args(["--listen", "unix:socket"]);
        command
    };
    let (mut server, _) = Server::listen(folder.path(), "unix:socket");
    let (code, said) = refusal(&mut listening());
    assert_eq!(code, 8, "{said}");
    assert_eq!(session(&socket).ask(HELLO)["ok"]["head"], 0);
    server.kill();
    assert!(socket.exists());
    let (mut server, _) = Server::listen(folder.path(), "unix:socket");
    assert_eq!(session(&socket).ask(HELLO)["ok"]["head"], 0);
    server.kill();

    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "mine").unwrap();
    let (code, said) = refusal(&mut listening());
    assert_eq!(code, 1, "{said}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "mine");
}

#[test]
fn one_connection_too_many_is_told_so() {
    let folder = tempdir().unwrap();
    let _server = Server::listen(folder.path(), "unix:socket");
    let socket = folder.path().join("socket");
    let open: Vec<_> = (0..64)
        .map(|_| {
            let mut session = session(&socket);
            assert_eq!(session.ask(HELLO)["ok"]["head"], 0);
            session
        })
        .collect();
    assert_eq!(session(&socket).hear()["error"]["code"], "busy");
    drop(open);
}

#[test]
fn tcp_is_served_on_loopback_only() {
    let folder = tempdir().unwrap();
    let (_server, address) = Server::listen(folder.path(), "tcp:127.0.0.1:0");
    let address = address.strip_prefix("tcp:").unwrap();
    let remote = RemoteBackend::tcp(address).unwrap();
    log::append(&remote, &stream("s"), amount(1)).unwrap();
    assert_eq!(remote.head().unwrap(), Position::FIRST);
    for elsewhere in ["tcp:0.0.0.0:0", "tcp:[::]:0", "tcp:192.0.2.1:80"] {
        let (code, said) = refusal(command(folder.path()).args(["--listen", elsewhere]));
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("can be reached from other machines"), "{said}");
    }
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = format!("tcp:{}", taken.local_addr().unwrap());
    let (code, said) = refusal(command(folder.path()).args(["--listen", &listen]));
    assert_eq!(code, 8, "{said}");
}

#[test]
fn blobs_are_beside_the_database_or_where_they_are_wanted() {
    let folder = tempdir().unwrap();
    for (arguments, blobs) in [(vec![], "store.db.blobs"), (vec!["--blobs", "elsewhere"], "elsewhere")] {
        let mut command = command(folder.path());
        command.args(arguments);
        let remote = RemoteBackend::spawn(command).unwrap();
        let cid = remote.put(b"bytes", "text/plain").unwrap();
        assert_eq!(fs::read(folder.path().join(blobs).join(&cid)).unwrap(), b"bytes");
        assert_eq!(remote.get(&cid).unwrap().unwrap(), b"bytes");
        assert!(remote.has(&cid).unwrap() && !remote.has("absent").unwrap());
        assert_eq!(remote.get("absent").unwrap(), None);
    }
}

#[test]
fn every_refusal_to_start_has_its_own_exit_code() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let refused = |wanted: i32, words: &str| {
        let (code, said) = refusal(&mut command(folder.path()));
        assert_eq!(code, wanted, "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    fs::write(
        &path,
        "no database, and long enough to have a header of a hundred bytes ".repeat(4),
    )
    .unwrap();
    refused(4, "not a database");
    fs::remove_file(&path).unwrap();
    let sql = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    sql("CREATE TABLE theirs (x)");
    refused(4, "another program");
    fs::remove_file(&path).unwrap();
    drop(SqlStore::open(&path, with_totals()).unwrap());
    refused(6, "totals@1");
    fs::remove_file(&path).unwrap();
    drop(SqlStore::open(&path, Options::default()).unwrap());
    sql("PRAGMA user_version = 99");
    refused(5, "99");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(1, "store.db");

    let (code, said) = refusal(command(folder.path()).args(["--db", "absent/store.db"]));
    assert_eq!(code, 3, "{said}");
}

#[test]
fn a_wrong_command_line_is_told_from_everything_else() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
        command.args(arguments).stdin(Stdio::null());
        command.output().unwrap()
    };
    for wrong in [
        &[][..],
        &["serve"],
        &["bench"],
        &["serve", "serve", "--db", "x"],
        &["serve", "--db"],
        &["serve", "--db", "x", "--port", "1"],
        &["serve", "--db", "x", "--listen", "udp:1"],
        &["serve", "--db", "x", "--listen", "unix:"],
        &["serve", "--db", "x", "--listen", "tcp:localhost"],
    ] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("persist: "));
    }
    let help = run(&["--help"]);
    assert!(help.status.success() && help.stderr.is_empty());
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("Usage: persist serve --db PATH")
    );
    let version = run(&["--version"]).stdout;
    assert_eq!(
        String::from_utf8(version).unwrap(),
        concat!("persist ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
