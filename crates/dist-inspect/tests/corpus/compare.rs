//! How a fact of the manifest is held against a report.

use std::collections::BTreeSet;

use dist_inspect::{Inspection, arch};
use serde_json::Value;

/// What comes of comparing a fact.
pub enum Comparison {
    /// The report says the same.
    Agrees,
    /// It says something else, and what.
    Differs(String),
    /// It is on purpose not in a report, and why.
    NotCompared(#[expect(dead_code, reason = "the reason is for those who read the table")] &'static str),
}

/// Who knows the facts of one platform.
pub struct Judge {
    /// Compares the fact of this key with the report; `None` for a key that nobody compares yet.
    pub compare: fn(key: &str, expected: &Value, found: &Inspection) -> Option<Comparison>,
    /// Where our rules differ from the manifest's on purpose: a path, a key of `expected` or
    /// `format` or `verdict`, and why.
    pub exceptions: &'static [(&'static str, &'static str, &'static str)],
    /// Whether all that the manifest rejects must fail.
    pub is_complete: bool,
}

impl Judge {
    /// Whether a difference is on purpose.
    pub fn excuses(&self, path: &str, key: &str) -> bool {
        let mut exceptions = self.exceptions.iter();
        exceptions.any(|(excused, what, _)| *excused == path && *what == key)
    }
}

/// Whether the report has exactly this under `key`; null, `""` and empty lists are left out of it.
#[allow(dead_code, reason = "for the platforms' tables")]
pub fn same(key: &str, expected: &Value, found: &Inspection) -> Comparison {
    let ours = found.report.facts.get(key);
    let is_nothing = match expected {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    verdict(ours == Some(expected) || (is_nothing && ours.is_none()), expected, ours)
}

/// Whether the report has these processors as `archs`, in our spelling.
pub fn archs(expected: &Value, found: &Inspection) -> Comparison {
    let spelled: BTreeSet<&str> = texts(expected).map(|word| arch::spell(word).unwrap_or(word)).collect();
    let ours = found.report.facts.get("archs");
    let found: BTreeSet<&str> = ours.into_iter().flat_map(texts).collect();
    verdict(found == spelled, expected, ours)
}

/// Agrees where `holds`, else tells both.
pub fn verdict(holds: bool, expected: &Value, ours: Option<&Value>) -> Comparison {
    if holds {
        return Comparison::Agrees;
    }
    let ours = ours.map_or_else(|| "nothing".to_owned(), Value::to_string);
    Comparison::Differs(format!("{expected} expected, {ours} found"))
}

/// The text that a value is, or the texts of the list that it is.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}
