//! Servers and meetings. What each method means is said by the port and shown by its reference
//! implementation in memory.

use app::ports::{
    MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, RecordConflict,
    ServerChange, StoreError,
};
use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};

use crate::pending_joins::WRITE_DELAY;

use super::{Database, SqlStore, meetings, pending_ends, placement, polls, servers, store_id};

#[async_trait]
impl<D: Database> PoolStore for SqlStore<D> {
    async fn check_store(&self) -> Result<(), StoreError> {
        self.run_write_check().await
    }

    async fn list_servers(&self) -> Result<Vec<Server>, StoreError> {
        self.read_with_joins(servers::list_all).await
    }

    async fn find_server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        let id = id.clone();
        self.read_with_joins(move |session| servers::find(session, &id)).await
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        self.write(move |session| servers::add(session, &server)).await
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        let id = id.clone();
        self.write(move |session| servers::update(session, &id, change)).await
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        let id = id.clone();
        self.write(move |session| servers::remove(session, &id)).await
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        let (id, version) = (id.clone(), version.to_owned());
        self.write(move |session| servers::record_version(session, &id, &version)).await
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        let (id, failure) = (id.clone(), failure.clone());
        self.write(move |session| polls::record_failure(session, &id, failure, thresholds)).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let (id, observation, policy) = (id.clone(), observation.clone(), *policy);
        self.write(move |session| polls::record_poll(session, &id, &observation, &policy, cycle))
            .await
    }

    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError> {
        let key = key.clone();
        self.read_with_joins(move |session| meetings::find(session, &key)).await
    }

    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        match server.cloned() {
            Some(id) => {
                self.read_with_joins(move |session| meetings::list_by_server(session, &id)).await
            }
            None => self.read_with_joins(meetings::list_all).await,
        }
    }

    async fn place_meeting(&self, request: PlaceRequest) -> Result<PlaceOutcome, StoreError> {
        // Known meetings are the rule at 8 in the morning: they need no turn in the writer.
        let key = request.key.clone();
        let known = self.database.read(move |session| meetings::find(session, &key)).await?;
        match known.filter(|known| request.classify_conflict(known) == RecordConflict::Blocking) {
            Some(known) => Ok(PlaceOutcome::Existing(known)),
            None => self.write(move |session| placement::place_meeting(session, request)).await,
        }
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[PendingEnd],
    ) -> Result<(), StoreError> {
        let (meeting, endings) = (meeting.clone(), endings.to_vec());
        self.write(move |session| placement::confirm_meeting(session, meeting, now, &endings)).await
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[PendingEnd],
    ) -> Result<bool, StoreError> {
        let (key, token, endings) = (key.clone(), token.to_owned(), endings.to_vec());
        self.write(move |session| placement::release_claim(session, &key, &token, &endings)).await
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        let (key, server) = (key.clone(), server.clone());
        let ending: Vec<PendingEnd> = ending.into_iter().cloned().collect();
        self.write(move |session| {
            if let Some(seen_at) = seen_at
                && meetings::was_confirmed(session, &key, &server, seen_at)?
            {
                return Ok(false);
            }
            pending_ends::put_all(session, &ending)?;
            meetings::forget(session, &key, &server)
        })
        .await
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        self.database.read(pending_ends::list_all).await
    }

    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        let server = server.clone();
        self.write(move |session| meetings::forget_by_server(session, &server)).await
    }

    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let find = async {
            let wanted = key.clone();
            self.database.read(move |session| meetings::find(session, &wanted)).await
        };
        let located = self.join_cache.get_or_find(key, self.database.revision(), find).await?;
        let counts = located.as_ref().is_some_and(|located| located.is_reachable());
        if counts && self.pending_joins.add(key, now) {
            let nudge = self.writer.wake_up_handle();
            tokio::spawn(async move {
                tokio::time::sleep(WRITE_DELAY).await;
                nudge.send();
            });
        }
        Ok(located)
    }

    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let meeting = meeting.clone();
        self.write(move |session| placement::restore_meeting(session, meeting)).await
    }

    async fn claim_store_id(&self, mark: &str) -> Result<String, StoreError> {
        if let Some(mark) = self.database.read(store_id::find).await? {
            return Ok(mark);
        }
        let mark = mark.to_owned();
        self.write_keeping_cache(move |session| store_id::claim(session, &mark)).await
    }

    async fn restore_servers(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        let (lost, servers) = (lost.to_owned(), servers.to_vec());
        self.write(move |session| servers::restore_all(session, &lost, &servers)).await
    }

    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.write(move |session| {
            pending_ends::forget_older(session, unseen_since)?;
            meetings::forget_unseen(session, unseen_since)
        })
        .await
    }
}
