//! What only reads.

use dist_api::{AppDetail, AuditQuery, ChannelView, Order, Page, Paging, ReleaseQuery, ReleaseView};
use dist_model::{App, AuditEvent, Build, ChannelName, HistoryEntry, InstallLink, Refusal, Slug, Token, VerifyReport};
use dist_service::{AuditFilter, ReleaseFilter, ReleaseOrder, Selector};

use super::Target;
use super::local::refusal;

/// How a person names a release: by id or version, and by build where the version has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseName {
    /// The id or version.
    pub text: String,
    /// The build.
    pub build: Option<Build>,
}

impl ReleaseName {
    pub(super) fn selector(&self) -> Selector {
        Selector::new(&self.text, self.build.clone())
    }

    pub(super) fn build(&self) -> Option<&str> {
        self.build.as_ref().map(Build::as_str)
    }
}

impl Target {
    /// The apps that the caller may read.
    pub async fn apps(&self, paging: &Paging) -> Result<Page<App>, Refusal> {
        match self {
            Self::Remote { client, .. } => client.apps(paging).await,
            Self::Local(local) => {
                let page = local.service.apps(&local.caller, &service_paging(paging)).await;
                page.map(wire_page).map_err(refusal)
            }
        }
    }

    /// An app with its channels and newest releases.
    pub async fn app(&self, slug: &Slug) -> Result<AppDetail, Refusal> {
        match self {
            Self::Remote { client, .. } => client.app(slug).await,
            Self::Local(local) => {
                let overview = local.service.app(&local.caller, slug).await.map_err(refusal)?;
                Ok(AppDetail {
                    channels: overview
                        .channels
                        .iter()
                        .map(|channel| ChannelView::new(slug, channel, &local.links))
                        .collect(),
                    app: overview.app,
                    releases: overview.releases,
                })
            }
        }
    }

    /// The releases of an app.
    pub async fn releases(
        &self,
        slug: &Slug,
        query: &ReleaseQuery,
        paging: &Paging,
    ) -> Result<Page<ReleaseView>, Refusal> {
        match self {
            Self::Remote { client, .. } => client.releases(slug, query, paging).await,
            Self::Local(local) => {
                let filter = ReleaseFilter {
                    status: query.status,
                    version: query.version.clone(),
                    order: match query.order.unwrap_or_default() {
                        Order::Newest => ReleaseOrder::Newest,
                        Order::Semver => ReleaseOrder::SemVer,
                    },
                };
                let paging = service_paging(paging);
                let page = local.service.releases(&local.caller, slug, &filter, &paging).await;
                let page = page.map_err(refusal)?;
                Ok(wire_page(page.map(|detail| ReleaseView::new(&detail, &local.links))))
            }
        }
    }

    /// One release.
    pub async fn release(&self, slug: &Slug, release: &ReleaseName) -> Result<ReleaseView, Refusal> {
        match self {
            Self::Remote { client, .. } => client.release(slug, &release.text, release.build()).await,
            Self::Local(local) => {
                let detail = local.service.release(&local.caller, slug, &release.selector()).await;
                Ok(ReleaseView::new(&detail.map_err(refusal)?, &local.links))
            }
        }
    }

    /// The channels of an app.
    pub async fn channels(&self, slug: &Slug) -> Result<Page<ChannelView>, Refusal> {
        match self {
            Self::Remote { client, .. } => client.channels(slug).await,
            Self::Local(local) => {
                let channels = local.service.channels(&local.caller, slug).await.map_err(refusal)?;
                let view = |channel| ChannelView::new(slug, channel, &local.links);
                Ok(Page {
                    items: channels.iter().map(view).collect(),
                    next_cursor: None,
                })
            }
        }
    }

    /// One channel.
    pub async fn channel(&self, slug: &Slug, channel: &ChannelName) -> Result<ChannelView, Refusal> {
        match self {
            Self::Remote { client, .. } => client.channel(slug, channel).await,
            Self::Local(local) => {
                let detail = local.service.channel(&local.caller, slug, channel).await;
                Ok(ChannelView::new(slug, &detail.map_err(refusal)?, &local.links))
            }
        }
    }

    /// A channel's moves, the newest first.
    pub async fn history(
        &self,
        slug: &Slug,
        channel: &ChannelName,
        paging: &Paging,
    ) -> Result<Page<HistoryEntry>, Refusal> {
        match self {
            Self::Remote { client, .. } => client.history(slug, channel, paging).await,
            Self::Local(local) => {
                let paging = service_paging(paging);
                let page = local.service.history(&local.caller, slug, channel, &paging).await;
                page.map(wire_page).map_err(refusal)
            }
        }
    }

    /// The tester links of an app, or of one of its channels.
    pub async fn links(
        &self,
        slug: &Slug,
        channel: Option<&ChannelName>,
        paging: &Paging,
    ) -> Result<Page<InstallLink>, Refusal> {
        match self {
            Self::Remote { client, .. } => client.links(slug, channel, paging).await,
            Self::Local(local) => {
                let paging = service_paging(paging);
                let page = local.service.links(&local.caller, slug, channel, &paging).await;
                page.map(wire_page).map_err(refusal)
            }
        }
    }

    /// The tokens.
    pub async fn tokens(&self, paging: &Paging) -> Result<Page<Token>, Refusal> {
        match self {
            Self::Remote { client, .. } => client.tokens(paging).await,
            Self::Local(local) => {
                let page = local.service.tokens(&local.caller, &service_paging(paging)).await;
                page.map(wire_page).map_err(refusal)
            }
        }
    }

    /// The audit log, the newest first.
    pub async fn audit(&self, query: &AuditQuery, paging: &Paging) -> Result<Page<AuditEvent>, Refusal> {
        match self {
            Self::Remote { client, .. } => client.audit(query, paging).await,
            Self::Local(local) => {
                let filter = AuditFilter {
                    app: query.app.clone(),
                    actor: query.actor.clone(),
                    action: query.action.clone(),
                    since: query.since,
                    until: query.until,
                    ..AuditFilter::default()
                };
                let paging = service_paging(paging);
                let page = local.service.audit(&local.caller, &filter, &paging).await;
                page.map(wire_page).map_err(refusal)
            }
        }
    }

    /// Re-hashes every object and compares every table with the log.
    pub async fn verify(&self) -> Result<VerifyReport, Refusal> {
        match self {
            Self::Remote { client, .. } => client.verify().await,
            Self::Local(local) => local.service.verify(&local.caller).await.map_err(refusal),
        }
    }
}

fn service_paging(paging: &Paging) -> dist_service::Paging {
    let default = dist_service::Paging::default();
    dist_service::Paging {
        cursor: paging.cursor.clone(),
        limit: paging.limit.unwrap_or(default.limit),
    }
}

fn wire_page<T>(page: dist_service::Page<T>) -> Page<T> {
    Page {
        items: page.items,
        next_cursor: page.next_cursor,
    }
}
