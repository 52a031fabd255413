-- Schema 1. docs/design.md explains each field.

CREATE TABLE persist_head (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    store_id    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    projections TEXT NOT NULL
);

CREATE TABLE persist_streams (
    stream   TEXT PRIMARY KEY,
    last_seq INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE persist_events (
    position    INTEGER PRIMARY KEY,
    stream      TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    type        TEXT NOT NULL,
    at          INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    format      INTEGER NOT NULL,
    meta        TEXT,
    body        TEXT,
    UNIQUE (stream, seq)
);

CREATE TABLE persist_kv (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE persist_receipts (
    scope        TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    result       TEXT NOT NULL,
    position     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;
