//! Tenants, tokens, turns and recordings in a few words, in both databases; the suites of the
//! contract say more.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

mod common;

use adapters::sqlite::SqliteStore;
use app::ports::{Grant, Hot, Recordings, TenantUpdate, Turn};
use domain::health::Thresholds;
use domain::load::LoadPolicy;
use domain::poll::{Observation, PollPolicy};
use domain::recording::{Callback, PlaybackFormat, Recording, Thumbnail};
use domain::tenant::Lrs;
use domain::{Server, ServerId, Tenant, TenantChange, TenantSetting, Timestamp};
use testkit::private::Postgres;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn tenant(id: &str, name: &str) -> Tenant {
    let lrs = Lrs { endpoint: text("e"), kc_password: text("p"), ..Lrs::default() };
    Tenant { id: id.to_owned(), name: name.to_owned(), secrets: "a:b".to_owned(), lrs }
}

async fn tenants(store: &impl Hot) {
    assert!(store.add_tenant(tenant("2", "Ä-bank")).await.unwrap());
    assert!(store.add_tenant(tenant("1", "beta")).await.unwrap());
    assert!(!store.add_tenant(tenant("1", "gamma")).await.unwrap());
    assert!(!store.add_tenant(tenant("3", "BETA")).await.unwrap());
    assert!(store.add_tenant(tenant("3", "ä-bank")).await.unwrap(), "only ASCII has no case");
    let named = |name: &str| TenantChange { name: text(name), ..TenantChange::default() };
    assert_eq!(store.update_tenant("1", named("Ä-BANK")).await.unwrap(), TenantUpdate::NameTaken);
    assert_eq!(store.update_tenant("9", named("beta")).await.unwrap(), TenantUpdate::Unknown);
    let changed = store.update_tenant("1", named("Beta")).await.unwrap();
    assert_eq!(changed, TenantUpdate::Changed(Box::new(tenant("1", "Beta"))));
    let all = [tenant("2", "Ä-bank"), tenant("1", "Beta"), tenant("3", "ä-bank")];
    assert_eq!(store.tenants().await.unwrap(), all);
    let setting = |id: &str, tenant: &str| TenantSetting {
        id: id.to_owned(),
        tenant: tenant.to_owned(),
        param: "record".to_owned(),
        value: "false".to_owned(),
        wins: true,
    };
    assert!(store.add_tenant_setting(setting("b", "1")).await.unwrap());
    assert!(store.add_tenant_setting(setting("a", "2")).await.unwrap());
    assert!(!store.add_tenant_setting(setting("a", "1")).await.unwrap());
    assert!(!store.add_tenant_setting(setting("c", "9")).await.unwrap());
    let (a, b) = (setting("a", "2"), setting("b", "1"));
    assert_eq!(store.tenant_settings(None).await.unwrap(), [b, a.clone()]);
    assert!(store.remove_tenant("1").await.unwrap() && !store.remove_tenant("1").await.unwrap());
    assert_eq!(store.tenant_settings(None).await.unwrap(), std::slice::from_ref(&a));
    assert_eq!(store.tenant_settings(Some("2")).await.unwrap(), [a]);
    assert!(store.remove_tenant_setting("a").await.unwrap());
    assert!(!store.remove_tenant_setting("a").await.unwrap());
}

async fn tokens_and_turns(store: &impl Hot) {
    let grant = Grant { record_id: "r".to_owned(), format: "video".to_owned() };
    store.put_token("t", &grant, NOW, NOW.plus_ms(10)).await.unwrap();
    store.put_token("late", &grant, NOW, NOW.plus_ms(5)).await.unwrap();
    assert_eq!(store.take_token("late", NOW.plus_ms(5)).await.unwrap(), None);
    assert_eq!(store.take_token("t", NOW.plus_ms(9)).await.unwrap(), Some(grant));
    assert_eq!(store.take_token("t", NOW.plus_ms(9)).await.unwrap(), None);
    assert_eq!(store.turn("poll", NOW, 100).await.unwrap(), Turn::Yours(1));
    let again = store.turn("poll", NOW.plus_ms(99), 100).await.unwrap();
    assert_eq!(again, Turn::NotBefore(NOW.plus_ms(100)));
    assert_eq!(store.turn("sweep", NOW.plus_ms(99), 100).await.unwrap(), Turn::Yours(1));
    assert_eq!(store.turn("poll", NOW.plus_ms(100), 100).await.unwrap(), Turn::Yours(2));
}

