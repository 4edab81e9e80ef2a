//! The embedded store: behaviour beyond the contract of its ports.

use adapters::sqlite::SqliteStore;
use app::ports::{PlaceOutcome, PlaceRequest, PoolStore, ServerChange, StoreError};
use domain::AdminState;
use domain::placement::PlacementCriteria;

#[tokio::test]
async fn two_stores_on_one_file_see_each_other_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (one, two) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    for n in 0..20 {
        let id = domain::ServerId(format!("s{n}"));
        let server = domain::Server::new(id.clone(), "http://a/api".into(), "s".into());
        assert!(one.add_server(server).await.unwrap());
        assert!(two.find_server(&id).await.unwrap().is_some());
        assert!(two.remove_server(&id).await.unwrap().is_some());
        assert!(one.list_servers().await.unwrap().is_empty());
    }
}

/// Joins remember what they found; a change of another process ends that at once.
#[tokio::test]
async fn joins_see_what_another_process_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (one, two) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    let id = domain::ServerId("a".into());
    let mut server = domain::Server::new(id.clone(), "http://a/api".into(), "s".into());
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(0.0);
    assert!(one.add_server(server).await.unwrap());
    let now = domain::Timestamp(1_700_000_000_000);
    let key = domain::MeetingKey { tenant: None, id: "m".into() };
    let request = PlaceRequest {
        key: key.clone(),
        criteria: PlacementCriteria {
            expected_users: 15,
            seed: 1,
            now,
            ..PlacementCriteria::default()
        },
        voice_bridges: vec!["12345".into()],
        moderator_pw: None,
        claim: domain::Claim { token: "t".into(), until: now.plus_ms(1000) },
        load: domain::MeetingLoad::default(),
        now,
        pending_ends: Vec::new(),
    };
    assert!(matches!(one.place_meeting(request).await.unwrap(), PlaceOutcome::Claimed(_)));
    for state in [AdminState::Disabled, AdminState::Cordoned, AdminState::Enabled].repeat(20) {
        let seen = one.record_join(&key, now).await.unwrap().map(|located| located.server.state);
        assert_eq!(
            seen,
            one.record_join(&key, now).await.unwrap().map(|located| located.server.state)
        );
        two.update_server(&id, ServerChange::with_state(state)).await.unwrap();
        let seen = one.record_join(&key, now).await.unwrap().map(|located| located.server.state);
        assert_eq!(seen, Some(state));
    }
    assert!(two.forget_meeting(&key, &id, None, None).await.unwrap());
    assert_eq!(one.record_join(&key, now).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    std::fs::write(&path, "this is no database, but somebody's file").unwrap();
    let refused = SqliteStore::open(&path).err();
    assert!(matches!(refused, Some(StoreError::Corrupt(_))), "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"this is no database, but somebody's file");

    let newer = dir.path().join("newer.db");
    drop(SqliteStore::open(&newer).unwrap());
    assert_eq!(std::fs::metadata(&newer).unwrap().permissions().mode() & 0o777, 0o600);
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    let refused = SqliteStore::open(&newer).err().map(|error| error.to_string());
    assert!(refused.is_some_and(|text| text.contains("use a newer scalelite")));
}
