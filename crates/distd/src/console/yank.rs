//! Yanking a release: a page that says what will change, and the form on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{ChannelName, ErrorCode, Refusal, Slug};
use dist_service::{Leaving, PlannedYank, Selector, YankIntent};
use serde::Deserialize;

use super::consequences::{self, Consequence};
use super::form::Problem;
use super::moves::stale;
use super::{Visit, see_other};
use crate::error::Result;
use crate::extract::Segments;
use crate::session::Form;
use crate::state::Site;
use crate::web::{Section, Shell};

/// Says what yanking a release will change, and asks.
#[derive(Template)]
#[template(path = "console/yank.html")]
struct YankPage<'a> {
    shell: Shell,
    plan: &'a PlannedYank,
    problem: &'a Problem,
}

impl YankPage<'_> {
    /// Whether every channel that points at it has somewhere to go.
    fn is_possible(&self) -> bool {
        self.plan.leaving.iter().all(|leaving| leaving.to.is_some())
    }

    fn consequences(&self, leaving: &Leaving) -> Vec<Consequence> {
        let to = leaving.to.as_ref();
        to.map(|to| consequences::of(&leaving.channel.name, Some(&self.plan.release), to))
            .unwrap_or_default()
    }
}

/// The form: why, and the channels that were seen to point at it, with their revisions.
#[derive(Deserialize)]
pub(crate) struct YankForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    channel: Vec<ChannelName>,
    #[serde(default)]
    revision: Vec<u64>,
}

impl YankForm {
    fn intent(self) -> Result<YankIntent, Refusal> {
        if self.channel.len() != self.revision.len() {
            let message = "each channel comes with its revision; open the page again";
            return Err(Refusal::new(ErrorCode::RequestMalformed, message));
        }
        let reason = self.reason.trim();
        Ok(YankIntent {
            and_rollback: !self.channel.is_empty(),
            if_current: Some(self.channel.into_iter().zip(self.revision).collect::<BTreeMap<_, _>>()),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
        })
    }
}

/// What yanking a release will change.
#[utoipa::path(get, path = "/admin/apps/{slug}/releases/{id}/yank", tag = "console",
    params(("slug" = Slug, Path), ("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 403), (status = 409)))]
pub(crate) async fn confirm(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug, id)): Segments<(Slug, String)>,
) -> Result<Response> {
    page(&site, &visit, &slug, &id, Problem::default()).await
}

/// Takes a release out of circulation for ever; its channels go back to what they offered before.
#[utoipa::path(post, path = "/admin/apps/{slug}/releases/{id}/yank", tag = "console",
    params(("slug" = Slug, Path), ("id" = String, Path)), request_body = String,
    responses((status = 303), (status = 409), (status = 412)))]
pub(crate) async fn yank(
    State(site): State<Arc<Site>>,
    Segments((slug, id)): Segments<(Slug, String)>,
    Form { visit, fields }: Form<YankForm>,
) -> Result<Response> {
    let intent = fields.intent()?;
    let release = Selector::new(&id, None);
    match site.service.yank(&visit.caller, &slug, &release, intent, None).await {
        Ok(yanked) => {
            let id = yanked.release.id;
            see_other(&site, &format!("/admin/apps/{slug}/releases/{id}?done=yanked"))
        }
        Err(error) => page(&site, &visit, &slug, &id, stale(error)?).await,
    }
}

async fn page(site: &Site, visit: &Visit, slug: &Slug, id: &str, problem: Problem) -> Result<Response> {
    let selector = Selector::new(id, None);
    let plan = site.service.plan_yank(&visit.caller, slug, &selector).await?;
    let title = format!("Yank {}", plan.release.release.label());
    let page = visit.page(title, Section::Apps, |shell| YankPage {
        shell,
        plan: &plan,
        problem: &problem,
    })?;
    Ok(problem.mark(page))
}
