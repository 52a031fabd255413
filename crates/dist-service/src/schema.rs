//! The tables: projections of the log, and beside them the side state that no event carries.
//!
//! Texts in the database are what JSON shows: times are RFC 3339 in UTC with milliseconds, sets
//! and objects are JSON. The portable subset of SQL only, since `PostgreSQL` is to run it too.

use persist::Table;

/// The tables of the entities.
pub(crate) const ENTITIES: &[Table] = &[
    Table {
        name: "apps",
        key: &["id"],
        side: &[],
        ddl: "CREATE TABLE apps (
            id TEXT NOT NULL PRIMARY KEY,
            slug TEXT NOT NULL UNIQUE,
            display_name TEXT NOT NULL,
            allowed_platforms TEXT NOT NULL,
            owner TEXT NOT NULL,
            visibility TEXT NOT NULL,
            ios_mode TEXT NOT NULL,
            ios_public_download BOOLEAN NOT NULL,
            testflight_url TEXT,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL
        ) WITHOUT ROWID",
    },
    Table {
        name: "app_bundle_ids",
        key: &["app_id", "platform"],
        side: &[],
        ddl: "CREATE TABLE app_bundle_ids (
            app_id TEXT NOT NULL,
            platform TEXT NOT NULL,
            bundle_id TEXT NOT NULL,
            PRIMARY KEY (app_id, platform)
        ) WITHOUT ROWID",
    },
    Table {
        name: "releases",
        key: &["id"],
        side: &[],
        // listed_at is the place in lists: when it was published, for a draft when it was made. The
        // commit stands in the source too; here a search finds it.
        ddl: "CREATE TABLE releases (
            id TEXT NOT NULL PRIMARY KEY,
            app_id TEXT NOT NULL,
            version TEXT NOT NULL,
            build TEXT NOT NULL,
            channel TEXT,
            notes TEXT NOT NULL,
            created_by TEXT NOT NULL,
            created_at TEXT NOT NULL,
            published_at TEXT,
            status TEXT NOT NULL,
            source TEXT NOT NULL,
            source_commit TEXT,
            listed_at TEXT NOT NULL,
            UNIQUE (app_id, version, build)
        ) WITHOUT ROWID;
        CREATE INDEX releases_listed ON releases (app_id, listed_at, id);
        CREATE INDEX releases_build ON releases (app_id, build);
        CREATE INDEX releases_commit ON releases (source_commit) WHERE source_commit IS NOT NULL",
    },
    Table {
        name: "artifacts",
        key: &["release_id", "platform", "arch", "package_type", "filename"],
        side: &[],
        // A release's artifacts lie together, in the order in which they are shown. The icon stands in
        // the metadata too; here a cleanup finds who needs it. The metadata, which is long, comes last:
        // what stands behind it could not be read without reading through it. What a list of releases
        // shows is in an index of its own, so that it is read without any of that.
        ddl: "CREATE TABLE artifacts (
            id TEXT NOT NULL,
            app_id TEXT NOT NULL,
            release_id TEXT NOT NULL,
            platform TEXT NOT NULL,
            arch TEXT NOT NULL,
            package_type TEXT NOT NULL,
            filename TEXT NOT NULL,
            content_type TEXT NOT NULL,
            size_bytes BIGINT NOT NULL,
            sha256 TEXT NOT NULL,
            storage_key TEXT NOT NULL,
            validation_status TEXT NOT NULL,
            icon_sha256 TEXT,
            metadata TEXT NOT NULL,
            PRIMARY KEY (release_id, platform, arch, package_type, filename)
        ) WITHOUT ROWID;
        CREATE INDEX artifacts_id ON artifacts (id);
        CREATE INDEX artifacts_contents ON artifacts (release_id, platform, validation_status, size_bytes, sha256);
        CREATE INDEX artifacts_sha256 ON artifacts (sha256, id);
        CREATE INDEX artifacts_icon ON artifacts (icon_sha256)",
    },
    Table {
        name: "channels",
        key: &["app_id", "name"],
        side: &[],
        ddl: "CREATE TABLE channels (
            app_id TEXT NOT NULL,
            name TEXT NOT NULL,
            current_release_id TEXT,
            revision BIGINT NOT NULL,
            policy TEXT NOT NULL,
            rollout_percent BIGINT NOT NULL,
            retention_keep BIGINT NOT NULL,
            PRIMARY KEY (app_id, name)
        ) WITHOUT ROWID",
    },
    Table {
        name: "channel_history",
        key: &["app_id", "channel", "revision"],
        side: &[],
        ddl: "CREATE TABLE channel_history (
            app_id TEXT NOT NULL,
            channel TEXT NOT NULL,
            revision BIGINT NOT NULL,
            release_id TEXT NOT NULL,
            previous_release_id TEXT,
            below BIGINT,
            cause TEXT NOT NULL,
            from_channel TEXT,
            actor TEXT NOT NULL,
            created_at TEXT NOT NULL,
            PRIMARY KEY (app_id, channel, revision)
        ) WITHOUT ROWID;
        CREATE INDEX channel_history_release ON channel_history (release_id);
        CREATE INDEX channel_history_at ON channel_history (app_id, channel, created_at)",
    },
    Table {
        name: "tokens",
        key: &["id"],
        side: &["last_used_at"],
        ddl: "CREATE TABLE tokens (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            token_hash TEXT NOT NULL UNIQUE,
            scopes TEXT NOT NULL,
            app_slug TEXT,
            channels TEXT NOT NULL,
            created_at TEXT NOT NULL,
            expires_at TEXT,
            last_used_at TEXT,
            revoked_at TEXT
        )",
    },
    Table {
        name: "object_uploads",
        key: &["sha256", "actor"],
        side: &[],
        // Who has sent which bytes: what a token may name in a release without reading them.
        ddl: "CREATE TABLE object_uploads (
            sha256 TEXT NOT NULL,
            actor TEXT NOT NULL,
            size_bytes BIGINT NOT NULL,
            uploaded_at TEXT NOT NULL,
            PRIMARY KEY (sha256, actor)
        ) WITHOUT ROWID",
    },
    Table {
        name: "app_objects",
        key: &["sha256", "app_id"],
        side: &[],
        // How many artifacts of an app's releases, but for deleted ones, are made of an object.
        ddl: "CREATE TABLE app_objects (
            sha256 TEXT NOT NULL,
            app_id TEXT NOT NULL,
            size_bytes BIGINT NOT NULL,
            artifacts BIGINT NOT NULL,
            PRIMARY KEY (sha256, app_id)
        ) WITHOUT ROWID",
    },
    Table {
        name: "storage_days",
        key: &["app_id", "day"],
        side: &[],
        // By how many bytes the objects of an app grew on a day; with an empty app_id, those of all
        // apps, each object counted once.
        ddl: "CREATE TABLE storage_days (
            app_id TEXT NOT NULL,
            day TEXT NOT NULL,
            bytes BIGINT NOT NULL,
            PRIMARY KEY (app_id, day)
        ) WITHOUT ROWID",
    },
];

