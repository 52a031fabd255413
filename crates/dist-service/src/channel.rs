//! Moving channels and changing their settings.

use dist_model::decide::{self, Decided};
use dist_model::{
    App, Channel, ChannelChanges, ChannelDetail, ChannelMove, ChannelName, ErrorCode, Moved, Refusal, Release, Scope,
    Slug, nearest,
};
use persist::SqlRead;
use serde_json::{Value, json};

use crate::access::no_such_app;
use crate::idempotency::Receipted;
use crate::{Caller, Error, Idempotency, Selector, Service, preflight, query, rows};

/// What a promotion takes.
#[derive(Clone, Debug, PartialEq)]
pub enum PromoteFrom {
    /// A release.
    Release(Selector),
    /// Whatever another channel points at.
    Channel(ChannelName),
}

impl Service {
    /// Points a channel at a published release. Where it points there already, nothing changes.
    ///
    /// `if_current` is the revision that the caller saw: `channel.moved` where it is another.
    pub async fn promote(
        &self,
        caller: &Caller,
        app: &Slug,
        channel: &ChannelName,
        from: PromoteFrom,
        if_current: Option<u64>,
        idempotency: Option<Idempotency>,
    ) -> Result<Moved, Error> {
        let (slug, name) = (app.clone(), channel.clone());
        self.write_once(caller, idempotency, move |tx, scene| {
            scene.caller.require_move(&slug, Some(&name), scene.context.now)?;
            let app = rows::app_by_slug(&*tx, &slug)?.ok_or_else(|| no_such_app(&slug))?;
            let (release, source) = match &from {
                PromoteFrom::Release(selector) => (
                    selector.find(&*tx, &app, scene.caller.has(Scope::Publish, &slug))?,
                    None,
                ),
                PromoteFrom::Channel(source) => (current_release(&*tx, &app, source)?, Some(source.clone())),
            };
            let state = rows::move_state(&*tx, &app.id, &name)?;
            let decided = decide::promote(&state, &release, source, if_current)?;
            let changed = !decided.events.is_empty();
            let value = Moved {
                changed,
                ..moved_to(&*tx, app, release, &decided.value)?
            };
            Ok(Decided {
                events: decided.events,
                value,
            })
        })
        .await
    }

    /// Points a channel at what it pointed at before, skipping what may no longer be offered.
    pub async fn roll_back(
        &self,
        caller: &Caller,
        app: &Slug,
        channel: &ChannelName,
        if_current: Option<u64>,
        idempotency: Option<Idempotency>,
    ) -> Result<Moved, Error> {
        let (slug, name) = (app.clone(), channel.clone());
        self.write_once(caller, idempotency, move |tx, scene| {
            scene.caller.require_move(&slug, Some(&name), scene.context.now)?;
            let app = rows::app_by_slug(&*tx, &slug)?.ok_or_else(|| no_such_app(&slug))?;
            known_channel(&*tx, &app, &name)?;
            let state = rows::move_state(&*tx, &app.id, &name)?;
            let tx: &dyn SqlRead = &*tx;
            let decided = decide::roll_back(&state, if_current, |revision| {
                Ok::<_, Error>(rows::stack_entry(tx, &app.id, &name, revision)?)
            })?;
            let release = rows::known_release(tx, &decided.value.release_id)?;
            Ok(Decided {
                value: moved_to(tx, app, release, &decided.value)?,
                events: decided.events,
            })
        })
        .await
    }

    /// Changes a channel's settings, making the channel where it is not there.
    pub async fn update_channel(
        &self,
        caller: &Caller,
        app: &Slug,
        channel: &ChannelName,
        changes: ChannelChanges,
    ) -> Result<ChannelDetail, Error> {
        let (slug, name) = (app.clone(), channel.clone());
        self.write(caller, move |tx, scene| {
            scene
                .caller
                .require(Scope::Admin, Some(&slug), Some(&name), scene.context.now)?;
            let app = rows::app_by_slug(&*tx, &slug)?.ok_or_else(|| no_such_app(&slug))?;
            let existing = rows::channel(&*tx, &app.id, &name)?;
            let channel = existing
                .clone()
                .unwrap_or_else(|| Channel::new(app.id.clone(), name.clone()));
            let decided = decide::update_channel(existing.is_some(), &channel, &changes)?;
            Ok(Decided {
                value: query::channel_detail(&*tx, decided.value)?,
                events: decided.events,
            })
        })
        .await
    }
}

/// A channel of an app that the caller may read. Where it is not there, the refusal names the one that
/// was probably meant.
pub(crate) fn known_channel(tx: &dyn SqlRead, app: &App, name: &ChannelName) -> Result<Channel, Error> {
    if let Some(channel) = rows::channel(tx, &app.id, name)? {
        return Ok(channel);
    }
    let refusal = no_such_channel(&app.slug, name);
    let names = rows::channel_names(tx, app)?;
    Err(match nearest(name.as_str(), names.iter().map(ChannelName::as_str)) {
        Some(near) => Refusal::new(
            refusal.code,
            format!("{} has no channel {name}: did you mean {near}?", app.slug),
        )
        .with("nearest", near),
        None => refusal,
    }
    .into())
}

pub(crate) fn no_such_channel(app: &Slug, channel: &ChannelName) -> Refusal {
    Refusal::new(
        ErrorCode::ChannelNotFound,
        format!("{app} has no channel {channel}: see `dist channel list --app {app}`"),
    )
}

fn current_release(tx: &dyn SqlRead, app: &App, name: &ChannelName) -> Result<Release, Error> {
    let channel = known_channel(tx, app, name)?;
    let id = channel.current_release_id.ok_or_else(|| {
        Refusal::new(
            ErrorCode::ChannelEmpty,
            format!("the channel {name} points at no release yet"),
        )
    })?;
    Ok(rows::known_release(tx, &id)?)
}

fn moved_to(tx: &dyn SqlRead, app: App, release: Release, moved: &ChannelMove) -> Result<Moved, Error> {
    Ok(Moved {
        warnings: preflight::warnings(tx, &release, moved)?,
        app,
        release,
        channel: moved.channel.clone(),
        revision: moved.revision,
        previous_release_id: moved.previous_release_id.clone(),
        changed: true,
    })
}

impl Receipted for Moved {
    fn receipt(&self) -> Value {
        json!({ "app": self.app.id, "channel": self.channel, "revision": self.revision, "changed": self.changed })
    }

    fn recall(tx: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        let broken = || Error::Broken(format!("a receipt cannot be read: {receipt}"));
        let (Some(app), Some(channel), Some(revision)) = (
            receipt["app"].as_str(),
            receipt["channel"].as_str(),
            receipt["revision"].as_u64(),
        ) else {
            return Err(broken());
        };
        let app = rows::app_by_id(tx, &app.parse()?)?.ok_or_else(broken)?;
        let moved = rows::history_move(tx, &app.id, &channel.parse()?, revision)?.ok_or_else(broken)?;
        let release = rows::known_release(tx, &moved.release_id)?;
        Ok(Self {
            changed: receipt["changed"].as_bool().unwrap_or(true),
            ..moved_to(tx, app, release, &moved)?
        })
    }
}
