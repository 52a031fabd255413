//! The settings of an app, and making one.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{App, AppChanges, IosMode, Platform, Refusal, Slug, Visibility};
use serde::Deserialize;

use super::form::Problem;
use super::{Visit, see_other};
use crate::error::{ApiError, Result};
use crate::extract::Segments;
use crate::session::Form;
use crate::state::Site;
use crate::web::{Section, Shell, text};

/// The settings of an app, or of one that is made.
#[derive(Template)]
#[template(path = "console/app_settings.html")]
struct SettingsPage<'a> {
    shell: Shell,
    /// The app; none yet where one is made.
    slug: Option<&'a Slug>,
    fields: &'a SettingsForm,
    problem: &'a Problem,
}

/// What is typed into the form; it stays there where something is wrong with it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct SettingsForm {
    /// Of an app that is made.
    slug: String,
    display_name: String,
    owner: String,
    visibility: String,
    ios_mode: String,
    /// `yes`, or absent.
    ios_public_download: String,
    testflight_url: String,
    /// The platforms that may be published; none for all.
    allowed: Vec<String>,
    /// Platforms, and beside each the id inside its artifacts.
    platform: Vec<String>,
    bundle_id: Vec<String>,
}

impl SettingsForm {
    fn of(app: &App) -> Self {
        let bundle_id = |platform: &Platform| app.bundle_ids.get(platform).cloned().unwrap_or_default();
        Self {
            slug: app.slug.to_string(),
            display_name: app.display_name.clone(),
            owner: app.owner.clone(),
            visibility: app.visibility.to_string(),
            ios_mode: app.ios_mode.to_string(),
            ios_public_download: if app.ios_public_download { "yes" } else { "" }.to_owned(),
            testflight_url: app.testflight_url.clone().unwrap_or_default(),
            allowed: app.allowed_platforms.iter().map(ToString::to_string).collect(),
            platform: Platform::ALL.iter().map(ToString::to_string).collect(),
            bundle_id: Platform::ALL.iter().map(bundle_id).collect(),
        }
    }

    fn changes(&self) -> Result<AppChanges, Refusal> {
        let mut changes = AppChanges {
            display_name: Some(self.display_name.trim().to_owned()),
            owner: Some(self.owner.trim().to_owned()),
            visibility: Some(self.visibility.parse()?),
            ios_mode: Some(self.ios_mode.parse()?),
            ios_public_download: Some(self.ios_public_download == "yes"),
            testflight_url: Some(self.testflight_url.trim().to_owned()),
            allowed_platforms: Some(self.allowed.iter().map(|name| name.parse()).collect::<Result<_, _>>()?),
            ..AppChanges::default()
        };
        for (platform, id) in self.platform.iter().zip(&self.bundle_id) {
            changes.bundle_ids.insert(platform.parse()?, id.trim().to_owned());
        }
        Ok(changes)
    }

    /// What a new app is made with; the rest is set later.
    fn beginning(&self) -> Result<(Slug, AppChanges), Refusal> {
        let name = self.display_name.trim();
        let changes = AppChanges {
            display_name: (!name.is_empty()).then(|| name.to_owned()),
            visibility: Some(self.visibility.parse()?),
            ..AppChanges::default()
        };
        Ok((self.slug.trim().parse()?, changes))
    }

