//! The port [`PoolStore`]: servers and meetings. The reference implementation is `app::memory`.

use app::ports::{
    KeptCreate, MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, RecordConflict,
    ServerChange, StoreError,
};
use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};

use crate::pending_joins::WRITE_DELAY;

use super::{
    Database, SqlStore, kept_creates, meetings, pending_ends, placement, polls, servers, store_id,
};

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
        self.read_with_joins(move |connection| servers::find(connection, &id)).await
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        self.write(move |connection| servers::add(connection, &server)).await
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        let id = id.clone();
        self.write(move |connection| servers::update(connection, &id, change.clone())).await
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        let id = id.clone();
        self.write(move |connection| servers::remove(connection, &id)).await
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        let (id, version) = (id.clone(), version.to_owned());
        self.write(move |connection| servers::record_version(connection, &id, &version)).await
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        let (id, failure) = (id.clone(), failure.clone());
        self.write(move |connection| {
            polls::record_failure(connection, &id, failure.clone(), thresholds)
        })
        .await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let (id, observation, policy) = (id.clone(), observation.clone(), *policy);
        self.write_in_background(move |connection| {
            polls::record_poll(connection, &id, &observation, &policy, cycle)
        })
        .await
    }

    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError> {
        let key = key.clone();
        self.read_with_joins(move |connection| meetings::find(connection, &key)).await
    }

    async fn find_by_voice_bridge(
        &self,
        number: &str,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let number = number.to_owned();
        self.read_with_joins(move |connection| {
            match meetings::find_by_voice_bridge(connection, &number)? {
                Some(key) => meetings::find(connection, &key),
                None => Ok(None),
            }
        })
        .await
    }

    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        match server.cloned() {
            Some(id) => {
                self.read_with_joins(move |connection| meetings::list_by_server(connection, &id))
                    .await
            }
            None => self.read_with_joins(meetings::list_all).await,
        }
    }

    async fn place_meeting(&self, request: PlaceRequest) -> Result<PlaceOutcome, StoreError> {
        // When lessons begin, most creates are of meetings that exist: a read answers them without
        // waiting for the writer.
        let key = request.key.clone();
        let known = self.database.read(move |connection| meetings::find(connection, &key)).await?;
        match known.filter(|known| request.classify_conflict(known) == RecordConflict::Blocking) {
            Some(known) => Ok(PlaceOutcome::Existing(known)),
            None => {
                self.write(move |connection| placement::place_meeting(connection, request.clone()))
                    .await
            }
        }
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        pending_ends: &[PendingEnd],
        kept: Option<&KeptCreate>,
    ) -> Result<(), StoreError> {
        let (meeting, pending_ends) = (meeting.clone(), pending_ends.to_vec());
        let kept = kept.cloned();
        self.write(move |connection| {
            placement::confirm_meeting(connection, meeting.clone(), now, &pending_ends)?;
            match &kept {
                Some(kept) => kept_creates::keep(connection, &meeting.key, kept).map(drop),
                None => Ok(()),
            }
        })
        .await
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        pending_ends: &[PendingEnd],
    ) -> Result<bool, StoreError> {
        let (key, token, pending_ends) = (key.clone(), token.to_owned(), pending_ends.to_vec());
        self.write(move |connection| {
            placement::release_claim(connection, &key, &token, &pending_ends)
        })
        .await
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        pending_end: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        let (key, server) = (key.clone(), server.clone());
        let pending_ends: Vec<PendingEnd> = pending_end.into_iter().cloned().collect();
        self.write(move |connection| {
            if let Some(seen_at) = seen_at
                && meetings::was_confirmed(connection, &key, &server, seen_at)?
            {
                return Ok(false);
            }
            pending_ends::put_all(connection, &pending_ends)?;
            for requested in pending_ends.iter().filter(|end| end.is_requested()) {
                pending_ends::request_copies(connection, requested)?;
            }
            meetings::forget(connection, &key, &server)
        })
        .await
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        self.database.read(pending_ends::list_all).await
    }

    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        let server = server.clone();
        self.write(move |connection| meetings::forget_by_server(connection, &server)).await
    }

    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let find = async {
            let key = key.clone();
            self.database.read(move |connection| meetings::find(connection, &key)).await
        };
        let meeting = self.join_cache.get_or_find(key, self.database.revision(), find).await?;
        let is_counted = meeting.as_ref().is_some_and(MeetingOnServer::is_reachable);
        if is_counted && self.pending_joins.add(key, now) {
            let wake_up = self.writer.wake_up_handle();
            tokio::spawn(async move {
                tokio::time::sleep(WRITE_DELAY).await;
                wake_up.send();
            });
        }
        Ok(meeting)
    }

    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let meeting = meeting.clone();
        self.write(move |connection| placement::restore_meeting(connection, meeting.clone())).await
    }

    async fn claim_store_id(&self, new_id: &str) -> Result<String, StoreError> {
        if let Some(existing_id) = self.database.read(store_id::find).await? {
            return Ok(existing_id);
        }
        let new_id = new_id.to_owned();
        self.write_keeping_cache(move |connection| store_id::claim(connection, &new_id)).await
    }

    async fn restore_servers(&self, lost_id: &str, servers: &[Server]) -> Result<bool, StoreError> {
        let (lost_id, servers) = (lost_id.to_owned(), servers.to_vec());
        self.write(move |connection| servers::restore_all(connection, &lost_id, &servers)).await
    }

    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.write(move |connection| {
            pending_ends::forget_older(connection, unseen_since)?;
            meetings::forget_unseen(connection, unseen_since)
        })
        .await
    }
}
