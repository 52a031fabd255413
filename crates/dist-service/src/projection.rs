//! The tables as folds of the log: one function an event, in the transaction that appends it.

use dist_model::{
    Actor, App, AppChanges, Artifact, Channel, ChannelMove, Event, MoveCause, Release, ReleaseStatus, Timestamp, Token,
    events,
};
use persist::{InlineProjection, Recorded, SqlError, SqlTx, Table, params};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{rows, schema};

mod storage;

/// The tables of the entities.
pub(crate) struct Entities;

/// The audit log as a table.
pub(crate) struct Audit;

impl InlineProjection for Entities {
    fn name(&self) -> &'static str {
        "entities"
    }

    fn version(&self) -> u32 {
        3
    }

    fn tables(&self) -> &'static [Table] {
        schema::ENTITIES
    }

    fn apply(&self, tx: &mut dyn SqlTx, recorded: &Recorded) -> Result<(), SqlError> {
        let at = Timestamp::from_millis(recorded.event.at);
        let actor = actor(recorded)?;
        match decode(recorded)? {
            Event::AppCreated(e) | Event::AppImported(e) => insert_app(tx, &e.app),
            Event::AppUpdated(e) => update_app(tx, &e, at),
            Event::ReleaseDrafted(e) => put_release(tx, &e.release),
            Event::ArtifactAdded(e) => add_artifact(tx, &e, at),
            Event::ReleasePublished(events::ReleasePublished { release, artifacts })
            | Event::ReleaseImported(events::ReleaseImported { release, artifacts }) => {
                put_release(tx, &release)?;
                for artifact in &artifacts {
                    if put_artifact(tx, artifact)? && release.status != ReleaseStatus::Deleted {
                        storage::refer(tx, artifact, at)?;
                    }
                }
                Ok(())
            }
            Event::ReleaseYanked(e) => set_status(tx, &e, ReleaseStatus::Yanked),
            Event::ReleaseDeleted(e) => {
                storage::let_go(tx, &e.release_id, at)?;
                set_status(tx, &e, ReleaseStatus::Deleted)
            }
            Event::ReleaseDiscarded(e) => {
                storage::let_go(tx, &e.release_id, at)?;
                discard(tx, &e)
            }
            Event::ChannelPublished(e) => move_channel(tx, &e, MoveCause::Published, &actor, at),
            Event::ChannelPromoted(e) => move_channel(tx, &e, MoveCause::Promoted, &actor, at),
            Event::ChannelRolledBack(e) => move_channel(tx, &e, MoveCause::RolledBack, &actor, at),
            Event::ChannelUpdated(e) => update_channel(tx, &e),
            Event::ChannelImported(e) => {
                put_channel(tx, &e.channel)?;
                e.moved
                    .iter()
                    .try_for_each(|moved| move_channel(tx, moved, MoveCause::Imported, &actor, at))
            }
            Event::TokenCreated(events::TokenCreated { token, token_hash })
            | Event::TokenImported(events::TokenImported { token, token_hash }) => {
                insert_token(tx, &token, &token_hash.to_string())
            }
            Event::TokenRevoked(e) => tx
                .execute(
                    "UPDATE tokens SET revoked_at = ?2 WHERE id = ?1",
                    params![e.token_id.as_str(), &at.to_string()],
                )
                .map(drop),
            Event::ObjectUploaded(e) => {
                let sql = "INSERT INTO object_uploads (sha256, actor, size_bytes, uploaded_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
                let size = rows::number(e.size_bytes)?;
                tx.execute(
                    sql,
                    params![&e.sha256.to_string(), &actor.to_string(), size, &at.to_string()],
                )
                .map(drop)
            }
            Event::StoreCleaned(e) => e.objects.keys().try_for_each(|digest| {
                tx.execute(
                    "DELETE FROM object_uploads WHERE sha256 = ?1",
                    params![&digest.to_string()],
                )
                .map(drop)
            }),
            // What only the audit log tells.
            _ => Ok(()),
        }
    }
}

