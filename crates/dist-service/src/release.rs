//! Yanking releases.

use std::collections::BTreeMap;

use dist_model::decide::{self, Decided};
use dist_model::{ChannelMove, ChannelName, ErrorCode, Refusal, Release, ReleaseStatus, Scope, Slug, Yanked};
use persist::{SqlRead, SqlTx};
use serde_json::{Value, json};

use crate::access::no_such_app;
use crate::idempotency::Receipted;
use crate::service::Scene;
use crate::{Caller, Error, Idempotency, Selector, Service, rows};

/// How a release is to be yanked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct YankIntent {
    /// Whether the channels that point at it go back to what they pointed at before, in the same
    /// transaction; otherwise none may.
    pub and_rollback: bool,
    /// The channels that the caller saw point at it, with their revisions: `channel.moved` where
    /// they are others.
    pub if_current: Option<BTreeMap<ChannelName, u64>>,
    /// Why, at most 2000 bytes.
    pub reason: Option<String>,
}

impl Service {
    /// Takes a release out of circulation for ever; its bytes and its record stay.
    pub async fn yank(
        &self,
        caller: &Caller,
        app: &Slug,
        release: &Selector,
        intent: YankIntent,
        idempotency: Option<Idempotency>,
    ) -> Result<Yanked, Error> {
        if intent.reason.as_ref().is_some_and(|reason| reason.len() > 2000) {
            return Err(Refusal::new(ErrorCode::ManifestInvalidField, "the reason is over 2000 bytes").into());
        }
        let (slug, selector) = (app.clone(), release.clone());
        self.write_once(caller, idempotency, move |tx, scene| {
            scene
                .caller
                .require(Scope::Promote, Some(&slug), None, scene.context.now)?;
            let app = rows::app_by_slug(&*tx, &slug)?.ok_or_else(|| no_such_app(&slug))?;
            let release = selector.find(&*tx, &app, scene.caller.has(Scope::Publish, &slug))?;
            yank(tx, scene, &slug, release, intent)
        })
        .await
    }
}

fn yank(
    tx: &mut dyn SqlTx,
    scene: &Scene,
    slug: &Slug,
    release: Release,
    intent: YankIntent,
) -> Result<Decided<Yanked>, Error> {
    let in_use = rows::channels_at(&*tx, &release)?;
    if let Some(seen) = &intent.if_current {
        check_standing(&*tx, &release, &in_use, seen)?;
    }
    let mut events = Vec::new();
    let mut rolled_back = Vec::new();
    if intent.and_rollback {
        for channel in &in_use {
            let moved = leave(&*tx, scene, slug, channel, &release)?;
            events.extend(moved.events);
            rolled_back.push(moved.value);
        }
    }
    let standing: &[ChannelName] = if intent.and_rollback { &[] } else { &in_use };
    let decided = decide::yank(&release, standing, intent.reason)?;
    let changed = !decided.events.is_empty();
    events.extend(decided.events);
    let release = Release {
        status: ReleaseStatus::Yanked,
        ..release
    };
    Ok(Decided {
        events,
        value: Yanked {
            release,
            rolled_back,
            changed,
        },
    })
}

/// Refuses where other channels point at the release than the caller saw, or one was moved since.
fn check_standing(
    tx: &dyn SqlRead,
    release: &Release,
    in_use: &[ChannelName],
    seen: &BTreeMap<ChannelName, u64>,
) -> Result<(), Error> {
    let mut standing = BTreeMap::new();
    for name in in_use {
        let state = rows::move_state(tx, &release.app_id, name)?;
        standing.insert(name.clone(), state.channel.revision);
    }
    if standing == *seen {
        return Ok(());
    }
    let message = "other channels point at the release now: somebody moved one; look again, then decide";
    Err(Refusal::new(ErrorCode::ChannelMoved, message).into())
}

/// Rolls a channel back from the release that is about to be yanked. The caller needs the right to
/// move each channel that it so moves.
fn leave(
    tx: &dyn SqlRead,
    scene: &Scene,
    slug: &Slug,
    channel: &ChannelName,
    release: &Release,
) -> Result<Decided<ChannelMove>, Error> {
    scene.caller.require_move(slug, Some(channel), scene.context.now)?;
    let state = rows::move_state(tx, &release.app_id, channel)?;
    decide::roll_back(&state, None, |revision| {
        Ok(rows::stack_entry(tx, &release.app_id, channel, revision)?)
    })
}

impl Receipted for Yanked {
    fn receipt(&self) -> Value {
        let rolled_back: Vec<Value> = self
            .rolled_back
            .iter()
            .map(|moved| json!([moved.channel, moved.revision]))
            .collect();
        json!({ "release": self.release.id, "rolled_back": rolled_back, "changed": self.changed })
    }

    fn recall(tx: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        let broken = || Error::Broken(format!("a receipt cannot be read: {receipt}"));
        let id = receipt["release"].as_str().ok_or_else(broken)?;
        let release = rows::release(tx, id)?.ok_or_else(broken)?;
        let mut rolled_back = Vec::new();
        for entry in receipt["rolled_back"].as_array().ok_or_else(broken)? {
            let (Some(channel), Some(revision)) = (entry[0].as_str(), entry[1].as_u64()) else {
                return Err(broken());
            };
            rolled_back.extend(rows::history_move(tx, &release.app_id, &channel.parse()?, revision)?);
        }
        Ok(Self {
            release,
            rolled_back,
            changed: receipt["changed"].as_bool().unwrap_or(true),
        })
    }
}
