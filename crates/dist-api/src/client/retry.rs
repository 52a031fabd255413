//! When and how long to wait before the network is tried again.

use std::sync::Arc;
use std::time::Duration;

use dist_model::Refusal;
use tokio::time::{Instant, sleep};

use super::Fault;

/// Told of a failure that is tried again, and of the pause before.
pub type Notice = Arc<dyn Fn(&Refusal, Duration) + Send + Sync>;

/// Exponential back-off with jitter, bounded in number and time.
#[derive(Clone)]
pub struct Retry {
    /// How often a request is sent at most.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles each time.
    pub first: Duration,
    /// This long after the first failure no further attempt is begun.
    pub total: Duration,
    /// A number from 0 to 1 a call: a pause is between half and all of its nominal length, so that
    /// the runners of one pipeline do not come back in step.
    pub jitter: fn() -> f64,
    /// Told of every failure that is tried again, with the pause.
    pub notice: Notice,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(500),
            total: Duration::from_mins(1),
            jitter: rand::random,
            notice: Arc::new(|_, _| {}),
        }
    }
}

impl Retry {
    /// Runs `attempt` until it succeeds, fails for good, or patience ends. Where `repeatable` is
    /// false it is run again only after a failure that surely had no effect.
    pub(super) async fn run<T>(
        &self,
        repeatable: bool,
        attempt: impl AsyncFn() -> Result<T, Fault>,
    ) -> Result<T, Refusal> {
        let mut patience = self.start();
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(Fault::Passing {
                    refusal, maybe_done, ..
                }) if maybe_done && !repeatable => return Err(refusal),
                Err(fault) => patience.pause(fault).await?,
            }
        }
    }

    pub(super) fn start(&self) -> Patience<'_> {
        Patience {
            retry: self,
            first_failure: None,
            failures: 0,
        }
    }
}

/// What is left of a [`Retry`] while a request is tried.
pub(super) struct Patience<'a> {
    retry: &'a Retry,
    first_failure: Option<Instant>,
    failures: u32,
}

impl Patience<'_> {
    /// Waits before the next attempt, or answers the refusal where there is to be none.
    pub(super) async fn pause(&mut self, fault: Fault) -> Result<(), Refusal> {
        let (refusal, after) = match fault {
            Fault::Final(refusal) => return Err(refusal),
            Fault::Passing { refusal, after, .. } => (refusal, after),
        };
        self.failures += 1;
        let nominal = self.retry.first * 2_u32.saturating_pow(self.failures - 1);
        let jittered = nominal.mul_f64(0.5 + (self.retry.jitter)().clamp(0.0, 1.0) / 2.0);
        let delay = after.map_or(jittered, |after| after.max(jittered));
        let since = self.first_failure.get_or_insert_with(Instant::now).elapsed();
        if self.failures >= self.retry.attempts || since + delay > self.retry.total {
            return Err(refusal);
        }
        (self.retry.notice)(&refusal, delay);
        sleep(delay).await;
        Ok(())
    }

    /// Begins anew after progress: a long upload may be cut many times.
    pub(super) fn renew(&mut self) {
        *self = self.retry.start();
    }
}
