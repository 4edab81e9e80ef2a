CREATE TABLE public.callback_data (
    id bigserial PRIMARY KEY,
    meeting_id character varying,
    recording_id integer,
    callback_attributes text,
    created_at timestamp(6) without time zone NOT NULL,
    updated_at timestamp(6) without time zone NOT NULL
);
