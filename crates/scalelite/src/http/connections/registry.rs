//! All open connections of a socket: admits new ones, and closes those that wait for their client when room is needed.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::ConnectionRules;
use super::address::ClientAddress;
use super::budget::ByteBudget;
use super::client_use::ClientUse;
use super::open_connection::{AddressUse, OpenConnection, Phase};
use crate::http::notices::Notice;
use crate::http::peer::{Peer, ShownAddress};

/// Part of the memory for clients that have proven nothing that one address may take.
const ADDRESS_SHARE: u64 = 4;
/// Connections of an address are not closed for others of the same address before they have waited so long for their client, in ms.
const MIN_WAITED_MS: u64 = 1_000;
/// Largest number of connections that wait until they are admitted. Further ones are closed at once.
const MAX_WAITING: usize = 1_024;
/// Longest time that they wait.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Interval in which they look for room.
const WAIT_INTERVAL: Duration = Duration::from_millis(250);
/// Largest number of bodies that are read and dropped at the same time.
const MAX_DISCARDS: usize = 64;
/// Largest number of connections that are found at once for being closed.
const MAX_CANDIDATES: usize = 256;
/// Time between two looks for such connections, in ms.
const LOOK_PAUSE_MS: u64 = 20;
/// Largest number of connections beyond the limit that are being closed.
const MAX_CLOSING: usize = 512;
/// An address with fewer connections is admitted first.
const FEW_CONNECTIONS: usize = 16;
/// Connections that are closed when the system allows no more.
const CLOSED_TOGETHER: usize = 64;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    started: Instant,
    rules: ConnectionRules,
    /// One permit for each request that is being answered.
    pub(super) requests: Arc<Semaphore>,
    /// One permit for each body that is read and dropped.
    pub(super) discards: Semaphore,
    pub(super) unproven: ByteBudget,
    pub(super) buffered: ByteBudget,
    unknown_proxy: Notice,
    open: Mutex<OpenSet>,
    /// One permit for each connection that waits until it is admitted.
    waiting: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct OpenSet {
    connections: HashMap<u64, Arc<OpenConnection>>,
    addresses: HashMap<ClientAddress, Arc<AddressUse>>,
    next_id: u64,
    /// How many of the connections are being closed.
    closing: usize,
    /// Connections that may be closed when room is needed, in this order.
    candidates: VecDeque<Arc<OpenConnection>>,
    /// When more of them may be looked for, in ms since the start of the process.
    looks_again_at_ms: u64,
}

/// All open connections of a socket.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Shared>);

/// A connection that was admitted. Dropping this makes room for another.
pub(in crate::http) struct Admission {
    pub(in crate::http) connection: Arc<OpenConnection>,
    shared: Arc<Shared>,
    address: ClientAddress,
    id: u64,
}

impl Connections {
    /// None so far, with these limits.
    pub fn new(rules: ConnectionRules) -> Self {
        let max_requests = rules.max_requests.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            started: Instant::now(),
            rules,
            requests: Arc::new(Semaphore::new(max_requests)),
            discards: Semaphore::new(MAX_DISCARDS),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            unproven: ByteBudget::new(rules.max_unproven_bytes),
            buffered: ByteBudget::new(rules.max_buffered_bytes),
            unknown_proxy: Notice::default(),
            open: Mutex::default(),
        }))
    }

    /// Admits a connection, closing others for it if that is necessary and just; `None` if it has to wait.
    pub(in crate::http) fn try_admit(&self, peer: Peer) -> Option<Admission> {
        self.0.try_admit(peer)
    }

    /// Returns a place among the connections that wait until they are admitted; `None` if too many wait already.
    pub(in crate::http) fn take_waiting_place(&self) -> Option<OwnedSemaphorePermit> {
        self.0.waiting.clone().try_acquire_owned().ok()
    }

    /// Waits until a connection is admitted; `None` if that takes too long.
    pub(in crate::http) async fn admit(&self, peer: Peer) -> Option<Admission> {
        let deadline = Instant::now() + MAX_WAIT;
        while Instant::now() < deadline {
            let room = self.0.room_of(peer);
            let room = room.notified();
            if let Some(admission) = self.0.try_admit(peer) {
                return Some(admission);
            }
            // Most connections wait for others of their address. What happens to those of other addresses is looked at now and then.
            let _ = timeout(WAIT_INTERVAL, room).await;
        }
        None
    }
}

