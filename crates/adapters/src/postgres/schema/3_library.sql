-- What is known of recordings beyond the columns of the original's tables.
CREATE TABLE scalelite_own.recording_facts (
    record_id text COLLATE "C" PRIMARY KEY,
    facts text NOT NULL
);

-- Recordings whose files are on their way to another shelf.
CREATE TABLE scalelite_own.journeys (
    record_id text COLLATE "C" PRIMARY KEY,
    formats text NOT NULL,
    destination text NOT NULL,
    since bigint NOT NULL,
    number bigint NOT NULL,
    contested boolean NOT NULL
);
CREATE INDEX journeys_by_since ON scalelite_own.journeys (since);

-- Messages to front-ends that have not been heard yet.
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

-- Archives of recordings on their way in.
CREATE TABLE scalelite_own.archives (
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
CREATE INDEX archives_by_changed_at ON scalelite_own.archives (changed_at);
