//! Migrations between stores in memory: to an empty store, repeated, and over differing entries.

use std::sync::Arc;

use domain::management::{Scope, Scopes};
use domain::recording::catalog::TenantScope;
use domain::recording::{Callback, PlaybackFormat, Recording};
use domain::tenant::Lrs;
use domain::{
    AdminState, Meeting, MeetingKey, MeetingLoad, MeetingSession, MeetingUsage, Server, ServerId,
    ServerLimits, Tenant, TenantChange, TenantSetting, Timestamp,
};

use super::*;
use crate::memory::{MemoryPoolStore, MemoryRecordings};
use crate::ports::{
    AuditRecord, AuditTarget, Destination, ManagementToken, OutboxMessage, RecordingStore,
    ServerChange, StateStore,
};

fn empty_stores() -> Stores {
    Stores {
        state: Arc::new(MemoryPoolStore::default()),
        recordings: Some(Arc::new(MemoryRecordings::default())),
    }
}

fn server(id: &str) -> Server {
    let url = format!("https://{id}.example.test/bigbluebutton/api");
    let mut server = Server::new(ServerId(id.to_owned()), url, "secret".to_owned());
    server.health.online = true;
    server.state = AdminState::Enabled;
    server.load = Some(30.0);
    server.limits = ServerLimits { max_meetings: Some(9), max_users: None, tier: 1 };
    server.join_url = Some(format!("https://proxy.example.test/{id}/bigbluebutton/api"));
    server
}

fn meeting(id: &str, server: &str) -> Meeting {
    Meeting {
        key: MeetingKey { tenant: Some("t".to_owned()), id: id.to_owned() },
        server: ServerId(server.to_owned()),
        moderator_pw: Some("pw".to_owned()),
        voice_bridge: Some(format!("1{id}")),
        claim: None,
        placed_at: Timestamp(1),
        seen_at: Timestamp(2),
        load: MeetingLoad { expected_users: 15, expected_until: Timestamp(3), users: 4 },
        usage: MeetingUsage { peak_users: 5, busy_until: Timestamp(4) },
        ..Meeting::default()
    }
}

fn session(n: i64, peak_users: u32) -> MeetingSession {
    let key = MeetingKey { tenant: None, id: format!("s{n}") };
    MeetingSession { key, created_at: Timestamp(n), peak_users, busy_ms: 60_000 }
}

fn recording(n: u32) -> Recording {
    let format = PlaybackFormat { format: "video".to_owned(), ..PlaybackFormat::default() };
    Recording {
        record_id: format!("{n:05}"),
        name: Some("Ü".to_owned()),
        metadata: vec![("empty".to_owned(), Some(String::new())), ("none".to_owned(), None)],
        formats: vec![format],
        ..Recording::default()
    }
}

async fn filled_stores() -> Stores {
    let stores = empty_stores();
    let (state, recordings) = (&stores.state, stores.recordings.as_ref().unwrap());
    let tenant = Tenant {
        id: "t".to_owned(),
        name: "acme".to_owned(),
        secrets: "s".to_owned(),
        lrs: Lrs { endpoint: Some("e".to_owned()), ..Lrs::default() },
    };
    assert!(state.add_tenant(tenant).await.unwrap());
    let setting = TenantSetting {
        id: "x".to_owned(),
        tenant: "t".to_owned(),
        param: "record".to_owned(),
        value: "false".to_owned(),
        is_override: true,
    };
    assert!(state.add_tenant_setting(setting).await.unwrap());
    for id in ["a", "b"] {
        assert!(state.add_server(server(id)).await.unwrap());
    }
    for (id, server) in [("1", "a"), ("2", "b"), ("3", "a")] {
        assert!(state.restore_meeting(&meeting(id, server)).await.unwrap());
    }
    for n in 1..=2 {
        state.record_session(&session(n, 20)).await.unwrap();
    }
    add_management_data(state.as_ref()).await;
    for n in 0..450 {
        recordings.put_recording(&recording(n)).await.unwrap();
        let meeting_id = format!("m{n:05}");
        recordings.put_callback(&Callback { meeting_id, ..Callback::default() }).await.unwrap();
    }
    add_unfinished_work(recordings.as_ref()).await;
    stores
}

/// Adds a management token and records of the audit.
async fn add_management_data(state: &dyn StateStore) {
    let token = ManagementToken {
        id: "1".to_owned(),
        name: "deploy".to_owned(),
        digest: "d".to_owned(),
        scopes: Scopes::new([Scope::Admin]),
        tenant: None,
        created_at: Timestamp(1),
        created_by: "ada".to_owned(),
        expires_at: None,
        last_used_at: Some(Timestamp(2)),
    };
    state.add_management_token(&token, 9).await.unwrap();
    let record = |n: i64| AuditRecord {
        at: Timestamp(n / 3),
        id: format!("{n:03}"),
        actor: "ada".to_owned(),
        action: "server.add".to_owned(),
        target: AuditTarget::default(),
        before: None,
        after: None,
        request_id: None,
    };
    let records: Vec<AuditRecord> = (0..600).map(record).collect();
    state.append_audit(&records).await.unwrap();
}

