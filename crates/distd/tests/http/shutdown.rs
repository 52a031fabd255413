//! Starting and stopping.

use std::time::{Duration, Instant};

use distd::{Config, Server, StartError};

use crate::common::{Raw, Site, eventually, sha256};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_are_finished() {
    let site = Site::start().await;
    let mut upload = site.raw();
    upload.write(format!(
        "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 6\r\n\r\nabc",
        site.admin
    ));
    eventually("the upload is under way", async || !site.names_in("staging").is_empty()).await;
    let idle = site.raw();
    let address = site.address;
    let stopping = tokio::spawn(site.stop());
    // While it goes on, a monitor is told.
    eventually("it is not ready", async || {
        let asked = tokio::task::spawn_blocking(move || {
            let mut raw = Raw(std::net::TcpStream::connect(address).unwrap());
            raw.write("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").read_to_end()
        });
        let answer = asked.await.unwrap();
        answer.starts_with("HTTP/1.1 503") && answer.contains("server.stopping")
    })
    .await;
    upload.write("def");
    let answer = tokio::task::spawn_blocking(move || upload.read_to_end()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    eventually("nobody is accepted any more", async || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    let folder = stopping.await.unwrap();
    assert!(folder.path().join("objects").join(sha256("abcdef")).exists());
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_do_not_end_are_cut_after_the_grace() {
    let site = Site::start_with(|config| config.limits.shutdown_grace = Duration::from_millis(200)).await;
    let mut upload = site.raw();
    upload.write(format!(
        "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 6\r\n\r\nabc",
        site.admin
    ));
    eventually("the upload is under way", async || !site.names_in("staging").is_empty()).await;
    let began = Instant::now();
    let folder = site.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(
        crate::common::names_in(&folder.path().join("staging")),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_listen_keep_no_server_from_stopping() {
    let site = Site::start().await;
    let person = site.person("ann@example.org", Some(dist_model::Role::Admin), &[]).await;
    let mut page = site.raw();
    page.write(format!(
        "GET /admin/live HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n",
        person.cookie
    ));
    let mut page = tokio::task::spawn_blocking(move || {
        assert!(page.read_until("hello").starts_with("HTTP/1.1 200"));
        page
    })
    .await
    .unwrap();
    site.stop().await;
    // The stream has its end, rather than being cut.
    let rest = tokio::task::spawn_blocking(move || page.read_to_end()).await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
}

#[tokio::test]
async fn a_restart_finds_what_was_there() {
    let site = Site::start().await;
    site.publish("acme", "1.0.0", "beta").await;
    let site = Site::start_on(site.stop().await, |_| {}).await;
    assert_eq!(
        site.get("/api/apps/acme/channels/beta").await.expect(200).json()["current"]["version"],
        "1.0.0"
    );
}

#[tokio::test]
async fn the_port_is_written_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("port");
    let site = Site::start_with(|config| config.port_file = Some(file.clone())).await;
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!("{}\n", site.address.port())
    );
}

#[tokio::test]
async fn an_address_that_is_taken_and_a_store_that_is_none() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().unwrap();
    let taken = Server::bind(Config::new(folder.path(), site.address))
        .await
        .err()
        .unwrap();
    assert!(matches!(taken, StartError::Listen { .. }), "{taken}");
    std::fs::write(
        folder.path().join("dist.db"),
        "not a database at all, but a text of some length",
    )
    .unwrap();
    let foreign = Server::bind(Config::new(folder.path(), "127.0.0.1:0".parse().unwrap()))
        .await
        .err()
        .unwrap();
    let StartError::Store(error) = &foreign else {
        panic!("{foreign}")
    };
    assert_eq!(error.refusal().code.as_str(), "store.foreign");
}

/// The program itself, on a free port, in a folder of its own.
fn distd(folder: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_distd"));
    command
        .args(["--listen", "127.0.0.1:0", "--port-file"])
        .arg(folder.join("port"));
    command.env_clear().stderr(std::process::Stdio::piped());
    command
}

#[tokio::test]
async fn the_program_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = distd(folder.path())
        .env("DISTD_DATA", folder.path().join("data"))
        .spawn()
        .unwrap();
    let port = folder.path().join("port");
    eventually("the program listens", async || port.exists()).await;
    let port = std::fs::read_to_string(port).unwrap();
    let mut raw = crate::common::Raw(std::net::TcpStream::connect(format!("127.0.0.1:{}", port.trim())).unwrap());
    let answer = tokio::task::spawn_blocking(move || {
        raw.write("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .read_to_end()
    });
    assert!(answer.await.unwrap().starts_with("HTTP/1.1 200"));
    let pid = rustix::process::Pid::from_child(&program);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let status = program.wait().unwrap();
        (status, std::io::read_to_string(program.stderr.take().unwrap()).unwrap())
    });
    let (status, log) = output.await.unwrap();
    assert!(status.success(), "{log}");
    // Not a terminal, so the log is JSON, a line each.
    assert!(
        log.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{log}"
    );
    assert!(log.contains("listening on http://127.0.0.1:"), "{log}");
}
