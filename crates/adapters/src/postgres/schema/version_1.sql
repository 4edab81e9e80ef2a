-- Our own tables, version 1. The tables of recordings are the original's: schema/original. Times
-- are milliseconds since 1970 (UTC). Text is compared byte by byte. Rows that change often leave
-- space in their pages, and columns that change often have no index, so that an update stays within
-- one page.

-- The schema is not named like the product: a role of that name would find our tables before the
-- original's. CREATE SCHEMA IF NOT EXISTS requires the privilege to create schemas even where an
-- administrator has created this one.
DO $$ BEGIN
    IF to_regnamespace('scalelite_own') IS NULL THEN CREATE SCHEMA scalelite_own; END IF;
END $$;

CREATE TABLE scalelite_own.schema_versions (
    version bigint PRIMARY KEY,
    applied_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE scalelite_own.servers (
    position bigint GENERATED ALWAYS AS IDENTITY,
    id text COLLATE "C" PRIMARY KEY,
    url text NOT NULL,
    secret text NOT NULL,
    tag text,
    state text NOT NULL CHECK (state IN ('enabled', 'cordoned', 'disabled')),
    online boolean NOT NULL,
    healthy_count bigint NOT NULL,
    unhealthy_count bigint NOT NULL,
    failure_at bigint,
    failure_reason text,
    load double precision,
    load_multiplier double precision NOT NULL CHECK (load_multiplier > 0),
    meetings bigint NOT NULL,
    users bigint NOT NULL,
    largest_meeting bigint NOT NULL,
    videos bigint NOT NULL,
    bbb_version text,
    -- The cycle of the last poll that was recorded.
    last_poll_cycle bigint,
    failures bigint NOT NULL,
    relapses bigint NOT NULL,
    probation_until bigint NOT NULL,
    answered_at bigint NOT NULL,
    placed_since_poll bigint NOT NULL,
    max_meetings bigint,
    join_url text,
    max_users bigint,
    tier bigint NOT NULL,
    -- Another entry that is the same server under another name.
    twin_of text COLLATE "C"
) WITH (fillfactor = 50);

-- Ids may be longer than a unique index allows. The inserting transaction makes sure that a meeting
-- exists once, under the lock that excludes all other writers.
CREATE TABLE scalelite_own.meetings (
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    server_id text COLLATE "C" NOT NULL REFERENCES scalelite_own.servers (id) ON DELETE CASCADE,
    moderator_pw text,
    voice_bridge text COLLATE "C" UNIQUE,
    claim_token text,
    claim_until bigint,
    placed_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    expected_users bigint NOT NULL,
    expected_until bigint NOT NULL,
    users bigint NOT NULL,
    peak_users bigint NOT NULL,
    busy_until bigint NOT NULL,
    missed_polls bigint NOT NULL,
    detached boolean NOT NULL,
    -- The voice bridge that a detached meeting had. Other meetings may take it.
    released_voice_bridge text COLLATE "C",
    placement_reason text NOT NULL,
    -- How the server identifies the meeting: internalMeetingID and createTime.
    internal_id text,
    created_at bigint,
    is_proven boolean NOT NULL,
    is_adopted boolean NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX meetings_by_id ON scalelite_own.meetings USING hash (id);
CREATE INDEX meetings_by_server ON scalelite_own.meetings (server_id);

-- The creates of recorded meetings, sealed, from which meetings of dead servers are made anew. The
-- inserting transaction makes sure that a meeting has one.
CREATE TABLE scalelite_own.kept_creates (
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    internal_id text COLLATE "C" NOT NULL,
    sealed text NOT NULL,
    size bigint NOT NULL
);
CREATE INDEX kept_creates_by_id ON scalelite_own.kept_creates USING hash (id);
CREATE INDEX large_kept_creates ON scalelite_own.kept_creates (size) WHERE size > 16384;

-- Meetings that must be ended on a server as soon as a poll reports them there. There are few, so
-- their ids need no index.
CREATE TABLE scalelite_own.pending_ends (
    server_id text COLLATE "C" NOT NULL REFERENCES scalelite_own.servers (id) ON DELETE CASCADE,
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    moderator_pw text,
    since bigint NOT NULL,
    create_sent_at bigint NOT NULL,
    internal_id text
);
CREATE INDEX pending_ends_by_server ON scalelite_own.pending_ends (server_id);

-- Meetings that have ended. The inserting transaction makes sure that (created_at, tenant, id) is
-- unique, as with meetings.
CREATE TABLE scalelite_own.sessions (
    created_at bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    peak_users bigint NOT NULL,
    busy_ms bigint NOT NULL
);
CREATE INDEX sessions_by_created_at ON scalelite_own.sessions (created_at);

-- The last run of each job that is due once in an interval.
CREATE TABLE scalelite_own.periodic_jobs (
    job text COLLATE "C" PRIMARY KEY,
    run_number bigint NOT NULL,
    started_at bigint NOT NULL
) WITH (fillfactor = 50);

-- Samples of the pool (`pool`) and its servers (`server/<id>`), for plots: of each minute in blocks of an hour, of each hour in blocks of a day.
CREATE TABLE scalelite_own.samples (
    span text NOT NULL,
    start bigint NOT NULL,
    subject text COLLATE "C" NOT NULL,
    entries text NOT NULL,
    PRIMARY KEY (span, subject, start)
);

-- What replicas share of the certificate that they get by ACME.
CREATE TABLE scalelite_own.certificate_state (one bigint PRIMARY KEY CHECK (one = 1), sealed text NOT NULL);

CREATE TABLE scalelite_own.store_id (one bigint PRIMARY KEY CHECK (one = 1), id text NOT NULL);

-- Written to check that the store can be written.
CREATE TABLE scalelite_own.write_check (
    one bigint PRIMARY KEY CHECK (one = 1),
    checks bigint NOT NULL
);

CREATE TABLE scalelite_own.tenants (
    position bigint GENERATED ALWAYS AS IDENTITY,
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    secrets text NOT NULL,
    lrs_endpoint text,
    lrs_username text,
    lrs_password text,
    kc_token_url text,
    kc_client_id text,
    kc_client_secret text,
    kc_username text,
    kc_password text
);
-- With this collation lower() converts ASCII only, which is enough for host names.
CREATE UNIQUE INDEX tenants_by_name ON scalelite_own.tenants (lower(name));

CREATE TABLE scalelite_own.tenant_settings (
    position bigint GENERATED ALWAYS AS IDENTITY,
    id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL REFERENCES scalelite_own.tenants (id) ON DELETE CASCADE,
    param text NOT NULL,
    value text NOT NULL,
    override boolean NOT NULL
);
CREATE INDEX tenant_settings_by_tenant ON scalelite_own.tenant_settings (tenant_id);

CREATE TABLE scalelite_own.one_time_tokens (
    token text COLLATE "C" PRIMARY KEY,
    record_id text NOT NULL,
    format text NOT NULL,
    valid_until bigint NOT NULL
);
CREATE INDEX one_time_tokens_by_valid_until ON scalelite_own.one_time_tokens (valid_until);

-- Tokens of the management API, as JSON with a digest of their secret.
CREATE TABLE scalelite_own.management_tokens (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    token text NOT NULL,
    last_used_at bigint
);

-- Who has changed what: records as JSON.
CREATE TABLE scalelite_own.audit_log (
    made_at bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (made_at, id)
);

-- Requests of the management API that have a key, and the sealed answers to them.
CREATE TABLE scalelite_own.remembered_requests (
    key text COLLATE "C" PRIMARY KEY,
    fingerprint text NOT NULL,
    answer text,
    valid_until bigint NOT NULL
);
CREATE INDEX remembered_requests_by_valid_until
    ON scalelite_own.remembered_requests (valid_until);

-- Drains that are carried out at a time, as JSON; a server has one that is not over.
CREATE TABLE scalelite_own.planned_drains (
    id text COLLATE "C" PRIMARY KEY,
    server_id text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    ended_at bigint,
    drain text NOT NULL
);
CREATE UNIQUE INDEX planned_drains_by_server
    ON scalelite_own.planned_drains (server_id) WHERE ended_at IS NULL;

-- Details of recordings that have no column in the original's tables, as JSON.
CREATE TABLE scalelite_own.recording_details (
    record_id text COLLATE "C" PRIMARY KEY,
    details text NOT NULL
);

-- When recordings were deleted. Whether one is deleted now is what the state in its row says.
CREATE TABLE scalelite_own.deletions (
    record_id text COLLATE "C" PRIMARY KEY,
    deleted_at bigint NOT NULL
);
CREATE INDEX deletions_by_deleted_at ON scalelite_own.deletions (deleted_at);

-- Recordings whose files are being moved.
CREATE TABLE scalelite_own.file_moves (
    record_id text COLLATE "C" PRIMARY KEY,
    formats text NOT NULL,
    destination text NOT NULL,
    started_at bigint NOT NULL,
    -- When the files were last tried to be moved.
    tried_at bigint NOT NULL,
    number bigint NOT NULL,
    replaced_running boolean NOT NULL
);
CREATE INDEX file_moves_by_tried_at ON scalelite_own.file_moves (tried_at);

-- Recordings whose files one process is changing.
CREATE TABLE scalelite_own.recording_claims (
    record_id text COLLATE "C" PRIMARY KEY,
    token text NOT NULL,
    claimed_until bigint NOT NULL
);

-- The rows of deleted recordings as they were before, as JSON, for as long as their files are kept.
CREATE TABLE scalelite_own.trash (
    record_id text COLLATE "C" PRIMARY KEY,
    deleted_at bigint NOT NULL,
    previous text NOT NULL
);
CREATE INDEX trash_by_deleted_at ON scalelite_own.trash (deleted_at);

-- How long deleted recordings are kept, as the last server said that was told.
CREATE TABLE scalelite_own.recording_policy (
    one bigint PRIMARY KEY CHECK (one = 1),
    trash_ms bigint NOT NULL
);

-- Messages to front-ends that have not been delivered yet.
CREATE TABLE scalelite_own.outbox (
    id text COLLATE "C" PRIMARY KEY,
    topic text NOT NULL,
    tenant text,
    meeting_id text NOT NULL,
    record_id text,
    url text NOT NULL,
    body text,
    secret_hint text,
    posted_at bigint NOT NULL,
    attempts bigint NOT NULL,
    failure text,
    due_at bigint
);
CREATE INDEX outbox_by_due_at ON scalelite_own.outbox (due_at);
CREATE INDEX outbox_by_posted_at ON scalelite_own.outbox (posted_at);

-- Where front-ends want to be told that a meeting is over.
CREATE TABLE scalelite_own.end_callbacks (
    id text COLLATE "C" PRIMARY KEY,
    tenant text NOT NULL,
    meeting_id text NOT NULL,
    parameter text NOT NULL,
    url text NOT NULL,
    created_at bigint NOT NULL,
    create_until bigint NOT NULL,
    is_confirmed boolean NOT NULL,
    server_id text,
    internal_id text,
    suspected_at bigint,
    recording_marks boolean,
    check_at bigint NOT NULL,
    open_creates bigint NOT NULL
);
CREATE INDEX end_callbacks_by_meeting ON scalelite_own.end_callbacks (tenant, meeting_id);
CREATE INDEX end_callbacks_by_check_at ON scalelite_own.end_callbacks (check_at);

-- Archives of recordings that are being imported, or were.
CREATE TABLE scalelite_own.archive_imports (
    name text COLLATE "C" PRIMARY KEY,
    size bigint NOT NULL,
    received_at bigint NOT NULL,
    stage text NOT NULL,
    attempts bigint NOT NULL,
    reason text,
    changed_at bigint NOT NULL,
    token text,
    claimed_until bigint NOT NULL,
    not_before bigint NOT NULL
);
CREATE INDEX archive_imports_by_changed_at ON scalelite_own.archive_imports (changed_at);
