//! Tests of the audit: no secrets, bounded, in order.

use std::time::Duration;

use domain::{MeetingKey, Tenant};
use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::admin::servers::{self, NewServer};
use crate::admin::tenants;
use crate::origin::{WorkOrigin, run_from};
use crate::ports::ServerChange;
use crate::test_app::{test_app, test_server};

async fn list(app: &App, filter: &AuditFilter) -> Vec<AuditRecord> {
    list_page(app, filter, None, 100).await.unwrap().0
}

async fn as_ada<F: Future>(work: F) -> F::Output {
    let actor = Actor::CommandLine("ada@example".into());
    run_from(WorkOrigin { request_id: Some("r1".into()), actor }, work).await
}

#[tokio::test(start_paused = true)]
async fn changes_are_recorded_with_what_was_before_and_no_secret() {
    let (app, _) = test_app(&["a"], |_| None).await;
    let url = "http://new/bigbluebutton/api".to_owned();
    let new = NewServer { url, secret: "geheim-1".to_owned(), ..NewServer::default() };
    let change = ServerChange {
        secret: Some("geheim-2".to_owned()),
        load_multiplier: Some(2.0),
        tag: Some(Some("x".to_owned())),
        ..ServerChange::default()
    };
    as_ada(async {
        let server = servers::add(&app, new).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        servers::update(&app, &server.id.0, change).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        servers::remove(&app, &server.id.0).await.unwrap();
    })
    .await;
    let found = list(&app, &AuditFilter::default()).await;
    let actions: Vec<_> = found.iter().map(|record| record.action.as_str()).collect();
    assert_eq!(actions, ["server.remove", "server.update", "server.add"]);
    let update = &found[1];
    assert_eq!((update.actor.as_str(), update.request_id.as_deref()), ("ada@example", Some("r1")));
    assert_eq!(update.target.host.as_deref(), Some("new"));
    let sides = [&update.before, &update.after]
        .map(|side| serde_json::from_str::<serde_json::Value>(side.as_ref().unwrap()).unwrap());
    assert_eq!(sides[0], json!({ "load_multiplier": 1.0, "tag": null, "secret": "***" }));
    assert_eq!(sides[1], json!({ "load_multiplier": 2.0, "tag": "x", "secret": "*** (another)" }));
    assert!(!format!("{found:?}").contains("geheim"));
    let filter = AuditFilter { server: Some("other".to_owned()), ..AuditFilter::default() };
    assert_eq!(list(&app, &filter).await, []);
}

#[tokio::test(start_paused = true)]
async fn tenants_are_described_without_secrets() {
    let (app, _) = test_app(&[], |_| None).await;
    let added = as_ada(tenants::add(&app, "t", "geheim-1:geheim-2")).await.unwrap();
    let lrs = domain::tenant::Lrs {
        endpoint: Some("https://lrs".to_owned()),
        password: Some("geheim-3".to_owned()),
        ..domain::tenant::Lrs::default()
    };
    let change = domain::TenantChange { lrs, ..domain::TenantChange::default() };
    as_ada(tenants::update(&app, &added.id, change)).await.unwrap();
    as_ada(tenants::add_setting(&app, &added.id, "record", "true", true)).await.unwrap();
    let filter = AuditFilter { tenant: Some(added.id.clone()), ..AuditFilter::default() };
    let found = list(&app, &filter).await;
    assert_eq!(found.len(), 3);
    assert!(!format!("{found:?}").contains("geheim"));
    let update = found.iter().find(|record| record.action == "tenant.update").unwrap();
    let after = update.after.as_ref().unwrap();
    assert!(after.contains(r#""lrs_endpoint":"https://lrs""#), "{after}");
    assert!(after.contains(r#""lrs_password":"***""#), "{after}");
    let before = Tenant { secrets: "x".to_owned(), ..added.clone() };
    let (was, is) = describe_tenant_change(Some(&before), Some(&added));
    assert_eq!(
        (was, is),
        (Some(json!({"secrets": "***"})), Some(json!({"secrets": "*** (another)"})))
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_balancer_does_is_queued_and_counted_if_it_is_too_much() {
    let (app, _) = test_app(&[], |_| None).await;
    let key = MeetingKey { tenant: Some("t".to_owned()), id: "m".repeat(5_000) };
    for _ in 0..1_003 {
        let event = AuditEvent::new("meeting.failover").on_meeting(&key);
        note_automatic(&app, "failover", event.on_server(&test_server("a")));
    }
    assert_eq!(app.audit_queue.count(), (1_000, 3));
    assert_eq!(write_queue(&app).await, Ok(1_001));
    assert_eq!(write_queue(&app).await, Ok(0));
    let (found, next) = list_page(&app, &AuditFilter::default(), None, 600).await.unwrap();
    assert_eq!(found[0].actor, "automatic: audit");
    assert_eq!(found[0].after.as_deref(), Some(r#"{"records":3}"#));
    assert_eq!(found[1].actor, "automatic: failover");
    assert_eq!(found[1].target.meeting.as_ref().unwrap().len(), 300);
    let (rest, end) = list_page(&app, &AuditFilter::default(), next, 600).await.unwrap();
    assert_eq!((found.len(), rest.len(), end), (600, 401, None));
    let ids: std::collections::BTreeSet<_> = found.iter().chain(&rest).map(|it| &it.id).collect();
    assert_eq!(ids.len(), 1_001);
}

#[tokio::test(start_paused = true)]
async fn old_records_are_forgotten() {
    let (app, _) = test_app(&[], |_| None).await;
    let long = json!({ "text": "x".repeat(5_000) });
    as_ada(record(&app, AuditEvent::new("first").after(long))).await;
    assert_eq!(
        list(&app, &AuditFilter::default()).await[0].after.as_deref(),
        Some(r#"{"left_out_bytes":5011}"#)
    );
    sleep(Duration::from_secs(60)).await;
    as_ada(record(&app, AuditEvent::new("second"))).await;
    forget_old(&app, 60_000).await.unwrap();
    assert_eq!(list(&app, &AuditFilter::default()).await.len(), 2);
    forget_old(&app, 59_999).await.unwrap();
    let found = list(&app, &AuditFilter::default()).await;
    assert_eq!((found.len(), found[0].action.as_str()), (1, "second"));
    let until = Some(app.clock.now());
    assert_eq!(list(&app, &AuditFilter { until, ..AuditFilter::default() }).await, []);
}
