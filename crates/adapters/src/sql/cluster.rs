//! Servers and meetings. What each method means is said by the port and shown by its reference
//! implementation in memory.

use app::ports::{Cluster, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError};
use async_trait::async_trait;
use domain::poll::{Observation, PollPolicy};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};

use crate::joins::GATHER;

use super::{Database, SqlStore, meetings, servers};

#[async_trait]
impl<D: Database> Cluster for SqlStore<D> {
    async fn check(&self) -> Result<(), StoreError> {
        self.probe().await
    }

    async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.read_settled(servers::all).await
    }

    async fn server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        let id = id.clone();
        self.read_settled(move |session| servers::one(session, &id)).await
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

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &Observation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let (id, observation, policy) = (id.clone(), observation.clone(), *policy);
        self.write(move |session| servers::record_poll(session, &id, &observation, &policy, cycle))
            .await
    }

    async fn meeting(&self, key: &MeetingKey) -> Result<Option<Located>, StoreError> {
        let key = key.clone();
        self.read_settled(move |session| meetings::locate(session, &key)).await
    }

    async fn meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        match server.cloned() {
            Some(id) => self.read_settled(move |session| meetings::of_server(session, &id)).await,
            None => self.read_settled(meetings::all).await,
        }
    }

    async fn place(&self, request: PlaceRequest) -> Result<Placed, StoreError> {
        // Known meetings are the rule at 8 in the morning: they need no turn in the writer.
        let key = request.key.clone();
        let known = self.database.read(move |session| meetings::locate(session, &key)).await?;
        match known.filter(|known| request.yields_to(&known.meeting)) {
            Some(known) => Ok(Placed::Known(known)),
            None => self.write(move |session| meetings::place(session, request)).await,
        }
    }

    async fn confirm(&self, meeting: &Meeting, now: Timestamp) -> Result<(), StoreError> {
        let meeting = meeting.clone();
        self.write(move |session| meetings::confirm(session, meeting, now)).await
    }

    async fn release(&self, key: &MeetingKey, token: &str) -> Result<bool, StoreError> {
        let (key, token) = (key.clone(), token.to_owned());
        self.write(move |session| meetings::release(session, &key, &token)).await
    }

    async fn forget(&self, key: &MeetingKey, server: &ServerId) -> Result<bool, StoreError> {
        let (key, server) = (key.clone(), server.clone());
        self.write(move |session| meetings::forget(session, &key, &server)).await
    }

    async fn forget_all(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        let server = server.clone();
        self.write(move |session| meetings::take_all(session, &server)).await
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        let find = async {
            let wanted = key.clone();
            self.database.read(move |session| meetings::locate(session, &wanted)).await
        };
        let located = self.memory.get_or_find(key, self.database.sign(), find).await?;
        let counts = located.as_ref().is_some_and(|located| located.server.accepts_joins());
        if counts && self.joins.add(key, now) {
            let nudge = self.writer.nudge();
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                nudge.now();
            });
        }
        Ok(located)
    }

    async fn restore(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let meeting = meeting.clone();
        self.write(move |session| meetings::restore(session, meeting)).await
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.write(move |session| meetings::sweep(session, unseen_since)).await
    }
}
