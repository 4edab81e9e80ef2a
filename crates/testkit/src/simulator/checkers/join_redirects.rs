//! The rule for browsers that follow the redirect of a join.

use domain::{MeetingKey, Timestamp};

use super::CheckResult;
use crate::simulator::entries::is_same_server;
use crate::simulator::expectations::Expectations;
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_run::SimRun;
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::{UseCase, meeting_name};

/// How long an ended meeting may stay recorded on a healthy server: a poll interval and a margin.
const MAX_STALE_MS: i64 = 100_000;

/// A poll that has ended asked its server at most so long before, by any clock, in ms.
const MAX_POLL_MS: i64 = 15_000;

/// A browser finds the meeting of its own tenant. It may find no meeting if that has ended, has not
/// started yet, or if its server has had a fault.
pub(crate) fn check_redirect(
    sim: &SimRun,
    expectations: &Expectations,
    sim_server: &SimServer,
    use_case: &UseCase,
) -> CheckResult {
    let now = sim.now();
    let Some(key) = use_case.kind.key() else { return Ok(()) };
    if sim_server.down_until.is_some() {
        return Ok(());
    }
    match sim_server.meetings.get(&key.id) {
        Some(found) if found.key == *key => Ok(()),
        // BBB servers know no tenants: after the meeting has ended, another tenant may have started
        // one with the same id.
        Some(found) if found.listed_since >= use_case.started_at => Ok(()),
        // Nobody can know that a server is listed twice before both entries have told of one meeting.
        Some(_) if expectations.was_listed_twice(&sim_server.host) => Ok(()),
        // What another balancer, or a hostile server, has started is not known before a poll.
        Some(found) if found.is_foreign() && !was_polled_since(expectations, sim_server, found) => {
            Ok(())
        }
        Some(found) => {
            Err(format!("{use_case}: arrived in the meeting of {}", meeting_name(&found.key)))
        }
        None if is_absence_explained(expectations, sim_server, key, now) => Ok(()),
        None => Err(format!("{use_case}: {} has never had this meeting", sim_server.host)),
    }
}

/// Whether a poll has asked the server since it lists the meeting.
fn was_polled_since(
    expectations: &Expectations,
    sim_server: &SimServer,
    found: &SimMeeting,
) -> bool {
    let mut entries = expectations
        .polled_at
        .iter()
        .filter(|(server, _)| is_same_server(&server.0, &sim_server.host));
    entries.any(|(_, at)| at.plus_ms(-MAX_POLL_MS) > found.listed_since)
}

fn is_absence_explained(
    expectations: &Expectations,
    sim_server: &SimServer,
    key: &MeetingKey,
    now: Timestamp,
) -> bool {
    let record = expectations.last_snapshot.meeting(key);
    let record = record.filter(|record| is_same_server(&record.server.0, &sim_server.host));
    let Some(record) = record else { return true };
    let has_ended = sim_server.ended_meetings.iter().any(|ended| {
        ended.meeting.key == *key && ended.ended_at >= record.placed_at.plus_ms(-MAX_STALE_MS)
    });
    record.claim.is_some() || has_ended || !sim_server.was_healthy_since(now.plus_ms(-MAX_STALE_MS))
}
