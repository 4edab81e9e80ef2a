//! The store in PostgreSQL against the contracts of its ports, and several processes on one
//! database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adapters::postgres::PgStore;
use app::ports::{OneTimeTokens, PlaceOutcome, PoolStore, Recordings, ServerChange, Tenants};
use domain::{AdminState, ServerId};
use futures_util::future::FutureExt as _;
use testkit::contract;
use testkit::private::Postgres;
use tokio::sync::Mutex;

use crate::common::pool::{NOW, check_even_placement, enabled_server, meeting_key, place_request};
use crate::common::postgres::{connection_config, open_store};

/// The number of databases that are used in turn. The store that used a database before is closed
/// by then.
const DATABASES: usize = 8;
/// Deletes all data of a store.
const WIPE: &str = "DELETE FROM scalelite_own.servers; DELETE FROM scalelite_own.meetings; \
    DELETE FROM scalelite_own.tenants; DELETE FROM scalelite_own.one_time_tokens; \
    DELETE FROM scalelite_own.periodic_jobs; DELETE FROM scalelite_own.sessions; \
    DELETE FROM scalelite_own.store_id; DELETE FROM scalelite_own.recording_details; \
    DELETE FROM scalelite_own.file_moves; DELETE FROM scalelite_own.trash; DELETE FROM scalelite_own.outbox; \
    DELETE FROM scalelite_own.archive_imports; DELETE FROM recordings; DELETE FROM metadata; \
    DELETE FROM playback_formats; DELETE FROM thumbnails; DELETE FROM callback_data";

/// Makes empty stores in one private server. Emptying a database takes a tenth of the time of
/// creating one.
struct PgStores {
    server: Postgres,
    clients: Mutex<Vec<tokio_postgres::Client>>,
    count: AtomicUsize,
}

impl PgStores {
    async fn new() -> Arc<Self> {
        let server = Postgres::start().await.expect("a server");
        Arc::new(Self { server, clients: Mutex::default(), count: AtomicUsize::new(0) })
    }

    async fn next_store(&self) -> PgStore {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("store_{}", number % DATABASES);
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(number % DATABASES) {
            client.batch_execute(WIPE).await.expect("an empty database");
        } else {
            // With a locale whose order of text differs from that of bytes, which stores must
            // return.
            let create = format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8' \
                 LOCALE_PROVIDER icu ICU_LOCALE 'de'"
            );
            self.server.psql("postgres", &create).await.expect("a database");
            let config = connection_config(&self.server, &name);
            let (client, connection) =
                config.connect(tokio_postgres::NoTls).await.expect("a connection");
            tokio::spawn(connection);
            clients.push(client);
        }
        open_store(&self.server, &name)
    }
}

/// Returns a function that makes stores, as objects of the port that is needed.
macro_rules! factory {
    ($stores:ident) => {
        &|| {
            let stores = $stores.clone();
            async move { Arc::new(stores.next_store().await) as _ }.boxed()
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fulfils_the_contracts_of_the_state_store() {
    let stores = PgStores::new().await;
    contract::check_state_store(factory!(stores)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fulfils_the_contracts_of_recordings() {
    let stores = PgStores::new().await;
    contract::check_recordings(factory!(stores)).await;
    contract::race_recordings(factory!(stores)).await;
    contract::check_recording_store(factory!(stores)).await;
    contract::race_recording_store(factory!(stores)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fulfils_the_contracts_of_the_state_store_under_concurrency() {
    let stores = PgStores::new().await;
    contract::race_state_store(factory!(stores)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaves_as_the_reference_implementation() {
    let stores = PgStores::new().await;
    contract::compare_pool_store(factory!(stores), 40, 1).await;
    contract::compare_catalog(factory!(stores), 40, 1).await;
}

/// Joins a meeting; returns the state of its server.
async fn joined_server_state(store: &PgStore) -> Option<AdminState> {
    store.record_join(&meeting_key("m"), NOW).await.expect("a join").map(|found| found.server.state)
}

/// Replicas have their own connections and caches, and place meetings at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_place_each_meeting_once_and_spread_them_evenly() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let replicas = [(); 3].map(|()| open_store(&server, "d"));
    check_even_placement(replicas.each_ref().map(|replica| replica as &dyn PoolStore)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_see_own_changes_at_once_and_others_within_a_second() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let (first, second) = (open_store(&server, "d"), open_store(&server, "d"));
    assert!(first.add_server(enabled_server("a")).await.unwrap());
    assert!(matches!(
        first.place_meeting(place_request("m", 1, "12345")).await.unwrap(),
        PlaceOutcome::Claimed(_)
    ));
    let id = ServerId("a".into());
    for state in [AdminState::Cordoned, AdminState::Enabled].repeat(5) {
        first.update_server(&id, ServerChange::with_state(state)).await.unwrap();
        assert_eq!(joined_server_state(&first).await, Some(state));
    }
    assert_eq!(joined_server_state(&first).await, Some(AdminState::Enabled));
    second.update_server(&id, ServerChange::with_state(AdminState::Cordoned)).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(1_500);
    while joined_server_state(&first).await != Some(AdminState::Cordoned) {
        assert!(tokio::time::Instant::now() < deadline, "the cached meeting is used for too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// PostgreSQL does not store NUL in text, nor long incompressible text in indexes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_nul_and_long_names_work() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let store = open_store(&server, "d");
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    let name = "a\0b";
    assert_eq!(store.find_meeting(&meeting_key(name)).await.unwrap(), None);
    assert_eq!(store.record_join(&meeting_key(name), NOW).await.unwrap(), None);
    assert!(
        !store.forget_meeting(&meeting_key(name), &ServerId("a".into()), None, None).await.unwrap()
    );
    assert!(!store.release_claim(&meeting_key(name), "t", &[]).await.unwrap());
    let error = store.place_meeting(place_request(name, 1, "12345")).await.unwrap_err().to_string();
    assert!(error.contains("NUL"), "{error}");
    assert_eq!(store.find_tenant(name).await.unwrap(), None);
    assert_eq!(store.take_token(name, NOW).await.unwrap(), None);
    assert_eq!(store.find_recording(name).await.unwrap(), None);
    assert_eq!(store.list_recordings_after(Some(name), 5).await.unwrap(), []);
    assert_eq!(store.list_servers().await.unwrap()[0].load, Some(0.0), "nothing was placed");
    // Pseudorandom characters, which cannot be compressed.
    let mut state = 1_u64;
    let long: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from(state >> 33 & 63).unwrap())
    })
    .take(9_000)
    .collect();
    assert!(matches!(
        store.place_meeting(place_request(&long, 2, "12345")).await.unwrap(),
        PlaceOutcome::Claimed(_)
    ));
    assert!(store.find_meeting(&meeting_key(&long)).await.unwrap().is_some());
    assert!(store.record_join(&meeting_key(&long), NOW).await.unwrap().is_some());
}
