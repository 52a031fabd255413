//! `distd health`: whether the server on this machine answers, for health checks of containers that
//! hold nothing else which could ask.

#![allow(clippy::doc_markdown, reason = "the documentation of a flag is what --help prints")]

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::config::ListenOptions;

/// How long the server may take for each step. Health checks have their own, longer patience.
const PATIENCE: Duration = Duration::from_secs(4);
/// What is asked is `/healthz`, since whoever is called unhealthy is taken out of rotation or ended,
/// which helps nobody where the disk is full and downloads go on. `/readyz` is for monitoring.
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const ALIVE: &[u8] = b"HTTP/1.1 200 ";

/// Whether the server on this machine answers, for health checks: exit 0 or 1
#[derive(Args)]
pub(crate) struct HealthCommand {
    #[command(flatten)]
    options: ListenOptions,
}

impl HealthCommand {
    /// Asks, and says what came of it.
    pub(crate) fn run(self) -> ExitCode {
        let (said, code) = match self.ask() {
            Ok(address) => (format!("the server on {address} answers"), ExitCode::SUCCESS),
            Err(problem) => (problem, ExitCode::FAILURE),
        };
        // Container engines keep what a check says, from either channel.
        let _ = writeln!(io::stderr(), "distd: {said}");
        code
    }

    fn ask(self) -> Result<SocketAddr, String> {
        let config = self.options.0.resolve().map_err(|error| error.to_string())?;
        let address = reachable(config.listen);
        let answer = exchange(address).map_err(|error| format!("nobody answers on {address}: {error}"))?;
        if answer == ALIVE {
            Ok(address)
        } else {
            let answer = String::from_utf8_lossy(&answer);
            Err(format!("what listens on {address} answers {:?}", answer.trim_end()))
        }
    }
}

/// The address at which a client on this machine reaches a listener.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

/// The beginning of the answer, as long as that of a server that lives.
fn exchange(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut answer = Vec::with_capacity(ALIVE.len());
    stream.take(ALIVE.len() as u64).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_this_machines_own() {
        for (listen, asked) in [
            ("0.0.0.0:8787", "127.0.0.1:8787"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:8787", "192.0.2.1:8787"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