impl InlineProjection for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [Table] {
        schema::AUDIT
    }

    fn apply(&self, tx: &mut dyn SqlTx, recorded: &Recorded) -> Result<(), SqlError> {
        let at = Timestamp::from_millis(recorded.event.at);
        let action = recorded.event.r#type.as_str();
        let id = rows::number(recorded.position.get())?;
        if action == "audit.imported"
            && let Event::AuditImported(e) = decode(recorded)?
        {
            // An imported event is shown as what it was; its old id, which may repeat, goes along.
            let mut metadata = e.metadata;
            metadata.insert("imported_id".to_owned(), e.id.into());
            let event = AuditRow {
                id,
                actor: &e.actor.to_string(),
                action: &e.action,
                target: (&e.target_type, &e.target_id),
                app_id: None,
                metadata: &metadata,
                at,
            };
            return insert_audit(tx, &event);
        }
        let target = |name: &str| recorded.meta["target"][name].as_str();
        let event = AuditRow {
            id,
            actor: &actor(recorded)?.to_string(),
            action,
            target: (target("type").unwrap_or_default(), target("id").unwrap_or_default()),
            app_id: target("app_id"),
            metadata: &Event::shown(action, &recorded.event.data),
            at,
        };
        insert_audit(tx, &event)
    }
}

/// A row of the audit log.
struct AuditRow<'a> {
    id: i64,
    actor: &'a str,
    action: &'a str,
    /// The type and the id.
    target: (&'a str, &'a str),
    app_id: Option<&'a str>,
    metadata: &'a Map<String, Value>,
    at: Timestamp,
}

impl AuditRow<'_> {
    /// The release that it is about: its target, or what a channel was moved to.
    fn release_id(&self) -> Option<&str> {
        let (kind, id) = self.target;
        let moved = || self.metadata.get("moved").unwrap_or(&Value::Null).get("release_id");
        match kind {
            "release" => Some(id),
            "channel" => self.metadata.get("release_id").or_else(moved)?.as_str(),
            _ => None,
        }
    }
}

fn insert_audit(tx: &mut dyn SqlTx, event: &AuditRow<'_>) -> Result<(), SqlError> {
    let app_id = event.app_id.unwrap_or_default();
    let sql = "INSERT INTO audit_kinds (app_id, actor, action, first_id, last_id, count) VALUES (?1, ?2, ?3, ?4, ?4, 1) \
         ON CONFLICT (app_id, actor, action) DO UPDATE SET last_id = excluded.last_id, count = audit_kinds.count + 1";
    tx.execute(sql, params![app_id, event.actor, event.action, event.id])?;
    let at = event.at.to_string();
    let sql = "INSERT INTO audit_days (day, first_id, last_id) VALUES (?1, ?2, ?2) ON CONFLICT (day) DO UPDATE SET last_id = excluded.last_id";
    tx.execute(sql, params![&at[..10], event.id])?;
    let sql = "INSERT INTO audit_events (id, actor, action, target_type, target_id, app_id, release_id, kind, created_at, metadata) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT first_id FROM audit_kinds WHERE app_id = ?8 AND actor = ?2 AND action = ?3), ?9, ?10)";
    let ((target_type, target_id), metadata) = (event.target, text(event.metadata)?);
    let row = params![
        event.id,
        event.actor,
        event.action,
        target_type,
        target_id,
        event.app_id,
        event.release_id(),
        app_id,
        &at,
        &metadata
    ];
    tx.execute(sql, row).map(drop)
}

pub(crate) fn decode(recorded: &Recorded) -> Result<Event, SqlError> {
    let action = &recorded.event.r#type;
    Event::from_data(action, &recorded.event.data)
        .ok_or_else(|| SqlError::decode(format!("this version does not know the event {action}")))?
        .map_err(SqlError::decode)
}

fn actor(recorded: &Recorded) -> Result<Actor, SqlError> {
    let text = recorded
        .meta
        .get("actor")
        .and_then(serde_json::Value::as_str)
        .unwrap_or("system");
    Actor::try_from(text.to_owned()).map_err(SqlError::decode)
}

pub(crate) fn text(value: &impl Serialize) -> Result<String, SqlError> {
    serde_json::to_string(value).map_err(SqlError::decode)
}

fn insert_app(tx: &mut dyn SqlTx, app: &App) -> Result<(), SqlError> {
    let sql = "INSERT INTO apps (id, slug, display_name, allowed_platforms, owner, visibility, ios_mode, ios_public_download, testflight_url, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    tx.execute(
        sql,
        params![
            app.id.as_str(),
            app.slug.as_str(),
            &app.display_name,
            &text(&app.allowed_platforms)?,
            &app.owner,
            app.visibility.as_str(),
            app.ios_mode.as_str(),
            app.ios_public_download,
            app.testflight_url.as_deref(),
            &app.created_at.to_string(),
            &app.updated_at.to_string(),
        ],
    )?;
    put_bundle_ids(tx, app)
}

