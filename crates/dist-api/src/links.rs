//! Links that people and programs follow, all made from the configured public URL.

use dist_model::{Artifact, Digest, InstallLink};

/// What carries the secret of a tester link in the query of an address.
pub const LINK_PARAMETER: &str = "link";

/// An address of ours for whoever holds a tester link. A secret is hexadecimal and stands for itself.
pub fn for_tester(url: &str, secret: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{LINK_PARAMETER}={secret}")
}

/// Makes absolute links below a public URL, which may carry a path.
#[derive(Clone, Debug)]
pub struct Links {
    base: String,
}

impl Links {
    /// Links below `public_url`, with or without a slash at its end.
    pub fn new(public_url: &str) -> Self {
        Self {
            base: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The public URL itself, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The path of the public URL, without a slash at its end; empty where it has none.
    pub fn path(&self) -> &str {
        let after_scheme = self.base.split_once("://").map_or("", |(_, rest)| rest);
        after_scheme.find('/').map_or("", |start| &after_scheme[start..])
    }

    /// The install page of a channel.
    pub fn install(&self, slug: &str, channel: &str) -> String {
        format!("{}/install/{slug}/{channel}", self.base)
    }

    /// Where a tester link leads: its channel's install page, with its secret.
    pub fn tester(&self, link: &InstallLink, secret: &str) -> String {
        for_tester(&self.install(link.app_slug.as_str(), link.channel.as_str()), secret)
    }

    /// The manifest that an iPhone fetches to install from a channel.
    pub fn ios_manifest(&self, slug: &str, channel: &str) -> String {
        format!("{}/install/{slug}/{channel}/manifest.plist", self.base)
    }

    /// An icon on the install page of a channel.
    pub fn install_icon(&self, slug: &str, channel: &str, icon: &Digest) -> String {
        format!("{}/install/{slug}/{channel}/icon/{icon}", self.base)
    }

    /// The page that makes the first admin of a new server.
    pub fn setup(&self, secret: &str) -> String {
        format!("{}/admin/setup/{secret}", self.base)
    }

    /// Where a sign-in provider sends people back to.
    pub fn oidc_callback(&self) -> String {
        format!("{}/admin/oidc/callback", self.base)
    }

    /// The page on which somebody sets their password.
    pub fn invitation(&self, secret: &str) -> String {
        format!("{}/admin/invitation/{secret}", self.base)
    }

    /// The bytes of an object.
    pub fn download(&self, digest: &Digest) -> String {
        format!("{}/download/{digest}", self.base)
    }

    /// The bytes of an artifact, under its own file name.
    pub fn artifact(&self, artifact: &Artifact) -> String {
        format!("{}/download/{}?artifact={}", self.base, artifact.sha256, artifact.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_may_carry_a_path() {
        for (url, path) in [
            ("https://get.example.org", ""),
            ("https://get.example.org/", ""),
            ("http://[::1]:8787/dist/", "/dist"),
            ("https://example.org/a/b", "/a/b"),
        ] {
            assert_eq!(Links::new(url).path(), path, "{url}");
        }
    }
}
