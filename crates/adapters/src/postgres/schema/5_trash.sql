-- What rows of deleted recordings said before, as long as their files are kept.
CREATE TABLE scalelite_own.trash (
    record_id text COLLATE "C" PRIMARY KEY,
    since bigint NOT NULL,
    kept text NOT NULL
);
CREATE INDEX trash_by_since ON scalelite_own.trash (since);