async fn cycles(store: &impl Hot) {
    let id = ServerId("a".to_owned());
    let server = Server::new(id.clone(), "http://a/api".to_owned(), "s".to_owned());
    assert!(store.add_server(server.clone()).await.unwrap());
    let seen = Observation { started_at: NOW, finished_at: NOW, result: Ok(Vec::new()) };
    let policy = PollPolicy {
        thresholds: Thresholds { healthy: 1, unhealthy: 2 },
        load: LoadPolicy { min_user_count: 15, join_buffer_ms: 900_000 },
    };
    for (cycle, recorded) in [(Some(5), true), (Some(4), false), (None, true), (Some(5), true)] {
        let report = store.record_poll(&id, &seen, &policy, cycle).await.unwrap();
        assert_eq!(report.is_some(), recorded, "{cycle:?}");
    }
    assert!(store.remove_server(&id).await.unwrap().is_some());
    assert!(store.record_poll(&id, &seen, &policy, Some(9)).await.unwrap().is_none());
    assert!(store.add_server(server).await.unwrap());
    assert!(store.record_poll(&id, &seen, &policy, Some(1)).await.unwrap().is_some());
}

async fn recordings(store: &impl Recordings) {
    let thumbnail = Thumbnail { alt: text("ü"), sequence: Some(0), ..Thumbnail::default() };
    let mut recording = Recording {
        record_id: "r-1".to_owned(),
        started_at: Some(Timestamp(-1)),
        ended_at: Some(Timestamp(4_102_444_800_123)),
        metadata: vec![("a".to_owned(), None), ("b".to_owned(), text(&"x".repeat(9_000)))],
        formats: vec![
            PlaybackFormat { format: "Notes".to_owned(), ..PlaybackFormat::default() },
            PlaybackFormat {
                format: "notes".to_owned(),
                thumbnails: vec![thumbnail.clone(), Thumbnail { sequence: Some(1), ..thumbnail }],
                ..PlaybackFormat::default()
            },
        ],
        ..Recording::default()
    };
    for id in ["r-1", "R-1", "r-10", "é"] {
        recording.record_id = id.to_owned();
        store.put_recording(&recording).await.unwrap();
        assert_eq!(store.recording(id).await.unwrap().as_ref(), Some(&recording));
    }
    recording.formats.pop();
    recording.metadata.clear();
    store.put_recording(&recording).await.unwrap();
    let all = store.recordings_after(None, 9).await.unwrap();
    let ids: Vec<&str> = all.iter().map(|one| one.record_id.as_str()).collect();
    assert_eq!(ids, ["R-1", "r-1", "r-10", "é"]);
    assert_eq!(all[3], recording);
    assert_eq!(store.recordings_after(Some("r-1"), 1).await.unwrap(), all[2..3]);
    let mut callback = Callback {
        meeting_id: "m".to_owned(),
        record_id: text("r-1"),
        attributes: vec![("recording_ready_url".to_owned(), "yes: \"no\"".to_owned())],
        created_at: NOW,
        updated_at: NOW.plus_ms(1),
    };
    store.put_callback(&callback).await.unwrap();
    callback.record_id = None;
    store.put_callback(&callback).await.unwrap();
    assert_eq!(store.callbacks_after(None, 9).await.unwrap(), [callback]);
    assert_eq!(store.callbacks_after(Some("m"), 9).await.unwrap(), []);
    let counts = store.count_recordings().await.unwrap();
    assert_eq!((counts.recordings, counts.callbacks), (4, 1));
}

async fn all(store: &(impl Hot + Recordings)) {
    tenants(store).await;
    tokens_and_turns(store).await;
    cycles(store).await;
    recordings(store).await;
}

#[tokio::test]
async fn in_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    all(&SqliteStore::open(&dir.path().join("store.db")).expect("a store")).await;
}

/// In a database whose own collation is not that of bytes.
#[tokio::test]
async fn in_postgres() {
    let server = Postgres::start().await.expect("a server");
    let create = "CREATE DATABASE d TEMPLATE template0 ENCODING 'UTF8' \
        LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C.UTF-8'";
    server.psql("postgres", create).await.expect("a database");
    all(&common::store(&server, "d")).await;
}