fn put_bundle_ids(tx: &mut dyn SqlTx, app: &App) -> Result<(), SqlError> {
    for (platform, id) in &app.bundle_ids {
        tx.execute(
            "INSERT INTO app_bundle_ids (app_id, platform, bundle_id) VALUES (?1, ?2, ?3)",
            params![app.id.as_str(), platform.as_str(), id],
        )?;
    }
    Ok(())
}

/// What a change means is known in one place, `App::apply`; the row is read, changed and written.
fn update_app(tx: &mut dyn SqlTx, event: &events::AppUpdated, at: Timestamp) -> Result<(), SqlError> {
    let app = rows::app_by_id(&*tx, &event.app_id)?;
    let mut app =
        app.ok_or_else(|| SqlError::decode(format!("the app {} was updated and is not there", event.app_id)))?;
    let changes: &AppChanges = &event.changes;
    app.apply(changes, at);
    let sql = "UPDATE apps SET display_name = ?2, allowed_platforms = ?3, owner = ?4, visibility = ?5, ios_mode = ?6, ios_public_download = ?7, \
         testflight_url = ?8, updated_at = ?9 WHERE id = ?1";
    tx.execute(
        sql,
        params![
            app.id.as_str(),
            &app.display_name,
            &text(&app.allowed_platforms)?,
            &app.owner,
            app.visibility.as_str(),
            app.ios_mode.as_str(),
            app.ios_public_download,
            app.testflight_url.as_deref(),
            &app.updated_at.to_string(),
        ],
    )?;
    if !changes.bundle_ids.is_empty() {
        tx.execute("DELETE FROM app_bundle_ids WHERE app_id = ?1", params![app.id.as_str()])?;
        put_bundle_ids(tx, &app)?;
    }
    Ok(())
}

fn put_release(tx: &mut dyn SqlTx, release: &Release) -> Result<(), SqlError> {
    let sql = "INSERT INTO releases (id, app_id, version, build, channel, notes, created_by, created_at, published_at, status, source, source_commit, listed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
         ON CONFLICT (id) DO UPDATE SET channel = excluded.channel, published_at = excluded.published_at, status = excluded.status, listed_at = excluded.listed_at";
    let published_at = release.published_at.map(|at| at.to_string());
    let created_at = release.created_at.to_string();
    tx.execute(
        sql,
        params![
            release.id.as_str(),
            release.app_id.as_str(),
            release.version.as_str(),
            release.build.as_str(),
            release.channel.as_ref().map(dist_model::ChannelName::as_str),
            &release.notes,
            &release.created_by.to_string(),
            &created_at,
            published_at.as_deref(),
            release.status.as_str(),
            &text(&release.source)?,
            release.source.commit.as_deref(),
            published_at.as_deref().unwrap_or(&created_at),
        ],
    )
    .map(drop)
}

/// Answers whether it is new: a published draft's artifacts are there already, and the same one
/// again changes nothing.
fn put_artifact(tx: &mut dyn SqlTx, artifact: &Artifact) -> Result<bool, SqlError> {
    let sql = "INSERT INTO artifacts (id, app_id, release_id, platform, arch, package_type, filename, content_type, size_bytes, sha256, storage_key, metadata, validation_status, icon_sha256) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT (release_id, platform, arch, package_type, filename) DO NOTHING";
    tx.execute(
        sql,
        params![
            artifact.id.as_str(),
            artifact.app_id.as_str(),
            artifact.release_id.as_str(),
            artifact.platform.as_str(),
            &artifact.arch,
            &artifact.package_type,
            artifact.filename.as_str(),
            &artifact.content_type,
            rows::number(artifact.size_bytes)?,
            &artifact.sha256.to_string(),
            &artifact.storage_key,
            &text(&artifact.metadata)?,
            artifact.validation_status.as_str(),
            artifact.icon().map(|icon| icon.to_string()).as_deref(),
        ],
    )
    .map(|inserted| inserted > 0)
}

