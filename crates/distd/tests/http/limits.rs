//! Clients that are slow, many, or both.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::{Raw, Site, eventually};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[tokio::test]
async fn headers_that_do_not_come_end_the_connection() {
    let site = Site::start_with(|config| config.limits.header_time = seconds(0.2)).await;
    for begun in [
        "",
        "GET /healthz HTTP/1.1\r\nhost:",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut raw = site.raw();
        raw.write(begun);
        let answer = tokio::task::spawn_blocking(move || raw.read_to_end()).await.unwrap();
        assert_eq!(
            answer.contains("200 OK"),
            begun.ends_with("\r\n\r\n"),
            "{begun:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_cut() {
    let site = Site::start_with(|config| config.limits.stall_time = seconds(0.2)).await;
    let mut raw = site.raw();
    raw.write(format!(
        "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\nabc",
        site.admin
    ));
    let answer = tokio::task::spawn_blocking(move || raw.read_to_end()).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("request.timeout"),
        "{answer}"
    );
    eventually("the staging is empty", async || site.names_in("staging").is_empty()).await;
}

#[tokio::test]
async fn a_body_that_trickles_is_cut() {
    let site = Site::start_with(|config| {
        config.limits.rate_window = seconds(1.0);
        config.limits.least_rate = 1024;
    })
    .await;
    let mut raw = site.raw();
    raw.write(format!(
        "POST /api/apps HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\r\n",
        site.admin
    ));
    let answer = tokio::task::spawn_blocking(move || {
        raw.0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut answer = [0; 1024];
        for _ in 0..200 {
            let _ = raw.0.write_all(b" ");
            if let Ok(length) = raw.0.read(&mut answer) {
                return String::from_utf8_lossy(&answer[..length]).into_owned();
            }
        }
        panic!("the body was never cut");
    });
    let answer = answer.await.unwrap();
    assert!(answer.contains("request.timeout"), "{answer}");
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_let_go() {
    let site = Site::start_with(|config| config.limits.stall_time = seconds(0.3)).await;
    let digest = {
        let manifest_bytes = vec![1_u8; 32 << 20];
        let digest = site.upload(&site.admin, manifest_bytes).await;
        let manifest = serde_json::json!({"app": "acme", "version": "1",
            "artifacts": [{"platform": "linux", "filename": "a.bin", "sha256": digest}]});
        site.post("/api/apps/acme/releases", &manifest).await.expect(201);
        digest
    };
    let mut raw = site.raw();
    raw.write(format!("GET /download/{digest} HTTP/1.1\r\nhost: x\r\n\r\n"));
    eventually("the connection is closed", async || {
        let metrics = site.get("/metrics").await.text();
        metrics.contains("distd_connections 1\n")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_clients_do_not_hold_the_server() {
    let site = Site::start_with(|config| config.limits.connections = Some(64)).await;
    let address = site.address;
    let slow = tokio::task::spawn_blocking(move || {
        let mut clients = Vec::new();
        for _ in 0..1000 {
            let mut client = TcpStream::connect(address).unwrap();
            let _ = client.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ");
            clients.push(client);
        }
        clients
    });
    let clients = slow.await.unwrap();
    let began = Instant::now();
    for _ in 0..20 {
        site.get("/healthz").await.expect(200);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    let metrics = site.get("/metrics").await.text();
    let open = metrics
        .lines()
        .find_map(|line| line.strip_prefix("distd_connections "))
        .unwrap();
    assert!(open.parse::<u32>().unwrap() <= 64, "{open}");
    drop(clients);
}

#[tokio::test]
async fn more_clients_than_descriptors_do_not_hold_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("port");
    let mut program = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -n 256 && exec \"$0\" --data \"$1\" --listen 127.0.0.1:0 --port-file \"$2\"",
        ])
        .arg(env!("CARGO_BIN_EXE_distd"))
        .args([&folder.path().join("data"), &port])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    eventually("the program listens", async || port.exists()).await;
    let address = format!("127.0.0.1:{}", std::fs::read_to_string(&port).unwrap().trim());
    let answers = tokio::task::spawn_blocking(move || {
        let slow: Vec<_> = (0..400)
            .map(|_| {
                let mut client = TcpStream::connect(&address).unwrap();
                let _ = client.write_all(b"GET / HTTP/1.1\r\n");
                client
            })
            .collect();
        let ask = |_| {
            let mut raw = Raw(TcpStream::connect(&address).unwrap());
            raw.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            raw.write("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .read_to_end()
        };
        let answers: Vec<_> = (0..5).map(ask).collect();
        drop(slow);
        answers
    });
    let answers = answers.await.unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(
        answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_client_is_turned_away_where_every_connection_is_busy() {
    let site = Site::start_with(|config| config.limits.connections = Some(2)).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut raw = site.raw();
        raw.write(format!(
            "POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 3\r\n\r\n",
            site.admin
        ));
        busy.push(raw);
    }
    eventually("both uploads are under way", async || {
        site.names_in("staging").len() == 2
    })
    .await;
    let mut raw = Raw(TcpStream::connect(site.address).unwrap());
    raw.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    let answer = tokio::task::spawn_blocking(move || raw.read_to_end()).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("server.busy") && answer.contains("retry-after"),
        "{answer}"
    );
    for mut raw in busy {
        let answer = tokio::task::spawn_blocking(move || raw.write("abc").read_until("}"))
            .await
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }
}
