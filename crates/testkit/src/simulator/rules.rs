//! What is expected of the product, where that is a decision: the one place to change when the
//! product learns something new.

/// Decisions that checkers depend on.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The most that a create may take, in ms.
    pub create_ms_max: i64,
    /// The most that a claim stands, in ms.
    pub claim_ms_max: i64,
    /// The most that another call about one meeting may take, in ms.
    pub call_ms_max: i64,
    /// The most that a poll of all servers, or an administrator's action, may take, in ms.
    pub poll_ms_max: i64,
    /// How far clocks of replicas may be apart, in ms.
    pub skew_ms_max: i64,
    /// Whether meetings that run on a server that answers are known in the end, whatever went
    /// wrong before.
    pub adopts: bool,
    /// Whether a meeting that runs on two servers is reduced to one.
    pub settles_doubles: bool,
    /// Whether suspect servers get nothing new while another server can take it.
    pub spares_suspects: bool,
    /// Whether the loss of all that the store holds is repaired from what servers report.
    pub survives_store_loss: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            create_ms_max: 10_000,
            claim_ms_max: 13_000,
            call_ms_max: 15_000,
            poll_ms_max: 45_000,
            skew_ms_max: 5_000,
            adopts: true,
            settles_doubles: true,
            spares_suspects: true,
            survives_store_loss: true,
        }
    }
}