fn add_artifact(tx: &mut dyn SqlTx, event: &events::ArtifactAdded, at: Timestamp) -> Result<(), SqlError> {
    let artifact = &event.artifact;
    if let Some((replaced, digest)) = &event.replaced {
        let sql = "DELETE FROM artifacts WHERE release_id = ?1 AND id = ?2";
        tx.execute(sql, params![artifact.release_id.as_str(), replaced.as_str()])?;
        storage::unrefer(tx, artifact.app_id.as_str(), &digest.to_string(), at)?;
    }
    if put_artifact(tx, artifact)? {
        storage::refer(tx, artifact, at)?;
    }
    Ok(())
}

fn set_status(tx: &mut dyn SqlTx, event: &events::ReleaseRef, status: ReleaseStatus) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE releases SET status = ?2 WHERE id = ?1",
        params![event.release_id.as_str(), status.as_str()],
    )
    .map(drop)
}

fn discard(tx: &mut dyn SqlTx, event: &events::ReleaseRef) -> Result<(), SqlError> {
    tx.execute(
        "DELETE FROM artifacts WHERE release_id = ?1",
        params![event.release_id.as_str()],
    )?;
    tx.execute("DELETE FROM releases WHERE id = ?1", params![event.release_id.as_str()])
        .map(drop)
}

fn put_channel(tx: &mut dyn SqlTx, channel: &Channel) -> Result<(), SqlError> {
    let sql = "INSERT INTO channels (app_id, name, current_release_id, revision, policy, rollout_percent, retention_keep) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (app_id, name) DO UPDATE SET current_release_id = excluded.current_release_id, revision = excluded.revision, \
         policy = excluded.policy, rollout_percent = excluded.rollout_percent, retention_keep = excluded.retention_keep";
    tx.execute(
        sql,
        params![
            channel.app_id.as_str(),
            channel.name.as_str(),
            channel.current_release_id.as_ref().map(dist_model::ReleaseId::as_str),
            rows::number(channel.revision)?,
            channel.policy.as_str(),
            u32::from(channel.rollout_percent),
            channel.retention_keep,
        ],
    )
    .map(drop)
}

fn channel_or_new(
    tx: &dyn SqlTx,
    app: &dist_model::AppId,
    name: &dist_model::ChannelName,
) -> Result<Channel, SqlError> {
    Ok(rows::channel(tx, app, name)?.unwrap_or_else(|| Channel::new(app.clone(), name.clone())))
}

fn update_channel(tx: &mut dyn SqlTx, event: &events::ChannelUpdated) -> Result<(), SqlError> {
    let mut channel = channel_or_new(&*tx, &event.app_id, &event.channel)?;
    channel.apply(&event.changes);
    put_channel(tx, &channel)
}

fn move_channel(
    tx: &mut dyn SqlTx,
    moved: &ChannelMove,
    cause: MoveCause,
    actor: &Actor,
    at: Timestamp,
) -> Result<(), SqlError> {
    let mut channel = channel_or_new(&*tx, &moved.app_id, &moved.channel)?;
    channel.current_release_id = Some(moved.release_id.clone());
    channel.revision = moved.revision;
    put_channel(tx, &channel)?;
    let sql = "INSERT INTO channel_history (app_id, channel, revision, release_id, previous_release_id, below, cause, from_channel, actor, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    tx.execute(
        sql,
        params![
            moved.app_id.as_str(),
            moved.channel.as_str(),
            rows::number(moved.revision)?,
            moved.release_id.as_str(),
            moved.previous_release_id.as_ref().map(dist_model::ReleaseId::as_str),
            moved.below.map(rows::number).transpose()?,
            cause.as_str(),
            moved.from_channel.as_ref().map(dist_model::ChannelName::as_str),
            &actor.to_string(),
            &at.to_string(),
        ],
    )
    .map(drop)
}

fn insert_token(tx: &mut dyn SqlTx, token: &Token, token_hash: &str) -> Result<(), SqlError> {
    let sql = "INSERT INTO tokens (id, name, token_hash, scopes, app_slug, channels, created_at, expires_at, revoked_at, last_used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    tx.execute(
        sql,
        params![
            token.id.as_str(),
            &token.name,
            token_hash,
            &text(&token.scopes)?,
            token.app_slug.as_ref().map(dist_model::Slug::as_str),
            &text(&token.channels)?,
            &token.created_at.to_string(),
            token.expires_at.map(|at| at.to_string()).as_deref(),
            token.revoked_at.map(|at| at.to_string()).as_deref(),
            // Only an imported token was used before it was made here.
            token.last_used_at.map(|at| at.to_string()).as_deref(),
        ],
    )
    .map(drop)
}
