-- What placement and failover know of servers and meetings, and of meetings that have ended.
ALTER TABLE servers ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN relapses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN probation_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN answered_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN placed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN max_meetings INTEGER;
ALTER TABLE servers ADD COLUMN max_users INTEGER;
ALTER TABLE servers ADD COLUMN tier INTEGER NOT NULL DEFAULT 0;

ALTER TABLE meetings ADD COLUMN peak_users INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meetings ADD COLUMN busy_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meetings ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meetings ADD COLUMN detached INTEGER NOT NULL DEFAULT 0;
-- The voice bridge of a detached meeting, which others may take meanwhile.
ALTER TABLE meetings ADD COLUMN lost_bridge TEXT;
ALTER TABLE meetings ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- Meetings that are not wanted on a server.
CREATE TABLE endings (
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    moderator_pw TEXT,
    since INTEGER NOT NULL,
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

CREATE TABLE mark (one INTEGER PRIMARY KEY CHECK (one = 1), mark TEXT NOT NULL) STRICT;
