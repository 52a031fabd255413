//! Audit events, as people and programs read them.

use serde_json::{Map, Value};

use crate::{Actor, Timestamp};

/// One line of the audit log: an event of the log, seen through its table.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEvent {
    /// The position in the log.
    pub id: u64,
    /// Who did it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub actor: Actor,
    /// What was done, such as `release.published`.
    pub action: String,
    /// The kind of thing that it was done to, such as `release`.
    pub target_type: String,
    /// The id or name of the thing.
    pub target_id: String,
    /// What changed.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// When it was done.
    pub created_at: Timestamp,
}
