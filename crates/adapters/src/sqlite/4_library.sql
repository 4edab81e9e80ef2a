-- What is known of recordings beyond the columns of existing deployments.
CREATE TABLE recording_facts (record_id TEXT NOT NULL PRIMARY KEY, facts TEXT NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE INDEX scalelite_recordings_by_state ON recordings (state);
CREATE INDEX scalelite_recordings_by_deleted_at ON recordings (deleted_at)
    WHERE deleted_at IS NOT NULL;

-- Recordings whose files are on their way to another shelf.
CREATE TABLE journeys (
    record_id TEXT NOT NULL PRIMARY KEY,
    formats TEXT NOT NULL,
    destination TEXT NOT NULL,
    since INTEGER NOT NULL,
    number INTEGER NOT NULL,
    contested INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX journeys_by_since ON journeys (since);

-- Messages to front-ends that have not been heard yet.
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

-- Archives of recordings on their way in.
CREATE TABLE archives (
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
CREATE INDEX archives_by_changed_at ON archives (changed_at);
