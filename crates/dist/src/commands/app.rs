//! `dist app`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use dist_api::{AppCreate, AppDetail};
use dist_model::{App, AppChanges, Platform, Refusal};

use super::{DONE, Outcome, PagingFlags, channel, show_page};
use crate::session::{AppFlag, Once, Session};
use crate::text::{Table, Text, list as joined, or_dash};

/// Lists the apps.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    paging: PagingFlags,
}

/// The app that a command is about.
#[derive(Args, Debug)]
struct Subject {
    /// The app's slug
    #[arg(value_name = "APP", conflicts_with = "app")]
    slug: Option<String>,
    #[command(flatten)]
    app: AppFlag,
}

impl Subject {
    fn flag(self) -> AppFlag {
        AppFlag {
            app: self.slug.or(self.app.app),
        }
    }
}

/// Shows an app.
#[derive(Args, Debug)]
pub struct Show {
    #[command(flatten)]
    subject: Subject,
}

/// Makes an app.
#[derive(Args, Debug)]
pub struct Create {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    once: Once,
}

/// Changes an app's settings.
#[derive(Args, Debug)]
pub struct Set {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    changes: Changes,
}

/// The settings; what is not given stays.
#[derive(Args, Debug)]
struct Changes {
    /// The name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Who may see the app
    #[arg(long, value_name = "WHO", value_parser = ["public", "unlisted", "private"])]
    visibility: Option<String>,
    /// Who answers for the app
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// What an iPhone is offered
    #[arg(long, value_name = "MODE", value_parser = ["artifact_only", "testflight", "enterprise"])]
    ios_mode: Option<String>,
    /// Whether strangers may download the IPA of an artifact_only app
    #[arg(long, value_name = "BOOL")]
    ios_public_download: Option<bool>,
    /// The public TestFlight link; an empty text removes it
    #[arg(long, value_name = "URL")]
    testflight_url: Option<String>,
    /// The iOS bundle id; an empty text removes it
    #[arg(long, value_name = "ID")]
    ios_bundle_id: Option<String>,
    /// The id inside the artifacts of a platform, as PLATFORM=ID; an empty ID removes it
    #[arg(long, value_name = "PLATFORM=ID")]
    bundle_id: Vec<String>,
    /// The platforms that may be published; an empty text allows all
    #[arg(long, value_name = "PLATFORM,…", value_delimiter = ',')]
    allow_platforms: Option<Vec<String>>,
}

impl Changes {
    fn resolve(self) -> Result<AppChanges, Refusal> {
        let mut bundle_ids = BTreeMap::new();
        for pair in &self.bundle_id {
            let (platform, id) = pair
                .split_once('=')
                .ok_or_else(|| crate::session::usage(format!("--bundle-id takes PLATFORM=ID, not {pair:?}")))?;
            bundle_ids.insert(platform.parse::<Platform>()?, id.to_owned());
        }
        bundle_ids.extend(self.ios_bundle_id.map(|id| (Platform::Ios, id)));
        Ok(AppChanges {
            display_name: self.display_name,
            bundle_ids,
            allowed_platforms: self.allow_platforms.as_deref().map(platforms).transpose()?,
            owner: self.owner,
            visibility: self.visibility.as_deref().map(str::parse).transpose()?,
            ios_mode: self.ios_mode.as_deref().map(str::parse).transpose()?,
            ios_public_download: self.ios_public_download,
            testflight_url: self.testflight_url,
        })
    }
}

/// Platforms by name; empty texts between commas are none.
pub(super) fn platforms(names: &[String]) -> Result<BTreeSet<Platform>, Refusal> {
    let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    names.map(str::parse).collect()
}

/// `dist app list`.
pub async fn list(args: List, session: &Session) -> Outcome {
    let page = session.target()?.apps(&args.paging.paging()).await?;
    show_page(
        session.printer,
        &page,
        ["SLUG", "NAME", "VISIBILITY", "PLATFORMS"],
        |app| {
            [
                app.slug.to_string(),
                app.display_name.clone(),
                app.visibility.to_string(),
                if app.allowed_platforms.is_empty() {
                    "all".to_owned()
                } else {
                    joined(&app.allowed_platforms)
                },
            ]
        },
    );
    Ok(DONE)
}

/// `dist app show`.
pub async fn show(args: Show, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.flag())?;
    let detail = session.target()?.app(&slug).await?;
    session.printer.show(&detail, |out| describe_detail(&detail, out));
    Ok(DONE)
}

/// `dist app create`.
pub async fn create(args: Create, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.flag())?;
    let settings = args.changes.resolve()?;
    let target = session.target_or_new(&args.once)?;
    let app = target.create_app(&AppCreate { slug, settings }).await?;
    session.printer.show(&app, |out| out.table(&describe(&app)));
    Ok(DONE)
}

/// `dist app set`.
pub async fn set(args: Set, session: &Session) -> Outcome {
    let slug = session.app(&args.subject.flag())?;
    let changes = args.changes.resolve()?;
    let app = session.target()?.update_app(&slug, &changes).await?;
    session.printer.show(&app, |out| out.table(&describe(&app)));
    Ok(DONE)
}

fn describe(app: &App) -> Table {
    let ids: Vec<String> = app
        .bundle_ids
        .iter()
        .map(|(platform, id)| format!("{platform}={id}"))
        .collect();
    Table::default()
        .row(["app", app.slug.as_str()])
        .row(["name", &app.display_name])
        .row(["id", app.id.as_str()])
        .row(["owner", &app.owner])
        .row(["visibility", app.visibility.as_str()])
        .row(["bundle ids", &joined(ids)])
        .row([
            "platforms",
            &if app.allowed_platforms.is_empty() {
                "all".to_owned()
            } else {
                joined(&app.allowed_platforms)
            },
        ])
        .row(["ios mode", app.ios_mode.as_str()])
        .row([
            "ios download",
            if app.ios_public_download { "public" } else { "signed in" },
        ])
        .row(["testflight", &or_dash(app.testflight_url.as_ref())])
        .row(["created", &app.created_at.to_string()])
}

fn describe_detail(detail: &AppDetail, out: &mut Text) {
    out.table(&describe(&detail.app));
    if !detail.channels.is_empty() {
        out.gap();
        out.table(&Table::new(channel::HEADER).rows(&detail.channels, channel::cells));
    }
    if !detail.releases.is_empty() {
        out.gap();
        let table = Table::new(["VERSION", "BUILD", "STATUS", "PUBLISHED"]);
        out.table(&table.rows(&detail.releases, |release| {
            [
                release.version.to_string(),
                release.build.to_string(),
                release.status.to_string(),
                or_dash(release.published_at.as_ref()),
            ]
        }));
    }
}
