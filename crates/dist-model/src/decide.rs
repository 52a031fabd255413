//! The decisions: pure functions from what is there and what is wanted to events or a refusal.
//!
//! A caller loads the few rows that a decision needs inside the write transaction, calls the one
//! function, and appends what it answers. Nothing here looks anything up, reads a clock or makes
//! an id: ids come in as a closure, so that a test can hand out known ones.

mod app;
mod channel;
mod publish;
mod release;
mod retention;
mod token;
mod user;

pub use app::{AppIntent, create_app, update_app};
pub use channel::{MoveState, StackEntry, promote, roll_back, update_channel};
pub use publish::{ArtifactIntent, Defaults, PublishIntent, PublishState, PublishStatus, Published, publish};
pub use release::{DraftIntent, PublishDraftState, discard, publish_draft, yank};
pub use retention::{Lineage, retire};
pub use token::{TokenIntent, create_token};
pub use user::{LinkIntent, UserIntent, create_link, create_user, update_user};

use crate::{Event, Timestamp};

/// Hands out ids: a closure over injected time and randomness.
pub type NewId<'a> = &'a mut dyn FnMut() -> String;

/// What a decision comes to: the events to append, in order, and what to tell the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided<T> {
    /// The events; none where nothing changes.
    pub events: Vec<Event>,
    /// The answer.
    pub value: T,
}

/// Who decides, and when.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who wants it.
    pub actor: crate::Actor,
    /// When.
    pub now: Timestamp,
}
