//! What is so at the moment of a scrape. Nothing of it costs more on a larger store.

use std::fmt;

use dist_model::Timestamp;
use dist_service::{Health, ObjectsOnDisk, Stats};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};

use super::process;

/// What is so now.
pub(crate) struct Now {
    /// Whether the store can be read and written.
    pub is_ready: bool,
    /// When the server was started.
    pub started: Timestamp,
    pub connections: usize,
    /// Clients that were told that the server is busy, since the start.
    pub turned_away: u64,
    /// Open pages that listen.
    pub streams: usize,
    /// What a count of the objects found, where there was one already.
    pub objects: Option<ObjectsOnDisk>,
    /// How the store does, where it could be asked.
    pub health: Option<Health>,
}

impl Now {
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        registry.register(
            "process_start_time_seconds",
            "When the server was started, in Unix seconds",
            ConstGauge::new(seconds(self.started)),
        );
        process::register(&mut registry);
        let mut ours = Figures(registry.sub_registry_with_prefix("distd"));
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        ours.metric("build", "The program", Info::new(version));
        ours.gauge(
            "ready",
            "1 where the store can be read and written",
            u64::from(self.is_ready),
        );
        ours.gauge("connections", "Open connections", self.connections as u64);
        ours.counter(
            "connections_turned_away",
            "Clients told that every connection is busy",
            self.turned_away,
        );
        ours.gauge("live_streams", "Open pages that listen", self.streams as u64);
        if let Some(objects) = &self.objects {
            ours.objects(objects);
        }
        if let Some(health) = &self.health {
            ours.store(health);
            ours.sequencer(&health.sequencer);
            ours.upkeep(health);
            ours.inspection(health);
        }
        registry
    }
}

/// What the figures are registered with.
struct Figures<'a>(&'a mut Registry);

impl Figures<'_> {
    fn metric(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.0.register(name, help, metric);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.metric(name, help, ConstGauge::new(value));
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.metric(name, help, ConstCounter::new(value));
    }

    fn objects(&mut self, found: &ObjectsOnDisk) {
        self.gauge("store_objects", "Objects, at the last count", found.objects);
        self.gauge("store_object_bytes", "Bytes of those objects", found.bytes);
        self.gauge(
            "store_unreferenced_bytes",
            "Bytes of the objects that nothing refers to, at the last count",
            found.unreferenced_bytes,
        );
    }

    fn store(&mut self, health: &Health) {
        self.gauge("store_events", "Events in the log", health.head);
        self.gauge(
            "store_database_bytes",
            "Size of the database, without its write-ahead log",
            health.database_bytes,
        );
        self.gauge(
            "store_wal_bytes",
            "Size of the write-ahead log",
            health.sequencer.wal_bytes,
        );
        self.gauge(
            "store_free_bytes",
            "Bytes that are free on the disk of the objects",
            health.free_bytes,
        );
    }

    fn sequencer(&mut self, stats: &Stats) {
        self.gauge(
            "sequencer_queue",
            "Commands that wait for the writer",
            stats.queue_len as u64,
        );
        self.gauge(
            "sequencer_stopped",
            "1 where the writer takes no more commands",
            u64::from(stats.poisoned.is_some()),
        );
        self.metric(
            "sequencer_batch_commands",
            "Transactions, by the commands that they decided",
            Batches::of(stats),
        );
    }

    fn upkeep(&mut self, health: &Health) {
        // Without a backup its age is that of the epoch, which is old enough for any alert.
        let backup = health
            .last_backup
            .as_ref()
            .map_or(0.0, |line| seconds(line.event.created_at));
        self.metric(
            "backup_last_success_timestamp_seconds",
            "When the last backup was taken, in Unix seconds; 0 for never",
            ConstGauge::new(backup),
        );
        self.metric(
            "cleanup_last_success_timestamp_seconds",
            "When this process last cleaned up, in Unix seconds; 0 for not yet",
            ConstGauge::new(health.cleaned.at.map_or(0.0, seconds)),
        );
        self.counter(
            "cleanup_freed_bytes",
            "Bytes that cleanups of this process freed",
            health.cleaned.bytes,
        );
    }

    fn inspection(&mut self, health: &Health) {
        let Some(workers) = &health.inspectors else { return };
        self.gauge("inspectors_busy", "Processes that inspect a file", workers.busy as u64);
        self.gauge("inspectors_idle", "Processes that wait for a file", workers.idle as u64);
        self.counter("inspectors_started", "Processes started to inspect", workers.started);
        self.counter("inspectors_died", "Processes that died over a file", workers.died);
        self.counter(
            "inspectors_timed_out",
            "Processes that were ended because a file took too long",
            workers.timed_out,
        );
        self.counter("inspections", "Files inspected", workers.files);
        self.metric(
            "inspection_seconds",
            "Time that inspections took",
            ConstCounter::new(workers.time.as_secs_f64()),
        );
    }
}

fn seconds(at: Timestamp) -> f64 {
    std::time::Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0)).as_secs_f64()
}

/// Transactions by size, as the sequencer counts them.
#[derive(Debug)]
struct Batches {
    transactions: u64,
    commands: f64,
    /// The largest size of each bucket, and how many transactions are in it.
    buckets: Vec<(f64, u64)>,
}

impl Batches {
    fn of(stats: &Stats) -> Self {
        let sizes = stats.batch_sizes.iter().zip(0..);
        let mut buckets: Vec<_> = sizes.map(|(count, power)| (2.0_f64.powi(power), *count)).collect();
        buckets.push((f64::INFINITY, 0));
        // Of the same figures as the buckets: another transaction may have come since.
        let transactions = stats.batch_sizes.iter().sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum is a float in the format, and exact up to 2^53"
        )]
        let commands = stats.commands as f64;
        Self {
            transactions,
            commands,
            buckets,
        }
    }
}

impl TypedMetric for Batches {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Batches {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.encode_histogram::<NoLabelSet>(self.commands, self.transactions, &self.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