impl Connections {
    /// Closes some connections that wait for their client, because the system allows no more.
    pub(in crate::http) fn make_room(&self) {
        let (mut open, now_ms) = (self.0.lock_open(), self.0.now_ms());
        for _ in 0..CLOSED_TOGETHER {
            open.close_one(now_ms, |_| true);
        }
    }
}

impl Shared {
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns what tells connections of this address that another one has been closed.
    fn room_of(&self, peer: Peer) -> Arc<Notify> {
        let mut open = self.lock_open();
        let address_use =
            open.addresses.entry(peer.into()).or_insert_with(|| self.new_address(peer.is_shared()));
        address_use.room.clone()
    }

    /// Takes note of a request that a proxy has passed on for this client.
    pub(super) fn start_client(self: &Arc<Self>, client: ClientAddress) -> ClientUse {
        let mut open = self.lock_open();
        let used = open.addresses.entry(client).or_insert_with(|| self.new_address(false)).clone();
        used.passed_on.fetch_add(1, Ordering::Relaxed);
        ClientUse::new(self.clone(), client, used)
    }

    /// Takes note of the end of such a request.
    pub(super) fn end_client(&self, client: ClientAddress, used: &AddressUse) {
        let mut open = self.lock_open();
        used.passed_on.fetch_sub(1, Ordering::Relaxed);
        open.forget_unused(client);
    }

    /// Logs that somebody who is not one of TRUSTED_PROXIES uses the PROXY protocol.
    pub(super) fn note_unknown_proxy(&self, peer: &Peer) {
        if self.unknown_proxy.is_due() {
            let address = ShownAddress(peer.address);
            let reason =
                "the address is not in TRUSTED_PROXIES: what it sends is read as HTTP and refused";
            tracing::warn!(%address, reason, "PROXY protocol from an unknown address");
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

    fn try_admit(self: &Arc<Self>, peer: Peer) -> Option<Admission> {
        let address = ClientAddress::from(peer);
        let mut open = self.lock_open();
        let new_address = || self.new_address(peer.is_shared());
        let own = open.addresses.entry(address).or_insert_with(new_address).clone();
        if !self.make_room_for(&mut open, &own) {
            open.forget_unused(address);
            return None;
        }
        own.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(OpenConnection::new(self.clone(), own, peer));
        let id = open.next_id;
        open.next_id += 1;
        open.connections.insert(id, connection.clone());
        Some(Admission { connection, shared: self.clone(), address, id })
    }

    /// Returns whether there is room for one more connection of an address. If not, one that waits for its client is closed: of its own if it has
    /// too many, otherwise of an address that has more.
    fn make_room_for(&self, open: &mut OpenSet, own: &Arc<AddressUse>) -> bool {
        let (max_open, now_ms) = (self.rules.max_open(), self.now_ms());
        let own_count = own.connections.load(Ordering::Relaxed);
        let is_over_limit = own_count >= own.max_connections;
        if is_over_limit || open.connections.len() - open.closing >= max_open {
            let may_close = |one: &OpenConnection| {
                let is_own = Arc::ptr_eq(&one.address, own);
                let has_more = one.address.connections.load(Ordering::Relaxed) > own_count + 1;
                // Those of its own address that only just began to wait are as important as it is.
                let is_old = |since_ms| since_ms + MIN_WAITED_MS <= now_ms;
                !is_over_limit && has_more && !is_own
                    || is_own
                        && one.phase() != Phase::Turn
                        && one.waiting_since_ms().is_some_and(is_old)
            };
            if !open.close_one(now_ms, may_close) {
                return false;
            }
        }
        // Connections that are being closed exist a moment longer. An address with few connections need not wait for that.
        let max_closing = if own_count < FEW_CONNECTIONS { 2 * MAX_CLOSING } else { MAX_CLOSING };
        open.connections.len() < max_open.saturating_add(max_closing)
    }

    /// Limits of an address. That of a proxy is shared by its clients, each of which has limits of its own.
    fn new_address(&self, is_shared: bool) -> Arc<AddressUse> {
        let (max_connections, share) = match is_shared {
            true => (self.rules.max_per_proxy(), 1),
            false => (self.rules.max_per_address, ADDRESS_SHARE),
        };
        let max_passed_on = self.rules.max_per_address.min(Semaphore::MAX_PERMITS);
        Arc::new(AddressUse {
            max_connections,
            connections: AtomicUsize::new(0),
            passed_on: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(max_passed_on)),
            unproven: ByteBudget::new(self.rules.max_unproven_bytes / share),
            room: Arc::default(),
        })
    }
}

impl OpenSet {
    /// Asks a connection that waits for its client to close: of the address with the most connections, the oldest; those that wait for their turn
    /// last. Returns whether there is one.
    fn close_one(&mut self, now_ms: u64, may_close: impl Fn(&OpenConnection) -> bool) -> bool {
        let mut found = self.take_candidate(&may_close);
        if found.is_none() && now_ms >= self.looks_again_at_ms {
            self.looks_again_at_ms = now_ms + LOOK_PAUSE_MS;
            self.look_for_candidates();
            found = self.take_candidate(&may_close);
        }
        let Some(connection) = found else { return false };
        connection.is_closing.store(true, Ordering::Relaxed);
        connection.close.notify_one();
        self.closing += 1;
        true
    }

