//! The schema in PostgreSQL: databases of the original are used as they are, new ones get the same
//! schema, and those with an unknown schema of ours are refused.

use std::time::Duration;

use adapters::postgres::PgStore;
use adapters::postgres::address::PgOptions;
use app::ports::{PoolStore as _, RecordingCounts, Recordings as _, StoreError};
use domain::Timestamp;
use domain::recording::{Callback, PlaybackFormat, Recording, Thumbnail};
use testkit::private::Postgres;

use crate::common::postgres::{connection_config, open_store, store_options};

const DUMP: &str = include_str!("../../../testkit/data/fixtures/postgres.sql");
const OWN_PREFIX: &str = "scalelite_";

/// Returns the output of `pg_dump` for the original's tables, without our indexes and without lines
/// that differ between runs.
async fn dump_original_schema(
    server: &Postgres,
    database: &str,
    arguments: &[&str],
) -> Vec<String> {
    let arguments = [arguments, &["-n", "public", "--no-owner", "--no-comments"]].concat();
    let text = server.dump(database, &arguments).await.expect("a dump");
    let is_relevant = |line: &&str| {
        let noise = ["--", "\\restrict", "\\unrestrict", "SET ", "SELECT pg_catalog.set_config"];
        !line.is_empty()
            && !line.contains(OWN_PREFIX)
            && !noise.iter().any(|prefix| line.starts_with(prefix))
    };
    text.lines().filter(is_relevant).map(str::to_owned).collect()
}

async fn create_from_dump(server: &Postgres, database: &str) {
    server.create_database(database).await.expect("a database");
    server.psql(database, DUMP).await.expect("the dump");
}

/// Waits for the indexes that are built in the background.
async fn wait_for_indexes(server: &Postgres, database: &str) {
    let count = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
        WHERE c.relname LIKE 'scalelite\\_%' AND i.indisvalid";
    let built = async {
        while server.psql(database, count).await.expect("an answer") != "5" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), built).await.expect("five indexes");
}

fn some_text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn third_recording() -> Recording {
    let id = "bccb6e8ee166c825c607f79da2d369e0c5193185-1700700000789";
    let format = |name: &str| PlaybackFormat {
        format: name.to_owned(),
        url: Some(format!("/{name}/{id}/")),
        length_minutes: Some(30),
        ..PlaybackFormat::default()
    };
    Recording {
        record_id: id.to_owned(),
        meeting_id: some_text("course-2"),
        name: some_text("Third"),
        published: true,
        participants: Some(3),
        state: some_text("published"),
        started_at: Some(Timestamp(1_700_700_000_789)),
        ended_at: Some(Timestamp(1_700_701_800_789)),
        formats: vec![format("notes"), format("podcast")],
        ..Recording::default()
    }
}

fn first_recording() -> Recording {
    let id = "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700000000123";
    let thumbnail = |n: i32| Thumbnail {
        width: Some(176),
        height: Some(136),
        alt: Some(format!("Slide {n}")),
        url: Some(format!("/presentation/{id}/presentation/p1/thumbnails/thumb-{n}.png")),
        sequence: Some(n - 1),
    };
    let format = |name: &str, url: String, thumbnails| PlaybackFormat {
        format: name.to_owned(),
        url: Some(url),
        length_minutes: Some(30),
        processing_time_ms: None,
        thumbnails,
        size: None,
    };
    let metadata =
        [("bbb-origin", "Moodle"), ("empty", ""), ("gl-listed", "true"), ("name", "Renamed")];
    Recording {
        record_id: id.to_owned(),
        meeting_id: some_text("course-1"),
        name: some_text("Algebra & <tea> 🫖"),
        published: true,
        participants: Some(3),
        state: some_text("published"),
        started_at: Some(Timestamp(1_700_000_000_123)),
        ended_at: Some(Timestamp(1_700_001_800_123)),
        protected: true,
        metadata: metadata.map(|(key, value)| (key.to_owned(), some_text(value))).to_vec(),
        formats: vec![
            format(
                "presentation",
                format!("/playback/presentation/2.3/{id}"),
                vec![thumbnail(1), thumbnail(2), thumbnail(3)],
            ),
            format("video", format!("/playback/video/{id}/"), Vec::new()),
        ],
        ..Recording::default()
    }
}

fn original_callbacks() -> Vec<Callback> {
    let attribute =
        |key: &str, url: &str| (key.to_owned(), format!("https://app.example.test/{url}"));
    vec![
        Callback {
            meeting_id: "course-1".to_owned(),
            record_id: some_text("d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700600000456"),
            attributes: vec![
                attribute("analytics_callback_url", "stats"),
                attribute("recording_ready_url", "ready?x=1&y=ü"),
            ],
            created_at: Timestamp(1_795_349_416_163),
            updated_at: Timestamp(1_795_349_416_641),
        },
        Callback {
            meeting_id: "course-2".to_owned(),
            record_id: some_text("bccb6e8ee166c825c607f79da2d369e0c5193185-1700700000789"),
            attributes: vec![attribute("analytics_callback_url", "stats2")],
            created_at: Timestamp(1_795_349_416_199),
            updated_at: Timestamp(1_795_349_416_896),
        },
    ]
}

