//! The settings of a channel.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{ChannelChanges, ChannelName, ChannelPolicy, ErrorCode, Refusal, Slug};
use serde::Deserialize;

use super::form::Problem;
use super::{Visit, see_other};
use crate::error::{ApiError, Result};
use crate::extract::Segments;
use crate::session::Form;
use crate::state::Site;
use crate::web::{Section, Shell};

/// The settings of a channel.
#[derive(Template)]
#[template(path = "console/channel_settings.html")]
struct SettingsPage<'a> {
    shell: Shell,
    slug: &'a Slug,
    name: &'a ChannelName,
    fields: &'a SettingsForm,
    problem: &'a Problem,
}

/// What is typed into the form.
#[derive(Deserialize)]
pub(crate) struct SettingsForm {
    policy: String,
    rollout_percent: String,
    retention_keep: String,
}

impl SettingsForm {
    fn changes(&self) -> Result<ChannelChanges, Refusal> {
        Ok(ChannelChanges {
            policy: Some(self.policy.parse()?),
            rollout_percent: Some(number(&self.rollout_percent, "the rollout is a number from 0 to 100")?),
            retention_keep: Some(number(
                &self.retention_keep,
                "how many releases to keep is a number; 0 keeps all",
            )?),
        })
    }

    /// The policies to choose from, in words, and which is chosen.
    fn policies(&self) -> [(ChannelPolicy, &'static str, bool); 2] {
        let is = |policy: ChannelPolicy| policy.as_str() == self.policy;
        let (open, promote_only) = (ChannelPolicy::Open, ChannelPolicy::PromoteOnly);
        [
            (open, "open: CI may publish straight to it", is(open)),
            (
                promote_only,
                "promote only: it moves by promotion and rollback",
                is(promote_only),
            ),
        ]
    }
}

fn number<T: std::str::FromStr>(text: &str, rule: &str) -> Result<T, Refusal> {
    let parsed = text.trim().parse();
    parsed.map_err(|_| Refusal::new(ErrorCode::ChannelInvalid, rule))
}

/// The settings of a channel, to change.
#[utoipa::path(get, path = "/admin/apps/{slug}/channels/{name}/settings", tag = "console",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 403), (status = 404)))]
pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
) -> Result<Response> {
    visit.require_admin_of(&slug)?;
    let channel = site.service.channel(&visit.caller, &slug, &name).await?.channel;
    let fields = SettingsForm {
        policy: channel.policy.to_string(),
        rollout_percent: channel.rollout_percent.to_string(),
        retention_keep: channel.retention_keep.to_string(),
    };
    page(&visit, &slug, &name, &fields, Problem::default())
}

/// Changes the settings of a channel.
#[utoipa::path(post, path = "/admin/apps/{slug}/channels/{name}/settings", tag = "console",
    params(("slug" = Slug, Path), ("name" = ChannelName, Path)), request_body = String,
    responses((status = 303), (status = 403), (status = 422)))]
pub(crate) async fn update(
    State(site): State<Arc<Site>>,
    Segments((slug, name)): Segments<(Slug, ChannelName)>,
    Form { visit, fields }: Form<SettingsForm>,
) -> Result<Response> {
    visit.require_admin_of(&slug)?;
    let updated = match fields.changes() {
        Ok(changes) => {
            let updated = site.service.update_channel(&visit.caller, &slug, &name, changes).await;
            updated.map_err(ApiError::from)
        }
        Err(refusal) => Err(ApiError::from(refusal)),
    };
    match updated {
        Ok(_) => see_other(&site, &format!("/admin/apps/{slug}/channels/{name}?done=saved")),
        Err(error) => page(&visit, &slug, &name, &fields, Problem::of(error)?),
    }
}

fn page(visit: &Visit, slug: &Slug, name: &ChannelName, fields: &SettingsForm, problem: Problem) -> Result<Response> {
    let page = visit.page(format!("Settings of {name}"), Section::Apps, |shell| SettingsPage {
        shell,
        slug,
        name,
        fields,
        problem: &problem,
    })?;
    Ok(problem.mark(page))
}
