CREATE SCHEMA IF NOT EXISTS scalelite;
CREATE TABLE IF NOT EXISTS scalelite.migrations (
    version bigint PRIMARY KEY,
    applied_at timestamp with time zone NOT NULL DEFAULT now()
);
