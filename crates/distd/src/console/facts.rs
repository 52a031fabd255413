//! What is known of an artifact, for people: the facts of its inspection, by name.

use dist_model::Artifact;
use serde_json::{Map, Value};

use crate::install::text::visible;

/// How many entries of a list are shown at once; more are folded.
const FOLDED: usize = 4;
/// The most entries of a list that a page has.
const MOST: usize = 1000;

/// What comes first, since it is what people look for; everything else follows by name.
const FIRST: [(&str, &str); 14] = [
    ("app_id", "App id"),
    ("name", "Name"),
    ("version", "Version"),
    ("build", "Build"),
    ("min_os", "Oldest system"),
    ("target_os", "Made for system"),
    ("archs", "Processors"),
    ("signed", "Signed"),
    ("signer_name", "Signer"),
    ("signer", "Signer, in full"),
    ("cert_sha256", "Certificate, SHA-256"),
    ("cert_expires", "Certificate ends"),
    ("permissions", "Permissions"),
    ("entitlements", "Entitlements"),
];

/// A fact by name.
pub(crate) struct Fact {
    pub name: String,
    /// One, or the entries of a list.
    pub values: Vec<String>,
    /// How many entries are left out.
    pub left_out: usize,
}

impl Fact {
    fn new(name: String, value: &Value) -> Self {
        let mut values = entries(value);
        let left_out = values.len().saturating_sub(MOST);
        values.truncate(MOST);
        Self { name, values, left_out }
    }

    /// Whether its entries are shown only to who asks.
    pub(crate) fn is_folded(&self) -> bool {
        self.values.len() > FOLDED
    }
}

/// What the inspection found out.
pub(crate) fn found(artifact: &Artifact) -> Vec<Fact> {
    let Some(known) = dist_service::facts(&artifact.metadata) else {
        return Vec::new();
    };
    let first = FIRST.iter().filter_map(|(key, _)| Some((*key, known.get(*key)?)));
    let is_first = |key: &str| FIRST.iter().any(|(first, _)| *first == key);
    let rest = known.iter().filter(|(key, _)| !is_first(key));
    let rest = rest.map(|(key, value)| (key.as_str(), value));
    first
        .chain(rest)
        .map(|(key, value)| Fact::new(name(key), value))
        .collect()
}

/// What the manifest said of it.
pub(crate) fn declared(artifact: &Artifact) -> Vec<Fact> {
    let own = artifact.metadata.iter().filter(|(key, _)| *key != "inspection");
    own.map(|(key, value)| Fact::new(visible(key), value)).collect()
}

/// The name of a fact for people.
pub(crate) fn name(key: &str) -> String {
    if let Some((_, name)) = FIRST.iter().find(|(first, _)| *first == key) {
        return (*name).to_owned();
    }
    let words = visible(&key.replace('_', " "));
    let mut characters = words.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// A value in one line.
pub(crate) fn text(value: &Value) -> String {
    entries(value).join(", ")
}

fn entries(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(line).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| member(key, value)).collect(),
        single => vec![line(single)],
    }
}

fn member(key: &str, value: &Value) -> String {
    match value {
        // Sets are objects whose values say no more.
        Value::Bool(true) | Value::Null => visible(key),
        value => format!("{}: {}", visible(key), line(value)),
    }
}

fn line(value: &Value) -> String {
    let text = match value {
        Value::Null => "unknown".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(line).collect::<Vec<_>>().join(", "),
        Value::Object(members) => inline(members),
    };
    visible(&text)
}

fn inline(members: &Map<String, Value>) -> String {
    let members = members.iter().map(|(key, value)| member(key, value));
    members.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_are_told_in_words() {
        for (value, told) in [
            (json!("1.0"), "1.0"),
            (json!(true), "yes"),
            (json!(null), "unknown"),
            (json!(["a", 1]), "a, 1"),
            (json!({"v1": true, "v2": false}), "v1, v2: no"),
            (json!([{"min": "10", "max": "11"}]), "max: 11, min: 10"),
            (json!("exe.\u{202e}gpj"), "exe.gpj"),
        ] {
            assert_eq!(text(&value), told, "{value}");
        }
        assert_eq!(
            (name("min_os"), name("digest_alg")),
            ("Oldest system".into(), "Digest alg".into())
        );
    }

    #[test]
    fn long_lists_are_folded_and_cut() {
        let list: Value = (0..2000).collect::<Vec<u32>>().into();
        let fact = Fact::new("Files".to_owned(), &list);
        assert_eq!((fact.is_folded(), fact.values.len(), fact.left_out), (true, 1000, 1000));
        assert!(!Fact::new("Files".to_owned(), &json!([1, 2])).is_folded());
    }
}
