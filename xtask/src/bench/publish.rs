//! The client of the publish benchmark: writers that publish as fast as they are answered.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::http::{Client, Connection, PATIENCE, Request};

const MANY_WRITERS: usize = 16;

/// What the client takes, as the performance bar's script says it.
#[derive(clap::Args)]
pub struct Args {
    /// The server's port on this machine
    #[arg(long, env = "PORT")]
    port: u16,
    /// How long to publish, in seconds
    #[arg(long, env = "SECS", default_value_t = 3)]
    seconds: u64,
    /// The secret of a token
    #[arg(long, env = "BENCH_TOKEN", hide_env_values = true)]
    token: String,
}

/// Publishes with one writer and with many; prints what the script takes for members of an object.
pub fn run(args: &Args) -> Result<()> {
    let client = Client {
        address: ([127, 0, 0, 1], args.port).into(),
        token: Some(args.token.clone()),
        patience: PATIENCE,
    };
    let bytes = rand::random::<[u8; 32]>();
    client.send("POST", "/api/upload", &bytes, |_| {})?.expect_ok()?;
    let digest = hex::encode(Sha256::digest(bytes));
    let time = Duration::from_secs(args.seconds);
    let one = measure(&client, &digest, 1, time)?;
    let many = measure(&client, &digest, MANY_WRITERS, time)?;
    println!(
        "\"op_s\":{:.1},\"p50_ms\":{:.3},\"p99_ms\":{:.3},\"op16_s\":{:.1},\"p50_16_ms\":{:.3},\"p99_16_ms\":{:.3}",
        one.rate,
        one.percentile(50),
        one.percentile(99),
        many.rate,
        many.percentile(50),
        many.percentile(99)
    );
    Ok(())
}

struct Measured {
    /// Publishes a second.
    rate: f64,
    /// How long each took, shortest first.
    times: Vec<Duration>,
}

impl Measured {
    /// In milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let at = self.times.len() * percent / 100;
        self.times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

fn measure(client: &Client, digest: &str, writers: usize, time: Duration) -> Result<Measured> {
    let start = Instant::now();
    let results: Vec<Result<Vec<Duration>>> = thread::scope(|scope| {
        let write = |writer| scope.spawn(move || write(client, digest, &format!("bench-{writers}-{writer}"), time));
        let writers: Vec<_> = (0..writers).map(write).collect();
        let join = |writer: thread::ScopedJoinHandle<'_, _>| writer.join().map_err(|_| anyhow!("a writer panicked"))?;
        writers.into_iter().map(join).collect()
    });
    let elapsed = start.elapsed();
    let mut times = results.into_iter().collect::<Result<Vec<_>>>()?.concat();
    ensure!(!times.is_empty(), "nothing was published");
    times.sort();
    let count = u32::try_from(times.len())?;
    Ok(Measured {
        rate: f64::from(count) / elapsed.as_secs_f64(),
        times,
    })
}

/// One writer, with an app of its own as a CI job has.
fn write(client: &Client, digest: &str, app: &str, time: Duration) -> Result<Vec<Duration>> {
    let mut connection = client.connect()?;
    let run: u32 = rand::random();
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let version = format!("{run}.{}", times.len());
        let begin = Instant::now();
        publish(&mut connection, digest, app, &version).with_context(|| format!("{app} {version}"))?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

fn publish(connection: &mut Connection, digest: &str, app: &str, version: &str) -> Result<()> {
    let body = json!({
        "app": app, "version": version, "channel": "stable",
        "artifacts": [{"platform": "linux", "filename": "file.bin", "sha256": digest}],
    })
    .to_string();
    let request = Request {
        method: "POST",
        path: &format!("/api/apps/{app}/releases"),
        headers: &[],
        length: body.len() as u64,
        body: &mut body.as_bytes(),
    };
    connection.exchange(request, |_| {})?.expect_ok()?;
    Ok(())
}
