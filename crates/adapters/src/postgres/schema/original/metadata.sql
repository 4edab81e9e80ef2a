CREATE TABLE public.metadata (
    id bigserial PRIMARY KEY,
    recording_id bigint,
    key character varying,
    value character varying
);
CREATE UNIQUE INDEX index_metadata_on_recording_id_and_key ON public.metadata (recording_id, key);
