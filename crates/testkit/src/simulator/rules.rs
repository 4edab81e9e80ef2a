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
    /// Whether a meeting that goes on when its server is disabled is created anew elsewhere.
    pub leaves_closed_servers: bool,
    /// Whether the loss of all that the store holds is repaired from what servers report.
    pub survives_store_loss: bool,
    /// Whether it is repaired even if the store fails while it is, or loses everything again.
    pub survives_faults_with_loss: bool,
    /// Whether a create is never sent to one server twice, even if that one goes offline meanwhile.
    pub creates_once: bool,
    /// Whether a create that goes to the server of another one that is still under way, and
    /// succeeds, keeps the meeting there, however the other one ends.
    pub keeps_shared_promises: bool,
    /// Whether a repeated create that succeeds counts as having seen the meeting.
    pub sees_repeats: bool,
    /// Whether a meeting that is created while one of the same name is being ended lives on.
    pub tells_ended_from_new: bool,
    /// Whether what is ended is surely not wanted: it began with the try that was given up, and the
    /// other one is surely there.
    pub ends_the_right_one: bool,
    /// Whether nothing is ended on a server that may still answer the create that is under way.
    pub waits_for_tries: bool,
    /// Whether no two tenants have meetings of one id recorded on one server. Else the tenants of
    /// a run choose different ids, since they would get into each other's meetings.
    pub keeps_same_ids_apart: bool,
    /// Whether a claim that ran out does not count as a meeting when another server has it.
    pub sees_through_dead_claims: bool,
}

impl Rules {
    /// What is wanted (`simulate --strict`).
    pub const WANTED: Self = Self {
        create_ms_max: 10_000,
        claim_ms_max: 13_000,
        call_ms_max: 15_000,
        poll_ms_max: 45_000,
        skew_ms_max: 5_000,
        adopts: true,
        settles_doubles: true,
        spares_suspects: true,
        leaves_closed_servers: true,
        survives_store_loss: true,
        survives_faults_with_loss: true,
        // BBB takes the same create for one, so that it may be made again.
        creates_once: false,
        keeps_shared_promises: true,
        sees_repeats: true,
        tells_ended_from_new: true,
        ends_the_right_one: true,
        waits_for_tries: true,
        keeps_same_ids_apart: true,
        sees_through_dead_claims: true,
    };

    /// What holds today: each line is something to mend.
    pub const TODAY: Self = Self {
        // Asking a cordoned server, and whether a server is gone, come on top of the 10 s.
        create_ms_max: 25_000,
        // A repeated create begins the meeting anew on its server, even if that one is disabled.
        leaves_closed_servers: false,
        // Servers that were not put back before a failure never are, and who looks while they are
        // put back one by one remembers only some.
        survives_faults_with_loss: false,
        // A poll that began before forgets what the create has begun anew.
        sees_repeats: false,
        // The ending that is remembered hits the new one.
        tells_ended_from_new: false,
        // An older one is ended as well, and one that runs in favour of one that was missed.
        ends_the_right_one: false,
        // A poll in between has it ended, although the answer is a success.
        waits_for_tries: false,
        // Who joins by a stale record lands in the meeting of the other one, and a create that is
        // refused as not unique is made again without a password and given the other one's.
        keeps_same_ids_apart: false,
        // The meeting is ended where it runs, in favour of the claim.
        sees_through_dead_claims: false,
        ..Self::WANTED
    };
}