/// The tables of the audit log.
///
/// An event's kind is its app, actor and action. There are few kinds, so that whoever filters by any
/// of the three picks kinds, and merges what the index has of each, newest first: a filter that
/// finds little is as fast as one that finds much. A kind is named by its first event's id.
pub(crate) const AUDIT: &[Table] = &[
    Table {
        name: "audit_events",
        key: &["id"],
        side: &[],
        ddl: "CREATE TABLE audit_events (
            id BIGINT NOT NULL PRIMARY KEY,
            actor TEXT NOT NULL,
            action TEXT NOT NULL,
            target_type TEXT NOT NULL,
            target_id TEXT NOT NULL,
            app_id TEXT,
            release_id TEXT,
            kind BIGINT NOT NULL,
            created_at TEXT NOT NULL,
            metadata TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX audit_events_kind ON audit_events (kind, id);
        CREATE INDEX audit_events_target ON audit_events (target_id, kind, id);
        CREATE INDEX audit_events_release ON audit_events (release_id, id) WHERE release_id IS NOT NULL",
    },
    Table {
        name: "audit_kinds",
        key: &["app_id", "actor", "action"],
        side: &[],
        // app_id is empty for what belongs to no app.
        ddl: "CREATE TABLE audit_kinds (
            app_id TEXT NOT NULL,
            actor TEXT NOT NULL,
            action TEXT NOT NULL,
            first_id BIGINT NOT NULL,
            last_id BIGINT NOT NULL,
            count BIGINT NOT NULL,
            PRIMARY KEY (app_id, actor, action)
        ) WITHOUT ROWID",
    },
    Table {
        name: "audit_days",
        key: &["day"],
        side: &[],
        // Which ids a day's events have: times follow ids, but for clocks that were set back.
        ddl: "CREATE TABLE audit_days (
            day TEXT NOT NULL PRIMARY KEY,
            first_id BIGINT NOT NULL,
            last_id BIGINT NOT NULL
        ) WITHOUT ROWID",
    },
];

/// Side state: never replayed, and of no harm when it is lost.
pub(crate) const SIDE_TABLES: &[&str] = &[
    // Objects that nothing referred to when a cleanup looked, and since when.
    "CREATE TABLE IF NOT EXISTS doomed_objects (
        sha256 TEXT NOT NULL PRIMARY KEY,
        doomed_at TEXT NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS artifact_downloads (
        artifact_id TEXT NOT NULL,
        day TEXT NOT NULL,
        count BIGINT NOT NULL,
        PRIMARY KEY (artifact_id, day)
    )",
    // The same counts by release and by app, which is what lists and plots ask for.
    "CREATE TABLE IF NOT EXISTS release_downloads (
        app_id TEXT NOT NULL,
        day TEXT NOT NULL,
        release_id TEXT NOT NULL,
        count BIGINT NOT NULL,
        PRIMARY KEY (app_id, day, release_id)
    ) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS release_downloads_release ON release_downloads (release_id, count)",
    "CREATE TABLE IF NOT EXISTS app_downloads (
        app_id TEXT NOT NULL,
        day TEXT NOT NULL,
        count BIGINT NOT NULL,
        PRIMARY KEY (app_id, day)
    ) WITHOUT ROWID",
    // Stores that counted before these tables were there.
    "INSERT INTO release_downloads (app_id, day, release_id, count) \
     SELECT a.app_id, d.day, a.release_id, SUM(d.count) FROM artifact_downloads d JOIN artifacts a ON a.id = d.artifact_id \
     WHERE NOT EXISTS (SELECT 1 FROM release_downloads) GROUP BY a.app_id, d.day, a.release_id",
    "INSERT INTO app_downloads (app_id, day, count) SELECT app_id, day, SUM(count) FROM release_downloads \
     WHERE NOT EXISTS (SELECT 1 FROM app_downloads) GROUP BY app_id, day",
    // One row, written to see whether the database can be.
    "CREATE TABLE IF NOT EXISTS readiness (
        id BIGINT NOT NULL PRIMARY KEY,
        checked_at TEXT NOT NULL
    )",
];
