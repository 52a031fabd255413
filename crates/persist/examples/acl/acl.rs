//! Access control as an event log: who may use what, and since when, told by what was granted and
//! revoked.

use std::collections::BTreeSet;

use persist::{Backend, Error, InvalidInput, NewEvent, Projection, Recorded, StreamName, View, log, project, query};
use serde::{Deserialize, Serialize};

/// What happens to the access to a resource, whose stream it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// A principal may use the resource from now on.
    Granted {
        /// Who.
        principal: String,
    },
    /// A principal may no longer use it.
    Revoked {
        /// Who.
        principal: String,
    },
}

impl Access {
    /// Who gets access, at that time in Unix milliseconds.
    pub fn granted(principal: &str, at: i64) -> Result<NewEvent, Error> {
        let principal = principal.to_owned();
        NewEvent::typed(at, &Self::Granted { principal })
    }

    /// Who loses it.
    pub fn revoked(principal: &str, at: i64) -> Result<NewEvent, Error> {
        let principal = principal.to_owned();
        NewEvent::typed(at, &Self::Revoked { principal })
    }
}

/// The stream of a resource.
pub fn stream(resource: &str) -> Result<StreamName, Error> {
    Ok(StreamName::new(format!("acl/{resource}")).map_err(InvalidInput::Stream)?)
}

/// Who may use a resource, as a fold of its stream.
pub fn principals() -> Projection<BTreeSet<String>> {
    Projection::typed(
        "principals",
        1,
        BTreeSet::new(),
        |principals: &mut BTreeSet<_>, event| {
            match event {
                Access::Granted { principal } => principals.insert(principal),
                Access::Revoked { principal } => principals.remove(&principal),
            };
        },
    )
}

/// The same as a view, which reads nothing when it is asked for what it last saw.
pub fn view(resource: &str) -> Result<View<BTreeSet<String>>, Error> {
    Ok(View::new(stream(resource)?, principals()))
}

/// Lets a principal use a resource.
pub fn grant(backend: &dyn Backend, resource: &str, principal: &str, at: i64) -> Result<Recorded, Error> {
    log::append(backend, &stream(resource)?, Access::granted(principal, at)?)
}

/// Lets a principal use it no longer.
pub fn revoke(backend: &dyn Backend, resource: &str, principal: &str, at: i64) -> Result<Recorded, Error> {
    log::append(backend, &stream(resource)?, Access::revoked(principal, at)?)
}

/// Everybody who may use a resource.
pub fn grants(backend: &dyn Backend, resource: &str) -> Result<BTreeSet<String>, Error> {
    Ok(project::project(backend, &stream(resource)?, &principals())?.value)
}

/// Whether a principal may use a resource.
pub fn can(backend: &dyn Backend, resource: &str, principal: &str) -> Result<bool, Error> {
    Ok(grants(backend, resource)?.contains(principal))
}

/// What happened to the access to a resource in a window of time, in Unix milliseconds: a question
/// that a table of present grants could not answer.
pub fn audit(backend: &dyn Backend, resource: &str, from: i64, to: i64) -> Result<Vec<Recorded>, Error> {
    query::read_window(backend, &stream(resource)?, from, to)
}
