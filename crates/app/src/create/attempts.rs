//! What is known of the servers that one create was sent to, and what must be ended on them.

use domain::poll::PendingEnd;
use domain::{Server, ServerId, Timestamp};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};

use crate::ports::MeetingOnServer;

use super::request::CreateRequest;
use super::send::{CreateReply, PendingReply};

/// Whether the meeting may be on the server of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptState {
    /// The reply is awaited.
    Pending,
    /// The attempt failed, and the meeting may be there all the same.
    MayExist,
    /// The meeting is not there, or is wanted there.
    Settled,
}

/// A server that was asked.
pub(super) struct Attempt {
    pub(super) target: MeetingOnServer,
    pub(super) sent_at: Timestamp,
    pub(super) state: AttemptState,
}

/// A reply and the number of its attempt.
pub(super) type NumberedReply = (usize, CreateReply);

/// The attempts of one create, in the order in which they were made.
#[derive(Default)]
pub(super) struct Attempts {
    list: Vec<Attempt>,
    replies: FuturesUnordered<BoxFuture<'static, NumberedReply>>,
}

impl Attempts {
    /// Adds an attempt whose reply is awaited.
    pub(super) fn add(&mut self, target: MeetingOnServer, sent_at: Timestamp, reply: PendingReply) {
        self.list.push(Attempt { target, sent_at, state: AttemptState::Pending });
        self.add_reply(self.list.len() - 1, reply);
    }

    /// Awaits a further reply of an attempt that was made before.
    pub(super) fn add_reply(&mut self, number: usize, reply: PendingReply) {
        self.replies.push(reply.map(move |reply| (number, reply)).boxed());
    }

    /// The next reply; `None` if none is awaited.
    pub(super) async fn next_reply(&mut self) -> Option<NumberedReply> {
        self.replies.next().await
    }

    /// Whether no reply is awaited.
    pub(super) fn is_idle(&self) -> bool {
        self.replies.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// How many of them went to the server.
    pub(super) fn count_on(&self, server: &ServerId) -> usize {
        self.list.iter().filter(|attempt| attempt.target.server.id == *server).count()
    }

    /// The meeting on the server of an attempt.
    pub(super) fn target(&self, number: usize) -> &MeetingOnServer {
        &self.list[number].target
    }

    /// When the server of an attempt was first asked.
    fn first_sent_at(&self, number: usize) -> Timestamp {
        let attempt = &self.list[number];
        let server = &attempt.target.server.id;
        let on_server = self.list.iter().filter(|other| other.target.server.id == *server);
        on_server.map(|other| other.sent_at).min().unwrap_or(attempt.sent_at)
    }

    /// When the server of an attempt was first asked, if an earlier attempt there got no answer.
    pub(super) fn unanswered_since(&self, number: usize) -> Option<Timestamp> {
        let is_repeated = self.count_on(&self.list[number].target.server.id) > 1;
        is_repeated.then(|| self.first_sent_at(number))
    }

    /// Changes what is known of an attempt, and returns it.
    pub(super) fn set_state(&mut self, number: usize, state: AttemptState) -> &Attempt {
        self.list[number].state = state;
        &self.list[number]
    }

    /// The servers that were asked.
    pub(super) fn servers(&self) -> Vec<ServerId> {
        self.list.iter().map(|attempt| attempt.target.server.id.clone()).collect()
    }

    /// The server that was asked last.
    pub(super) fn last_server(&self) -> Option<ServerId> {
        self.list.last().map(|attempt| attempt.target.server.id.clone())
    }

    /// The server of the last attempt and when it was asked, if its reply is awaited.
    pub(super) fn slow_server(&self) -> Option<(Server, Timestamp)> {
        let last = self.list.last()?;
        (last.state == AttemptState::Pending).then(|| (last.target.server.clone(), last.sent_at))
    }

    /// The meetings to end should they turn up: wherever one was asked for and may exist, except on the server that keeps it
    /// and on those where the meeting was known before, which may be the meeting that is found there.
    pub(super) fn pending_ends(
        &self,
        request: &CreateRequest<'_>,
        previous_servers: &[ServerId],
        kept_by: Option<&ServerId>,
    ) -> Vec<PendingEnd> {
        let since = request.app.clock.now();
        let may_exist = self.list.iter().enumerate().filter(|(_, attempt)| {
            let server = &attempt.target.server.id;
            attempt.state != AttemptState::Settled
                && Some(server) != kept_by
                && !previous_servers.contains(server)
        });
        let pending_end = |(number, attempt): (usize, &Attempt)| {
            // The earliest of several attempts on a server may have made it.
            PendingEnd::of_unnamed(&attempt.target.meeting, self.first_sent_at(number), since)
        };
        may_exist.map(pending_end).collect()
    }

    /// The meetings on servers by the numbers of their attempts, and the replies that are still awaited.
    pub(super) fn into_parts(
        self,
    ) -> (Vec<MeetingOnServer>, FuturesUnordered<BoxFuture<'static, NumberedReply>>) {
        (self.list.into_iter().map(|attempt| attempt.target).collect(), self.replies)
    }
}
