-- What rows of deleted recordings said before, as long as their files are kept.
CREATE TABLE trash (
    record_id TEXT NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL,
    kept TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX trash_by_since ON trash (since);
