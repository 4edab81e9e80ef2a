-- The schema of the embedded store, version 1. Times are milliseconds since 1970 (UTC).

CREATE TABLE servers (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    tag TEXT,
    state TEXT NOT NULL CHECK (state IN ('enabled', 'cordoned', 'disabled')),
    online INTEGER NOT NULL,
    healthy_count INTEGER NOT NULL,
    unhealthy_count INTEGER NOT NULL,
    failure_at INTEGER,
    failure_reason TEXT,
    load REAL,
    load_multiplier REAL NOT NULL CHECK (load_multiplier > 0),
    meetings INTEGER NOT NULL,
    users INTEGER NOT NULL,
    largest_meeting INTEGER NOT NULL,
    videos INTEGER NOT NULL,
    bbb_version TEXT,
    -- The cycle of the last poll that was recorded.
    last_poll_cycle INTEGER,
    failures INTEGER NOT NULL,
    relapses INTEGER NOT NULL,
    probation_until INTEGER NOT NULL,
    answered_at INTEGER NOT NULL,
    placed_since_poll INTEGER NOT NULL,
    max_meetings INTEGER,
    join_url TEXT,
    max_users INTEGER,
    tier INTEGER NOT NULL,
    -- Another entry that is the same server under another name.
    twin_of TEXT
) STRICT;

