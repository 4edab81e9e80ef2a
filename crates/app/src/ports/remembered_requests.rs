//! Requests that must not be made twice: the answer is remembered under a key that the client has chosen (`Idempotency-Key`).

use async_trait::async_trait;
use domain::Timestamp;

use super::store_error::StoreError;

/// A request that has a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// The key, with what it belongs to: a digest.
    pub key: String,
    /// A digest of the request itself.
    pub fingerprint: String,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestClaim {
    /// Nothing: the caller makes it now, and others wait.
    Claimed,
    /// It is being made.
    UnderWay,
    /// It was made; this was the answer.
    Answered(String),
    /// The key belongs to another request.
    OtherRequest,
}

/// Remembers requests. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait RememberedRequests: Send + Sync {
    /// Looks a request up, and claims its key until `until` if nothing is known of it. Forgets what is over, and if there are more than `max`,
    /// those that end first.
    async fn claim_request(
        &self,
        request: &KeyedRequest,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<RequestClaim, StoreError>;

    /// Remembers the answer of a request until `until`.
    async fn remember_answer(
        &self,
        request: &KeyedRequest,
        answer: &str,
        until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Forgets a request that has no answer: it may be made again.
    async fn forget_request(&self, request: &KeyedRequest) -> Result<(), StoreError>;
}
