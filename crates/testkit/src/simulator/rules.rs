//! What is expected of the product, where that is a decision: the one place to change when the
//! product learns something new.

/// Decisions that checkers depend on.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The most that a create may take, in ms.
    pub max_create_ms: i64,
    /// The most that a claim stands, in ms.
    pub max_claim_ms: i64,
    /// The most that another call about one meeting may take, in ms.
    pub max_call_ms: i64,
    /// The most that a poll of all servers, or an administrator's action, may take, in ms.
    pub max_poll_ms: i64,
    /// How far clocks of replicas may be apart, in ms.
    pub max_skew_ms: i64,
    /// Whether meetings that run on a server that answers are known in the end, whatever went
    /// wrong before.
    pub adopts_meetings: bool,
    /// Whether a meeting that runs on two servers is reduced to one.
    pub ends_duplicates: bool,
    /// Whether suspect servers get nothing new while another server can take it.
    pub avoids_suspects: bool,
    /// Whether the loss of all that the store holds is repaired from what servers report.
    pub survives_store_loss: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_create_ms: 10_000,
            max_claim_ms: 13_000,
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