/// Deletes recordings to the trash, of which one has files that are still being moved, and adds an
/// archive and a message.
async fn add_unfinished_work(recordings: &dyn RecordingStore) {
    recordings.set_trash_ms(86_400_000).await.unwrap();
    for (n, is_moving) in [(1, false), (2, false), (3, true)] {
        let id = recording(n).record_id;
        let (scope, to) = (TenantScope::All, Destination::Trash);
        let file_move = recordings.begin_file_move(&id, &scope, to, Timestamp(9)).await.unwrap();
        if !is_moving {
            assert!(recordings.end_file_move(&file_move.unwrap()).await.unwrap());
        }
    }
    recordings.receive_archive("a.tar", 7, Timestamp(5)).await.unwrap();
    let mut callback = Callback { meeting_id: "m".to_owned(), ..Callback::default() };
    callback.set_attribute(Callback::READY_URL, "https://app.example/ready");
    let message = OutboxMessage::recording_ready(&callback, &recording(4), Timestamp(6)).unwrap();
    recordings.post_message(&message).await.unwrap();
}

async fn migrate(from: &Stores, to: &Stores, dry_run: bool) -> Vec<MigrationCounts> {
    let plan = MigrationPlan { dry_run, state: true, recordings: true };
    migrate_stores(from, to, plan, &mut |_, _, _| {}).await.unwrap()
}

fn map_counts(counts: &[MigrationCounts], field: impl Fn(&MigrationCounts) -> u64) -> Vec<u64> {
    counts.iter().map(field).collect()
}

#[tokio::test]
async fn everything_is_copied_once_and_verified() {
    let (from, to) = (filled_stores().await, empty_stores());
    let all = vec![1, 1, 2, 3, 2, 1, 600, 0, 450, 450, 3, 1, 1, 1];
    let dry = migrate(&from, &to, true).await;
    assert_eq!(map_counts(&dry, |counts| counts.copied), all);
    assert!(to.state.list_servers().await.unwrap().is_empty(), "nothing was written");

    let first = migrate(&from, &to, false).await;
    assert_eq!(map_counts(&first, |counts| counts.copied), all);
    assert!(first.iter().all(MigrationCounts::is_complete), "{first:?}");
    assert_eq!(to.state.list_servers().await.unwrap(), from.state.list_servers().await.unwrap());
    assert_eq!(
        to.state.list_meetings(None).await.unwrap(),
        from.state.list_meetings(None).await.unwrap()
    );

    // The trash can be restored from at the target.
    let recordings = to.recordings.as_ref().unwrap();
    assert_eq!(recordings.find_trash_ms().await.unwrap(), Some(86_400_000));
    let id = recording(1).record_id;
    let trashed = recordings.find_trashed(&id).await.unwrap();
    assert_eq!(trashed, from.recordings.as_ref().unwrap().find_trashed(&id).await.unwrap());

    let again = migrate(&from, &to, false).await;
    assert_eq!(map_counts(&again, |counts| counts.unchanged), all);
    assert_eq!(map_counts(&again, |counts| counts.copied + counts.replaced), vec![0; 14]);
    assert!(again.iter().all(MigrationCounts::is_complete));
}

#[tokio::test]
async fn where_the_stores_differ_the_source_wins() {
    let (from, to) = (filled_stores().await, filled_stores().await);
    let a = ServerId("a".to_owned());
    to.state.update_server(&a, ServerChange::with_state(AdminState::Cordoned)).await.unwrap();
    let moved = meeting("2", "a");
    assert!(
        to.state.forget_meeting(&moved.key, &ServerId("b".to_owned()), None, None).await.unwrap()
    );
    assert!(to.state.restore_meeting(&moved).await.unwrap());
    to.state.record_session(&session(2, 99)).await.unwrap();
    let change = TenantChange { name: Some("other".to_owned()), ..TenantChange::default() };
    to.state.update_tenant("t", change).await.unwrap();
    let recordings = to.recordings.as_ref().unwrap();
    recordings.put_recording(&Recording { name: None, ..recording(7) }).await.unwrap();
    assert!(to.state.add_server(server("only here")).await.unwrap());

    let counts = migrate(&from, &to, false).await;
    assert_eq!(
        map_counts(&counts, |counts| counts.replaced),
        [1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    );
    assert!(counts.iter().all(MigrationCounts::is_complete), "{counts:?}");
    assert_eq!(
        to.state.list_servers().await.unwrap().len(),
        3,
        "entries that only the target has stay"
    );
}

#[tokio::test]
async fn failed_copies_are_named() {
    let (from, to) = (filled_stores().await, empty_stores());
    // Another meeting holds the voice bridge of one of the meetings.
    assert!(to.state.add_server(server("a")).await.unwrap());
    let mut other = meeting("other", "a");
    other.voice_bridge = meeting("3", "a").voice_bridge;
    assert!(to.state.restore_meeting(&other).await.unwrap());
    let counts = migrate(&from, &to, false).await;
    let meetings = &counts[3];
    assert!(!meetings.is_complete());
    assert_eq!(meetings.failed, ["3"]);
}

#[tokio::test]
async fn callbacks_are_found_among_many_others() {
    let (from, to) = (filled_stores().await, empty_stores());
    let recordings = to.recordings.as_ref().unwrap();
    for n in 0..3000 {
        // These ids lie between those of the callbacks that are copied.
        let meeting_id = format!("m{:05}-{n}", n / 7);
        recordings.put_callback(&Callback { meeting_id, ..Callback::default() }).await.unwrap();
    }
    let first = migrate(&from, &to, false).await;
    assert!(first.iter().all(MigrationCounts::is_complete), "{first:?}");
    let again = migrate(&from, &to, false).await;
    assert_eq!(map_counts(&again, |counts| counts.copied + counts.replaced), vec![0; 14]);
}
