-- Tables that the original reads when it starts on a database, so that an installation can go back
-- to it.
CREATE TABLE public.schema_migrations (version character varying PRIMARY KEY);
INSERT INTO public.schema_migrations (version) VALUES
    ('20181123180008'),
    ('20210425184558'),
    ('20210630205630'),
    ('20210725200414'),
    ('20221111194252'),
    ('20230627141045');
CREATE TABLE public.ar_internal_metadata (
    key character varying PRIMARY KEY,
    value character varying,
    created_at timestamp(6) without time zone NOT NULL,
    updated_at timestamp(6) without time zone NOT NULL
);
INSERT INTO public.ar_internal_metadata (key, value, created_at, updated_at)
    VALUES ('environment', 'production', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC');
