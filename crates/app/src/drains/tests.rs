//! Tests of planned drains: when they begin, what ends them, and who may bring a server back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use domain::AdminState;
use domain::drain::{AfterDrain, DrainOutcome, DrainPhase, PlannedDrain};
use tokio::time::sleep;

use super::*;
use crate::admin::servers;
use crate::audit::{AuditFilter, list_page, write_queue};
use crate::context::App;
use crate::ports::ServerChange;
use crate::test_app::test_app;

/// A server `a` that answers, with meetings.
struct TestServer {
    app: App,
    answers: Arc<AtomicBool>,
    meetings: Arc<AtomicU32>,
}

impl TestServer {
    async fn new() -> Self {
        let (answers, meetings) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
        let (is_alive, left) = (answers.clone(), meetings.clone());
        let (app, _) = test_app(&["a"], move |(_, call, _)| {
            let list: String = (0..left.load(Ordering::SeqCst))
                .map(|number| {
                    format!("<meeting><meetingID>m{number}</meetingID><participantCount>2</participantCount></meeting>")
                })
                .collect();
            let body = match call {
                "getMeetings" => format!("<meetings>{list}</meetings>"),
                _ => "<version>3.0</version>".to_owned(),
            };
            let answer = format!("<response><returncode>SUCCESS</returncode>{body}</response>");
            is_alive.load(Ordering::SeqCst).then_some((answer, 1))
        })
        .await;
        Self { app, answers, meetings }
    }

    async fn plan(&self, in_s: i64, after: AfterDrain) -> Result<PlannedDrain, DrainError> {
        let starts_at = Some(self.app.clock.now().plus_ms(in_s * 1_000));
        let (server, deadline_ms) = ("a".to_owned(), Some(3_600_000));
        plan(&self.app, DrainPlan { server, starts_at, deadline_ms, warn_ms: 60_000, after }).await
    }

    async fn run_for(&self, seconds: u64) {
        for _ in 0..seconds {
            sleep(Duration::from_secs(1)).await;
            run_due(&self.app).await.unwrap();
        }
    }

    /// The phase of the last drain, and the state of the server.
    async fn show(&self) -> (DrainPhase, AdminState) {
        let phase = list(&self.app, true).await.unwrap().last().unwrap().phase;
        (phase, servers::find(&self.app, "a").await.unwrap().state)
    }

    async fn set_state(&self, state: AdminState) {
        servers::update(&self.app, "a", ServerChange::with_state(state)).await.unwrap();
    }
}

fn over(outcome: DrainOutcome) -> DrainPhase {
    DrainPhase::Over(outcome)
}