    fn take_candidate(
        &mut self,
        may_close: impl Fn(&OpenConnection) -> bool,
    ) -> Option<Arc<OpenConnection>> {
        let is_found = |connection: &Arc<OpenConnection>| {
            connection.waiting_since_ms().is_some() && may_close(connection)
        };
        self.candidates.iter().position(is_found).and_then(|index| self.candidates.remove(index))
    }

    /// Looks for connections that may be closed. This takes time, so it is done seldom and for several.
    fn look_for_candidates(&mut self) {
        let waiting = self.connections.values().filter_map(|connection| {
            let since_ms = connection.waiting_since_ms()?;
            let connections = connection.address.connections.load(Ordering::Relaxed);
            let waits_for_turn = connection.phase() == Phase::Turn;
            Some(((waits_for_turn, Reverse(connections), since_ms), connection))
        });
        let mut waiting: Vec<_> = waiting.collect();
        if waiting.len() > MAX_CANDIDATES {
            waiting.select_nth_unstable_by_key(MAX_CANDIDATES, |(order, _)| *order);
            waiting.truncate(MAX_CANDIDATES);
        }
        waiting.sort_unstable_by_key(|(order, _)| *order);
        self.candidates = waiting.into_iter().map(|(_, connection)| connection.clone()).collect();
    }

    fn forget_unused(&mut self, address: ClientAddress) {
        let is_unused = |used: &Arc<AddressUse>| {
            let counts = [&used.connections, &used.passed_on];
            counts.iter().all(|count| count.load(Ordering::Relaxed) == 0)
        };
        if self.addresses.get(&address).is_some_and(is_unused) {
            self.addresses.remove(&address);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.connection.forget_client();
        let mut open = self.shared.lock_open();
        open.connections.remove(&self.id);
        self.connection.is_gone.store(true, Ordering::Relaxed);
        if self.connection.is_closing.swap(false, Ordering::Relaxed) {
            open.closing -= 1;
        }
        let address = &self.connection.address;
        address.connections.fetch_sub(1, Ordering::Relaxed);
        address.room.notify_one();
        open.forget_unused(self.address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use futures_util::FutureExt as _;

    use super::*;

    const ONE: Peer = peer(1);
    const OTHER: Peer = peer(2);

    const fn peer(number: u8) -> Peer {
        let address = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)));
        Peer { address, is_proxy: false, told_address: None, is_tls: false }
    }

    /// Twenty open connections are allowed.
    fn connections(max_requests: usize, max_per_address: usize) -> Connections {
        let (max_unproven_bytes, max_buffered_bytes) = (40_000, 1_000);
        Connections::new(ConnectionRules {
            max_requests,
            max_per_address,
            max_unproven_bytes,
            max_buffered_bytes,
        })
    }

    async fn open_some(connections: &Connections, count: usize) -> Vec<Admission> {
        let mut open = Vec::new();
        for _ in 0..count {
            tokio::time::advance(Duration::from_millis(5)).await;
            open.push(connections.try_admit(ONE).unwrap());
        }
        open
    }

