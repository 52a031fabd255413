//! What apps look like.

use dist_blobs::Object;
use dist_model::{Artifact, ChannelName, Digest, ErrorCode, Refusal, Slug, Visibility};
use persist::{SqlReadExt as _, params};

use super::app_to_read;
use crate::{Caller, Error, Service};

/// The icon of an artifact.
#[derive(Debug)]
pub struct IconFile {
    /// The bytes of a PNG.
    pub object: Object,
    /// True where anybody may have it, so that caches may keep it.
    pub public: bool,
}

impl Service {
    /// An icon of a published release of the app, for whoever may read it.
    ///
    /// # Errors
    /// `object.not_found` for other objects: a digest is no capability.
    pub async fn icon(&self, caller: &Caller, slug: &Slug, digest: &Digest) -> Result<IconFile, Error> {
        let visibility = self.read(|tx| {
            let app = app_to_read(tx, caller, slug)?;
            let sql = "SELECT 1 FROM artifacts a JOIN releases r ON r.id = a.release_id \
                 WHERE a.icon_sha256 = ?1 AND a.app_id = ?2 AND r.status = 'published' LIMIT 1";
            tx.query_opt(sql, params![&digest.to_string(), app.id.as_str()], |_| Ok(()))?
                .ok_or_else(|| no_such_icon(digest))?;
            Ok(app.visibility)
        })?;
        self.open_icon(digest, visibility)
    }

    /// An icon on a channel's install page, for whoever may see that page.
    ///
    /// # Errors
    /// `object.not_found` for other objects.
    pub async fn install_icon(
        &self,
        caller: &Caller,
        slug: &Slug,
        channel: &ChannelName,
        digest: &Digest,
    ) -> Result<IconFile, Error> {
        let offer = self.offer(caller, slug, channel).await?;
        let mut icons = offer
            .release
            .iter()
            .flat_map(|release| &release.artifacts)
            .filter_map(Artifact::icon);
        if !icons.any(|icon| icon == *digest) {
            return Err(no_such_icon(digest).into());
        }
        self.open_icon(digest, offer.app.visibility)
    }

    fn open_icon(&self, digest: &Digest, visibility: Visibility) -> Result<IconFile, Error> {
        let object = self.objects().open_object(digest)?;
        let object =
            object.ok_or_else(|| Refusal::new(ErrorCode::StoreCorrupt, format!("the icon {digest} is gone")))?;
        Ok(IconFile {
            object,
            public: visibility == Visibility::Public,
        })
    }
}

fn no_such_icon(digest: &Digest) -> Refusal {
    Refusal::new(
        ErrorCode::ObjectNotFound,
        format!("there is no icon {digest} here, or none that you may see"),
    )
}