#[tokio::test(start_paused = true)]
async fn a_drain_begins_at_its_time_and_disables_the_empty_server() {
    let server = TestServer::new().await;
    server.meetings.store(2, Ordering::SeqCst);
    server.plan(60, AfterDrain::Disable).await.unwrap();
    server.run_for(58).await;
    assert_eq!(server.show().await, (DrainPhase::Planned, AdminState::Enabled));
    server.run_for(20).await;
    assert_eq!(server.show().await, (DrainPhase::Draining, AdminState::Cordoned));
    assert_eq!(list(&server.app, false).await.unwrap()[0].remaining, Some((2, 4)));
    server.meetings.store(0, Ordering::SeqCst);
    server.run_for(10).await;
    assert_eq!(server.show().await, (over(DrainOutcome::Drained), AdminState::Disabled));
    assert_eq!(list(&server.app, false).await.unwrap(), []);
    write_queue(&server.app).await.unwrap();
    let (records, _) = list_page(&server.app, &AuditFilter::default(), None, 100).await.unwrap();
    let mut told: Vec<_> =
        records.iter().map(|record| (record.action.as_str(), record.actor.as_str())).collect();
    told.retain(|(action, _)| action.starts_with("drain."));
    let by_itself = "automatic: drain";
    let expected =
        [("drain.end", by_itself), ("drain.begin", by_itself), ("drain.plan", "automatic")];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_enabled_again_when_it_was_gone_and_is_back() {
    let server = TestServer::new().await;
    server.plan(0, AfterDrain::EnableWhenHealthy).await.unwrap();
    server.run_for(600).await;
    assert_eq!(server.show().await, (DrainPhase::Away, AdminState::Disabled), "never gone");
    server.answers.store(false, Ordering::SeqCst);
    server.run_for(120).await;
    assert_eq!(server.show().await, (DrainPhase::Away, AdminState::Disabled));
    server.answers.store(true, Ordering::SeqCst);
    server.run_for(60).await;
    assert_eq!(server.show().await, (over(DrainOutcome::Enabled), AdminState::Enabled));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_come_back_is_given_up() {
    let server = TestServer::new().await;
    server.plan(0, AfterDrain::EnableWhenHealthy).await.unwrap();
    server.run_for(30).await;
    server.answers.store(false, Ordering::SeqCst);
    sleep(Duration::from_secs(7 * 86_400)).await;
    server.run_for(30).await;
    assert_eq!(server.show().await, (over(DrainOutcome::NotBack), AdminState::Disabled));
}

#[tokio::test(start_paused = true)]
async fn who_changes_the_state_takes_the_server_over() {
    for state in [AdminState::Enabled, AdminState::Disabled] {
        let server = TestServer::new().await;
        server.meetings.store(1, Ordering::SeqCst);
        server.plan(0, AfterDrain::EnableWhenHealthy).await.unwrap();
        server.run_for(10).await;
        server.set_state(state).await;
        assert_eq!(server.show().await, (over(DrainOutcome::TakenOver), state));
        server.run_for(10).await;
        assert_eq!(server.show().await, (over(DrainOutcome::TakenOver), state));
    }
    let server = TestServer::new().await;
    server.plan(0, AfterDrain::EnableWhenHealthy).await.unwrap();
    server.run_for(30).await;
    server.set_state(AdminState::Enabled).await;
    assert_eq!(server.show().await, (over(DrainOutcome::TakenOver), AdminState::Enabled));
}

#[tokio::test(start_paused = true)]
async fn what_was_disabled_before_the_drain_began_stays_disabled() {
    let server = TestServer::new().await;
    server.plan(60, AfterDrain::EnableWhenHealthy).await.unwrap();
    server.set_state(AdminState::Disabled).await;
    server.run_for(70).await;
    assert_eq!(server.show().await, (over(DrainOutcome::Drained), AdminState::Disabled));
}

#[tokio::test(start_paused = true)]
async fn a_server_has_one_drain_and_bad_ones_are_refused() {
    let server = TestServer::new().await;
    assert_eq!(server.plan(-61, AfterDrain::Disable).await, Err(DrainError::BadTime));
    assert_eq!(server.plan(400 * 86_400, AfterDrain::Disable).await, Err(DrainError::BadTime));
    let other = |server: &str, deadline_ms| DrainPlan {
        server: server.to_owned(),
        starts_at: None,
        deadline_ms,
        warn_ms: i64::MAX,
        after: AfterDrain::Disable,
    };
    for deadline_ms in [-1, i64::MAX, i64::MIN] {
        let refused = plan(&server.app, other("a", Some(deadline_ms))).await;
        assert_eq!(refused, Err(DrainError::BadDeadline));
    }
    let refused = plan(&server.app, other("b", None)).await;
    assert!(matches!(refused, Err(DrainError::UnknownServer(_))), "{refused:?}");
    let first = server.plan(600, AfterDrain::Disable).await.unwrap();
    let refused = server.plan(900, AfterDrain::Disable).await;
    assert!(matches!(refused, Err(DrainError::ServerHasOne { .. })), "{refused:?}");
    assert_eq!(cancel(&server.app, "a").await.unwrap().id, first.id);
    let again = cancel(&server.app, &first.id).await;
    assert_eq!(again, Err(DrainError::Over(first.id, DrainOutcome::Cancelled)));
    assert!(matches!(cancel(&server.app, "a").await, Err(DrainError::Unknown(_))));
    server.run_for(610).await;
    assert_eq!(server.show().await, (over(DrainOutcome::Cancelled), AdminState::Enabled));
    server.plan(60, AfterDrain::Disable).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_nobody_could_begin_is_not_begun_later() {
    let server = TestServer::new().await;
    server.plan(60, AfterDrain::Disable).await.unwrap();
    sleep(Duration::from_secs(2 * 3_600)).await;
    server.run_for(1).await;
    assert_eq!(server.show().await, (over(DrainOutcome::Missed), AdminState::Enabled));
}

#[tokio::test(start_paused = true)]
async fn the_drain_of_a_server_that_is_removed_is_over() {
    let server = TestServer::new().await;
    server.plan(60, AfterDrain::Disable).await.unwrap();
    servers::remove(&server.app, "a").await.unwrap();
    let drains = list(&server.app, true).await.unwrap();
    assert_eq!(drains[0].phase, over(DrainOutcome::ServerRemoved));
}
