CREATE TABLE public.thumbnails (
    id bigserial PRIMARY KEY,
    playback_format_id bigint,
    width integer,
    height integer,
    alt character varying,
    url character varying,
    sequence integer
);
CREATE INDEX index_thumbnails_on_playback_format_id ON public.thumbnails (playback_format_id);
