//! What the inspection found of an artifact, read for pages.

use dist_model::Artifact;
use dist_service::facts;
use serde_json::{Map, Value};

use super::text::visible;

/// The facts of an artifact, or of a part of it; what is not known is absent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a>(Option<&'a Map<String, Value>>);

impl<'a> Known<'a> {
    pub(super) fn of(artifact: &'a Artifact) -> Self {
        Self(facts(&artifact.metadata))
    }

    /// A part of the facts.
    pub(super) fn part(self, key: &str) -> Self {
        Self(self.value(key).and_then(Value::as_object))
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_none_or(Map::is_empty)
    }

    /// A text, as it was found.
    pub(super) fn text(self, key: &str) -> Option<&'a str> {
        self.texts(key).next()
    }

    /// A text or a list of them.
    pub(super) fn texts(self, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let value = self.value(key);
        let list = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        value.into_iter().chain(list).filter_map(Value::as_str)
    }

    /// A list of parts.
    pub(super) fn parts(self, key: &str) -> impl Iterator<Item = Self> + use<'a> {
        let list = self.value(key).and_then(Value::as_array);
        let parts = list.into_iter().flatten().map(Value::as_object);
        parts.map(Self)
    }

    pub(super) fn number(self, key: &str) -> Option<u64> {
        self.value(key)?.as_u64()
    }

    pub(super) fn flag(self, key: &str) -> Option<bool> {
        self.value(key)?.as_bool()
    }

    /// Who signed, by the common name where there is one.
    pub(super) fn signer(self) -> Option<String> {
        let signer = self.text("signer_name").or_else(|| self.text("signer"))?;
        let name = attributes(signer).find_map(|attribute| attribute.strip_prefix("CN="));
        Some(visible(&name.unwrap_or(signer).replace('\\', "")))
    }

    fn value(self, key: &str) -> Option<&'a Value> {
        self.0?.get(key)
    }
}

/// The attributes of a name such as `O=Acme\, Inc., CN=Acme`. A comma inside of one is escaped, so
/// that nobody gets a second name by writing it into the first.
fn attributes(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(name);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.match_indices(", ").find(|(at, _)| !text[..*at].ends_with('\\'));
        rest = end.map(|(at, separator)| &text[at + separator.len()..]);
        Some(end.map_or(text, |(at, _)| &text[..at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_name_starts_no_attribute() {
        let split = |name| attributes(name).collect::<Vec<_>>();
        assert_eq!(
            split("C=US, O=Acme\\, CN=Other, CN=Acme"),
            ["C=US", "O=Acme\\, CN=Other", "CN=Acme"]
        );
        assert_eq!(split(""), [""]);
    }
}
