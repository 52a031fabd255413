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
        // listed_at is the place in lists: when it was published, for a draft when it was made.
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
            listed_at TEXT NOT NULL,
            UNIQUE (app_id, version, build)
        ) WITHOUT ROWID;
        CREATE INDEX releases_listed ON releases (app_id, listed_at, id)",
    },
    Table {
        name: "artifacts",
        key: &["release_id", "platform", "arch", "package_type", "filename"],
        side: &[],
        // A release's artifacts lie together, in the order in which they are shown. The icon stands in
        // the metadata too; here a cleanup finds who needs it.
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
            metadata TEXT NOT NULL,
            validation_status TEXT NOT NULL,
            icon_sha256 TEXT,
            PRIMARY KEY (release_id, platform, arch, package_type, filename)
        ) WITHOUT ROWID;
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
        ) WITHOUT ROWID",
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
];

/// The table of the audit log.
pub(crate) const AUDIT: &[Table] = &[Table {
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
            metadata TEXT NOT NULL,
            created_at TEXT NOT NULL
        );
        CREATE INDEX audit_events_app ON audit_events (app_id, id);
        CREATE INDEX audit_events_actor ON audit_events (actor, id);
        CREATE INDEX audit_events_action ON audit_events (action, id)",
}];

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
    // One row, written to see whether the database can be.
    "CREATE TABLE IF NOT EXISTS readiness (
        id BIGINT NOT NULL PRIMARY KEY,
        checked_at TEXT NOT NULL
    )",
];
