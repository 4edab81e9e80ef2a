-- Text is compared byte by byte everywhere. Rows that change often leave room in their pages, and
-- columns that change often have no index, so that changes stay within a page.
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
    polled_in bigint
) WITH (fillfactor = 50);

-- Ids may be longer than a unique index takes; that a meeting is there once is seen to by whoever
-- inserts it, under the lock that all writers share.
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
    reserved bigint NOT NULL,
    reserved_until bigint NOT NULL,
    users bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX meetings_by_id ON scalelite_own.meetings USING hash (id);
CREATE INDEX meetings_by_server ON scalelite_own.meetings (server_id);

CREATE TABLE scalelite_own.turns (
    work text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL,
    begun_at bigint NOT NULL
) WITH (fillfactor = 50);

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
-- Under this collation lower() knows ASCII only, and so do host names.
CREATE UNIQUE INDEX tenants_by_name ON scalelite_own.tenants (lower(name));

CREATE TABLE scalelite_own.tenant_settings (
    position bigint GENERATED ALWAYS AS IDENTITY,
    id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL REFERENCES scalelite_own.tenants (id) ON DELETE CASCADE,
    param text NOT NULL,
    value text NOT NULL,
    wins boolean NOT NULL
);
CREATE INDEX tenant_settings_by_tenant ON scalelite_own.tenant_settings (tenant_id);

CREATE TABLE scalelite_own.one_time_tokens (
    token text COLLATE "C" PRIMARY KEY,
    record_id text NOT NULL,
    format text NOT NULL,
    valid_until bigint NOT NULL
);
CREATE INDEX one_time_tokens_by_valid_until ON scalelite_own.one_time_tokens (valid_until);

CREATE TABLE scalelite_own.probe (one bigint PRIMARY KEY CHECK (one = 1), at bigint NOT NULL);
