//! Reading entities out of the tables. The one place that knows the order of columns.

use dist_model::ReleaseStatus;
use dist_model::decide::{MoveState, StackEntry};
use dist_model::{
    App, AppId, Artifact, AuditEvent, Channel, ChannelMove, ChannelName, Digest, HistoryEntry, Refusal, Release,
    ReleaseId, Scopes, Slug, Token, TokenId,
};
use persist::{Row, SqlError, SqlParam, SqlRead, SqlReadExt as _, params};
use serde::de::DeserializeOwned;

/// Reads a column as whatever its text spells.
pub(crate) fn parsed<T>(row: &Row<'_>, index: usize) -> Result<T, SqlError>
where
    T: std::str::FromStr<Err = Refusal>,
{
    row.text(index)?.parse().map_err(SqlError::decode)
}

/// The same for a column that may be NULL.
pub(crate) fn parsed_opt<T>(row: &Row<'_>, index: usize) -> Result<Option<T>, SqlError>
where
    T: std::str::FromStr<Err = Refusal>,
{
    let text: Option<String> = row.get(index)?;
    text.map(|text| text.parse().map_err(SqlError::decode)).transpose()
}

/// Reads a column that holds JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> Result<T, SqlError> {
    serde_json::from_str(row.text(index)?).map_err(SqlError::decode)
}

/// Reads a column that holds an actor.
pub(crate) fn actor(row: &Row<'_>, index: usize) -> Result<dist_model::Actor, SqlError> {
    row.text(index)?.to_owned().try_into().map_err(SqlError::decode)
}

/// A number as a parameter; SQL's integers are signed.
pub(crate) fn number(value: u64) -> Result<i64, SqlError> {
    i64::try_from(value).map_err(|_| SqlError::decode("a number is too large for the database"))
}

/// Statements over each table: the columns in the order in which its reader takes them, then
/// whatever the caller adds. Whole statements are constants, so that the statement cache knows
/// them again.
macro_rules! select {
    ($($name:ident $columns:literal)*) => {$(
        macro_rules! $name {
            ($rest:literal) => { concat!("SELECT ", $columns, " ", $rest) };
        }
        pub(crate) use $name;
    )*};
}

select! {
    select_releases "id, app_id, version, build, channel, notes, created_by, created_at, published_at, status, source FROM releases"
    select_artifacts "id, app_id, release_id, platform, arch, package_type, filename, content_type, size_bytes, sha256, storage_key, metadata, validation_status FROM artifacts"
    select_channels "app_id, name, current_release_id, revision, policy, rollout_percent, retention_keep FROM channels"
    select_tokens "id, name, scopes, app_slug, channels, created_at, expires_at, last_used_at, revoked_at FROM tokens"
    select_audit "id, actor, action, target_type, target_id, metadata, created_at, app_id, release_id FROM audit_events"
    select_history "h.revision, h.release_id, r.version, r.build, h.previous_release_id, h.cause, h.from_channel, h.actor, h.created_at FROM channel_history h JOIN releases r ON r.id = h.release_id"
}

/// The same for apps, whose bundle ids are in a table of their own.
macro_rules! select_apps {
    ($rest:literal) => {
        concat!(
            "SELECT a.*, b.platform, b.bundle_id FROM (SELECT id, slug, display_name, allowed_platforms, owner, ",
            "visibility, ios_mode, ios_public_download, testflight_url, created_at, updated_at FROM apps ",
            $rest,
            ") a LEFT JOIN app_bundle_ids b ON b.app_id = a.id ORDER BY a.slug"
        )
    };
}
pub(crate) use select_apps;

fn read_app(row: &Row<'_>) -> Result<App, SqlError> {
    Ok(App {
        id: parsed(row, 0)?,
        slug: parsed(row, 1)?,
        display_name: row.get(2)?,
        bundle_ids: std::collections::BTreeMap::new(),
        allowed_platforms: json(row, 3)?,
        owner: row.get(4)?,
        visibility: parsed(row, 5)?,
        ios_mode: parsed(row, 6)?,
        ios_public_download: row.get(7)?,
        testflight_url: row.get(8)?,
        created_at: parsed(row, 9)?,
        updated_at: parsed(row, 10)?,
    })
}

/// The apps that a statement of `select_apps!` finds, by slug. An app has a row for each of its
/// bundle ids, or one without any.
pub(crate) fn apps(tx: &dyn SqlRead, sql: &str, params: &[SqlParam<'_>]) -> Result<Vec<App>, SqlError> {
    let mut apps: Vec<App> = Vec::new();
    tx.query(sql, params, &mut |row| {
        let id = row.text(0)?;
        if apps.last().is_none_or(|app| app.id.as_str() != id) {
            apps.push(read_app(row)?);
        }
        if let (Some(app), Some(platform)) = (apps.last_mut(), parsed_opt(row, 11)?) {
            app.bundle_ids.insert(platform, row.get(12)?);
        }
        Ok(())
    })?;
    Ok(apps)
}

pub(crate) fn app_by_slug(tx: &dyn SqlRead, slug: &Slug) -> Result<Option<App>, SqlError> {
    Ok(apps(tx, select_apps!("WHERE slug = ?1"), params![slug.as_str()])?.pop())
}

pub(crate) fn app_by_id(tx: &dyn SqlRead, id: &AppId) -> Result<Option<App>, SqlError> {
    Ok(apps(tx, select_apps!("WHERE id = ?1"), params![id.as_str()])?.pop())
}

pub(crate) fn read_release(row: &Row<'_>) -> Result<Release, SqlError> {
    Ok(Release {
        id: parsed(row, 0)?,
        app_id: parsed(row, 1)?,
        version: parsed(row, 2)?,
        build: parsed(row, 3)?,
        channel: parsed_opt(row, 4)?,
        notes: row.get(5)?,
        created_by: actor(row, 6)?,
        created_at: parsed(row, 7)?,
        published_at: parsed_opt(row, 8)?,
        status: parsed(row, 9)?,
        source: json(row, 10)?,
    })
}

pub(crate) fn release(tx: &dyn SqlRead, id: &str) -> Result<Option<Release>, SqlError> {
    tx.query_opt(select_releases!("WHERE id = ?1"), params![id], read_release)
}

/// The release that an id of ours names: it must be there.
pub(crate) fn known_release(tx: &dyn SqlRead, id: &ReleaseId) -> Result<Release, SqlError> {
    release(tx, id.as_str())?.ok_or_else(|| SqlError::decode(format!("the release {id} is referred to and not there")))
}

pub(crate) fn read_artifact(row: &Row<'_>) -> Result<Artifact, SqlError> {
    Ok(Artifact {
        id: parsed(row, 0)?,
        app_id: parsed(row, 1)?,
        release_id: parsed(row, 2)?,
        platform: parsed(row, 3)?,
        arch: row.get(4)?,
        package_type: row.get(5)?,
        filename: parsed(row, 6)?,
        content_type: row.get(7)?,
        size_bytes: row.get(8)?,
        sha256: parsed(row, 9)?,
        storage_key: row.get(10)?,
        metadata: json(row, 11)?,
        validation_status: parsed(row, 12)?,
    })
}

/// The artifacts of a release, in the order in which they are always shown.
pub(crate) fn artifacts(tx: &dyn SqlRead, release: &ReleaseId) -> Result<Vec<Artifact>, SqlError> {
    let sql = select_artifacts!("WHERE release_id = ?1 ORDER BY platform, arch, package_type, filename");
    tx.query_all(sql, params![release.as_str()], read_artifact)
}

pub(crate) fn read_channel(row: &Row<'_>) -> Result<Channel, SqlError> {
    Ok(Channel {
        app_id: parsed(row, 0)?,
        name: parsed(row, 1)?,
        current_release_id: parsed_opt(row, 2)?,
        revision: row.get(3)?,
        policy: parsed(row, 4)?,
        rollout_percent: u8::try_from(row.get::<u32>(5)?).map_err(SqlError::decode)?,
        retention_keep: row.get(6)?,
    })
}

pub(crate) fn channel(tx: &dyn SqlRead, app: &AppId, name: &ChannelName) -> Result<Option<Channel>, SqlError> {
    tx.query_opt(
        select_channels!("WHERE app_id = ?1 AND name = ?2"),
        params![app.as_str(), name.as_str()],
        read_channel,
    )
}

/// The names of the channels that point at a release.
pub(crate) fn channels_at(tx: &dyn SqlRead, release: &Release) -> Result<Vec<ChannelName>, SqlError> {
    let sql = "SELECT name FROM channels WHERE app_id = ?1 AND current_release_id = ?2 ORDER BY name";
    tx.query_all(sql, params![release.app_id.as_str(), release.id.as_str()], |row| {
        parsed(row, 0)
    })
}

/// The names of an app's channels.
pub(crate) fn channel_names(tx: &dyn SqlRead, app: &App) -> Result<Vec<ChannelName>, SqlError> {
    let sql = "SELECT name FROM channels WHERE app_id = ?1 ORDER BY name";
    tx.query_all(sql, params![app.id.as_str()], |row| parsed(row, 0))
}

/// A channel as a move finds it; one that was never moved where there is none.
pub(crate) fn move_state(tx: &dyn SqlRead, app: &AppId, name: &ChannelName) -> Result<MoveState, SqlError> {
    let Some(channel) = channel(tx, app, name)? else {
        return Ok(MoveState {
            channel: Channel::new(app.clone(), name.clone()),
            last: None,
        });
    };
    let last = history_move(tx, app, name, channel.revision)?;
    Ok(MoveState { channel, last })
}

/// One move of a channel's history.
pub(crate) fn history_move(
    tx: &dyn SqlRead,
    app: &AppId,
    name: &ChannelName,
    revision: u64,
) -> Result<Option<ChannelMove>, SqlError> {
    let sql = "SELECT release_id, previous_release_id, below, from_channel FROM channel_history WHERE app_id = ?1 AND channel = ?2 AND revision = ?3";
    tx.query_opt(sql, params![app.as_str(), name.as_str(), number(revision)?], |row| {
        Ok(ChannelMove {
            app_id: app.clone(),
            channel: name.clone(),
            revision,
            release_id: parsed(row, 0)?,
            previous_release_id: parsed_opt(row, 1)?,
            below: row.get(2)?,
            from_channel: parsed_opt(row, 3)?,
        })
    })
}

/// One entry of a channel's history as a rollback looks at it.
pub(crate) fn stack_entry(
    tx: &dyn SqlRead,
    app: &AppId,
    name: &ChannelName,
    revision: u64,
) -> Result<Option<StackEntry>, SqlError> {
    let sql = "SELECT h.release_id, h.below, r.status FROM channel_history h JOIN releases r ON r.id = h.release_id \
         WHERE h.app_id = ?1 AND h.channel = ?2 AND h.revision = ?3";
    tx.query_opt(sql, params![app.as_str(), name.as_str(), number(revision)?], |row| {
        Ok(StackEntry {
            release_id: parsed(row, 0)?,
            below: row.get(1)?,
            status: parsed(row, 2)?,
        })
    })
}

/// Whether a channel ever pointed at a release. Mostly the release itself remembers; where it was
/// published elsewhere first, the channel's history is read.
pub(crate) fn was_in_channel(tx: &dyn SqlRead, name: &ChannelName, release: &Release) -> Result<bool, SqlError> {
    if release.status == ReleaseStatus::Published && release.channel.as_ref() == Some(name) {
        return Ok(true);
    }
    let sql = "SELECT 1 FROM channel_history WHERE app_id = ?1 AND channel = ?2 AND release_id = ?3 LIMIT 1";
    let params = params![release.app_id.as_str(), name.as_str(), release.id.as_str()];
    Ok(tx.query_opt(sql, params, |_| Ok(()))?.is_some())
}

/// An entry of a channel's history.
pub(crate) fn read_history(row: &Row<'_>) -> Result<HistoryEntry, SqlError> {
    Ok(HistoryEntry {
        revision: row.get(0)?,
        release_id: parsed(row, 1)?,
        version: parsed(row, 2)?,
        build: parsed(row, 3)?,
        previous_release_id: parsed_opt(row, 4)?,
        cause: parsed(row, 5)?,
        from_channel: parsed_opt(row, 6)?,
        actor: actor(row, 7)?,
        created_at: parsed(row, 8)?,
    })
}

pub(crate) fn read_token(row: &Row<'_>) -> Result<Token, SqlError> {
    Ok(Token {
        id: parsed(row, 0)?,
        name: row.get(1)?,
        scopes: Scopes(json(row, 2)?),
        app_slug: parsed_opt(row, 3)?,
        channels: json(row, 4)?,
        created_at: parsed(row, 5)?,
        expires_at: parsed_opt(row, 6)?,
        last_used_at: parsed_opt(row, 7)?,
        revoked_at: parsed_opt(row, 8)?,
    })
}

pub(crate) fn token(tx: &dyn SqlRead, id: &TokenId) -> Result<Option<Token>, SqlError> {
    tx.query_opt(select_tokens!("WHERE id = ?1"), params![id.as_str()], read_token)
}

pub(crate) fn token_by_hash(tx: &dyn SqlRead, hash: &Digest) -> Result<Option<Token>, SqlError> {
    tx.query_opt(
        select_tokens!("WHERE token_hash = ?1"),
        params![&hash.to_string()],
        read_token,
    )
}

pub(crate) fn read_audit(row: &Row<'_>) -> Result<AuditEvent, SqlError> {
    Ok(AuditEvent {
        id: row.get(0)?,
        actor: actor(row, 1)?,
        action: row.get(2)?,
        target_type: row.get(3)?,
        target_id: row.get(4)?,
        metadata: json(row, 5)?,
        created_at: parsed(row, 6)?,
    })
}
