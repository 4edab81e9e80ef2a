//! Notifications: what administrators must know although they look at nothing. A *problem* is found again and again while it lasts; a
//! notification tells only when it begins and when it is over. Nothing here delays anything else: notifications wait in a bounded queue.

mod channel;
mod pool;
mod problem;
mod quiet_hours;
mod transitions;

use std::sync::{Arc, Mutex, PoisonError};

use domain::Timestamp;

pub use channel::Channel;
pub use pool::watch_pool;
pub use problem::{FoundProblem, ProblemKind, find_part_problems};
pub use quiet_hours::QuietHours;
pub use transitions::{Transition, TransitionLog};

use crate::ports::{Clock, Entropy, Notification, NotificationSender, NotificationState};

/// What stands in each notification, and when those that can wait are not sent.
#[derive(Clone, Debug)]
pub struct NotificationRules {
    /// The host name of this process.
    pub balancer: String,
    /// The address of the console, without a slash at its end.
    pub console: Option<String>,
    /// When only critical notifications are sent.
    pub quiet_hours: Option<QuietHours>,
    /// The minute of the day where this process runs.
    pub minute_of_day: fn(Timestamp) -> u32,
}

/// Where this process sends notifications.
pub struct NotificationCenter {
    channels: Vec<Arc<Channel>>,
    rules: NotificationRules,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// The problems of this process. Those of the pool are kept in the store.
    own: Mutex<TransitionLog>,
}

impl NotificationCenter {
    /// A center that sends by these channels.
    #[must_use]
    pub fn new(
        senders: Vec<Arc<dyn NotificationSender>>,
        rules: NotificationRules,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let channels = senders.into_iter().map(|sender| Arc::new(Channel::new(sender))).collect();
        Self { channels, rules, clock, entropy, own: Mutex::default() }
    }

    /// Returns the channels.
    #[must_use]
    pub fn channels(&self) -> &[Arc<Channel>] {
        &self.channels
    }

    /// Returns the host name of this process.
    #[must_use]
    pub fn balancer(&self) -> &str {
        &self.rules.balancer
    }

    /// Notes the problems of this process as they are now, and queues what is to be told.
    pub fn watch_process(&self, problems: Vec<FoundProblem>) {
        let now = self.clock.now();
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let transitions = own.note(problems, &[], now, self.is_quiet(now));
        drop(own);
        self.queue(&transitions);
    }

    fn is_quiet(&self, now: Timestamp) -> bool {
        let minute = || (self.rules.minute_of_day)(now);
        self.rules.quiet_hours.is_some_and(|hours| hours.contains(minute()))
    }

    fn queue(&self, transitions: &[Transition]) {
        for transition in transitions {
            let notification = self.write(transition);
            let (kind, subject, state) =
                (notification.kind, notification.subject.as_str(), notification.state.name());
            tracing::info!(kind, subject, state, "notification");
            for channel in &self.channels {
                channel.push(notification.clone());
            }
        }
    }

    fn write(&self, transition: &Transition) -> Notification {
        let Transition { problem, is_over, changes, since } = transition;
        let kind = problem.kind;
        let reason = if *is_over { kind.end_reason().to_owned() } else { problem.reason.clone() };
        let what = if *is_over { kind.end_sentence(&problem.subject) } else { problem.what() };
        Notification {
            id: self.entropy.generate_uuid(),
            at: self.clock.now(),
            state: if *is_over { NotificationState::Over } else { NotificationState::Begun },
            is_critical: kind.is_critical(),
            kind: kind.name(),
            subject: problem.subject.clone(),
            what,
            reason,
            remedy: if *is_over { String::new() } else { kind.remedy().to_owned() },
            since: *since,
            changes: *changes,
            balancer: self.rules.balancer.clone(),
            console: self.rules.console.as_ref().map(|url| format!("{url}{}", kind.page())),
        }
    }

    /// A notification that tells of nothing, to try the channels.
    #[must_use]
    pub fn test_notification(&self) -> Notification {
        let now = self.clock.now();
        Notification {
            id: self.entropy.generate_uuid(),
            at: now,
            state: NotificationState::Test,
            is_critical: false,
            kind: "test",
            subject: self.rules.balancer.clone(),
            what: "This is a test of the notifications.".to_owned(),
            reason: "Somebody has called `scalelite notify test`.".to_owned(),
            remedy: "Nothing needs to be done.".to_owned(),
            since: now,
            changes: 1,
            balancer: self.rules.balancer.clone(),
            console: self.rules.console.as_ref().map(|url| format!("{url}/scalelite/")),
        }
    }
}
