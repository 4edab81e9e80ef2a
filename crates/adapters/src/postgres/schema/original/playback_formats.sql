CREATE TABLE public.playback_formats (
    id bigserial PRIMARY KEY,
    recording_id bigint,
    format character varying,
    url character varying,
    length integer,
    processing_time integer
);
CREATE UNIQUE INDEX index_playback_formats_on_recording_id_and_format
    ON public.playback_formats (recording_id, format);
