//! How many meetings a server may make this process adopt, and end as duplicates, within an hour. What
//! a server reports is no reason to do more than that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Server, ServerId};
use tokio::time::Instant;

/// The time to which the numbers refer.
const PERIOD: Duration = Duration::from_secs(3600);

/// What each server has brought about lately.
#[derive(Debug, Default)]
pub struct ChangeBudgets(Mutex<HashMap<ServerId, Spent>>);

#[derive(Debug)]
struct Spent {
    since: Instant,
    adopted: usize,
    ended: usize,
    has_alarmed: bool,
}

impl ChangeBudgets {
    /// Returns how many more meetings the server may make us adopt, of `max` within an hour.
    pub(crate) fn adoptions_left(&self, server: &ServerId, max: usize) -> usize {
        self.with(server, |spent| max.saturating_sub(spent.adopted))
    }

    /// Counts meetings that were adopted.
    pub(crate) fn count_adoptions(&self, server: &ServerId, count: usize) {
        if count > 0 {
            self.with(server, |spent| spent.adopted = spent.adopted.saturating_add(count));
        }
    }

    /// Takes the right to end a duplicate because of what the server reports; false if `max` have been
    /// ended within an hour.
    pub(crate) fn take_end(&self, server: &ServerId, max: usize) -> bool {
        self.with(server, |spent| {
            let is_left = spent.ended < max;
            spent.ended += usize::from(is_left);
            is_left
        })
    }

    /// Returns whether this is the first excess of the server within the hour.
    pub(crate) fn begin_alarm(&self, server: &ServerId) -> bool {
        self.with(server, |spent| !std::mem::replace(&mut spent.has_alarmed, true))
    }

    /// Forgets all servers but these.
    pub(crate) fn retain(&self, servers: &[Server]) {
        self.lock().retain(|id, _| servers.iter().any(|server| server.id == *id));
    }

    fn with<T>(&self, server: &ServerId, work: impl FnOnce(&mut Spent) -> T) -> T {
        let now = Instant::now();
        let new = || Spent { since: now, adopted: 0, ended: 0, has_alarmed: false };
        let mut servers = self.lock();
        let spent = servers.entry(server.clone()).or_insert_with(new);
        if now.saturating_duration_since(spent.since) >= PERIOD {
            *spent = new();
        }
        work(spent)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServerId, Spent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_may_do_so_much_within_an_hour() {
        let (budgets, id) = (ChangeBudgets::default(), ServerId("a".to_owned()));
        assert_eq!(budgets.adoptions_left(&id, 5), 5);
        budgets.count_adoptions(&id, 4);
        assert_eq!(budgets.adoptions_left(&id, 5), 1);
        assert_eq!(budgets.adoptions_left(&ServerId("b".to_owned()), 5), 5);
        assert_eq!([0; 3].map(|_| budgets.take_end(&id, 2)), [true, true, false]);
        assert_eq!([0; 2].map(|_| budgets.begin_alarm(&id)), [true, false]);
        tokio::time::advance(PERIOD).await;
        assert_eq!(budgets.adoptions_left(&id, 5), 5);
        assert!(budgets.take_end(&id, 2) && budgets.begin_alarm(&id));
        budgets.retain(&[]);
        assert!(budgets.lock().is_empty());
    }
}
