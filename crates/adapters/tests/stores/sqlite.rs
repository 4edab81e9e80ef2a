//! The embedded store: the behaviour of a store in a file.

use std::path::Path;

use adapters::sqlite::SqliteStore;
use app::ports::{
    OneTimeTokens as _, PlaceOutcome, PlaceRequest, PoolStore, RecordingFormatId, ServerChange,
    StoreError,
};
use domain::placement::PlacementCriteria;
use domain::{AdminState, Timestamp};

#[tokio::test]
async fn stores_on_one_file_see_each_others_changes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (first, second) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    for n in 0..20 {
        let id = domain::ServerId(format!("s{n}"));
        let server = domain::Server::new(id.clone(), "http://a/api".into(), "s".into());
        assert!(first.add_server(server).await.unwrap());
        assert!(second.find_server(&id).await.unwrap().is_some());
        assert!(second.remove_server(&id).await.unwrap().is_some());
        assert!(first.list_servers().await.unwrap().is_empty());
    }
}

fn open_server(id: &domain::ServerId) -> domain::Server {
    let mut server = domain::Server::new(id.clone(), "http://a/api".into(), "s".into());
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(0.0);
    server
}

fn place_request(id: &str) -> PlaceRequest {
    let now = Timestamp(1_700_000_000_000);
    PlaceRequest {
        key: domain::MeetingKey { tenant: None, id: id.into() },
        criteria: PlacementCriteria {
            expected_users: 15,
            seed: 1,
            now,
            ..PlacementCriteria::default()
        },
        voice_bridges: vec![id.into()],
        moderator_pw: None,
        claim: domain::Claim { token: "t".into(), until: now.plus_ms(1000) },
        load: domain::MeetingLoad::default(),
        now,
        pending_ends: Vec::new(),
        replaces: None,
    }
}

/// Each process remembers the servers between its own transactions.
#[tokio::test]
async fn placements_see_changes_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (first, second) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    let ids = ["a", "b"].map(|id| domain::ServerId(id.into()));
    for id in &ids {
        assert!(first.add_server(open_server(id)).await.unwrap());
    }
    for round in 0..20 {
        let (open, closed) = (&ids[round % 2], &ids[(round + 1) % 2]);
        second.update_server(closed, ServerChange::with_state(AdminState::Cordoned)).await.unwrap();
        second.update_server(open, ServerChange::with_state(AdminState::Enabled)).await.unwrap();
        // The load of the server changes with each placement, in each process.
        for (store, name) in [(&first, "x"), (&first, "y"), (&second, "z")] {
            let placed =
                store.place_meeting(place_request(&format!("{name}{round}"))).await.unwrap();
            let PlaceOutcome::Claimed(placed) = placed else { panic!("{placed:?}") };
            assert_eq!(placed.server.id, *open);
            let stored = store.find_server(open).await.unwrap().unwrap();
            assert_eq!(placed.server.placed_since_poll, stored.placed_since_poll);
        }
    }
    assert!(second.remove_server(&ids[1]).await.unwrap().is_some());
    second.update_server(&ids[0], ServerChange::with_state(AdminState::Cordoned)).await.unwrap();
    let refused = first.place_meeting(place_request("last")).await.unwrap();
    assert!(matches!(refused, PlaceOutcome::Refused(_)), "{refused:?}");
}

/// A change of another process invalidates cached joins at once.
#[tokio::test]
async fn joins_see_changes_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (first, second) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    let (id, now) = (domain::ServerId("a".into()), Timestamp(1_700_000_000_000));
    assert!(first.add_server(open_server(&id)).await.unwrap());
    let request = place_request("m");
    let key = request.key.clone();
    assert!(matches!(first.place_meeting(request).await.unwrap(), PlaceOutcome::Claimed(_)));
    for state in [AdminState::Disabled, AdminState::Cordoned, AdminState::Enabled].repeat(20) {
        let join = async || first.record_join(&key, now).await.unwrap();
        let before = join().await.map(|found| found.server.state);
        assert_eq!(before, join().await.map(|found| found.server.state));
        second.update_server(&id, ServerChange::with_state(state)).await.unwrap();
        assert_eq!(join().await.map(|found| found.server.state), Some(state));
    }
    assert!(second.forget_meeting(&key, &id, None, None).await.unwrap());
    assert_eq!(first.record_join(&key, now).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_not_changed() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    std::fs::write(&path, "this is no database").unwrap();
    let refused = SqliteStore::open(&path).err();
    assert!(matches!(refused, Some(StoreError::Corrupt(_))), "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"this is no database");

    assert!(!dir.path().join("store.db-changes").exists());

    let new = dir.path().join("new.db");
    drop(SqliteStore::open(&new).unwrap());
    assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_with_an_unknown_schema_is_refused_and_not_changed() {
    const OLD_TABLES: &str = "PRAGMA journal_mode = WAL; CREATE TABLE servers (id TEXT); \
        CREATE TABLE mark (one INTEGER, mark TEXT); INSERT INTO servers VALUES ('a');";
    for (statements, ours, reason) in [
        (OLD_TABLES, false, "older, unreleased scalelite"),
        ("PRAGMA user_version = 6; CREATE TABLE servers (id TEXT)", false, "older, unreleased"),
        ("PRAGMA application_id = 7", false, "another program"),
        ("PRAGMA user_version = 1", false, "another program"),
        ("PRAGMA user_version = 999", true, "use a newer scalelite"),
        ("PRAGMA user_version = 0", true, "unknown schema 0"),
        ("PRAGMA user_version = -1", true, "unknown schema -1"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        if ours {
            drop(SqliteStore::open(&path).unwrap());
            std::fs::remove_file(dir.path().join("store.db-changes")).unwrap();
        }
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(statements).unwrap();
        connection.close().unwrap();
        let before = std::fs::read(&path).unwrap();
        let refused = SqliteStore::open(&path).err();
        let Some(StoreError::Incompatible(text)) = refused else {
            panic!("{statements}: {refused:?}");
        };
        assert!(text.contains(reason), "{statements}: {text}");
        assert!(std::fs::read(&path).unwrap() == before, "{statements}: the file was changed");
        assert!(!dir.path().join("store.db-changes").exists());
    }
}

/// A process that was killed leaves its last transactions in the log beside the file.
#[test]
fn the_log_of_a_refused_file_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("store.db"), dir.path().join("copy.db"));
    let connection = rusqlite::Connection::open(&path).unwrap();
    let statements = "PRAGMA journal_mode = WAL; CREATE TABLE mark (one INTEGER, mark TEXT);";
    connection.execute_batch(statements).unwrap();
    for suffix in ["", "-wal"] {
        let file = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(file(&path), file(&copy)).unwrap();
    }
    let log = dir.path().join("copy.db-wal");
    let before = (std::fs::read(&copy).unwrap(), std::fs::read(&log).unwrap());
    assert!(!before.1.is_empty());
    assert!(matches!(SqliteStore::open(&copy).err(), Some(StoreError::Incompatible(_))));
    assert!((std::fs::read(&copy).unwrap(), std::fs::read(&log).unwrap()) == before);
}

#[tokio::test]
async fn a_stored_token_with_an_invalid_name_grants_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let format_id = RecordingFormatId::parse("r", "video").unwrap();
    let (now, until) = (Timestamp(0), Timestamp(1000));
    store.put_token("t", &format_id, now, until).await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE one_time_tokens SET format = '../x'", []).unwrap();
    assert!(!store.take_token("t", &format_id, now).await.unwrap());
}
