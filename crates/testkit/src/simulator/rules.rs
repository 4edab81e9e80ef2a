//! Limits and decisions that the checkers depend on. A change of the product's behaviour is
//! reflected here.

/// What the checkers expect of the product.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Longest duration of a create, in ms.
    pub max_create_ms: i64,
    /// Longest validity of a claim, in ms.
    pub max_claim_ms: i64,
    /// Longest duration of a join, in ms: it may wait for a revival.
    pub max_join_ms: i64,
    /// Longest duration of every other API call, in ms.
    pub max_call_ms: i64,
    /// Longest duration of a poll of all servers and of an administrator's action, in ms.
    pub max_poll_ms: i64,
    /// Greatest difference between a replica's clock and the true time, in ms.
    pub max_skew_ms: i64,
    /// Whether every meeting that runs on an online server is recorded at the end of a run.
    pub adopts_meetings: bool,
    /// Whether a meeting that runs on two servers is ended on one of them.
    pub ends_duplicates: bool,
    /// Whether a suspect server gets no new meetings while another server can take them.
    pub avoids_suspects: bool,
    /// Whether the loss of all data of the store is repaired from what servers report.
    pub survives_store_loss: bool,
}

/// The time that servers may take to answer, in ms, for which the limits are meant.
const RESPONSE_MS: i64 = 10_000;

impl Rules {
    /// Returns the rules for servers that may take this long to answer.
    #[must_use]
    pub(crate) fn with_response_ms(self, response_ms: u64) -> Self {
        // Each of these may await two answers one after the other.
        let more_ms = 2 * (i64::try_from(response_ms).unwrap_or(RESPONSE_MS) - RESPONSE_MS);
        Self {
            max_create_ms: self.max_create_ms + more_ms,
            max_claim_ms: self.max_claim_ms + more_ms,
            max_call_ms: self.max_call_ms + more_ms,
            max_poll_ms: self.max_poll_ms + more_ms,
            ..self
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_create_ms: 31_000,
            max_claim_ms: 34_000,
            max_join_ms: 35_000,
            max_call_ms: 15_000,
            max_poll_ms: 45_000,
            max_skew_ms: 5_000,
            adopts_meetings: true,
            ends_duplicates: true,
            avoids_suspects: true,
            survives_store_loss: true,
        }
    }
}
