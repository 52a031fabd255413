//! Apps: making one, changing its settings.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Decided, NewId};
use crate::{App, AppChanges, AppId, ErrorCode, Event, IosMode, Refusal, Slug, Visibility, events};

/// An app that somebody wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppIntent {
    /// Its settings; the display name defaults to the slug, the owner to the actor.
    pub settings: AppChanges,
}

/// Makes the app `slug` unless it exists.
pub fn create_app(
    existing: Option<&App>,
    slug: &Slug,
    intent: &AppIntent,
    context: &Context,
    new_id: NewId<'_>,
) -> Result<Decided<App>, Refusal> {
    if existing.is_some() {
        return Err(Refusal::new(
            ErrorCode::AppExists,
            format!("the app {slug} exists; change it with `dist app set`"),
        ));
    }
    let mut app = App {
        id: AppId::try_from(new_id())?,
        slug: slug.clone(),
        display_name: slug.to_string(),
        bundle_ids: BTreeMap::new(),
        allowed_platforms: BTreeSet::new(),
        owner: context.actor.to_string(),
        visibility: Visibility::Public,
        ios_mode: IosMode::ArtifactOnly,
        ios_public_download: false,
        testflight_url: None,
        created_at: context.now,
        updated_at: context.now,
    };
    app.apply(&intent.settings, context.now);
    app.validate()?;
    let event = Event::AppCreated(events::AppCreated { app: app.clone() });
    Ok(Decided {
        events: vec![event],
        value: app,
    })
}

/// Changes the settings of `app`; no event where nothing changes.
pub fn update_app(app: &App, changes: &AppChanges, context: &Context) -> Result<Decided<App>, Refusal> {
    let mut changed = app.clone();
    changed.apply(changes, app.updated_at);
    changed.validate()?;
    if changed == *app {
        return Ok(Decided {
            events: vec![],
            value: changed,
        });
    }
    changed.updated_at = context.now;
    let event = Event::AppUpdated(events::AppUpdated {
        app_id: app.id.clone(),
        slug: app.slug.clone(),
        changes: changes.clone(),
    });
    Ok(Decided {
        events: vec![event],
        value: changed,
    })
}
