//! How long the console's questions take on a large store: 10,000 releases of 20 apps, a million
//! events.
//!
//! `cargo bench -p dist-service --bench console [-- ROUNDS]`. The store is made once, through the
//! log, and kept under `target/tmp`. Each question is asked so often, of one app after the other;
//! the limit is what a page may take of the processor's time at the 99th percentile.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its table"
)]

mod seed;

use std::time::{Duration, Instant};

use dist_model::{ChannelName, Platform, Slug, Timestamp};
use dist_service::{AuditFilter, AuditPlace, Caller, Error, Paging, Principal, ReleaseSearch, Selector, Service};

use rustix::time::{ClockId, clock_gettime};

use seed::{APPS, Fixed, RELEASES, app_slug, commit, digest, end, release_id};

/// What the answers of a page may take, in microseconds, and what a search may.
const PAGE: u128 = 5_000;
const SEARCH: u128 = 10_000;

fn main() {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let folder = seed::store();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bench = Bench {
        service: Fixed(end()).open(&folder),
        caller: Caller::new(Principal::Local(0)),
        rounds: rounds.unwrap_or(400),
    };
    println!(
        "{:<44} {:>9} {:>9} {:>9} {:>9}",
        "question (µs)", "p50", "p99", "cpu p50", "cpu p99"
    );
    runtime.block_on(async {
        bench.pages().await.unwrap();
        bench.audit().await.unwrap();
        bench.whole_store().await.unwrap();
        bench.search().await.unwrap();
        bench.export().await.unwrap();
    });
}

/// The processor's time of this thread, which other work on the machine does not change: nothing
/// here waits for a disk.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

struct Bench {
    service: Service,
    caller: Caller,
    rounds: usize,
}

impl Bench {
    /// Asks a question so many times and prints what it took.
    async fn ask(
        &self,
        name: &str,
        limit: u128,
        mut question: impl AsyncFnMut(usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // What a process does once, such as preparing statements, is not the page's.
        question(0).await?;
        let (mut took, mut worked) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let (start, before) = (Instant::now(), processor());
            question(round).await?;
            took.push(start.elapsed());
            worked.push(processor().saturating_sub(before));
        }
        took.sort();
        worked.sort();
        let at = |times: &[Duration], percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
        let over = if at(&worked, 99) > limit {
            "  over the limit"
        } else {
            ""
        };
        println!(
            "{name:<44} {:>9} {:>9} {:>9} {:>9}{over}",
            at(&took, 50),
            at(&took, 99),
            at(&worked, 50),
            at(&worked, 99)
        );
        Ok(())
    }

    async fn pages(&self) -> Result<(), Error> {
        let (service, caller, paging) = (&self.service, &self.caller, Paging::default());
        let beta: ChannelName = "beta".parse()?;
        let release = |round: usize| Selector::from(release_id(round * 37 % RELEASES));
        let app = |round: usize| app_slug(round * 37 % RELEASES % APPS);
        self.ask("apps page", PAGE, async |_| service.apps_page(caller).await.map(drop))
            .await?;
        for (name, search) in searches() {
            let name = format!("app page, {name}");
            self.ask(&name, PAGE, async |round| {
                service.app_page(caller, &app(round), &search, &paging).await.map(drop)
            })
            .await?;
        }
        self.ask("release page with its timeline", PAGE, async |round| {
            let (app, release) = (app(round), release(round));
            service.release_page(caller, &app, &release).await?;
            service
                .release_timeline(caller, &app, &release, AuditPlace::Newest, 50)
                .await
                .map(drop)
        })
        .await?;
        self.ask("compare", PAGE, async |round| {
            let (before, after) = (
                release(round),
                Selector::from(release_id((round * 37 + APPS) % RELEASES)),
            );
            service
                .compare_releases(caller, &app(round), &before, &after)
                .await
                .map(drop)
        })
        .await?;
        self.ask("channel page", PAGE, async |round| {
            service
                .channel_page(caller, &app(round), &beta, &paging)
                .await
                .map(drop)
        })
        .await?;
        self.ask("channel at a time", PAGE, async |round| {
            let at = end().plus_millis(-3_600_000 * i64::try_from(round).unwrap());
            service.channel_at(caller, &app(round), &beta, at).await.map(drop)
        })
        .await
    }

