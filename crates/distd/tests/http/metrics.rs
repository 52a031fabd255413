//! `/metrics`, and what is made of it: the dashboard and the alerts in `deploy/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dist_inspect::ChildInspector;

use crate::common::{Site, eventually};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// A server that did what a server does, and its metrics.
async fn busy() -> (Site, String) {
    let inspector = ChildInspector::new(env!("CARGO_BIN_EXE_distd"), 512 << 20, Duration::from_mins(1));
    let site = Site::start_with(|config| config.inspector = Arc::new(inspector)).await;
    site.publish("very-particular", "1.0.0", "peculiar").await;
    site.get("/api/apps/no-such-thing").await.expect(404);
    site.get("/no/such/place").await.expect(404);
    let mut metrics = String::new();
    eventually("the objects were counted", async || {
        metrics = site.get("/metrics").await.expect(200).text();
        metrics.contains("distd_store_objects ")
    })
    .await;
    (site, metrics)
}

/// Every word of a text that may name a metric of ours.
fn names_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("distd_") || word.starts_with("process_"))
        .collect()
}

#[tokio::test]
async fn whatever_the_dashboard_and_the_alerts_ask_for_is_told() {
    let (_site, metrics) = busy().await;
    let told: BTreeSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for file in [
        "deploy/grafana/dist.json",
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/alerts.test.yml",
        "docs/operating.md",
    ] {
        let text = read(file);
        let names = names_in(&text);
        assert!(!names.is_empty(), "{file} names no metric");
        let unknown: Vec<_> = names.difference(&told).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
}

#[tokio::test]
async fn every_metric_says_what_it_is_and_few_series_are_enough() {
    let (_site, metrics) = busy().await;
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    let mut series: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut described: BTreeSet<(&str, &str)> = BTreeSet::new();
    for line in metrics.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", kind, name, text] => assert!(described.insert((kind, name)) && !text.is_empty(), "{line}"),
            ["#", "EOF"] => {}
            [sample, value] => {
                assert!(value.parse::<f64>().is_ok(), "{line}");
                let name = sample.split('{').next().unwrap();
                assert!(series.entry(name).or_default().insert(sample), "{line} comes twice");
            }
            // A label that has a space in it.
            _ => panic!("{line}"),
        }
    }
    for name in series.keys() {
        let suffixes = ["", "_total", "_bucket", "_sum", "_count", "_info"];
        let family = suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix));
        let mut family = family.filter(|family| described.contains(&("TYPE", family)));
        let family = family.next().unwrap_or_else(|| panic!("{name} has no type"));
        assert!(described.contains(&("HELP", family)), "{name} has no help");
    }
    for private in ["very-particular", "peculiar", "no-such-thing", "no/such/place"] {
        assert!(!metrics.contains(private), "{private} is in {metrics}");
    }
}

#[test]
fn every_alert_has_a_section_that_says_what_to_do() {
    let (alerts, manual) = (read("deploy/prometheus/alerts.yml"), read("docs/operating.md"));
    let named: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(named.len() >= 10);
    for alert in &named {
        assert!(manual.contains(&format!("\n### {alert}\n")), "{alert} has no section");
        let runbook = format!("runbook: \"docs/operating.md#{}\"", alert.to_lowercase());
        assert!(alerts.contains(&runbook), "{alert} does not name its section");
    }
    let sections = manual.lines().filter_map(|line| line.strip_prefix("### Distd"));
    assert_eq!(sections.count(), named.len(), "a section is about no alert");
}
