//! Measures searches in 100,000 recordings. To be run by hand, on an idle machine and in release
//! mode: `cargo test --release -p adapters --test catalog_speed -- --ignored --nocapture`.

#![expect(clippy::expect_used, reason = "a measurement that cannot be set up must fail")]
#![expect(clippy::disallowed_methods, reason = "measures time")]
#![expect(clippy::print_stdout, reason = "prints the measurements")]

#[path = "stores/common/postgres.rs"]
mod postgres_stores;

use std::time::{Duration, Instant};

use adapters::sqlite::SqliteStore;
use app::ports::{RecordingCatalog, RecordingCursor, Recordings as _};
use domain::Timestamp;
use domain::recording::catalog::{MetadataMatch, RecordingChange, RecordingFilter, TenantScope};
use domain::recording::{PlaybackFormat, Recording};
use futures_util::StreamExt as _;
use futures_util::stream;
use testkit::private::Postgres;

const COUNT: i64 = 100_000;

fn new_recording(n: i64) -> Recording {
    let pair = |key: &str, value: String| (key.to_owned(), Some(value));
    let format = |name: &str| PlaybackFormat {
        format: name.to_owned(),
        url: Some(format!("/playback/{name}/2.3/{n}")),
        length_minutes: Some(60),
        ..PlaybackFormat::default()
    };
    Recording {
        record_id: format!("{:040x}-{}", n * 7_919, 1_600_000_000_000 + n),
        meeting_id: Some(format!("meeting-{}", n / 5)),
        name: Some(format!("Lesson {n}")),
        published: true,
        state: Some("published".to_owned()),
        started_at: Some(Timestamp(1_600_000_000_000 + n * 1_000)),
        metadata: vec![
            pair("gl-listed", (n % 2 == 0).to_string()),
            pair("tenant-id", format!("tenant-{}", n % 20)),
        ],
        formats: vec![format("presentation"), format("video")],
        ..Recording::default()
    }
}

/// Inserts the same recordings with a few statements.
const FILL: &str = "INSERT INTO recordings \
    (record_id, meeting_id, name, published, state, starttime) \
    SELECT lpad(to_hex(n * 7919), 40, '0') || '-' || (1600000000000 + n), 'meeting-' || n / 5, \
    'Lesson ' || n, true, 'published', to_timestamp(1600000000 + n) AT TIME ZONE 'UTC' \
    FROM generate_series(0, 99999) n; \
    INSERT INTO metadata (recording_id, key, value) \
    SELECT id, 'gl-listed', CASE WHEN id % 2 = 0 THEN 'true' ELSE 'false' END FROM recordings; \
    INSERT INTO metadata (recording_id, key, value) \
    SELECT id, 'tenant-id', 'tenant-' || id % 20 FROM recordings; \
    INSERT INTO playback_formats (recording_id, format, url, length) \
    SELECT id, f, '/playback/' || f || '/2.3/' || id, 60 \
    FROM recordings, unnest(ARRAY['presentation', 'video']) f; VACUUM ANALYZE";

async fn measure_median(name: &str, mut call: impl AsyncFnMut(i64) -> Duration) -> Duration {
    let mut times = Vec::new();
    for n in 0..101 {
        times.push(call(n).await);
    }
    times.sort();
    println!("  {name}: median {:?}, second slowest of 101 {:?}", times[50], times[99]);
    times[50]
}

async fn measure_searches(store: &dyn RecordingCatalog) {
    let meeting = measure_meeting(store).await;
    let page = measure_pages(store).await;
    measure_filters(store).await;
    assert!(meeting <= Duration::from_millis(3), "{meeting:?}");
    assert!(page <= Duration::from_millis(10), "{page:?}");
}

/// Returns the median time of a search by meeting.
async fn measure_meeting(store: &dyn RecordingCatalog) -> Duration {
    measure_median("recordings of one meeting", async |n| {
        let started_at = Instant::now();
        let meeting_ids = vec![format!("meeting-{}", n * 97)];
        let filter = RecordingFilter { meeting_ids, ..RecordingFilter::default() };
        let found =
            store.search_recordings(&filter, &TenantScope::All, None, 100).await.expect("found");
        assert_eq!(found.len(), 5);
        started_at.elapsed()
    })
    .await
}

/// Returns the median time of a page with a cached total.
async fn measure_pages(store: &dyn RecordingCatalog) -> Duration {
    let all = RecordingFilter::default();
    let read_page = async || {
        let started_at = Instant::now();
        let (page, count) =
            store.search_recordings_page(&all, &TenantScope::All, 0, 50).await.expect("a page");
        assert_eq!((page.len(), count), (50, 100_000));
        started_at.elapsed()
    };
    // A change invalidates the cached totals.
    measure_median("first page of 50, with a counted total", async |_| {
        store
            .change_recordings(&[], &TenantScope::All, &RecordingChange::default())
            .await
            .expect("no change");
        read_page().await
    })
    .await;
    measure_median("first page of 50, with a cached total", async |_| read_page().await).await
}

async fn measure_filters(store: &dyn RecordingCatalog) {
    let all = RecordingFilter::default();
    measure_median("first page of 50 of a tenant's 5,000", async |n| {
        let started_at = Instant::now();
        let scope = TenantScope::Tenant(format!("tenant-{}", n % 20));
        let (page, count) =
            store.search_recordings_page(&all, &scope, 0, 50).await.expect("a page");
        assert_eq!((page.len(), count), (50, 5_000));
        started_at.elapsed()
    })
    .await;
    measure_median("first 100 of half of them, by metadata", async |_| {
        let started_at = Instant::now();
        let metadata =
            vec![("gl-listed".to_owned(), vec![MetadataMatch::Exact("true".to_owned())])];
        let filter = RecordingFilter { metadata, ..RecordingFilter::default() };
        let found =
            store.search_recordings(&filter, &TenantScope::All, None, 100).await.expect("found");
        assert_eq!(found.len(), 100);
        started_at.elapsed()
    })
    .await;
    let (started_at, mut after, mut count) = (Instant::now(), None, 0);
    while count < 10_000 {
        let next = store.search_recordings(&all, &TenantScope::All, after.as_ref(), 100).await;
        let next = next.expect("found");
        count += next.len();
        let last = next.last().expect("a recording");
        after = Some(RecordingCursor::from_recording(last));
    }
    println!("  10,000 in pages of 100: {:?}", started_at.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(&dir.path().join("s.db")).expect("a store");
    let started_at = Instant::now();
    stream::iter(0..COUNT)
        .for_each_concurrent(256, |n| {
            let store = &store;
            async move { store.put_recording(&new_recording(n)).await.expect("a recording") }
        })
        .await;
    println!("SQLite: {COUNT} recordings put in {:?}", started_at.elapsed());
    measure_searches(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn postgres() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.expect("a database");
    let store = postgres_stores::open_store(&server, "d");
    store.check_recording_store().await.expect("a schema");
    server.psql("d", FILL).await.expect("recordings");
    println!("PostgreSQL");
    measure_searches(&store).await;
}