#[tokio::test]
async fn a_database_of_the_original_is_read_and_not_changed() {
    let server = Postgres::start().await.expect("a server");
    create_from_dump(&server, "original").await;
    let before = dump_original_schema(&server, "original", &[]).await;
    let store = open_store(&server, "original");
    store.check_recording_store().await.unwrap();
    let recordings = store.list_recordings_after(None, 10).await.unwrap();
    let ids: Vec<&str> = recordings.iter().map(|recording| recording.record_id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "af8acfa3a4d4ded10bca28d03b19743d84ee8b25-1700800000000",
            "bccb6e8ee166c825c607f79da2d369e0c5193185-1700700000789",
            "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700000000123",
            "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700600000456",
        ]
    );
    assert_eq!((&recordings[1], &recordings[2]), (&third_recording(), &first_recording()));
    let deleted = &recordings[0];
    assert_eq!((deleted.state.as_deref(), deleted.published), (Some("deleted"), true));
    assert_eq!((recordings[3].published, recordings[3].publish_updated), (false, true));
    assert_eq!(recordings[3].metadata, [("gl-listed".to_owned(), some_text("false"))]);
    for recording in &recordings {
        let found = store.find_recording(&recording.record_id).await.unwrap();
        assert_eq!(found.as_ref(), Some(recording));
    }
    let second_page = store.list_recordings_after(Some(ids[1]), 2).await.unwrap();
    assert_eq!(second_page, recordings[2..]);
    assert_eq!(store.list_callbacks_after(None, 10).await.unwrap(), original_callbacks());
    assert_eq!(
        store.list_callbacks_after(Some("course-1"), 10).await.unwrap(),
        original_callbacks()[1..]
    );
    let counts = RecordingCounts { recordings: 4, callbacks: 2 };
    assert_eq!(store.count_recordings().await.unwrap(), counts);
    wait_for_indexes(&server, "original").await;
    assert_eq!(dump_original_schema(&server, "original", &[]).await, before);
}

#[tokio::test]
async fn an_empty_database_gets_the_schema_of_the_original() {
    let server = Postgres::start().await.expect("a server");
    create_from_dump(&server, "original").await;
    server.create_database("empty").await.unwrap();
    // Two stores at the same time: one of them finds the schema complete.
    let (first, second) = (open_store(&server, "empty"), open_store(&server, "empty"));
    let (first_check, second_check) =
        tokio::join!(first.check_store(), second.check_recording_store());
    first_check.unwrap();
    second_check.unwrap();
    wait_for_indexes(&server, "empty").await;
    let schema = ["--schema-only"];
    assert_eq!(
        dump_original_schema(&server, "empty", &schema).await.join("\n"),
        dump_original_schema(&server, "original", &schema).await.join("\n")
    );
    let versions = "SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations";
    assert_eq!(
        server.psql("empty", versions).await.unwrap(),
        server.psql("original", versions).await.unwrap()
    );
    let environment = "SELECT value FROM ar_internal_metadata WHERE key = 'environment'";
    assert_eq!(server.psql("empty", environment).await.unwrap(), "production");
    let recorded = "SELECT string_agg(version::text, ' ') FROM scalelite_own.schema_versions";
    assert_eq!(server.psql("empty", recorded).await.unwrap(), "1", "each step is applied once");
}

/// The original of 2020 had no table of callbacks, lacked two columns, and left NULL in a column
/// without a default.
#[tokio::test]
async fn missing_tables_and_columns_are_added_to_a_database_of_2020() {
    const BACK_TO_2020: &str = "DROP TABLE callback_data; \
        ALTER TABLE recordings DROP COLUMN protected, DROP COLUMN publish_updated; \
        ALTER TABLE recordings ALTER COLUMN published DROP NOT NULL; \
        UPDATE recordings SET published = NULL WHERE id = 4; \
        INSERT INTO recordings (meeting_id) VALUES ('without a record id'); \
        DELETE FROM schema_migrations WHERE version > '20181123180008'; \
        CREATE TABLE before AS SELECT * FROM recordings;";
    let server = Postgres::start().await.expect("a server");
    create_from_dump(&server, "old").await;
    server.psql("old", BACK_TO_2020).await.unwrap();
    let store = open_store(&server, "old");
    let recordings = store.list_recordings_after(None, 10).await.unwrap();
    assert_eq!(recordings.len(), 4, "rows without a record id are skipped");
    assert_eq!(recordings[1], third_recording());
    assert_eq!(recordings[2], Recording { protected: false, ..first_recording() });
    assert!(!recordings[0].published);
    store.put_callback(&original_callbacks()[0]).await.unwrap();
    assert_eq!(store.list_callbacks_after(None, 10).await.unwrap(), original_callbacks()[..1]);
    let versions = "SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations";
    assert_eq!(
        server.psql("old", versions).await.unwrap(),
        "20181123180008 20210425184558 20210630205630 20210725200414"
    );
    let changed = "SELECT count(*) FROM (TABLE before EXCEPT SELECT id, record_id, meeting_id, \
        name, published, participants, state, starttime, endtime, deleted_at FROM recordings) x";
    assert_eq!(server.psql("old", changed).await.unwrap(), "0");
    wait_for_indexes(&server, "old").await;
}