    async fn audit(&self) -> Result<(), Error> {
        let (service, caller) = (&self.service, &self.caller);
        for (name, filter) in filters() {
            let name = format!("audit, {name}");
            self.ask(&name, PAGE, async |round| {
                let place = match round % 3 {
                    0 => AuditPlace::Newest,
                    1 => AuditPlace::Before(500_000),
                    _ => AuditPlace::After(500_000),
                };
                service.audit_page(caller, &filter, place, 50).await.map(drop)
            })
            .await?;
        }
        self.ask("audit choices", PAGE, async |_| {
            service.audit_choices(caller, None).await.map(drop)
        })
        .await
    }

    async fn whole_store(&self) -> Result<(), Error> {
        let (service, caller) = (&self.service, &self.caller);
        let since = end().plus_millis(-90 * 86_400_000);
        self.ask("downloads of all apps, 90 days", PAGE, async |_| {
            service.downloads_by_app(caller, since, end()).await.map(drop)
        })
        .await?;
        self.ask("downloads by release, 90 days", PAGE, async |round| {
            service
                .downloads_by_release(caller, &app_slug(round % APPS), since, end())
                .await
                .map(drop)
        })
        .await?;
        self.ask("storage", PAGE, async |_| service.storage(caller).await.map(drop))
            .await?;
        self.ask("retention plan", PAGE, async |round| {
            service.retention_plan(caller, &app_slug(round % APPS)).await.map(drop)
        })
        .await?;
        self.ask("health", PAGE, async |_| service.health(caller).await.map(drop))
            .await
    }

    async fn search(&self) -> Result<(), Error> {
        let (some_digest, some_commit) = (digest(4321, 1).to_string(), commit(4321));
        for text in [
            "app",
            "1.",
            "1.250.0",
            "b4",
            &some_digest[..8],
            &some_commit[..8],
            "beta",
            "nothing here",
        ] {
            self.ask(&format!("search {text:?}"), SEARCH, async |_| {
                self.service.search(&self.caller, text).await.map(drop)
            })
            .await?;
        }
        Ok(())
    }

    async fn export(&self) -> Result<(), Error> {
        let start = Instant::now();
        let export = self.service.audit_export(&self.caller, AuditFilter::default()).await?;
        let mut events = 0;
        for page in export {
            events += page?.len();
        }
        let took: Duration = start.elapsed();
        println!("export of {events} events: {:.1} s", took.as_secs_f64());
        Ok(())
    }
}

fn searches() -> [(&'static str, ReleaseSearch); 3] {
    let all = ReleaseSearch::default();
    [
        ("newest", all.clone()),
        (
            "a platform and a text",
            ReleaseSearch {
                platform: Some(Platform::Linux),
                text: Some("0.0".to_owned()),
                ..all.clone()
            },
        ),
        (
            "a text that nothing has",
            ReleaseSearch {
                text: Some("nothing".to_owned()),
                ..all
            },
        ),
    ]
}

fn filters() -> Vec<(&'static str, AuditFilter)> {
    let all = AuditFilter::default();
    let text = |text: &str| Some(text.to_owned());
    let app: Slug = app_slug(3);
    let since: Timestamp = end().plus_millis(-200 * 86_400_000);
    let until = since.plus_millis(86_400_000);
    vec![
        ("everything", all.clone()),
        (
            "an app",
            AuditFilter {
                app: Some(app.clone()),
                ..all.clone()
            },
        ),
        (
            "a busy actor",
            AuditFilter {
                actor: text("token:ci-3"),
                ..all.clone()
            },
        ),
        (
            "a person",
            AuditFilter {
                actor: text("user:ada@example.com"),
                ..all.clone()
            },
        ),
        (
            "release.*",
            AuditFilter {
                action: text("release."),
                ..all.clone()
            },
        ),
        (
            "an actor who never did it",
            AuditFilter {
                actor: text("token:ci-3"),
                action: text("channel.rolled_back"),
                ..all.clone()
            },
        ),
        (
            "an app and a rare action",
            AuditFilter {
                app: Some(app),
                action: text("app.updated"),
                ..all.clone()
            },
        ),
        (
            "a target",
            AuditFilter {
                target: text("stable"),
                ..all.clone()
            },
        ),
        (
            "a person and a target",
            AuditFilter {
                target: text("stable"),
                actor: text("user:ada@example.com"),
                ..all.clone()
            },
        ),
        (
            "one day",
            AuditFilter {
                since: Some(since),
                until: Some(until),
                ..all.clone()
            },
        ),
        (
            "one day and a person",
            AuditFilter {
                since: Some(since),
                until: Some(until),
                actor: text("user:ada@example.com"),
                ..all
            },
        ),
    ]
}