    /// Who may see it: the values to choose from, in words, and which is chosen.
    fn visibilities(&self) -> [(Visibility, &'static str, bool); 3] {
        use Visibility::{Private, Public, Unlisted};
        let words = |visibility| match visibility {
            Public => "public: everybody, and on the list of apps",
            Unlisted => "unlisted: whoever has the link",
            Private => "private: people, tokens and tester links",
        };
        [Public, Unlisted, Private].map(|it| (it, words(it), it.as_str() == self.visibility))
    }

    /// What an iPhone is offered: the values to choose from, in words, and which is chosen.
    fn ios_modes(&self) -> [(IosMode, &'static str, bool); 3] {
        use IosMode::{ArtifactOnly, Enterprise, Testflight};
        let words = |mode| match mode {
            ArtifactOnly => "a file, which no iPhone installs from a page",
            Testflight => "a link to TestFlight",
            Enterprise => "installation on enrolled or registered devices",
        };
        [ArtifactOnly, Testflight, Enterprise].map(|it| (it, words(it), it.as_str() == self.ios_mode))
    }

    /// The platforms, and for each whether it is ticked and its bundle id.
    fn platforms(&self) -> Vec<(Platform, bool, &str)> {
        let line = |platform: Platform| {
            let place = self.platform.iter().position(|name| name == platform.as_str());
            let id = place.and_then(|place| self.bundle_id.get(place));
            let is_ticked = self.allowed.iter().any(|name| name == platform.as_str());
            (platform, is_ticked, id.map_or("", String::as_str))
        };
        Platform::ALL.into_iter().map(line).collect()
    }
}

/// The form that makes an app.
#[utoipa::path(get, path = "/admin/new-app", tag = "console",
    responses((status = 200, body = String, content_type = "text/html"), (status = 403)))]
pub(crate) async fn new(visit: Visit) -> Result<Response> {
    visit.require_admin()?;
    let fields = SettingsForm {
        visibility: Visibility::Private.to_string(),
        ..SettingsForm::default()
    };
    page(&visit, None, &fields, Problem::default())
}

/// Makes an app.
#[utoipa::path(post, path = "/admin/apps", tag = "console", request_body = String,
    responses((status = 303), (status = 403), (status = 409), (status = 422)))]
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Form { visit, fields }: Form<SettingsForm>,
) -> Result<Response> {
    visit.require_admin()?;
    let made = match fields.beginning() {
        Ok((slug, settings)) => {
            let made = site.service.create_app(&visit.caller, slug, settings, None).await;
            made.map_err(ApiError::from)
        }
        Err(refusal) => Err(ApiError::from(refusal)),
    };
    match made {
        Ok(app) => see_other(&site, &format!("/admin/apps/{}?done=made", app.slug)),
        Err(error) => page(&visit, None, &fields, Problem::of(error)?),
    }
}

/// The settings of an app, to change.
#[utoipa::path(get, path = "/admin/apps/{slug}/settings", tag = "console", params(("slug" = Slug, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 403), (status = 404)))]
pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Segments((slug,)): Segments<(Slug,)>,
) -> Result<Response> {
    visit.require_admin_of(&slug)?;
    let app = site.service.app(&visit.caller, &slug).await?.app;
    page(&visit, Some(&slug), &SettingsForm::of(&app), Problem::default())
}

/// Changes the settings of an app.
#[utoipa::path(post, path = "/admin/apps/{slug}/settings", tag = "console", params(("slug" = Slug, Path)),
    request_body = String, responses((status = 303), (status = 403), (status = 422)))]
pub(crate) async fn update(
    State(site): State<Arc<Site>>,
    Segments((slug,)): Segments<(Slug,)>,
    Form { visit, fields }: Form<SettingsForm>,
) -> Result<Response> {
    visit.require_admin_of(&slug)?;
    let updated = match fields.changes() {
        Ok(changes) => {
            let updated = site.service.update_app(&visit.caller, &slug, changes).await;
            updated.map_err(ApiError::from)
        }
        Err(refusal) => Err(ApiError::from(refusal)),
    };
    match updated {
        Ok(_) => see_other(&site, &format!("/admin/apps/{slug}?done=saved")),
        Err(error) => page(&visit, Some(&slug), &fields, Problem::of(error)?),
    }
}

fn page(visit: &Visit, slug: Option<&Slug>, fields: &SettingsForm, problem: Problem) -> Result<Response> {
    let title = slug.map_or_else(|| "New app".to_owned(), |slug| format!("Settings of {slug}"));
    let page = visit.page(title, Section::Apps, |shell| SettingsPage {
        shell,
        slug,
        fields,
        problem: &problem,
    })?;
    Ok(problem.mark(page))
}
