//! How often signing in may be tried: by account and by address, in memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dist_model::{Email, ErrorCode, Refusal, Timestamp};

/// How long a failure counts, in milliseconds.
const WINDOW_MS: i64 = 15 * 60_000;
/// How many may fail for one account from one address.
const BY_BOTH: usize = 5;
/// How many may fail for one account from anywhere: more, so that nobody is locked out by a stranger
/// who knows their address as easily as that.
const BY_ACCOUNT: usize = 50;
/// How many may fail from one address: an office shares one.
const BY_ADDRESS: usize = 30;
/// Beyond so many keys what is over is forgotten, or else all: memory stays bounded whoever comes.
const MOST_KEYS: usize = 10_000;

/// The failures of the last quarter of an hour.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<HashMap<Key, Vec<Timestamp>>>);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Both(Email, IpAddr),
    Account(Email),
    Address(IpAddr),
}

fn keys(email: Option<&Email>, address: IpAddr) -> Vec<(Key, usize)> {
    let mut keys = vec![(Key::Address(network(address)), BY_ADDRESS)];
    if let Some(email) = email {
        keys.push((Key::Both(email.clone(), network(address)), BY_BOTH));
        keys.push((Key::Account(email.clone()), BY_ACCOUNT));
    }
    keys
}

/// Whoever has an IPv6 address has the 2^64 beside it too.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

impl Throttle {
    fn failures(&self) -> MutexGuard<'_, HashMap<Key, Vec<Timestamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses where too many attempts failed lately. The attempt counts as failed until
    /// [`Throttle::succeeded`]: many at once are no way around the limit.
    ///
    /// # Errors
    /// `auth.too_many_attempts`, with how long to wait.
    pub(crate) fn attempt(&self, email: Option<&Email>, address: IpAddr, now: Timestamp) -> Result<(), Refusal> {
        let mut failures = self.failures();
        let since = now.plus_millis(-WINDOW_MS);
        let keys = keys(email, address);
        for (key, most) in &keys {
            let Some(times) = failures.get_mut(key) else { continue };
            times.retain(|at| *at > since);
            if let Some(first) = times.first().filter(|_| times.len() >= *most) {
                let wait = (first.as_millis() + WINDOW_MS - now.as_millis()).max(0) / 1000 + 1;
                let message = format!(
                    "too many attempts to sign in failed; try again in {} min",
                    (wait + 59) / 60
                );
                return Err(Refusal::new(ErrorCode::AuthTooMany, message).with("retry_after_seconds", wait));
            }
        }
        if failures.len() + keys.len() > MOST_KEYS {
            failures.retain(|_, times| times.last().is_some_and(|at| *at > since));
            if failures.len() + keys.len() > MOST_KEYS {
                failures.clear();
            }
        }
        for (key, _) in keys {
            failures.entry(key).or_default().push(now);
        }
        Ok(())
    }

    /// Forgets the failures of somebody who proved who they are.
    pub(crate) fn succeeded(&self, email: &Email, address: IpAddr) {
        let mut failures = self.failures();
        failures.remove(&Key::Both(email.clone(), network(address)));
        failures.remove(&Key::Account(email.clone()));
        if let Some(times) = failures.get_mut(&Key::Address(network(address))) {
            times.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_wrong_passwords_are_enough_and_time_heals() {
        let throttle = Throttle::default();
        let email: Email = "ann@example.org".parse().unwrap();
        let (home, away) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        for minute in 0..5 {
            throttle.attempt(Some(&email), home, at(minute)).unwrap();
        }
        let refused = throttle.attempt(Some(&email), home, at(5)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::AuthTooMany);
        assert_eq!(refused.details["retry_after_seconds"], 601);
        throttle.attempt(Some(&email), away, at(5)).unwrap();
        throttle.attempt(Some(&email), home, at(16)).unwrap();
    }

    #[test]
    fn many_accounts_from_one_address_are_many_attempts() {
        let throttle = Throttle::default();
        let now = Timestamp::from_millis(0);
        let mut refused = 0;
        for n in 0..100_u16 {
            let email: Email = format!("u{n}@example.org").parse().unwrap();
            // One household, whatever the interface's own half of the address.
            let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]);
            refused += usize::from(throttle.attempt(Some(&email), address, now).is_err());
        }
        assert_eq!(refused, 100 - BY_ADDRESS);
    }

    #[test]
    fn who_gets_in_starts_anew() {
        let throttle = Throttle::default();
        let email: Email = "ann@example.org".parse().unwrap();
        let (address, now) = ("192.0.2.1".parse().unwrap(), Timestamp::from_millis(0));
        for _ in 0..100 {
            throttle.attempt(Some(&email), address, now).unwrap();
            throttle.succeeded(&email, address);
        }
    }
}