CREATE TABLE meetings (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    moderator_pw TEXT,
    voice_bridge TEXT UNIQUE,
    claim_token TEXT,
    claim_until INTEGER,
    placed_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expected_users INTEGER NOT NULL,
    expected_until INTEGER NOT NULL,
    users INTEGER NOT NULL,
    peak_users INTEGER NOT NULL,
    busy_until INTEGER NOT NULL,
    missed_polls INTEGER NOT NULL,
    detached INTEGER NOT NULL,
    -- The voice bridge that a detached meeting had. Other meetings may take it.
    released_voice_bridge TEXT,
    placement_reason TEXT NOT NULL,
    -- How the server identifies the meeting: internalMeetingID and createTime.
    internal_id TEXT,
    created_at INTEGER,
    is_proven INTEGER NOT NULL,
    is_adopted INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX meetings_by_id ON meetings (id);
CREATE INDEX meetings_by_server ON meetings (server_id);
CREATE INDEX meetings_by_seen_at ON meetings (seen_at);

-- The creates of recorded meetings, sealed, from which meetings of dead servers are made anew.
CREATE TABLE kept_creates (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    internal_id TEXT NOT NULL,
    sealed TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX large_kept_creates ON kept_creates (size) WHERE size > 16384;

-- Meetings that must be ended on a server as soon as a poll reports them there.
CREATE TABLE pending_ends (
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    moderator_pw TEXT,
    since INTEGER NOT NULL,
    create_sent_at INTEGER NOT NULL,
    internal_id TEXT,
    PRIMARY KEY (server_id, tenant, id)
) STRICT, WITHOUT ROWID;

-- Meetings that have ended.
CREATE TABLE sessions (
    created_at INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    peak_users INTEGER NOT NULL,
    busy_ms INTEGER NOT NULL,
    PRIMARY KEY (created_at, tenant, id)
) STRICT, WITHOUT ROWID;

-- The last run of each job that is due once in an interval.
CREATE TABLE periodic_jobs (
    job TEXT PRIMARY KEY,
    run_number INTEGER NOT NULL,
    started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Samples of the pool (`pool`) and its servers (`server/<id>`), for plots: of each minute in blocks of an hour, of each hour in blocks of a day.
CREATE TABLE samples (
    span TEXT NOT NULL,
    start INTEGER NOT NULL,
    subject TEXT NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (span, subject, start)
) STRICT, WITHOUT ROWID;

-- What replicas share of the certificate that they get by ACME.
CREATE TABLE certificate_state (one INTEGER PRIMARY KEY CHECK (one = 1), sealed TEXT NOT NULL) STRICT;

CREATE TABLE store_id (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL) STRICT;

-- Written to check that the store can be written.
CREATE TABLE write_check (one INTEGER PRIMARY KEY CHECK (one = 1), checks INTEGER NOT NULL) STRICT;

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
-- lower() converts ASCII only, which is enough for host names.
CREATE UNIQUE INDEX tenants_by_name ON tenants (lower(name));

CREATE TABLE tenant_settings (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    param TEXT NOT NULL,
    value TEXT NOT NULL,
    override INTEGER NOT NULL
) STRICT;
CREATE INDEX tenant_settings_by_tenant ON tenant_settings (tenant_id);

CREATE TABLE one_time_tokens (
    token TEXT PRIMARY KEY,
    record_id TEXT NOT NULL,
    format TEXT NOT NULL,
    valid_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX one_time_tokens_by_valid_until ON one_time_tokens (valid_until);

-- Tokens of the management API, as JSON with a digest of their secret.
CREATE TABLE management_tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    token TEXT NOT NULL,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

-- Who has changed what: records as JSON.
CREATE TABLE audit_log (
    made_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (made_at, id)
) STRICT, WITHOUT ROWID;

-- Requests of the management API that have a key, and the sealed answers to them.
CREATE TABLE remembered_requests (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    answer TEXT,
    valid_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX remembered_requests_by_valid_until ON remembered_requests (valid_until);

-- Drains that are carried out at a time, as JSON; a server has one that is not over.
CREATE TABLE planned_drains (
    id TEXT PRIMARY KEY,
    server_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    ended_at INTEGER,
    drain TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX planned_drains_by_server ON planned_drains (server_id) WHERE ended_at IS NULL;

-- Recordings, in the tables that the original has in PostgreSQL.
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
    protected INTEGER NOT NULL DEFAULT FALSE,
    publish_updated INTEGER NOT NULL DEFAULT FALSE
) STRICT;
CREATE UNIQUE INDEX index_recordings_on_record_id ON recordings (record_id);
CREATE INDEX index_recordings_on_meeting_id ON recordings (meeting_id);
CREATE INDEX scalelite_recordings_by_starttime ON recordings (starttime);
CREATE INDEX scalelite_recordings_by_state ON recordings (state);

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

-- Details of recordings that have no column in the original's tables, as JSON.
CREATE TABLE recording_details (record_id TEXT NOT NULL PRIMARY KEY, details TEXT NOT NULL)
    STRICT, WITHOUT ROWID;

-- When recordings were deleted. Whether one is deleted now is what the state in its row says.
CREATE TABLE deletions (record_id TEXT NOT NULL PRIMARY KEY, deleted_at INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE INDEX deletions_by_deleted_at ON deletions (deleted_at);

-- Recordings whose files are being moved.
CREATE TABLE file_moves (
    record_id TEXT NOT NULL PRIMARY KEY,
    formats TEXT NOT NULL,
    destination TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    -- When the files were last tried to be moved.
    tried_at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    replaced_running INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX file_moves_by_tried_at ON file_moves (tried_at);

-- Recordings whose files one process is changing.
CREATE TABLE recording_claims (
    record_id TEXT NOT NULL PRIMARY KEY,
    token TEXT NOT NULL,
    claimed_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The rows of deleted recordings as they were before, as JSON, for as long as their files are kept.
CREATE TABLE trash (
    record_id TEXT NOT NULL PRIMARY KEY,
    deleted_at INTEGER NOT NULL,
    previous TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX trash_by_deleted_at ON trash (deleted_at);

-- How long deleted recordings are kept, as the last server said that was told.
CREATE TABLE recording_policy (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    trash_ms INTEGER NOT NULL
) STRICT;

-- Messages to front-ends that have not been delivered yet.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    topic TEXT NOT NULL,
    tenant TEXT,
    meeting_id TEXT NOT NULL,
    record_id TEXT,
    url TEXT NOT NULL,
    body TEXT,
    secret_hint TEXT,
    posted_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failure TEXT,
    due_at INTEGER
) STRICT;
CREATE INDEX outbox_by_due_at ON outbox (due_at);
CREATE INDEX outbox_by_posted_at ON outbox (posted_at);

-- Where front-ends want to be told that a meeting is over.
CREATE TABLE end_callbacks (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    meeting_id TEXT NOT NULL,
    parameter TEXT NOT NULL,
    url TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    create_until INTEGER NOT NULL,
    is_confirmed INTEGER NOT NULL,
    server_id TEXT,
    internal_id TEXT,
    suspected_at INTEGER,
    recording_marks INTEGER,
    check_at INTEGER NOT NULL,
    open_creates INTEGER NOT NULL
) STRICT;
CREATE INDEX end_callbacks_by_meeting ON end_callbacks (tenant, meeting_id);
CREATE INDEX end_callbacks_by_check_at ON end_callbacks (check_at);

-- Archives of recordings that are being imported, or were.
CREATE TABLE archive_imports (
    name TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    stage TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT,
    changed_at INTEGER NOT NULL,
    token TEXT,
    claimed_until INTEGER NOT NULL,
    not_before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX archive_imports_by_changed_at ON archive_imports (changed_at);
