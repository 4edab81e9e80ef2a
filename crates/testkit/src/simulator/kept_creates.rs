//! Kept creates in the store that all replicas share, and as one use case reaches them; the planted bugs of
//! revivals.

use app::ports::{
    KeptCreate, KeptCreates, MeetingOnServer, PlaceRequest, PoolStore as _, StoreError,
};
use async_trait::async_trait;
use domain::MeetingKey;
use domain::poll::PendingEnd;

use super::faulty_store::FaultyStore;
use super::mutant::Mutant;
use super::store_proxy::StoreProxy;

#[async_trait]
impl KeptCreates for FaultyStore {
    async fn keep_create(&self, key: &MeetingKey, kept: &KeptCreate) -> Result<bool, StoreError> {
        let keep = async {
            let is_kept = self.store.keep_create(key, kept).await?;
            if is_kept {
                let mut expectations = self.sim.expectations();
                expectations.kept_creates.insert(key.clone(), kept.internal_id.clone());
            }
            Ok(is_kept)
        };
        self.read("keep_create", keep).await
    }

    async fn find_kept_create(&self, key: &MeetingKey) -> Result<Option<KeptCreate>, StoreError> {
        self.read("find_kept_create", self.store.find_kept_create(key)).await
    }
}

#[async_trait]
impl KeptCreates for StoreProxy {
    async fn keep_create(&self, key: &MeetingKey, kept: &KeptCreate) -> Result<bool, StoreError> {
        self.memory().keep_create(key, kept).await
    }

    async fn find_kept_create(&self, key: &MeetingKey) -> Result<Option<KeptCreate>, StoreError> {
        if self.has_mutant(Mutant::RevivesNothing) {
            return Ok(None);
        }
        self.memory().find_kept_create(key).await
    }
}

impl FaultyStore {
    /// Takes note of a create that a confirmation has kept, or has not.
    pub(super) async fn note_kept_create(
        &self,
        key: &MeetingKey,
        kept: Option<&KeptCreate>,
    ) -> Result<(), StoreError> {
        if kept.is_some() && self.store.memory().find_kept_create(key).await?.as_ref() == kept {
            let internal_id = kept.map(|kept| kept.internal_id.clone()).unwrap_or_default();
            self.sim.expectations().kept_creates.insert(key.clone(), internal_id);
        }
        Ok(())
    }
}

impl StoreProxy {
    /// Forgets what a revival replaces, whatever it is, if that bug is planted.
    pub(super) async fn forget_replaced(
        &self,
        request: &mut PlaceRequest,
    ) -> Result<(), StoreError> {
        if !self.has_mutant(Mutant::RevivesHealthyMeetings) || request.replaces.take().is_none() {
            return Ok(());
        }
        let known = self.memory().find_meeting(&request.key).await?;
        if let Some(known) = known.filter(|known| known.meeting.claim.is_none()) {
            self.memory().forget_meeting(&request.key, &known.server.id, None, None).await?;
        }
        Ok(())
    }

    /// Shows servers of meetings with an odd number of users as offline, if that bug is planted.
    pub(super) fn show_offline(&self, found: Option<&mut MeetingOnServer>) {
        let has_mutant = self.has_mutant(Mutant::RevivesHealthyMeetings);
        if let Some(found) = found.filter(|_| has_mutant) {
            found.server.health.online &= found.meeting.load.users.is_multiple_of(2);
        }
    }

    /// Returns whether the record of an ended meeting stays, since that bug is planted.
    pub(super) async fn keeps_ended(
        &self,
        key: &MeetingKey,
        pending_end: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        let has_mutant = self.has_mutant(Mutant::KeepsMeetingsEndedOffline);
        if !has_mutant || !pending_end.is_some_and(PendingEnd::is_requested) {
            return Ok(false);
        }
        let found = self.memory().find_meeting(key).await?;
        Ok(found.is_some_and(|found| found.is_detached_or_offline()))
    }
}