    fn is_closed(admission: &Admission) -> bool {
        admission.connection.wait_until_unwanted().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_the_address_with_most_connections_is_closed() {
        let connections = connections(4, 100);
        let lone = connections.try_admit(OTHER).unwrap();
        let of_one = open_some(&connections, 19).await;
        of_one[0].connection.start_request();
        let more = connections.try_admit(OTHER).unwrap();
        assert!(is_closed(&of_one[1]));
        let others = [&of_one[0], &of_one[2], &lone, &more];
        assert!(!others.into_iter().any(is_closed));
    }

    #[tokio::test(start_paused = true)]
    async fn young_connections_are_not_closed_for_their_own_address() {
        let connections = connections(4, 100);
        let open = open_some(&connections, 20).await;
        assert!(connections.try_admit(ONE).is_none());
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.admit(ONE).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !open.iter().any(is_closed));
        // They are idle for a second meanwhile.
        let admitted = waiting.await.unwrap().unwrap();
        assert!(is_closed(&open[0]) && !is_closed(&open[1]) && !is_closed(&admitted));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_if_all_others_are_being_answered() {
        let connections = connections(4, 100);
        let mut open = open_some(&connections, 20).await;
        for admission in &open {
            admission.connection.start_request();
        }
        assert!(connections.try_admit(OTHER).is_none());
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.admit(OTHER).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(open.remove(7));
        let admitted = waiting.await.unwrap().unwrap();
        admitted.connection.start_request();
        assert!(!open.iter().any(is_closed) && !is_closed(&admitted));
        // Nobody waits for ever.
        assert!(connections.admit(OTHER).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_a_new_request_is_not_closed() {
        let connections = connections(4, 2);
        let open = open_some(&connections, 2).await;
        tokio::time::advance(Duration::from_secs(2)).await;
        let third = connections.try_admit(ONE).unwrap();
        // The request arrives between the decision and the close.
        open[0].connection.start_request();
        assert!(!open.iter().any(is_closed) && !is_closed(&third));
        assert_eq!(connections.0.lock_open().closing, 0);
        drop((open, third));
        assert!(connections.0.lock_open().addresses.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_for_their_turn() {
        let connections = connections(2, 100);
        let open = open_some(&connections, 3).await;
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
        open[0].connection.end_request();
        assert!(third.now_or_never().is_some());
        assert!(open[2].connection.waiting_since_ms().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_proves_nothing_shares_a_small_memory() {
        let connections = connections(4, 2);
        let open = connections.try_admit(ONE).unwrap();
        let connection = &open.connection;
        let add = |count| connection.add_head_bytes(&vec![b' '; count]).is_ok();
        assert!(add(8 * 1024) && add(4_000));
        // A quarter of all is an address's, and buffers are twice as large as what they hold.
        assert!(!add(1_001));
        let other = connections.try_admit(OTHER).unwrap();
        assert!(other.connection.hold(10_000) && !other.connection.hold(1));
        other.connection.prove().await;
        assert!(other.connection.hold(1_000) && !other.connection.hold(1));
        other.connection.end_request();
        other.connection.start_request();
        assert!(other.connection.hold(10_000));
        drop((open, other));
        assert!(connections.0.unproven.take(40_000) && connections.0.buffered.take(1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn clients_behind_a_proxy_have_limits_of_their_own() {
        let connections = connections(8, 2);
        let proxy = Peer { is_proxy: true, ..ONE };
        let open: Vec<_> = (0..6).map(|_| connections.try_admit(proxy).unwrap()).collect();
        assert!(connections.try_admit(proxy).is_none());
        // What the proxy has told before the first request counts instead of its address.
        let told = Peer { told_address: peer(7).address, ..proxy };
        let of_client =
            (connections.try_admit(told).unwrap(), connections.try_admit(told).unwrap());
        assert!(connections.try_admit(told).is_none());
        drop(of_client);
        let start = |index: usize, client: u8| {
            let connection: &OpenConnection = &open[index].connection;
            connection.start_request();
            connection.set_client(peer(client).address);
            connection
        };
        let (first, second, third) = (start(0, 7), start(1, 7), start(2, 7));
        first.take_turn().now_or_never().unwrap();
        second.take_turn().now_or_never().unwrap();
        let mut waiting = Box::pin(third.take_turn());
        assert!((&mut waiting).now_or_never().is_none());
        start(3, 8).take_turn().now_or_never().unwrap();
        assert!(first.hold(10_000) && !second.hold(1) && open[3].connection.hold(10_000));
        first.end_request();
        waiting.now_or_never().unwrap();
        assert!(second.hold(10_000));
        drop(open);
        assert!(connections.0.lock_open().addresses.is_empty());
        assert!(connections.0.unproven.take(40_000));
    }
}
