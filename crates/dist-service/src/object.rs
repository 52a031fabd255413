//! Objects: who may send, name and fetch which bytes.

use dist_blobs::Stored;
use dist_model::decide::{Decided, PublishIntent};
use dist_model::{
    Artifact, ArtifactId, Digest, ErrorCode, Event, IosMode, Platform, Refusal, ReleaseStatus, Scope, Visibility,
    events,
};
use persist::{SqlRead, SqlReadExt as _, SqlTx, params};

use crate::service::Scene;
use crate::{Caller, Error, Principal, Service, rows};

/// What a download is answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Download {
    /// The artifact that it is served as.
    pub artifact: Artifact,
    /// True where anybody may have it, so that caches may keep it.
    pub public: bool,
}

impl Service {
    /// Refuses a caller who may not upload.
    pub async fn check_upload(&self, caller: &Caller) -> Result<(), Error> {
        Ok(caller.require(Scope::Publish, caller.bound_app(), None, self.now())?)
    }

    /// Records that bytes arrived; only after this may the upload be answered.
    ///
    /// # Errors
    /// `object.missing` where a cleanup removed the object between its arrival and this: the client
    /// uploads again.
    pub async fn record_upload(&self, caller: &Caller, stored: Stored) -> Result<Stored, Error> {
        self.write(caller, move |tx, scene| {
            scene
                .caller
                .require(Scope::Publish, scene.caller.bound_app(), None, scene.context.now)?;
            check_present(tx, scene, [&stored.digest])?;
            let event = Event::ObjectUploaded(events::ObjectUploaded {
                sha256: stored.digest,
                size_bytes: stored.size,
                deduplicated: stored.deduplicated,
            });
            Ok(Decided {
                events: vec![event],
                value: stored,
            })
        })
        .await
    }

    /// The size of an object that the caller uploaded or may read.
    ///
    /// # Errors
    /// `object.not_found` for any other, whether it is there or not: a digest is no capability.
    pub async fn object_size(&self, caller: &Caller, digest: &Digest) -> Result<u64, Error> {
        caller.require(Scope::Publish, caller.bound_app(), None, self.now())?;
        let known = self.read(|tx| knows(tx, caller, digest))?;
        let size = if known { self.objects().stat(digest)? } else { None };
        size.ok_or_else(|| not_found().into())
    }

    /// Finds what a download is served as: the artifact named, or the newest that the caller may
    /// have.
    pub async fn download(
        &self,
        caller: &Caller,
        digest: &Digest,
        artifact: Option<&ArtifactId>,
    ) -> Result<Download, Error> {
        self.read(|tx| {
            let sql = rows::select_artifacts!("WHERE sha256 = ?1 ORDER BY id");
            let candidates = tx.query_all(sql, params![&digest.to_string()], rows::read_artifact)?;
            let mut allowed = None;
            for candidate in candidates {
                let Some(public) = may_download(tx, caller, &candidate)? else {
                    continue;
                };
                // A public place wins, since it may be cached.
                let better = allowed.as_ref().is_none_or(|known: &Download| public && !known.public);
                let named = artifact == Some(&candidate.id);
                if better || named {
                    allowed = Some(Download {
                        artifact: candidate,
                        public,
                    });
                }
                if named {
                    break;
                }
            }
            allowed.ok_or_else(|| not_found().into())
        })
    }
}

fn not_found() -> Refusal {
    Refusal::new(
        ErrorCode::ObjectNotFound,
        "there is no object with this digest that you may read",
    )
}

/// Whether the caller may download `artifact`, and if so whether anybody may.
fn may_download(tx: &dyn SqlRead, caller: &Caller, artifact: &Artifact) -> Result<Option<bool>, Error> {
    let release = rows::known_release(tx, &artifact.release_id)?;
    let Some(app) = rows::app_by_id(tx, &artifact.app_id)? else {
        return Ok(None);
    };
    if release.status == ReleaseStatus::Draft && !caller.has(Scope::Publish, &app.slug) {
        return Ok(None);
    }
    if !matches!(release.status, ReleaseStatus::Draft | ReleaseStatus::Published) {
        return Ok(None);
    }
    let ipa_kept_back =
        artifact.platform == Platform::Ios && app.ios_mode == IosMode::ArtifactOnly && !app.ios_public_download;
    let open = release.status == ReleaseStatus::Published && app.visibility != Visibility::Private && !ipa_kept_back;
    if open || caller.has(Scope::Read, &app.slug) {
        return Ok(Some(open && app.visibility == Visibility::Public));
    }
    Ok(None)
}

/// Whether the caller sent these bytes, or may read an artifact made of them.
fn knows(tx: &dyn SqlRead, caller: &Caller, digest: &Digest) -> Result<bool, Error> {
    if matches!(caller.principal, Principal::Local(_) | Principal::System) {
        return Ok(true);
    }
    let digest = digest.to_string();
    let sql = "SELECT 1 FROM object_uploads WHERE sha256 = ?1 AND actor = ?2";
    if tx
        .query_opt(sql, params![&digest, &caller.actor().to_string()], |_| Ok(()))?
        .is_some()
    {
        return Ok(true);
    }
    for artifact in tx.query_all(
        rows::select_artifacts!("WHERE sha256 = ?1"),
        params![&digest],
        rows::read_artifact,
    )? {
        if may_download(tx, caller, &artifact)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes sure that the bytes which a release names are there and the caller's to name, and that no
/// cleanup removes them.
pub(crate) fn claim(tx: &mut dyn SqlTx, scene: &Scene, intent: &PublishIntent) -> Result<(), Error> {
    for artifact in &intent.artifacts {
        if !knows(&*tx, &scene.caller, &artifact.sha256)? {
            return Err(missing(&artifact.sha256).into());
        }
    }
    check_present(tx, scene, intent.artifacts.iter().map(|artifact| &artifact.sha256))
}

/// Clears the mark of a cleanup and looks at the file: both under the write lock, as the cleanup
/// unlinks under it, so that the two cannot miss each other.
pub(crate) fn check_present<'a>(
    tx: &mut dyn SqlTx,
    scene: &Scene,
    digests: impl IntoIterator<Item = &'a Digest>,
) -> Result<(), Error> {
    let any_marks = tx
        .query_opt("SELECT 1 FROM doomed_objects LIMIT 1", &[], |_| Ok(()))?
        .is_some();
    for digest in digests {
        if any_marks {
            tx.execute(
                "DELETE FROM doomed_objects WHERE sha256 = ?1",
                params![&digest.to_string()],
            )?;
        }
        if scene.service.objects().stat(digest)?.is_none() {
            return Err(missing(digest).into());
        }
    }
    Ok(())
}

fn missing(digest: &Digest) -> Refusal {
    Refusal::new(
        ErrorCode::ObjectMissing,
        format!("the store does not have {digest} from you: upload it, then publish again"),
    )
    .with("sha256", digest.to_string())
}
