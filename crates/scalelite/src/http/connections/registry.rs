//! All open connections of a socket: admits new ones, and closes those that wait for their client when room is needed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::ConnectionRules;
use super::address::ClientAddress;
use super::budget::ByteBudget;
use super::open_connection::{AddressUse, OpenConnection};

/// Part of the memory for clients that have proven nothing that one address may take.
const ADDRESS_SHARE: u64 = 4;
/// Part of all connections that are closed together when room is needed, because finding the oldest takes time.
const CLOSED_PART: usize = 32;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    started: Instant,
    rules: ConnectionRules,
    /// One permit for each request that is being answered.
    pub(super) requests: Arc<Semaphore>,
    pub(super) unproven: ByteBudget,
    pub(super) buffered: ByteBudget,
    open: Mutex<OpenSet>,
    /// Whether a new connection waits for room.
    needs_room: AtomicBool,
    room: Notify,
}

#[derive(Debug, Default)]
struct OpenSet {
    connections: HashMap<u64, Arc<OpenConnection>>,
    addresses: HashMap<ClientAddress, Arc<AddressUse>>,
    next_id: u64,
    /// How many of the connections are being closed.
    closing: usize,
}

/// All open connections of a socket.
#[derive(Clone, Debug)]
pub(in crate::http) struct Connections(Arc<Shared>);

/// A connection that was admitted. Dropping this makes room for another.
pub(in crate::http) struct Admission {
    pub(in crate::http) connection: Arc<OpenConnection>,
    shared: Arc<Shared>,
    address: ClientAddress,
    id: u64,
}

impl Connections {
    pub(in crate::http) fn new(rules: ConnectionRules) -> Self {
        let max_requests = rules.max_requests.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            started: Instant::now(),
            rules,
            requests: Arc::new(Semaphore::new(max_requests)),
            unproven: ByteBudget::new(rules.max_unproven_bytes),
            buffered: ByteBudget::new(rules.max_buffered_bytes),
            open: Mutex::default(),
            needs_room: AtomicBool::new(false),
            room: Notify::new(),
        }))
    }

    /// Admits a connection. Waits only if no connection can be closed for it.
    pub(in crate::http) async fn admit(&self, address: ClientAddress) -> Admission {
        loop {
            self.0.needs_room.store(true, Ordering::Relaxed);
            let room = self.0.room.notified();
            if let Some(admission) = self.0.try_admit(address) {
                self.0.needs_room.store(false, Ordering::Relaxed);
                return admission;
            }
            room.await;
        }
    }
}

impl Connections {
    /// Closes some connections that wait for their client, because the system allows no more.
    pub(in crate::http) fn make_room(&self) {
        let count = (self.0.rules.max_open() / CLOSED_PART).max(1);
        self.0.lock_open().close_oldest(count, |_| true);
    }
}

impl Shared {
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Wakes a new connection that waits for room.
    pub(super) fn tell_of_room(&self) {
        if self.needs_room.load(Ordering::Relaxed) {
            self.room.notify_one();
        }
    }

    /// Takes note that a connection stays although it was to be closed.
    pub(super) fn keep_open(&self, connection: &OpenConnection) {
        let mut open = self.lock_open();
        if connection.is_closing.swap(false, Ordering::Relaxed) {
            open.closing -= 1;
        }
    }

    fn lock_open(&self) -> MutexGuard<'_, OpenSet> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_admit(self: &Arc<Self>, address: ClientAddress) -> Option<Admission> {
        let mut open = self.lock_open();
        let address_use = open.addresses.entry(address).or_insert_with(|| self.new_address());
        let address_use = address_use.clone();
        if address_use.connections.load(Ordering::Relaxed) >= self.rules.max_per_address {
            open.close_oldest(1, |connection| Arc::ptr_eq(&connection.address, &address_use));
        }
        let max_open = self.rules.max_open();
        if open.connections.len() - open.closing >= max_open {
            open.close_oldest((max_open / CLOSED_PART).max(1), |_| true);
        }
        let is_full = open.connections.len() - open.closing >= max_open;
        // Connections that are being closed exist a moment longer.
        if is_full || open.connections.len() >= max_open.saturating_mul(2) {
            open.forget_unused(address);
            return None;
        }
        address_use.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(OpenConnection::new(self.clone(), address_use));
        let id = open.next_id;
        open.next_id += 1;
        open.connections.insert(id, connection.clone());
        Some(Admission { connection, shared: self.clone(), address, id })
    }

    fn new_address(&self) -> Arc<AddressUse> {
        let max_requests = self.rules.max_per_address.min(Semaphore::MAX_PERMITS);
        Arc::new(AddressUse {
            connections: AtomicUsize::new(0),
            requests: Arc::new(Semaphore::new(max_requests)),
            unproven: ByteBudget::new(self.rules.max_unproven_bytes / ADDRESS_SHARE),
        })
    }
}

