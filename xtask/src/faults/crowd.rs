//! More clients than a server has descriptors, none of whom gets to the point.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::{admin, expect_whole};
use crate::http::Client;
use crate::server::{Binaries, Launch, Server};

const DESCRIPTORS: u32 = 256;
const CROWD: usize = 1000;
/// How long a client that behaves may wait for any answer.
const PATIENCE: Duration = Duration::from_secs(5);

fn small_server(binaries: &Binaries, folder: &tempfile::TempDir) -> Result<Server> {
    let limit = format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}");
    let words = ["prlimit".to_owned(), limit];
    Launch::new(binaries, folder.path().join("data")).under(words).start()
}

/// Clients that connect and begin a request, which says this much.
fn crowd(client: &Client, head: &str) -> Result<Vec<TcpStream>> {
    // This process needs as many descriptors as the crowd has heads.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut stream = TcpStream::connect_timeout(&client.address, PATIENCE)?;
        // Whoever is turned away at once is part of the crowd too.
        let _ = stream.write_all(head.as_bytes());
        crowd.push(stream);
    }
    Ok(crowd)
}

/// Everyone says one more word, as slowly as a crowd does.
fn trickle(crowd: &mut [TcpStream], word: &str) {
    for stream in crowd {
        let _ = stream.write_all(word.as_bytes());
    }
}

/// Asks until there is an answer with this status; each answer must come in time.
fn ask_until(client: &Client, status: u16, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let start = Instant::now();
        let found = match client.get("/api/apps") {
            Ok(answer) if answer.status == status => return Ok(()),
            Ok(answer) => format!("status {}", answer.status),
            Err(error) => error.to_string(),
        };
        ensure!(
            start.elapsed() < PATIENCE,
            "no answer for {} s: {found}",
            start.elapsed().as_secs()
        );
        if Instant::now() > deadline {
            bail!("no {status} after {} s: {found}", limit.as_secs());
        }
        sleep(Duration::from_millis(50));
    }
}

/// A thousand clients that never finish their headers.
pub fn slow_headers(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = small_server(binaries, &folder)?;
    let mut crowd = crowd(&server.client, "GET /api/apps HTTP/1.1\r\nHost: ")?;
    for _ in 0..12 {
        ask_until(&server.client, 200, PATIENCE).context("amid the crowd")?;
        trickle(&mut crowd, "x");
        sleep(Duration::from_millis(250));
    }
    drop(crowd);
    ask_until(&server.client, 200, PATIENCE).context("after the crowd")?;
    ensure!(server.ended()?.is_none(), "the server has ended");
    ensure!(server.stop()?.success(), "the server did not stop as it should");
    expect_whole(binaries, &folder.path().join("data"))
}

/// A thousand uploads that announce much and send little: each is a request under way, so that a
/// newcomer may be told to come back, but is told so.
pub fn slow_bodies(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = small_server(binaries, &folder)?;
    let token = admin(binaries, &server)?.token.unwrap_or_default();
    let head = format!(
        "POST /api/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000000\r\n\r\nx"
    );
    let mut crowd = crowd(&server.client, &head)?;
    for _ in 0..8 {
        let start = Instant::now();
        match server.client.get("/api/apps") {
            Ok(answer) => ensure!(matches!(answer.status, 200 | 503), "answered {}", answer.status),
            // Hung up on at once, which a client tries again.
            Err(error) => ensure!(error.kind() != std::io::ErrorKind::WouldBlock, "no answer: {error}"),
        }
        ensure!(
            start.elapsed() < PATIENCE,
            "answered after {} s",
            start.elapsed().as_secs()
        );
        trickle(&mut crowd, "x");
        sleep(Duration::from_millis(250));
    }
    drop(crowd);
    ask_until(&server.client, 200, 2 * PATIENCE).context("after the crowd")?;
    ensure!(server.ended()?.is_none(), "the server has ended");
    ensure!(server.stop()?.success(), "the server did not stop as it should");
    expect_whole(binaries, &folder.path().join("data"))
}
