CREATE TABLE public.recordings (
    id bigserial PRIMARY KEY,
    record_id character varying,
    meeting_id character varying,
    name character varying,
    published boolean DEFAULT false NOT NULL,
    participants integer,
    state character varying,
    starttime timestamp without time zone,
    endtime timestamp without time zone,
    deleted_at timestamp without time zone,
    protected boolean DEFAULT false NOT NULL,
    publish_updated boolean DEFAULT false NOT NULL
);
CREATE INDEX index_recordings_on_meeting_id ON public.recordings (meeting_id);
CREATE UNIQUE INDEX index_recordings_on_record_id ON public.recordings (record_id);
