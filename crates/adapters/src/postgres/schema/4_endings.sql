-- When what is not wanted was asked for.
ALTER TABLE scalelite_own.endings ADD COLUMN asked_at bigint NOT NULL DEFAULT 0;
