//! Objects: who may send, name and fetch which bytes.

use dist_blobs::Stored;
use dist_model::decide::{ArtifactIntent, Decided, PublishIntent};
use dist_model::{
    App, Artifact, ArtifactId, Digest, ErrorCode, Event, IosMode, Platform, Refusal, Release, ReleaseStatus, Scope,
    Visibility, events,
};
use persist::{SqlRead, SqlReadExt as _, SqlTx, params};
use serde_json::{Value, json};

use crate::idempotency::Receipted;
use crate::service::Scene;
use crate::{Caller, Error, Idempotency, Principal, Service, rows};

/// What a download is answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Download {
    /// The artifact that it is served as; `None` for bytes that no release is made of yet, which
    /// only who sent them may have.
    pub artifact: Option<Artifact>,
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
    pub async fn record_upload(
        &self,
        caller: &Caller,
        stored: Stored,
        idempotency: Option<Idempotency>,
    ) -> Result<Stored, Error> {
        self.write_once(caller, idempotency, move |tx, scene| {
            let caller = &scene.caller;
            caller.require(Scope::Publish, caller.bound_app(), None, scene.context.now)?;
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

    /// Finds what a download is served as: the artifact that is named, or one that the caller may
    /// have, or the bare bytes that the caller sent and that no release is made of yet.
    pub async fn download(
        &self,
        caller: &Caller,
        digest: &Digest,
        artifact: Option<&ArtifactId>,
    ) -> Result<Download, Error> {
        caller.check_link(self.now())?;
        self.read(|tx| {
            let found = among(tx, caller, digest, artifact)?;
            if found.is_none() && artifact.is_none() && is_unused(tx, digest)? && sent(tx, caller, digest)? {
                return Ok(Download {
                    artifact: None,
                    public: false,
                });
            }
            found.ok_or_else(|| not_found().into())
        })
    }
}

/// What the caller may have of the artifacts made of some bytes, or of the one that is named. The same
/// bytes may be in any number of releases, so that they are gone through a page at a time.
///
/// Private apps that are nothing to the caller are left out by the statement: from the time that looking
/// at each would take, a stranger could tell that they have these bytes.
fn among(
    tx: &dyn SqlRead,
    caller: &Caller,
    digest: &Digest,
    named: Option<&ArtifactId>,
) -> Result<Option<Download>, Error> {
    const PAGE: i64 = 64;
    let sql = rows::select_artifacts!(
        "WHERE sha256 = ?1 AND id > ?2 AND (?3 IS NULL OR id = ?3) AND EXISTS (SELECT 1 FROM apps WHERE apps.id = artifacts.app_id \
         AND (apps.visibility <> 'private' OR ?4 IS NULL OR ?4 LIKE '%,' || apps.slug || ',%')) ORDER BY id LIMIT ?5"
    );
    let (digest, named) = (digest.to_string(), named.map(ArtifactId::as_str));
    let reach = caller.reach_of_files().slugs();
    let mut after = String::new();
    loop {
        let bound = params![&digest, &after, named, reach.as_deref(), PAGE];
        let page = tx.query_all(sql, bound, rows::read_artifact)?;
        let Some(last) = page.last() else { return Ok(None) };
        after = last.id.to_string();
        if let Some(found) = best(tx, caller, page)? {
            return Ok(Some(found));
        }
    }
}

/// What the caller may have of some artifacts: a public one before others, since caches may keep it.
fn best(tx: &dyn SqlRead, caller: &Caller, artifacts: Vec<Artifact>) -> Result<Option<Download>, Error> {
    let mut allowed = None;
    for artifact in artifacts {
        match may_download(tx, caller, &artifact)? {
            Some(true) => {
                return Ok(Some(Download {
                    artifact: Some(artifact),
                    public: true,
                }));
            }
            Some(false) if allowed.is_none() => {
                allowed = Some(Download {
                    artifact: Some(artifact),
                    public: false,
                });
            }
            _ => {}
        }
    }
    Ok(allowed)
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
    match rows::app_by_id(tx, &artifact.app_id)? {
        Some(app) => is_offered(tx, caller, &app, &release, artifact),
        None => Ok(None),
    }
}

/// The same, given the artifact's app and release.
pub(crate) fn is_offered(
    tx: &dyn SqlRead,
    caller: &Caller,
    app: &App,
    release: &Release,
    artifact: &Artifact,
) -> Result<Option<bool>, Error> {
    let is_published = match release.status {
        ReleaseStatus::Published => true,
        ReleaseStatus::Draft => false,
        ReleaseStatus::Yanked | ReleaseStatus::Deleted => return Ok(None),
    };
    if !is_published && !caller.has(Scope::Publish, &app.slug) {
        return Ok(None);
    }
    let ipa_kept_back =
        artifact.platform == Platform::Ios && app.ios_mode == IosMode::ArtifactOnly && !app.ios_public_download;
    let open = is_published && app.visibility != Visibility::Private && !ipa_kept_back;
    let allowed = open || caller.has(Scope::Read, &app.slug) || is_offered_by_link(tx, caller, app, release)?;
    Ok(allowed.then_some(open && app.visibility == Visibility::Public))
}

/// Whether the caller holds a tester link to a channel that points at the release.
fn is_offered_by_link(tx: &dyn SqlRead, caller: &Caller, app: &App, release: &Release) -> Result<bool, Error> {
    let Principal::Link(link) = &caller.principal else {
        return Ok(false);
    };
    if link.app_id != app.id {
        return Ok(false);
    }
    let channel = rows::channel(tx, &app.id, &link.channel)?;
    Ok(channel.is_some_and(|channel| channel.current_release_id.as_ref() == Some(&release.id)))
}

/// Whether the caller sent these bytes, or may read an artifact made of them.
fn knows(tx: &dyn SqlRead, caller: &Caller, digest: &Digest) -> Result<bool, Error> {
    if matches!(caller.principal, Principal::Local(_) | Principal::System) || sent(tx, caller, digest)? {
        return Ok(true);
    }
    Ok(among(tx, caller, digest, None)?.is_some())
}

/// Whether the caller sent these bytes.
fn sent(tx: &dyn SqlRead, caller: &Caller, digest: &Digest) -> Result<bool, Error> {
    if matches!(
        caller.principal,
        Principal::Anonymous | Principal::Link(_) | Principal::SigningIn(_)
    ) {
        return Ok(false);
    }
    let sql = "SELECT 1 FROM object_uploads WHERE sha256 = ?1 AND actor = ?2";
    let (digest, actor) = (digest.to_string(), caller.actor().to_string());
    Ok(tx.query_opt(sql, params![&digest, &actor], |_| Ok(()))?.is_some())
}

/// Whether no release, draft or otherwise, was ever made of these bytes.
fn is_unused(tx: &dyn SqlRead, digest: &Digest) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM artifacts WHERE sha256 = ?1 LIMIT 1";
    Ok(tx.query_opt(sql, params![&digest.to_string()], |_| Ok(()))?.is_none())
}

/// Makes sure that the bytes which a release names are there and the caller's to name, and that no
/// cleanup removes them.
pub(crate) fn claim(tx: &mut dyn SqlTx, scene: &Scene, intent: &PublishIntent) -> Result<(), Error> {
    check_known(
        &*tx,
        &scene.caller,
        intent.artifacts.iter().map(|artifact| &artifact.sha256),
    )?;
    let icons: Vec<Digest> = intent.artifacts.iter().filter_map(ArtifactIntent::icon).collect();
    let artifacts = intent.artifacts.iter().map(|artifact| &artifact.sha256);
    check_present(tx, scene, artifacts.chain(&icons))
}

/// Makes sure that the bytes are the caller's to name. Others' bytes and absent ones are refused
/// alike, so that nobody learns what the store has.
pub(crate) fn check_known<'a>(
    tx: &dyn SqlRead,
    caller: &Caller,
    digests: impl IntoIterator<Item = &'a Digest>,
) -> Result<(), Error> {
    for digest in digests {
        if !knows(tx, caller, digest)? {
            return Err(missing(digest).into());
        }
    }
    Ok(())
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

impl Receipted for Stored {
    fn receipt(&self) -> Value {
        json!({ "sha256": self.digest, "size_bytes": self.size, "deduplicated": self.deduplicated })
    }

    fn recall(_: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        let broken = || Error::Broken(format!("a receipt cannot be read: {receipt}"));
        Ok(Self {
            digest: receipt["sha256"].as_str().ok_or_else(broken)?.parse()?,
            size: receipt["size_bytes"].as_u64().ok_or_else(broken)?,
            deduplicated: receipt["deduplicated"].as_bool().ok_or_else(broken)?,
        })
    }
}
