//! The list that `itms-services:` takes.

use askama::Template;
use dist_model::Platform;
use dist_service::Offer;

use super::text::visible_or;
use super::urls::Urls;

/// What an iPhone fetches to install the channel's first IPA.
#[derive(Template)]
#[template(path = "manifest.plist.xml")]
pub(super) struct PlistPage<'a> {
    ipa_url: String,
    bundle_id: &'a str,
    version: &'a str,
    title: String,
}

impl<'a> PlistPage<'a> {
    /// The list, where the channel offers an IPA whose bundle id is known.
    pub(super) fn new(offer: &'a Offer, urls: Urls<'_>) -> Option<Self> {
        let detail = offer.release.as_ref()?;
        let mut artifacts = detail.artifacts.iter();
        let ipa = artifacts.find(|artifact| artifact.platform == Platform::Ios)?;
        Some(Self {
            ipa_url: urls.download_on_ios(ipa),
            bundle_id: offer.app.bundle_ids.get(&Platform::Ios)?,
            version: detail.release.version.as_str(),
            title: visible_or(&offer.app.display_name, offer.app.slug.as_str()),
        })
    }
}
