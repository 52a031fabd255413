//! Tester links: making one, which shows it this once, and revoking it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_api::LinkCreate;
use dist_model::{ChannelName, InstallLink, LinkId, Slug};
use serde::Deserialize;

use super::{Visit, see_other};
use crate::error::Result;
use crate::extract::Segments;
use crate::install::qr;
use crate::session::{Empty, Form};
use crate::state::Site;
use crate::web::{Section, Shell};

/// How long a link may last, and what people call it.
const LIFETIMES: [(&str, &str); 5] = [
    ("1d", "a day"),
    ("7d", "a week"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("365d", "a year"),
];

/// A link that was just made, with its secret.
#[derive(Template)]
#[template(path = "console/link.html")]
struct LinkPage<'a> {
    shell: Shell,
    link: &'a InstallLink,
    /// Where it leads.
    url: String,
    code: String,
}

/// Asks whether a link is to be revoked.
#[derive(Template)]
#[template(path = "console/revoke_link.html")]
struct RevokePage<'a> {
    shell: Shell,
    link: &'a InstallLink,
}

/// Who a link is for, and how long it lasts.
#[derive(Deserialize)]
pub(crate) struct LinkForm {
    pub(super) note: String,
    expires: String,
}

impl LinkForm {
    /// How long it may last: the values to choose from, in words, and which is chosen.
    pub(super) fn lifetimes(&self) -> [(&'static str, &'static str, bool); 5] {
        LIFETIMES.map(|(value, words)| (value, words, value == self.expires))
    }
}

impl Default for LinkForm {
    fn default() -> Self {
        Self {
            note: String::new(),
            expires: "7d".to_owned(),
        }
    }
}

/// Makes a tester link, and shows it this once.
#[utoipa::path(post, path = "/admin/apps/{slug}/channels/{name}/links", tag = "console",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path)), request_body = String,
    responses((status = 200, body = String, content_type = "text/html"), (status = 404), (status = 422)))]
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    Form { visit, fields }: Form<LinkForm>,
) -> Result<Response> {
    let wanted = LinkCreate {
        note: fields.note.trim().to_owned(),
        expires_at: None,
        expires_in: Some(fields.expires),
    };
    let intent = wanted.intent(name, site.service.now())?;
    let made = site.service.create_link(&visit.caller, &slug, intent, None).await?;
    let secret = made.secret.unwrap_or_default();
    let url = site.links.tester(&made.link, &secret);
    let code = qr::svg(&url);
    visit.page("A tester link", Section::Apps, |shell| LinkPage {
        shell,
        link: &made.link,
        url,
        code,
    })
}

/// Asks whether a tester link is to be revoked.
#[utoipa::path(get, path = "/admin/apps/{slug}/links/{id}/revoke", tag = "console",
    params(("slug" = Slug, Path), ("id" = LinkId, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 403), (status = 404)))]
pub(crate) async fn confirm_revoke(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug, id)): Segments<(Slug, LinkId)>,
) -> Result<Response> {
    visit.require_manager(&slug)?;
    let link = site.service.link(&visit.caller, &slug, &id).await?;
    visit.page("Revoke the tester link", Section::Apps, |shell| RevokePage {
        shell,
        link: &link,
    })
}

/// Revokes a tester link, at once and for ever.
#[utoipa::path(post, path = "/admin/apps/{slug}/links/{id}/revoke", tag = "console",
    params(("slug" = Slug, Path), ("id" = LinkId, Path)), request_body = String,
    responses((status = 303), (status = 404), (status = 409)))]
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    Segments((slug, id)): Segments<(Slug, LinkId)>,
    Form { visit, .. }: Form<Empty>,
) -> Result<Response> {
    let link = site.service.revoke_link(&visit.caller, &slug, &id).await?;
    let channel = link.channel;
    see_other(
        &site,
        &format!("/admin/apps/{slug}/channels/{channel}?done=revoked#links"),
    )
}
