//! Tester links: making, listing and revoking them, and coming in with one.

use std::sync::Arc;

use dist_model::decide::{self, Decided, LinkIntent};
use dist_model::{ChannelName, ErrorCode, Event, InstallLink, LinkId, Refusal, Scope, Slug, events};
use persist::{SqlRead, SqlReadExt as _, params};
use serde_json::{Value, json};

use crate::channel::known_channel;
use crate::idempotency::Receipted;
use crate::people::{self, no_such, select_links};
use crate::query::app_to_read;
use crate::{Caller, Error, Idempotency, Page, Paging, Principal, Service, secret};

const KIND: &str = "link_";

/// A tester link that was just made.
#[derive(Clone, PartialEq)]
pub struct NewLink {
    /// The secret that goes into the address, this once; `None` where the same request was answered
    /// before.
    pub secret: Option<String>,
    /// The link.
    pub link: InstallLink,
}

impl Service {
    /// Finds which tester link a secret is of; `None` where there is none. A link that has ended is
    /// found too: whoever holds it may know why it opens nothing.
    pub async fn link_of(&self, secret: &str) -> Result<Option<Principal>, Error> {
        if !secret::is_secret(secret) {
            return Ok(None);
        }
        let hash = secret::hash(KIND, secret);
        let found = self.read(|tx| Ok::<_, Error>(people::link_by_hash(tx, &hash)?))?;
        Ok(found.map(|link| Principal::Link(Arc::new(link))))
    }

    /// Makes a tester link to a channel, for whoever may move that channel.
    ///
    /// # Errors
    /// `link.invalid`, `channel.not_found`.
    pub async fn create_link(
        &self,
        caller: &Caller,
        slug: &Slug,
        intent: LinkIntent,
        idempotency: Option<Idempotency>,
    ) -> Result<NewLink, Error> {
        let secret = secret::new_secret(&*self.setup().entropy)?;
        let secret_hash = secret::hash(KIND, &secret);
        let slug = slug.clone();
        self.write_once(caller, idempotency, move |tx, scene| {
            scene
                .caller
                .require_move(&slug, Some(&intent.channel), scene.context.now)?;
            let app = app_to_read(&*tx, &scene.caller, &slug)?;
            known_channel(&*tx, &app, &intent.channel)?;
            let decided = decide::create_link(&app, &intent, secret_hash, &scene.context, &mut scene.ids())?;
            let value = NewLink {
                secret: Some(secret),
                link: decided.value,
            };
            Ok(Decided {
                events: decided.events,
                value,
            })
        })
        .await
    }

    /// A tester link of an app, without its secret.
    ///
    /// # Errors
    /// `link.not_found`.
    pub async fn link(&self, caller: &Caller, slug: &Slug, id: &LinkId) -> Result<InstallLink, Error> {
        caller.require(Scope::Read, Some(slug), None, self.now())?;
        let link = self.read(|tx| Ok::<_, Error>(people::link(tx, id)?))?;
        let link = link.filter(|link| link.app_slug == *slug);
        Ok(link.ok_or_else(|| no_such(ErrorCode::LinkNotFound))?)
    }

    /// Revokes a tester link, at once and for ever.
    ///
    /// # Errors
    /// `link.not_found`, `link.already_revoked`.
    pub async fn revoke_link(&self, caller: &Caller, slug: &Slug, id: &LinkId) -> Result<InstallLink, Error> {
        let (slug, id) = (slug.clone(), id.clone());
        self.write(caller, move |tx, scene| {
            let caller = &scene.caller;
            caller.require_move(&slug, None, scene.context.now)?;
            let link = people::link(&*tx, &id)?.filter(|link| link.app_slug == slug);
            let mut link = link.ok_or_else(|| no_such(ErrorCode::LinkNotFound))?;
            caller.require_move(&slug, Some(&link.channel), scene.context.now)?;
            if let Some(at) = link.revoked_at {
                let message = format!("the tester link was revoked at {at}");
                return Err(Refusal::new(ErrorCode::LinkAlreadyRevoked, message).into());
            }
            link.revoked_at = Some(scene.context.now);
            let event = Event::LinkRevoked(events::LinkRevoked {
                link_id: id,
                app_id: link.app_id.clone(),
                channel: link.channel.clone(),
            });
            Ok(Decided {
                events: vec![event],
                value: link,
            })
        })
        .await
    }

    /// An app's tester links, or one channel's, newest first, without their secrets.
    ///
    /// # Errors
    /// `channel.not_found`.
    pub async fn links(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: Option<&ChannelName>,
        paging: &Paging,
    ) -> Result<Page<InstallLink>, Error> {
        caller.require(Scope::Read, Some(slug), None, self.now())?;
        let (before, before_id) = match paging.after::<2>("links")? {
            Some([at, id]) => (at, id),
            // Times begin with a digit.
            None => ("~".to_owned(), String::new()),
        };
        let links = self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            if let Some(channel) = channel {
                known_channel(tx, &app, channel)?;
            }
            let sql = select_links!(
                "WHERE app_id = ?1 AND (?2 IS NULL OR channel = ?2) AND (created_at < ?3 OR (created_at = ?3 AND id < ?4)) ORDER BY created_at DESC, id DESC LIMIT ?5"
            );
            let channel = channel.map(ChannelName::as_str);
            let bound = params![app.id.as_str(), channel, &before, &before_id, paging.sql_limit()];
            Ok::<_, Error>(tx.query_all(sql, bound, people::read_link)?)
        })?;
        Ok(Page::cut(links, paging, "links", |link| {
            [link.created_at.to_string(), link.id.to_string()]
        }))
    }
}

impl Receipted for NewLink {
    fn receipt(&self) -> Value {
        json!({ "link": self.link.id })
    }

    fn recall(tx: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        let broken = || Error::Broken(format!("a receipt cannot be read: {receipt}"));
        let id = receipt["link"].as_str().ok_or_else(broken)?;
        let link = people::link(tx, &id.parse()?)?.ok_or_else(broken)?;
        Ok(Self { secret: None, link })
    }
}
