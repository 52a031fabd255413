//! What is measured, for Prometheus.
//!
//! Labels are routes, methods, statuses and error codes, of which there are few: never a path, a name
//! or a slug.

mod now;
mod process;

use std::fmt;
use std::time::Duration;

use dist_model::ErrorCode;
use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub(crate) use now::Now;

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

/// The server's counters.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<AnswerLabels, Counter>,
    latencies: Family<RouteLabels, Histogram, fn() -> Histogram>,
    refusals: Family<CodeLabels, Counter>,
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
    pub(crate) fn new() -> Self {
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
        let refusals = Family::<CodeLabels, Counter>::default();
        registry.register(
            "refusals",
            "Requests refused, by the code of the refusal",
            refusals.clone(),
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
        Self {
            registry,
            answers,
            latencies,
            refusals,
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

    /// Counts a refusal.
    pub(crate) fn refusal(&self, code: ErrorCode) {
        let refusals = self.refusals.get_or_create_owned(&CodeLabels { code: code.as_str() });
        refusals.inc();
    }

    /// All of it in the text format of `OpenMetrics`, with what is so now.
    pub(crate) fn encode(&self, now: &Now) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &now.registry())?;
        encode_eof(&mut text)?;
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
