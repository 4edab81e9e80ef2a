-- What placement and failover know of servers and meetings, and of meetings that have ended.
-- Constant defaults: nothing is rewritten.
ALTER TABLE scalelite_own.servers
    ADD COLUMN failures bigint NOT NULL DEFAULT 0,
    ADD COLUMN relapses bigint NOT NULL DEFAULT 0,
    ADD COLUMN probation_until bigint NOT NULL DEFAULT 0,
    ADD COLUMN answered_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN placed bigint NOT NULL DEFAULT 0,
    ADD COLUMN max_meetings bigint,
    ADD COLUMN max_users bigint,
    ADD COLUMN tier bigint NOT NULL DEFAULT 0;

ALTER TABLE scalelite_own.meetings
    ADD COLUMN peak_users bigint NOT NULL DEFAULT 0,
    ADD COLUMN busy_until bigint NOT NULL DEFAULT 0,
    ADD COLUMN missed bigint NOT NULL DEFAULT 0,
    ADD COLUMN detached boolean NOT NULL DEFAULT false,
    -- The voice bridge of a detached meeting, which others may take meanwhile.
    ADD COLUMN lost_bridge text COLLATE "C",
    ADD COLUMN reason text NOT NULL DEFAULT '';

-- Meetings that are not wanted on a server. Few: ids are not in the index, see meetings.
CREATE TABLE scalelite_own.endings (
    server_id text COLLATE "C" NOT NULL REFERENCES scalelite_own.servers (id) ON DELETE CASCADE,
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    moderator_pw text,
    since bigint NOT NULL
);
CREATE INDEX endings_by_server ON scalelite_own.endings (server_id);

-- Meetings that have ended. One of a time of creation is there once for the same reason.
CREATE TABLE scalelite_own.sessions (
    created_at bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    peak_users bigint NOT NULL,
    busy_ms bigint NOT NULL
);
CREATE INDEX sessions_by_created_at ON scalelite_own.sessions (created_at);

CREATE TABLE scalelite_own.mark (one bigint PRIMARY KEY CHECK (one = 1), mark text NOT NULL);
