//! What would change, before anything does: what confirmations name. Each plan is decided as its
//! deed is, so that it is refused where the deed would be.

use dist_model::decide::{self, DraftIntent, PublishDraftState};
use dist_model::{App, Channel, ChannelName, ErrorCode, Refusal, ReleaseDetail, ReleaseStatus, Scope, Slug};
use persist::SqlRead;

use crate::access::no_such_app;
use crate::channel::known_channel;
use crate::query::release_detail;
use crate::{Caller, Error, Selector, Service, rows};

/// A move of a channel that was not made yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedMove {
    /// The app.
    pub app: App,
    /// The channel as it is; one that was never moved where there is none yet.
    pub channel: Channel,
    /// What it points at.
    pub from: Option<ReleaseDetail>,
    /// What it would point at.
    pub to: ReleaseDetail,
}

/// A yank that was not done yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedYank {
    /// The app.
    pub app: App,
    /// The release.
    pub release: ReleaseDetail,
    /// The channels that point at it, and where each would go back to.
    pub leaving: Vec<Leaving>,
}

/// A channel that would leave its release.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaving {
    /// The channel as it is.
    pub channel: Channel,
    /// What it would point at; `None` where nothing earlier can be offered, which stands in the way.
    pub to: Option<ReleaseDetail>,
}

/// The publish of a draft that was not done yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedPublish {
    /// The app.
    pub app: App,
    /// The draft.
    pub release: ReleaseDetail,
    /// The channel that would move, with what it points at.
    pub channel: Option<(Channel, Option<ReleaseDetail>)>,
    /// Why it would be refused.
    pub refused: Option<Refusal>,
}

impl Service {
    /// What promoting a release to a channel would change.
    ///
    /// # Errors
    /// Those of [`Service::promote`].
    pub async fn plan_promotion(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: &ChannelName,
        release: &Selector,
    ) -> Result<PlannedMove, Error> {
        caller.require_move(slug, Some(channel), self.now())?;
        self.read(|tx| {
            let app = app(tx, slug)?;
            let release = release.find(tx, &app, caller.has(Scope::Publish, slug))?;
            let state = rows::move_state(tx, &app.id, channel)?;
            decide::promote(&state, &release, None, None)?;
            Ok(PlannedMove {
                from: current(tx, &state.channel)?,
                to: release_detail(tx, release)?,
                channel: state.channel,
                app,
            })
        })
    }

    /// What rolling a channel back would change.
    ///
    /// # Errors
    /// Those of [`Service::roll_back`].
    pub async fn plan_rollback(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: &ChannelName,
    ) -> Result<PlannedMove, Error> {
        caller.require_move(slug, Some(channel), self.now())?;
        self.read(|tx| {
            let app = app(tx, slug)?;
            known_channel(tx, &app, channel)?;
            let (channel, to) = back(tx, &app, channel)?;
            Ok(PlannedMove {
                from: current(tx, &channel)?,
                to,
                channel,
                app,
            })
        })
    }

    /// What yanking a release would change, its channels rolled back.
    ///
    /// # Errors
    /// Those of [`Service::yank`], but for `channel.no_previous`: see [`Leaving::to`].
    pub async fn plan_yank(&self, caller: &Caller, slug: &Slug, release: &Selector) -> Result<PlannedYank, Error> {
        caller.require(Scope::Promote, Some(slug), None, self.now())?;
        self.read(|tx| {
            let app = app(tx, slug)?;
            let release = release.find(tx, &app, caller.has(Scope::Publish, slug))?;
            decide::yank(&release, &[], None)?;
            let mut leaving = Vec::new();
            for name in rows::channels_at(tx, &release)? {
                caller.require_move(slug, Some(&name), self.now())?;
                leaving.push(match back(tx, &app, &name) {
                    Ok((channel, to)) => Leaving { channel, to: Some(to) },
                    Err(Error::Refused(refusal)) if refusal.code == ErrorCode::ChannelNoPrevious => Leaving {
                        channel: rows::move_state(tx, &app.id, &name)?.channel,
                        to: None,
                    },
                    Err(error) => return Err(error),
                });
            }
            Ok(PlannedYank {
                release: release_detail(tx, release)?,
                leaving,
                app,
            })
        })
    }

    /// What publishing a draft would change: to its own channel, unless another is named.
    ///
    /// # Errors
    /// `release.not_draft` for any other release.
    pub async fn plan_publish(
        &self,
        caller: &Caller,
        slug: &Slug,
        release: &Selector,
        channel: Option<&ChannelName>,
    ) -> Result<PlannedPublish, Error> {
        caller.require(Scope::Publish, Some(slug), channel, self.now())?;
        self.read(|tx| {
            let app = app(tx, slug)?;
            let release = release.find(tx, &app, true)?;
            if release.status != ReleaseStatus::Draft {
                let message = format!("{} is {} already", release.label(), release.status);
                return Err(Refusal::new(ErrorCode::ReleaseNotDraft, message).into());
            }
            let wanted = channel.or(release.channel.as_ref());
            let state = wanted.map(|name| rows::move_state(tx, &app.id, name)).transpose()?;
            let release = release_detail(tx, release)?;
            let intent = DraftIntent {
                channel: channel.cloned(),
                ..DraftIntent::default()
            };
            let draft = PublishDraftState {
                app: app.clone(),
                release: release.release.clone(),
                artifacts: release.artifacts.clone(),
                channel: state.clone(),
                was_in_channel: false,
            };
            let context = decide::Context {
                actor: caller.actor(),
                now: self.now(),
            };
            let refused = decide::publish_draft(draft, &intent, &context).err();
            let from = state.as_ref().map(|state| current(tx, &state.channel)).transpose()?;
            Ok(PlannedPublish {
                app,
                release,
                channel: state.map(|state| (state.channel, from.flatten())),
                refused,
            })
        })
    }
}

fn app(tx: &dyn SqlRead, slug: &Slug) -> Result<App, Error> {
    Ok(rows::app_by_slug(tx, slug)?.ok_or_else(|| no_such_app(slug))?)
}

/// What a channel points at.
fn current(tx: &dyn SqlRead, channel: &Channel) -> Result<Option<ReleaseDetail>, Error> {
    let Some(id) = &channel.current_release_id else {
        return Ok(None);
    };
    release_detail(tx, rows::known_release(tx, id)?).map(Some)
}

/// A channel, and what it would go back to.
fn back(tx: &dyn SqlRead, app: &App, name: &ChannelName) -> Result<(Channel, ReleaseDetail), Error> {
    let state = rows::move_state(tx, &app.id, name)?;
    let decided = decide::roll_back(&state, None, |revision| {
        Ok::<_, Error>(rows::stack_entry(tx, &app.id, name, revision)?)
    })?;
    let to = rows::known_release(tx, &decided.value.release_id)?;
    Ok((state.channel, release_detail(tx, to)?))
}
