//! Who does what is due once in every interval, among all replicas.

use async_trait::async_trait;
use domain::Timestamp;

use super::store_error::StoreError;

/// The outcome of [`PeriodicJobs::claim_run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobClaim {
    /// Do it. The number counts up with every turn of that work, and fences off earlier ones.
    Claimed(u64),
    /// Somebody has begun it; it is due again then.
    NotBefore(Timestamp),
}

/// Turns.
#[async_trait]
pub trait PeriodicJobs: Send + Sync {
    /// Begins the next cycle of a work if it is due by [`domain::claim_run::next`], atomically: of all
    /// who ask in an interval one gets it. If that one dies, the next interval is another's.
    async fn claim_run(
        &self,
        work: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError>;
}
