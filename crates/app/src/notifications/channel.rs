//! A channel: notifications wait here until they are sent. A channel that does not work is tried again, less and less often, and delays no other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::{Notification, NotificationSender};
use crate::state::{FailureLog, FailureNote};

/// Most notifications that wait; then the oldest one is dropped.
const MAX_WAITING: usize = 100;
/// Attempts to send one notification, the last of them more than half an hour after the first.
const MAX_ATTEMPTS: u32 = 12;
const FIRST_DELAY: Duration = Duration::from_secs(2);
const MAX_DELAY: Duration = Duration::from_secs(600);

/// A way to send notifications, and those that wait.
pub struct Channel {
    sender: Arc<dyn NotificationSender>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Notification>,
    /// Failed attempts to send the first one.
    attempts: u32,
    /// Failed attempts since the channel worked last.
    failed: u32,
    not_before: Option<Instant>,
    failures: FailureLog,
}

impl Channel {
    /// An empty channel.
    #[must_use]
    pub fn new(sender: Arc<dyn NotificationSender>) -> Self {
        Self { sender, queue: Mutex::default() }
    }

    /// Returns what sends.
    #[must_use]
    pub fn sender(&self) -> &dyn NotificationSender {
        &*self.sender
    }

    /// Adds a notification.
    pub fn push(&self, notification: Notification) {
        let mut queue = self.lock();
        queue.waiting.push_back(notification);
        if queue.waiting.len() > MAX_WAITING {
            self.drop_first(&mut queue, "too many wait");
        }
    }

    /// Sends what waits and is due, one after the other, until something fails.
    pub async fn send_due(&self) {
        while let Some(notification) = self.find_due() {
            let result = self.sender.send(&notification).await;
            if !self.note_result(&notification, result) {
                return;
            }
        }
    }

    fn find_due(&self) -> Option<Notification> {
        let queue = self.lock();
        let is_due = queue.not_before.is_none_or(|time| time <= Instant::now());
        queue.waiting.front().filter(|_| is_due).cloned()
    }

    /// Notes what came of an attempt; returns whether it was successful.
    fn note_result(&self, sent: &Notification, result: Result<String, String>) -> bool {
        let (channel, now) = (self.sender.name(), Instant::now());
        let mut queue = self.lock();
        let is_first = queue.waiting.front().is_some_and(|first| first.id == sent.id);
        let reason = match result {
            Ok(_) => {
                if let Some(past) = queue.failures.note_success(now) {
                    let (lasted_s, times) = (past.lasted.as_secs(), past.count);
                    tracing::info!(channel, lasted_s, times, "notifications are sent again");
                }
                (queue.attempts, queue.failed, queue.not_before) = (0, 0, None);
                if is_first {
                    queue.waiting.pop_front();
                }
                return true;
            }
            Err(reason) => reason,
        };
        match queue.failures.note_failure(now) {
            FailureNote::First => tracing::warn!(channel, reason, "notifications not sent"),
            FailureNote::Reminder(past) => {
                let (lasted_s, times) = (past.lasted.as_secs(), past.count);
                tracing::warn!(channel, reason, lasted_s, times, "notifications still not sent");
            }
            FailureNote::Silent => {}
        }
        let delay = FIRST_DELAY.saturating_mul(1 << queue.failed.min(16)).min(MAX_DELAY);
        queue.not_before = Some(now + delay);
        queue.failed = queue.failed.saturating_add(1);
        queue.attempts += u32::from(is_first);
        if queue.attempts >= MAX_ATTEMPTS {
            self.drop_first(&mut queue, "tried too often");
        }
        false
    }

    fn drop_first(&self, queue: &mut Queue, cause: &str) {
        queue.attempts = 0;
        if let Some(dropped) = queue.waiting.pop_front() {
            let (channel, kind) = (self.sender.name(), dropped.kind);
            tracing::warn!(channel, kind, subject = dropped.subject, cause, "notification dropped");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use domain::Timestamp;
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::ports::NotificationState;

    /// Fails as often as it is told to.
    #[derive(Default)]
    struct ScriptedSender {
        failures: Mutex<u32>,
        tried: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl NotificationSender for ScriptedSender {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn destination(&self) -> String {
            "nowhere".to_owned()
        }

        async fn send(&self, notification: &Notification) -> Result<String, String> {
            self.tried.lock().unwrap().push(notification.id.clone());
            let mut failures = self.failures.lock().unwrap();
            match *failures {
                0 => Ok("taken".to_owned()),
                _ => {
                    *failures -= 1;
                    Err("away".to_owned())
                }
            }
        }
    }

    fn notification(id: usize) -> Notification {
        Notification {
            id: id.to_string(),
            at: Timestamp(0),
            state: NotificationState::Begun,
            is_critical: false,
            kind: "test",
            subject: String::new(),
            what: String::new(),
            reason: String::new(),
            remedy: String::new(),
            since: Timestamp(0),
            changes: 1,
            balancer: String::new(),
            console: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_fails_is_tried_less_and_less_often_and_keeps_a_hundred() {
        let sender = Arc::new(ScriptedSender::default());
        let channel = Channel::new(sender.clone());
        *sender.failures.lock().unwrap() = MAX_ATTEMPTS + 2;
        (0..=MAX_WAITING).for_each(|id| channel.push(notification(id)));
        let start = Instant::now();
        while *sender.failures.lock().unwrap() > 0 {
            channel.send_due().await;
            sleep(Duration::from_secs(1)).await;
        }
        let tried = sender.tried.lock().unwrap().clone();
        // The first one was dropped at once, the second one after its attempts.
        let first: Vec<_> = tried.iter().map(String::as_str).collect();
        let attempts = usize::try_from(MAX_ATTEMPTS).unwrap();
        assert_eq!(first, [vec!["1"; attempts], vec!["2"; 2]].concat());
        assert!(start.elapsed() > Duration::from_secs(3000), "{:?}", start.elapsed());
        advance(MAX_DELAY).await;
        channel.send_due().await;
        assert_eq!(sender.tried.lock().unwrap().len(), attempts + 2 + MAX_WAITING - 1);
        channel.push(notification(500));
        channel.send_due().await;
        assert_eq!(sender.tried.lock().unwrap().last().unwrap(), "500");
    }
}
