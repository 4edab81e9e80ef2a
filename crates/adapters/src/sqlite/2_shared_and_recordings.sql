-- The cycle in which a server was polled last.
ALTER TABLE servers ADD COLUMN polled_in INTEGER;

CREATE TABLE turns (
    work TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    begun_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    secrets TEXT NOT NULL,
    lrs_endpoint TEXT,
    lrs_username TEXT,
    lrs_password TEXT,
    kc_token_url TEXT,
    kc_client_id TEXT,
    kc_client_secret TEXT,
    kc_username TEXT,
    kc_password TEXT
) STRICT;
-- lower() knows ASCII only, and so do host names.
CREATE UNIQUE INDEX tenants_by_name ON tenants (lower(name));

CREATE TABLE tenant_settings (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    param TEXT NOT NULL,
    value TEXT NOT NULL,
    wins INTEGER NOT NULL
) STRICT;
CREATE INDEX tenant_settings_by_tenant ON tenant_settings (tenant_id);

CREATE TABLE one_time_tokens (
    token TEXT PRIMARY KEY,
    record_id TEXT NOT NULL,
    format TEXT NOT NULL,
    valid_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX one_time_tokens_by_valid_until ON one_time_tokens (valid_until);

-- Times are milliseconds since 1970.
CREATE TABLE recordings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id TEXT,
    meeting_id TEXT,
    name TEXT,
    published INTEGER NOT NULL DEFAULT FALSE,
    participants INTEGER,
    state TEXT,
    starttime INTEGER,
    endtime INTEGER,
    deleted_at INTEGER,
    protected INTEGER NOT NULL DEFAULT FALSE,
    publish_updated INTEGER NOT NULL DEFAULT FALSE
) STRICT;
CREATE UNIQUE INDEX index_recordings_on_record_id ON recordings (record_id);
CREATE INDEX index_recordings_on_meeting_id ON recordings (meeting_id);
CREATE INDEX scalelite_recordings_by_starttime ON recordings (starttime);

CREATE TABLE metadata (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recording_id INTEGER,
    key TEXT,
    value TEXT
) STRICT;
CREATE UNIQUE INDEX index_metadata_on_recording_id_and_key ON metadata (recording_id, key);
CREATE INDEX scalelite_metadata_by_key_and_value ON metadata (key, value);

CREATE TABLE playback_formats (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recording_id INTEGER,
    format TEXT,
    url TEXT,
    length INTEGER,
    processing_time INTEGER
) STRICT;
CREATE UNIQUE INDEX index_playback_formats_on_recording_id_and_format
    ON playback_formats (recording_id, format);

CREATE TABLE thumbnails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    playback_format_id INTEGER,
    width INTEGER,
    height INTEGER,
    alt TEXT,
    url TEXT,
    sequence INTEGER
) STRICT;
CREATE INDEX index_thumbnails_on_playback_format_id ON thumbnails (playback_format_id);

CREATE TABLE callback_data (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    meeting_id TEXT,
    recording_id INTEGER,
    callback_attributes TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX scalelite_callback_data_by_meeting_id ON callback_data (meeting_id);
