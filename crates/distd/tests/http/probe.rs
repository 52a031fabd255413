//! `distd health`, against a server, nobody, and something else.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

use crate::common::Site;

/// Runs `distd health` with these arguments, away from the runtime that may have to answer it.
async fn health(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distd"));
    command.arg("health").args(arguments).env_clear();
    run(command).await
}

async fn run(mut command: Command) -> (Option<i32>, String) {
    let output: Output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_server_that_answers_is_healthy_however_its_address_is_given() {
    let site = Site::start().await;
    let address = site.address.to_string();
    let (code, said) = health(&["--listen", &address]).await;
    assert_eq!(
        (code, said),
        (Some(0), format!("distd: the server on {address} answers\n"))
    );

    let everywhere = format!("0.0.0.0:{}", site.address.port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_distd"));
    command.arg("health").env_clear().env("DISTD_LISTEN", &everywhere);
    assert_eq!(run(command).await.0, Some(0));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("distd.toml");
    let settings = format!("data = '/nowhere'\nlisten = '{everywhere}'\npublic-url = 'https://get.example.org'\n");
    std::fs::write(&file, settings).unwrap();
    assert_eq!(health(&["--config", file.to_str().unwrap()]).await.0, Some(0));
}

#[tokio::test]
async fn where_nobody_listens_or_somebody_else_it_says_so() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let (code, said) = health(&["--listen", &address]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("503"), "{said}");
    assert!(server.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\n"));
    // The listener is gone.
    let (code, said) = health(&["--listen", &address]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("nobody answers on {address}")), "{said}");
    let (code, said) = health(&["--config", "/nowhere/distd.toml"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("/nowhere/distd.toml"), "{said}");
}
