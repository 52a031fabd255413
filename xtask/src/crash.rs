//! `cargo xtask crash`: clients publish, promote, roll back and fill drafts while the server is
//! killed with SIGKILL at random moments and started again; then what it acknowledged must be
//! there, and nothing else may be there by half.
//!
//! A kill keeps the page cache, so it proves atomicity and recovery, not syncs: those are checked
//! in [`crate::durability`].

mod call;
mod check;
mod clients;
mod ledger;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::http::Client;
use crate::server::{Binaries, Launch, Server};

use call::{Interrupted, Phase};
use ledger::Ledger;

/// How many clients publish and move channels at once; one more cleans up and takes backups.
const PUBLISHERS: u64 = 5;
/// How long a server lives, in milliseconds.
const LIFE: std::ops::Range<u64> = 10..250;
/// After how many rounds a store is restored from its last backup and left for a new one, which
/// keeps the checks of a round short.
const ROUNDS_A_STORE: u32 = 25;
/// The least share of kills that must hit a request under way, in hundredths.
const LEAST_HITS: u32 = 80;

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// How often the server is killed
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Repeats the random choices of another run; what the kernel does stays its own
    #[arg(long)]
    seed: Option<u64>,
}

/// How the kills went.
#[derive(Default)]
struct Tally {
    kills: u32,
    hits: u32,
    phases: BTreeMap<Phase, u32>,
    acknowledged: usize,
}

/// The short run that is part of `cargo xtask test`.
pub fn run_short(binaries: &Binaries) -> Result<()> {
    run(binaries, &Args { rounds: 40, seed: None })
}

/// Kills and checks.
pub fn run(binaries: &Binaries, args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    println!("{} rounds with seed {seed}", args.rounds);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    while tally.kills < args.rounds {
        let rounds = ROUNDS_A_STORE.min(args.rounds - tally.kills);
        one_store(binaries, rounds, &mut rng, &mut tally)
            .with_context(|| format!("seed {seed}, after {} kills", tally.kills))?;
        println!(
            "{:>5} kills: {} acknowledged changes, all there",
            tally.kills, tally.acknowledged
        );
    }
    report(&tally)
}

/// Kills the servers of one store, one after the other, and restores its last backup.
fn one_store(binaries: &Binaries, rounds: u32, rng: &mut StdRng, tally: &mut Tally) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let token = binaries.token(&data, "crash", "admin")?;
    let mut ledger = Ledger::default();
    let mut unanswered = Vec::new();
    // The round after the last kill only checks.
    for round in 0..=rounds {
        let server = Launch::new(binaries, &data).start()?;
        let client = Client {
            token: Some(token.clone()),
            ..server.client.clone()
        };
        // What was sent and not answered is sent again under its key: done once, whether the kill
        // came before or after.
        for request in std::mem::take(&mut unanswered) {
            clients::send_again(&client, &request, &mut ledger)?;
        }
        check::all(binaries, &client, &data, &ledger).with_context(|| {
            format!(
                "after kill {}; the server's log ends with\n{}",
                tally.kills,
                server.log()
            )
        })?;
        if round == rounds {
            server.stop()?;
        } else {
            let cut = kill_amid_requests(server, &client, round, rng, &mut ledger)?;
            tally.note(&cut);
            unanswered.extend(cut.into_iter().filter_map(|cut| cut.request));
        }
    }
    tally.acknowledged += ledger.len();
    restore_last_backup(binaries, folder.path(), &ledger)
}

/// Lets clients work for a random while, and kills the server under them.
fn kill_amid_requests(
    server: Server,
    client: &Client,
    round: u32,
    rng: &mut StdRng,
    ledger: &mut Ledger,
) -> Result<Vec<Interrupted>> {
    let shared = Mutex::new(std::mem::take(ledger));
    let cut = thread::scope(|scope| {
        let mut spawn = |number| {
            let (seed, shared) = (rng.random(), &shared);
            scope.spawn(move || clients::work(client, round, number, seed, shared))
        };
        let workers: Vec<_> = (0..=PUBLISHERS).map(&mut spawn).collect();
        thread::sleep(Duration::from_millis(rng.random_range(LIFE)));
        server.kill()?;
        let join = |worker: thread::ScopedJoinHandle<'_, _>| worker.join().map_err(|_| anyhow!("a client panicked"))?;
        workers.into_iter().map(join).collect()
    });
    *ledger = shared.into_inner().map_err(|_| anyhow!("a client panicked"))?;
    cut
}

impl Tally {
    fn note(&mut self, cut: &[Interrupted]) {
        self.kills += 1;
        let under_way = || cut.iter().filter(|cut| cut.phase.is_under_way());
        self.hits += u32::from(under_way().next().is_some());
        for cut in cut {
            *self.phases.entry(cut.phase).or_default() += 1;
        }
    }
}

/// The last backup that was acknowledged makes a whole store on another machine.
fn restore_last_backup(binaries: &Binaries, folder: &Path, ledger: &Ledger) -> Result<()> {
    let Some(backup) = ledger.backups.last() else {
        return Ok(());
    };
    let restored = folder.join("restored");
    let (code, answer) = binaries.local(&restored, &["store", "restore", backup])?;
    ensure!(code == 0, "restore of {backup}: exit {code}: {answer}");
    check::verify(binaries, &restored)
}

fn report(tally: &Tally) -> Result<()> {
    let share = tally.hits * 100 / tally.kills;
    println!(
        "{} kills, {} of them ({share} %) with a request under way",
        tally.kills, tally.hits
    );
    println!("what the clients were doing when the server died:");
    for (phase, count) in &tally.phases {
        println!("{count:>7}  {phase}");
    }
    ensure!(
        share >= LEAST_HITS,
        "too few kills hit a request under way to prove much"
    );
    Ok(())
}
