//! How people sign in here, as it is configured. It is changed where the server is started.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::Session;
use dist_service::Admission;

use super::Visit;
use crate::config::OidcConfig;
use crate::error::Result;
use crate::oidc::Provider;
use crate::state::Site;
use crate::web::{Section, Shell};

const HOUR_MS: i64 = 3_600_000;

/// The settings, to look at.
#[derive(Template)]
#[template(path = "console/sign_in_settings.html")]
struct SettingsPage<'a> {
    shell: Shell,
    public_url: &'a str,
    is_secure: bool,
    oidc: Option<&'a OidcConfig>,
    callback: String,
    proxies: Vec<String>,
    idle_hours: i64,
    lifetime_days: i64,
}

/// Who is let in by the provider without an admin's doing, in words.
fn admission(config: &OidcConfig) -> String {
    match &config.admission {
        None => "nobody whom no admin has let in".to_owned(),
        Some(Admission { domain, role }) => format!("whoever has an address @{domain}, as {role}"),
    }
}

/// How people sign in.
#[utoipa::path(get, path = "/admin/sign-in-settings", tag = "console",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn sign_in(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response> {
    visit.require_admin()?;
    visit.page("Sign-in settings", Section::People, |shell| SettingsPage {
        shell,
        public_url: site.links.base(),
        is_secure: site.cookies.is_secure(),
        oidc: site.oidc.as_ref().map(Provider::config),
        callback: site.links.oidc_callback(),
        proxies: site.proxies.networks().iter().map(ToString::to_string).collect(),
        idle_hours: Session::IDLE_MS / HOUR_MS,
        lifetime_days: Session::LIFETIME_MS / (24 * HOUR_MS),
    })
}
