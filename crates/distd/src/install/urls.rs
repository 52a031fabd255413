//! Every address that an install page names, made in one place.

use dist_api::{Links, for_tester};
use dist_model::{Artifact, ChannelName, Digest, Slug};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in the query of another address without being taken for a part of it.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':');

/// The addresses of one channel's page and of all that it leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Urls<'a> {
    pub links: &'a Links,
    pub slug: &'a Slug,
    pub channel: &'a ChannelName,
    /// The secret of the tester link with which the visitor came, and with which all of it opens.
    pub secret: Option<&'a str>,
}

impl Urls<'_> {
    /// The index.
    pub(super) fn index(&self) -> String {
        format!("{}/", self.links.base())
    }

    /// The page itself.
    pub(super) fn page(&self) -> String {
        self.opened(self.links.install(self.slug.as_str(), self.channel.as_str()))
    }

    /// An icon on it.
    pub(super) fn icon(&self, icon: &Digest) -> String {
        self.opened(self.links.install_icon(self.slug.as_str(), self.channel.as_str(), icon))
    }

    /// The bytes of an artifact.
    pub(super) fn download(&self, artifact: &Artifact) -> String {
        self.opened(self.links.artifact(artifact))
    }

    /// The bytes of an artifact, for iOS.
    pub(super) fn download_on_ios(&self, artifact: &Artifact) -> String {
        over_https(self.download(artifact))
    }

    /// What makes iOS install what the channel's manifest names.
    pub(super) fn install_on_ios(&self) -> String {
        let manifest = self.links.ios_manifest(self.slug.as_str(), self.channel.as_str());
        let manifest = over_https(self.opened(manifest));
        let manifest = utf8_percent_encode(&manifest, IN_QUERY);
        format!("itms-services://?action=download-manifest&url={manifest}")
    }

    /// An address as the visitor may open it.
    fn opened(&self, url: String) -> String {
        match self.secret {
            Some(secret) => for_tester(&url, secret),
            None => url,
        }
    }
}

/// iOS takes nothing over plain HTTP, so that a link that says otherwise could never work.
fn over_https(url: String) -> String {
    match url.strip_prefix("http://") {
        Some(rest) => format!("https://{rest}"),
        None => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_for_iphones_are_https() {
        for url in ["http://example.org/x", "https://example.org/x"] {
            assert_eq!(over_https(url.to_owned()), "https://example.org/x");
        }
    }
}
