//! What is measured, for Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dist_service::Service;
use http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::connection::Connections;

/// From a look-up to a large upload, in seconds.
const LATENCIES_S: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    method: &'static str,
    route: String,
    status: u16,
}

/// The server's counters.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<AnswerLabels, Counter>,
    latencies: Family<RouteLabels, Histogram, fn() -> Histogram>,
    /// Bytes of objects received whole.
    pub uploaded_bytes: Counter,
    /// Objects received whole.
    pub uploads: Counter,
    /// Bytes of objects handed out.
    pub downloaded_bytes: Counter,
    /// Objects handed out from beginning to end.
    pub downloads: Counter,
}

impl Metrics {
    pub(crate) fn new(service: Service, connections: Arc<Connections>) -> Self {
        let mut registry = Registry::with_prefix("distd");
        let answers = Family::<AnswerLabels, Counter>::default();
        registry.register("requests", "Requests answered", answers.clone());
        let latencies: Family<RouteLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(LATENCIES_S));
        registry.register(
            "request_seconds",
            "Time until the head of the answer",
            latencies.clone(),
        );
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let uploads = counter("uploads", "Objects received whole");
        let uploaded_bytes = counter("uploaded_bytes", "Bytes of objects received whole");
        let downloads = counter("downloads", "Objects handed out from beginning to end");
        let downloaded_bytes = counter("downloaded_bytes", "Bytes of objects handed out");
        registry.register_collector(Box::new(Gauges { service, connections }));
        Self {
            registry,
            answers,
            latencies,
            uploaded_bytes,
            uploads,
            downloaded_bytes,
            downloads,
        }
    }

    /// Counts an answer.
    pub(crate) fn request(&self, method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
        let method = label(method);
        let latency = self.latencies.get_or_create_owned(&RouteLabels {
            method,
            route: route.to_owned(),
        });
        latency.observe(elapsed.as_secs_f64());
        let answers = self.answers.get_or_create_owned(&AnswerLabels {
            method,
            route: route.to_owned(),
            status: status.as_u16(),
        });
        answers.inc();
    }

    /// All of it in the text format of `OpenMetrics`.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Methods are few; whatever else a client makes up must not make a new series.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// What is read when somebody asks.
struct Gauges {
    service: Service,
    connections: Arc<Connections>,
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauges").finish_non_exhaustive()
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.service.stats();
        let gauges = [
            ("connections", "Open connections", self.connections.len() as u64),
            (
                "sequencer_queue",
                "Commands that wait for the writer",
                stats.queue_len as u64,
            ),
            (
                "sequencer_poisoned",
                "1 where the writer takes no more commands",
                u64::from(stats.poisoned.is_some()),
            ),
            ("wal_bytes", "Size of the write-ahead log", stats.wal_bytes),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("sequencer_batches", "Transactions committed", stats.batches),
            ("sequencer_commands", "Commands decided", stats.commands),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
