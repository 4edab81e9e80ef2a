//! Asks a server for its meetings, and translates them into the terms of the domain.

use std::time::Duration;

use bbb::meetings::ListedMeeting;
use domain::poll::{OwnershipHint, PollObservation, ReportedMeeting, UnreadableMeetings};
use domain::{Server, Timestamp};
use tokio::time::Instant;

use crate::backend::CallOptions;
use crate::context::App;
use crate::foreign_answer::describe_foreign_answer;
use crate::ports::{CallPriority, CallTimeouts};
use crate::state::FailureKind;

/// Longest message key of a refusal that is shown, in characters.
const MAX_KEY_CHARS: usize = 60;

/// The timeouts and priority of calls that belong to a poll.
pub(super) fn poll_options(app: &App, server: &Server) -> CallOptions {
    let timeouts = app.policy.timeouts_for(server.is_online());
    let response_ms = timeouts.response_ms.min(app.policy.poll_timeout_ms);
    CallOptions {
        priority: CallPriority::Internal,
        timeouts: CallTimeouts { response_ms, ..timeouts },
    }
}

/// What the clock may differ from the time that a poll took, in ms; otherwise it was set meanwhile.
const MAX_DRIFT_MS: i64 = 60_000;

/// Asks a server for its meetings, for at most that time; once more if the clock was set meanwhile: records that were written before
/// and after that cannot be compared with the poll.
pub(super) async fn observe_server(app: &App, server: &Server, timeout_ms: u64) -> PollObservation {
    let observation = observe_once(app, server, timeout_ms).await;
    let drift_ms = app.clock.now().ms_since(observation.finished_at);
    if drift_ms.saturating_abs() <= MAX_DRIFT_MS {
        return observation;
    }
    observe_once(app, server, timeout_ms).await
}

async fn observe_once(app: &App, server: &Server, timeout_ms: u64) -> PollObservation {
    let (started_at, started) = (app.clock.now(), Instant::now());
    let known_answer = server.health.answered_at;
    let call = app.fetch_meetings(server, poll_options(app, server));
    let response = tokio::time::timeout(Duration::from_millis(timeout_ms), call).await;
    let mut unreadable = UnreadableMeetings::default();
    let count_failure = |kind| app.meters.count_failure(&server.id, kind);
    let result = match response {
        Err(_) => {
            count_failure(FailureKind::Timeout);
            Err(format!("no answer within {timeout_ms} ms"))
        }
        Ok(Err(error)) => {
            count_failure(FailureKind::of_call(&error));
            Err(error.to_string())
        }
        Ok(Ok(response)) => match app.read_meeting_list(&response) {
            Ok(list) => {
                app.note_odd_list(server, &list);
                unreadable.ids = list.unreadable.ids;
                unreadable.has_unknown = list.unreadable.has_unknown;
                let meetings = list.meetings.into_iter();
                Ok(meetings.map(|meeting| to_reported_meeting(app, meeting)).collect())
            }
            Err(bbb::InvalidResponse::Failed) => {
                count_failure(FailureKind::Refused);
                Err(refusal_reason(&response.body))
            }
            Err(error) => {
                count_failure(FailureKind::Foreign);
                Err(describe_foreign_answer(&response).unwrap_or_else(|| error.to_string()))
            }
        },
    };
    // Whatever the clock does meanwhile, the poll took as long as it took.
    let took_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    let finished_at = started_at.plus_ms(took_ms);
    PollObservation { started_at, finished_at, known_answer, result, unreadable }
}

/// The meetings that a server reports.
///
/// # Errors
/// The reason, if there is no usable response.
pub async fn list_reported_meetings(
    app: &App,
    server: &Server,
) -> Result<Vec<ReportedMeeting>, String> {
    observe_server(app, server, app.policy.poll_timeout_ms).await.result
}

/// Why a server answered FAILED, by its message key: mostly a wrong secret.
pub(crate) fn refusal_reason(body: &[u8]) -> String {
    let response = bbb::Response::read(body).unwrap_or_default();
    let visible = response.message_key.chars().filter(|c| !c.is_control());
    let key: String = visible.take(MAX_KEY_CHARS).collect();
    format!("refused: {key}")
}

fn to_reported_meeting(app: &App, meeting: ListedMeeting) -> ReportedMeeting {
    let tenant = meeting.meta("tenant-id").filter(|id| app.policy.multitenancy && !id.is_empty());
    let tenant = tenant.map(str::to_owned);
    let ownership = match &tenant {
        Some(_) => OwnershipHint::Ours,
        None => OwnershipHint::ByVoiceBridge(app.policy.voice_bridge),
    };
    ReportedMeeting {
        id: meeting.id,
        tenant,
        internal_id: Some(meeting.internal_id).filter(|id| !id.is_empty()),
        created_at: Timestamp(meeting.create_time_ms),
        users: meeting.participants.unwrap_or(0),
        has_unknown_users: meeting.participants.is_none(),
        videos: meeting.videos,
        is_breakout: meeting.is_breakout,
        voice_bridge: meeting.voice_bridge,
        moderator_pw: meeting.moderator_pw,
        ownership,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bbb::response::build_success;

    use super::*;
    use crate::memory::ManualClock;
    use crate::test_app::{START, test_app, test_server};

    #[tokio::test(start_paused = true)]
    async fn a_poll_during_which_the_clock_was_set_is_repeated() {
        for (steps_ms, polls) in [([0, 0], 1), ([86_400_000, 0], 2), ([-3_600_000, 0], 2)] {
            let clock = Arc::new(ManualClock::starting_at(START));
            let (set, asked) = (clock.clone(), AtomicUsize::new(0));
            let (app, servers) = test_app(&["a"], move |_| {
                let step_ms = steps_ms.get(asked.fetch_add(1, Ordering::SeqCst));
                set.advance_ms(step_ms.copied().unwrap_or(0));
                Some((build_success(&[]), 10))
            })
            .await;
            let app = App { clock, ..app };
            let observation = observe_server(&app, &test_server("a"), 10_000).await;
            assert_eq!(servers.calls().len(), polls);
            assert_eq!(observation.started_at, START.plus_ms(steps_ms[0]));
        }
    }
}
