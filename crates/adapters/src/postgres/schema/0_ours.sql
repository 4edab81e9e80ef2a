-- Not named like a role that somebody may have: that role would find our tables before the original's.
-- CREATE SCHEMA IF NOT EXISTS asks for the right to create one even where one was made for us.
DO $$ BEGIN
    IF to_regnamespace('scalelite_own') IS NULL THEN CREATE SCHEMA scalelite_own; END IF;
END $$;
CREATE TABLE IF NOT EXISTS scalelite_own.migrations (
    version bigint PRIMARY KEY,
    applied_at timestamp with time zone NOT NULL DEFAULT now()
);