impl OpenSet {
    /// Asks up to `count` connections that wait for their client to close: of the addresses with the most connections, the oldest.
    fn close_oldest(&mut self, count: usize, may_close: impl Fn(&OpenConnection) -> bool) {
        let waiting = self.connections.values().filter(|connection| may_close(connection));
        let mut waiting: Vec<_> = waiting
            .filter_map(|connection| {
                let connections = connection.address.connections.load(Ordering::Relaxed);
                Some((std::cmp::Reverse(connections), connection.waiting_since_ms()?, connection))
            })
            .collect();
        if waiting.len() > count {
            waiting.select_nth_unstable_by_key(count, |(connections, since, _)| {
                (*connections, *since)
            });
            waiting.truncate(count);
        }
        for (_, _, connection) in &waiting {
            connection.is_closing.store(true, Ordering::Relaxed);
            connection.close.notify_one();
        }
        self.closing += waiting.len();
    }

    fn forget_unused(&mut self, address: ClientAddress) {
        let connections =
            self.addresses.get(&address).map(|used| used.connections.load(Ordering::Relaxed));
        if connections == Some(0) {
            self.addresses.remove(&address);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.shared.lock_open();
        open.connections.remove(&self.id);
        if self.connection.is_closing.swap(false, Ordering::Relaxed) {
            open.closing -= 1;
        }
        self.connection.address.connections.fetch_sub(1, Ordering::Relaxed);
        open.forget_unused(self.address);
        drop(open);
        self.shared.tell_of_room();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const ONE: ClientAddress = ClientAddress::V4([192, 0, 2, 1]);
    const OTHER: ClientAddress = ClientAddress::V4([192, 0, 2, 2]);

    fn connections(max_requests: usize, max_per_address: usize) -> Connections {
        let (max_unproven_bytes, max_buffered_bytes) = (40_000, 1_000);
        Connections::new(ConnectionRules {
            max_requests,
            max_per_address,
            max_unproven_bytes,
            max_buffered_bytes,
        })
    }

    fn admit_now(connections: &Connections, address: ClientAddress) -> Option<Admission> {
        connections.admit(address).now_or_never()
    }

    fn is_closed(admission: &Admission) -> bool {
        admission.connection.wait_until_unwanted().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_the_address_with_most_connections_is_closed() {
        let connections = connections(4, 100);
        let lone = admit_now(&connections, OTHER).unwrap();
        let mut of_one = Vec::new();
        for _ in 0..19 {
            tokio::time::advance(std::time::Duration::from_millis(5)).await;
            of_one.push(admit_now(&connections, ONE).unwrap());
        }
        of_one[0].connection.start_request();
        let more = admit_now(&connections, OTHER).unwrap();
        assert!(is_closed(&of_one[1]));
        assert!(
            !is_closed(&of_one[0])
                && !is_closed(&of_one[2])
                && !is_closed(&lone)
                && !is_closed(&more)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_if_all_others_are_being_answered() {
        let connections = connections(4, 100);
        let mut open: Vec<_> = (0..20).map(|_| admit_now(&connections, ONE).unwrap()).collect();
        for admission in &open {
            admission.connection.start_request();
        }
        assert!(admit_now(&connections, OTHER).is_none());
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.admit(OTHER).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        // One of them ends its request, and is closed for the other.
        open[7].connection.end_request();
        let admitted = waiting.await.unwrap();
        assert!(is_closed(&open[7]) && !is_closed(&admitted));
        drop(open.remove(7));
        assert!(admit_now(&connections, OTHER).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_a_new_request_is_not_closed() {
        let connections = connections(4, 2);
        let first = admit_now(&connections, ONE).unwrap();
        let second = admit_now(&connections, ONE).unwrap();
        let third = admit_now(&connections, ONE).unwrap();
        // The request arrives between the decision and the close.
        first.connection.start_request();
        assert!(!is_closed(&first) && !is_closed(&second) && !is_closed(&third));
        drop((first, second, third));
        assert!(connections.0.lock_open().addresses.is_empty());
        assert_eq!(connections.0.lock_open().closing, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_waits_for_its_own_turn() {
        let connections = connections(4, 2);
        let open: Vec<_> = (0..3).map(|_| admit_now(&connections, ONE).unwrap()).collect();
        let turn = |admission: &Admission| {
            let connection = admission.connection.clone();
            connection.start_request();
            async move { connection.take_turn().await }
        };
        for admission in &open[..2] {
            turn(admission).now_or_never().unwrap();
        }
        let mut third = Box::pin(turn(&open[2]));
        assert!((&mut third).now_or_never().is_none());
        assert!(open[2].connection.waiting_since_ms().is_some());
        let other = admit_now(&connections, OTHER).unwrap();
        assert!(turn(&other).now_or_never().is_some());
        open[0].connection.end_request();
        assert!(third.now_or_never().is_some());
        assert!(open[2].connection.waiting_since_ms().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_proves_nothing_shares_a_small_memory() {
        let connections = connections(4, 2);
        let open = admit_now(&connections, ONE).unwrap();
        let connection = &open.connection;
        assert!(connection.add_head_bytes(8 * 1024) && connection.add_head_bytes(4_000));
        // A quarter of all is an address's, and buffers are twice as large as what they hold.
        assert!(!connection.add_head_bytes(1_001));
        let other = admit_now(&connections, OTHER).unwrap();
        assert!(other.connection.hold(10_000) && !other.connection.hold(1));
        other.connection.prove().await;
        assert!(other.connection.hold(1_000) && !other.connection.hold(1));
        other.connection.end_request();
        other.connection.start_request();
        assert!(other.connection.hold(10_000));
        drop((open, other));
        assert!(connections.0.unproven.take(40_000) && connections.0.buffered.take(1_000));
    }
}
