//! Servers and meetings. What each method means is said by the port and shown by its reference
//! implementation in memory.

use app::ports::{
    Cluster, Located, Obstacle, PlaceRequest, Placed, PollReport, ServerChange, StoreError,
};
use async_trait::async_trait;
use domain::health::{Failure, Thresholds};
use domain::poll::{Ending, Observation, PollPolicy};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};

use crate::joins::GATHER;

use super::{Database, SqlStore, endings, mark, meetings, places, polls, servers};

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

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &Failure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        let (id, failure) = (id.clone(), failure.clone());
        self.write(move |session| polls::record_failure(session, &id, failure, thresholds)).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &Observation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let (id, observation, policy) = (id.clone(), observation.clone(), *policy);
        self.write(move |session| polls::record(session, &id, &observation, &policy, cycle)).await
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
        match known.filter(|known| request.obstacle(known) == Obstacle::Stays) {
            Some(known) => Ok(Placed::Known(known)),
            None => self.write(move |session| places::place(session, request)).await,
        }
    }

    async fn confirm(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[Ending],
    ) -> Result<(), StoreError> {
        let (meeting, endings) = (meeting.clone(), endings.to_vec());
        self.write(move |session| places::confirm(session, meeting, now, &endings)).await
    }

    async fn release(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[Ending],
    ) -> Result<bool, StoreError> {
        let (key, token, endings) = (key.clone(), token.to_owned(), endings.to_vec());
        self.write(move |session| places::release(session, &key, &token, &endings)).await
    }

    async fn forget(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&Ending>,
    ) -> Result<bool, StoreError> {
        let (key, server) = (key.clone(), server.clone());
        let ending: Vec<Ending> = ending.into_iter().cloned().collect();
        self.write(move |session| {
            if let Some(seen_at) = seen_at
                && meetings::was_confirmed(session, &key, &server, seen_at)?
            {
                return Ok(false);
            }
            endings::remember(session, &ending)?;
            meetings::forget(session, &key, &server)
        })
        .await
    }

    async fn endings(&self) -> Result<Vec<Ending>, StoreError> {
        self.database.read(endings::all).await
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
        let counts = located.as_ref().is_some_and(|located| located.is_reachable());
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
        self.write(move |session| places::restore(session, meeting)).await
    }

    async fn mark(&self, mark: &str) -> Result<String, StoreError> {
        if let Some(mark) = self.database.read(mark::find).await? {
            return Ok(mark);
        }
        let mark = mark.to_owned();
        self.write_apart(move |session| mark::put(session, &mark)).await
    }

    async fn put_back(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        let (lost, servers) = (lost.to_owned(), servers.to_vec());
        self.write(move |session| servers::put_back(session, &lost, &servers)).await
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.write(move |session| {
            endings::sweep(session, unseen_since)?;
            meetings::sweep(session, unseen_since)
        })
        .await
    }
}
