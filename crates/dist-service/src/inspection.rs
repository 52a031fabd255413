//! What stands of an inspection in an artifact's metadata: its report under the key `inspection`, with the
//! version of its form and the digest of the icon.

use dist_blobs::FsStore;
use dist_inspect::{Finding, Icon, Inspection};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::Error;

/// The key of an artifact's metadata that the report stands under.
pub(crate) const KEY: &str = "inspection";
/// The version of what stands there.
const SCHEMA: u32 = 1;

/// What the manifest adds, and what the inspection found. The icon becomes an object.
pub(crate) fn keep(
    objects: &FsStore,
    found: &Inspection,
    mut metadata: Map<String, Value>,
) -> Result<Map<String, Value>, Error> {
    let mut kept = serde_json::to_value(&found.report).map_err(|error| Error::Broken(error.to_string()))?;
    kept["schema"] = SCHEMA.into();
    if let Some(Icon { png, width, height }) = &found.icon {
        let stored = objects.import(&mut png.as_slice(), u64::MAX, None)?;
        kept["icon"] = json!({ "sha256": stored.digest, "width": width, "height": height });
    }
    metadata.insert(KEY.to_owned(), kept);
    Ok(metadata)
}

/// What is known of an artifact with this metadata: the facts of `dist inspect --json`.
pub fn facts(metadata: &Map<String, Value>) -> Option<&Map<String, Value>> {
    metadata.get(KEY)?.get("facts")?.as_object()
}

/// What was found in an artifact with this metadata, and beside the release before it.
pub fn findings(metadata: &Map<String, Value>) -> Vec<Finding> {
    let findings = metadata.get(KEY).and_then(|kept| kept.get("findings"));
    findings
        .and_then(|findings| Vec::deserialize(findings).ok())
        .unwrap_or_default()
}
