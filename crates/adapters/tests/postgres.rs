//! The store in PostgreSQL against the contract of its ports, and what only several processes on
//! one database can show.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

mod common;
#[path = "common/pool.rs"]
mod pool;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adapters::postgres::PgStore;
use app::ports::{OneTimeTokens, PlaceOutcome, PoolStore, Recordings, ServerChange, Tenants};
use domain::{AdminState, Meeting, ServerId};
use futures_util::future::{FutureExt as _, join_all};
use pool::{NOW, enabled_server, meeting_key, place_request};
use testkit::contract;
use testkit::private::Postgres;
use tokio::sync::Mutex;

/// How many databases take turns: a store of so many stores ago has long let go of its own.
const DATABASES: usize = 8;
/// Everything that a cluster leaves behind.
const WIPE: &str = "DELETE FROM scalelite_own.servers; DELETE FROM scalelite_own.meetings; \
    DELETE FROM scalelite_own.tenants; DELETE FROM scalelite_own.one_time_tokens; \
    DELETE FROM scalelite_own.periodic_jobs; DELETE FROM scalelite_own.sessions; \
    DELETE FROM scalelite_own.store_id; DELETE FROM scalelite_own.recording_details; \
    DELETE FROM scalelite_own.file_moves; DELETE FROM scalelite_own.trash; DELETE FROM scalelite_own.outbox; \
    DELETE FROM scalelite_own.archive_imports; DELETE FROM recordings; DELETE FROM metadata; \
    DELETE FROM playback_formats; DELETE FROM thumbnails; DELETE FROM callback_data";

/// Fresh stores in one private server. To empty a database takes a tenth of what creating does.
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
        let name = format!("cluster_{}", number % DATABASES);
        let mut wipers = self.clients.lock().await;
        if let Some(wiper) = wipers.get(number % DATABASES) {
            wiper.batch_execute(WIPE).await.expect("an empty database");
        } else {
            // Where text has an order of its own, which must not show.
            let create = format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8' \
                 LOCALE_PROVIDER icu ICU_LOCALE 'de'"
            );
            self.server.psql("postgres", &create).await.expect("a database");
            let mut config = tokio_postgres::Config::new();
            config.user("postgres").dbname(&name).port(self.server.port());
            config.host_path(self.server.socket_folder());
            let (wiper, connection) = config.connect(tokio_postgres::NoTls).await.expect("a wiper");
            tokio::spawn(connection);
            wipers.push(wiper);
        }
        common::store(&self.server, &name)
    }
}

/// Makes stores, as whatever they are to be.
macro_rules! factory {
    ($stores:ident) => {
        &|| {
            let stores = $stores.clone();
            async move { Arc::new(stores.next_store().await) as _ }.boxed()
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    let stores = PgStores::new().await;
    contract::check_state_store(factory!(stores)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract_of_recordings() {
    let stores = PgStores::new().await;
    contract::check_recordings(factory!(stores)).await;
    contract::race_recordings(factory!(stores)).await;
    contract::check_recording_store(factory!(stores)).await;
    contract::race_recording_store(factory!(stores)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract_in_races() {
    let stores = PgStores::new().await;
    contract::race_state_store(factory!(stores)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_as_the_reference_does() {
    let stores = PgStores::new().await;
    contract::compare_pool_store(factory!(stores), 40, 1).await;
    contract::compare_catalog(factory!(stores), 40, 1).await;
}

/// The state of the server that somebody who joins is sent to.
async fn joined_server_state(store: &PgStore) -> Option<AdminState> {
    store
        .record_join(&meeting_key("m"), NOW)
        .await
        .expect("a join")
        .map(|located| located.server.state)
}

/// Replicas: each has its own connections and memory, and all place at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_place_each_meeting_once_and_spread_them_evenly() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let replicas: Vec<PgStore> = (0..3).map(|_| common::store(&server, "d")).collect();
    for id in ["a", "b", "c", "d", "e"] {
        assert!(replicas[0].add_server(enabled_server(id)).await.unwrap());
    }
    let calls = (0..300).map(|n| {
        let asked = place_request(&format!("m{}", n / 3), n, &(20_000 + n).to_string());
        replicas[n % 3].place_meeting(asked)
    });
    let placed: Vec<PlaceOutcome> =
        join_all(calls).await.into_iter().map(|placed| placed.unwrap()).collect();
    let won = placed.iter().filter(|placed| matches!(placed, PlaceOutcome::Claimed(_))).count();
    let known = placed.iter().filter(|placed| matches!(placed, PlaceOutcome::Existing(_))).count();
    assert_eq!((won, known), (100, 200));
    let meetings: Vec<Meeting> = replicas[1].list_meetings(None).await.unwrap();
    assert_eq!(meetings.len(), 100);
    for server in replicas[2].list_servers().await.unwrap() {
        let here = meetings.iter().filter(|one| one.server == server.id).count();
        assert_eq!((here, server.load), (20, Some(300.0)), "{}", server.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_see_our_own_changes_at_once_and_others_within_a_second() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let (one, two) = (common::store(&server, "d"), common::store(&server, "d"));
    assert!(one.add_server(enabled_server("a")).await.unwrap());
    assert!(matches!(
        one.place_meeting(place_request("m", 1, "12345")).await.unwrap(),
        PlaceOutcome::Claimed(_)
    ));
    let id = ServerId("a".into());
    for state in [AdminState::Cordoned, AdminState::Enabled].repeat(5) {
        one.update_server(&id, ServerChange::with_state(state)).await.unwrap();
        assert_eq!(joined_server_state(&one).await, Some(state));
    }
    assert_eq!(joined_server_state(&one).await, Some(AdminState::Enabled));
    two.update_server(&id, ServerChange::with_state(AdminState::Cordoned)).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(1_500);
    while joined_server_state(&one).await != Some(AdminState::Cordoned) {
        assert!(tokio::time::Instant::now() < deadline, "it remembers for too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// PostgreSQL stores no NUL within text, and its indexes no long text that does not shrink.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_postgres_does_not_like() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let store = common::store(&server, "d");
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    let nul = "a\0b";
    assert_eq!(store.find_meeting(&meeting_key(nul)).await.unwrap(), None);
    assert_eq!(store.record_join(&meeting_key(nul), NOW).await.unwrap(), None);
    assert!(
        !store.forget_meeting(&meeting_key(nul), &ServerId("a".into()), None, None).await.unwrap()
    );
    assert!(!store.release_claim(&meeting_key(nul), "t", &[]).await.unwrap());
    let refused =
        store.place_meeting(place_request(nul, 1, "12345")).await.unwrap_err().to_string();
    assert!(refused.contains("NUL"), "{refused}");
    assert_eq!(store.find_tenant(nul).await.unwrap(), None);
    assert_eq!(store.take_token(nul, NOW).await.unwrap(), None);
    assert_eq!(store.find_recording(nul).await.unwrap(), None);
    assert_eq!(store.list_recordings_after(Some(nul), 5).await.unwrap(), []);
    assert_eq!(store.list_servers().await.unwrap()[0].load, Some(0.0), "nothing was placed");
    // Digits of a generator: they do not compress.
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
