//! The process, as every exporter of Prometheus tells it: what `/proc` of Linux says (proc(5)).

use std::fs;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use rustix::process::{Resource, getrlimit};

/// The kernel counts a process's time in hundredths of a second, on every machine that we build for.
const TICKS_A_SECOND: f64 = 100.0;

/// Registers what can be read; elsewhere than on Linux that is nothing.
pub(super) fn register(registry: &mut Registry) {
    if let Some(bytes) = resident_bytes() {
        registry.register(
            "process_resident_memory_bytes",
            "Memory of the process that is in use",
            ConstGauge::new(bytes),
        );
    }
    if let Some(seconds) = cpu_seconds() {
        registry.register(
            "process_cpu_seconds",
            "Time of the processor that the process took",
            ConstCounter::new(seconds),
        );
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        registry.register(
            "process_open_fds",
            "Open descriptors",
            ConstGauge::new(open.count() as u64),
        );
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        registry.register("process_max_fds", "Descriptors that may be open", ConstGauge::new(most));
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold anything; after it come the fields from the third on.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let [user, system]: [f64; 2] = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
    Some((user + system) / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_this_process_takes() {
        assert!(resident_bytes().unwrap() > 1 << 20);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}
