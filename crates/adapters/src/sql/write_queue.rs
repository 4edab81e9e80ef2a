//! The queue of the writing thread. What calls wait for comes first, and of the rest a little is run with each transaction: a cycle of
//! polls, which write much, must not hold up creates.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::write_operation::WriteOperation;

/// The number of operations in the queue; callers of more operations wait until one is taken.
pub(super) const MAX_QUEUED: usize = 1024;

/// The number of background operations in one transaction.
const MAX_BACKGROUND: usize = 16;

/// How an operation is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteMode {
    /// A call waits for it.
    Call,
    /// A call waits for it, and it changes nothing that joins depend on but their counts.
    JoinsStay,
    /// No call waits for it.
    Background,
}

impl WriteMode {
    pub(super) fn invalidates_join_cache(self) -> bool {
        self != Self::JoinsStay
    }
}

/// An operation in the queue.
pub(super) struct WriteJob {
    pub(super) operation: Box<dyn WriteOperation>,
    pub(super) mode: WriteMode,
}

/// What the thread does next.
pub(super) enum NextJob {
    /// It runs what has come.
    Ready,
    /// No job has come for a while.
    Idle,
    End,
}

/// The queue as its thread sees it.
pub(super) struct JobQueue {
    jobs: mpsc::Receiver<WriteJob>,
    /// What has come of them.
    calls: VecDeque<WriteJob>,
    background: VecDeque<WriteJob>,
    /// How long the thread waits for a job before it is idle, and the runtime whose clock it uses.
    idle: Option<(Duration, Runtime)>,
}

impl JobQueue {
    pub(super) fn new(jobs: mpsc::Receiver<WriteJob>, idle_time: Option<Duration>) -> Self {
        let clock = || Builder::new_current_thread().enable_time().build().ok();
        let idle = idle_time.and_then(|time| Some((time, clock()?)));
        Self { jobs, calls: VecDeque::new(), background: VecDeque::new(), idle }
    }

    /// Waits for the next job. It may be idle only if there is something to tidy up.
    pub(super) fn wait(&mut self, may_be_idle: bool) -> NextJob {
        self.receive();
        if !self.is_empty() {
            return NextJob::Ready;
        }
        let job = match &self.idle {
            Some((time, runtime)) if may_be_idle => {
                let waiting = async { tokio::time::timeout(*time, self.jobs.recv()).await };
                match runtime.block_on(waiting) {
                    Ok(job) => job,
                    Err(_) => return NextJob::Idle,
                }
            }
            _ => self.jobs.blocking_recv(),
        };
        let Some(job) = job else { return NextJob::End };
        self.sort_in(job);
        self.receive();
        NextJob::Ready
    }

    /// Takes what calls wait for, and a little of the rest.
    pub(super) fn take_batch(&mut self, max: usize) -> Vec<WriteJob> {
        let background = self.background.len().min(MAX_BACKGROUND).min(max);
        let calls = self.calls.len().min(max - background);
        self.calls.drain(..calls).chain(self.background.drain(..background)).collect()
    }

    /// Receives what has come, as long as there is room.
    fn receive(&mut self) {
        while self.calls.len() + self.background.len() < MAX_QUEUED
            && let Ok(job) = self.jobs.try_recv()
        {
            self.sort_in(job);
        }
    }

    fn sort_in(&mut self, job: WriteJob) {
        match job.mode {
            WriteMode::Background => self.background.push_back(job),
            WriteMode::Call | WriteMode::JoinsStay => self.calls.push_back(job),
        }
    }

    fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.background.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::write_operation::NoOperation;

    #[test]
    fn calls_come_before_polls_and_polls_come_too() {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED);
        let mut queue = JobQueue::new(receiver, None);
        let modes = [[WriteMode::Background; 40], [WriteMode::Call; 40]].concat();
        for mode in modes {
            let sent = sender.try_send(WriteJob { operation: Box::new(NoOperation), mode });
            assert!(sent.is_ok());
        }
        let mut batches = Vec::new();
        for _ in 0..3 {
            assert!(matches!(queue.wait(false), NextJob::Ready));
            let batch = queue.take_batch(32);
            let calls = batch.iter().filter(|job| job.mode == WriteMode::Call).count();
            batches.push((calls, batch.len() - calls));
        }
        assert_eq!(batches, [(16, 16), (16, 16), (8, 8)]);
        drop(sender);
        assert!(matches!(queue.wait(false), NextJob::End));
    }
}
