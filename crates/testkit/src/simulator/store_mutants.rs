//! Planted bugs that need more than a line in the store.

use app::ports::{MeetingOnServer, PlaceOutcome, PollReport, PoolStore as _, StoreError};
use domain::poll::{OwnershipHint, PollObservation, UnreadableMeetings, UnwantedMeeting};
use domain::{AdminState, Meeting, MeetingKey, ServerId, Timestamp};

use super::mutant::Mutant;
use super::store_proxy::StoreProxy;

impl StoreProxy {
    /// Returns what a poll with the planted bug observes.
    pub(super) async fn distort_observation(
        &self,
        id: &ServerId,
        observation: &PollObservation,
    ) -> Result<PollObservation, StoreError> {
        let mut observation = observation.clone();
        if self.mutant() == Some(Mutant::BelievesClocks) {
            observation.known_answer = Timestamp::default();
        }
        let Ok(reported) = &mut observation.result else { return Ok(observation) };
        match self.mutant() {
            Some(Mutant::OverlooksMeeting) => drop(reported.pop()),
            Some(Mutant::AdoptsNothing) => {
                reported.iter_mut().for_each(|meeting| meeting.ownership = OwnershipHint::NotOurs);
            }
            Some(Mutant::ForgetsUnreadable) => {
                observation.unreadable = UnreadableMeetings::default();
            }
            Some(Mutant::FailsOddLists) if !observation.unreadable.is_empty() => {
                observation.result = Err("not well-formed".to_owned());
            }
            Some(Mutant::EndsFullerCopies) => reported.iter_mut().for_each(|meeting| {
                meeting.users = 40_u32.saturating_sub(meeting.users);
            }),
            Some(Mutant::CountsTooManyUsers) => {
                reported.iter_mut().for_each(|meeting| meeting.users += 30);
            }
            Some(Mutant::LeavesDuplicates) => {
                let recorded = self.memory().list_meetings(None).await?;
                let is_elsewhere = |key: &MeetingKey| {
                    recorded.iter().any(|record| record.key == *key && record.server != *id)
                };
                reported.retain(|meeting| !is_elsewhere(&meeting.key()));
            }
            _ => {}
        }
        Ok(observation)
    }

    /// Moves a placed meeting to a server where it must not be: one in this state.
    pub(super) async fn move_to_server_in(
        &self,
        state: AdminState,
        outcome: PlaceOutcome,
    ) -> Result<PlaceOutcome, StoreError> {
        let memory = self.memory();
        let servers = memory.list_servers().await?;
        let (PlaceOutcome::Claimed(placed), Some(server)) =
            (&outcome, servers.iter().find(|server| server.state == state))
        else {
            return Ok(outcome);
        };
        memory.forget_meeting(&placed.meeting.key, &placed.server.id, None, None).await?;
        let meeting = Meeting { server: server.id.clone(), ..placed.meeting.clone() };
        memory.restore_meeting(&meeting).await?;
        Ok(PlaceOutcome::Claimed(MeetingOnServer { meeting, server: server.clone() }))
    }

    /// Adds what planted bugs end after a poll.
    pub(super) async fn distort_report(
        &self,
        observation: &PollObservation,
        report: Option<&mut PollReport>,
    ) -> Result<(), StoreError> {
        let (Some(report), Ok(reported)) = (report, &observation.result) else { return Ok(()) };
        let is_wanted = |is_twin: bool| match self.mutant() {
            Some(Mutant::EndsTwins) => is_twin,
            Some(Mutant::EndsForeignCopies) => !is_twin,
            _ => false,
        };
        let recorded = self.memory().list_meetings(None).await?;
        if self.mutant() == Some(Mutant::BelievesClaims) {
            for key in &report.outcome.contested {
                let Some(record) = recorded.iter().find(|record| record.key == *key) else {
                    continue;
                };
                let moved = Meeting { server: report.server.id.clone(), ..record.clone() };
                self.memory().forget_meeting(key, &record.server, None, None).await?;
                self.memory().restore_meeting(&moved).await?;
            }
        }
        for meeting in reported {
            let record = recorded.iter().find(|record| record.key == meeting.key());
            let Some(record) = record.filter(|it| it.server != report.server.id) else { continue };
            if is_wanted(record.origin.is_same_meeting(meeting.identity().as_ref())) {
                report.outcome.unwanted.push(UnwantedMeeting {
                    server: report.server.id.clone(),
                    key: meeting.key(),
                    // As if somebody had ended whatever is there.
                    internal_id: None,
                    moderator_pw: meeting.moderator_pw.clone(),
                    kept_by: None,
                });
            }
        }
        Ok(())
    }
}