#[tokio::test]
async fn an_invalid_index_is_rebuilt() {
    let server = Postgres::start().await.expect("a server");
    create_from_dump(&server, "d").await;
    let broken = "CREATE INDEX scalelite_recordings_by_starttime ON recordings (endtime); \
        UPDATE pg_index SET indisvalid = false \
        WHERE indexrelid = 'scalelite_recordings_by_starttime'::regclass";
    server.psql("d", broken).await.unwrap();
    let store = open_store(&server, "d");
    store.check_store().await.unwrap();
    wait_for_indexes(&server, "d").await;
    let column = "SELECT indexdef FROM pg_indexes \
        WHERE indexname = 'scalelite_recordings_by_starttime'";
    assert!(server.psql("d", column).await.unwrap().contains("(starttime)"));
    // Pages of a migration use an index, too.
    let plan = "SET enable_seqscan = off; EXPLAIN SELECT id FROM recordings \
        WHERE record_id ~>~ 'a' ORDER BY record_id USING ~<~ LIMIT 5";
    let plan = server.psql("d", plan).await.unwrap();
    assert!(plan.contains("scalelite_recordings_by_record_id"), "{plan}");
}

/// A role that is named like the product finds the original's tables first, as before; and our
/// indexes do not refuse values that the original inserts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_still_works() {
    let server = Postgres::start().await.expect("a server");
    create_from_dump(&server, "d").await;
    let store = open_store(&server, "d");
    assert_eq!(store.count_recordings().await.unwrap().recordings, 4);
    wait_for_indexes(&server, "d").await;
    let as_scalelite = "CREATE ROLE scalelite SUPERUSER; SET ROLE scalelite; \
                        SELECT array_to_string(current_schemas(false), ',')";
    let output = server.psql("d", as_scalelite).await.unwrap();
    assert_eq!(output.lines().last(), Some("public"), "{output}");
    let insert_long_id = "INSERT INTO callback_data (meeting_id, created_at, updated_at) \
                SELECT string_agg(md5(n::text), ''), now(), now() FROM generate_series(1, 200) n";
    server.psql("d", insert_long_id).await.expect("no index refuses long ids");
}

#[tokio::test]
async fn a_database_with_an_unknown_schema_is_refused_and_not_changed() {
    const OLD: &str = "CREATE SCHEMA scalelite_own; \
        CREATE TABLE scalelite_own.migrations (version bigint PRIMARY KEY); \
        CREATE TABLE scalelite_own.servers (id text); \
        INSERT INTO scalelite_own.migrations VALUES (1), (2), (3), (4), (5)";
    const OTHER: &str = "CREATE SCHEMA scalelite_own; CREATE TABLE scalelite_own.things (id text)";
    const NEWER: &str = "CREATE SCHEMA scalelite_own; \
        CREATE TABLE scalelite_own.schema_versions (version bigint PRIMARY KEY); \
        INSERT INTO scalelite_own.schema_versions VALUES (1), (999)";
    let server = Postgres::start().await.expect("a server");
    for (n, (statements, reason)) in
        [(OLD, "older, unreleased"), (OTHER, "another program"), (NEWER, "use a newer scalelite")]
            .into_iter()
            .enumerate()
    {
        let database = format!("d{n}");
        create_from_dump(&server, &database).await;
        server.psql(&database, statements).await.unwrap();
        let dump = async || {
            let text = server.dump(&database, &["--no-comments"]).await.expect("a dump");
            let is_stable = |line: &&str| !line.contains("restrict");
            text.lines().filter(is_stable).map(str::to_owned).collect::<Vec<_>>()
        };
        let before = dump().await;
        let writing = PgStore::new(store_options(connection_config(&server, &database))).unwrap();
        let options = store_options(connection_config(&server, &database));
        let reading = PgStore::new(PgOptions { read_only: true, ..options }).unwrap();
        for store in [writing, reading] {
            let error = store.check_store().await.unwrap_err();
            let StoreError::Incompatible(text) = &error else { panic!("{error:?}") };
            assert!(text.contains(reason), "{text}");
            assert_eq!(store.list_servers().await.unwrap_err(), error);
        }
        assert_eq!(dump().await, before);
    }
    // An administrator may have created the schema for us.
    server.create_database("prepared").await.unwrap();
    server.psql("prepared", "CREATE SCHEMA scalelite_own").await.unwrap();
    open_store(&server, "prepared").check_store().await.unwrap();
}
