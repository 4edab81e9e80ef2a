//! One open connection: what it waits for, since when, and the memory that its request holds.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::budget::ByteBudget;
use super::client_use::ClientUse;
use super::registry::Shared;
use crate::http::peer::Peer;
use crate::http::proxy_protocol;

/// A connection holds so many bytes of a head without a reservation: the HTTP library allocates a buffer of this size anyway.
pub(super) const FREE_HEAD_BYTES: u64 = 8 * 1024;
/// Most bytes at the beginning of a request without a blank. A method has a few; of a request that follows another one without a pause, some may
/// have been read before.
const MAX_BYTES_WITHOUT_BLANK: u64 = 8 * 1024;
/// How many bytes of memory a byte of a head takes: buffers grow by doubling.
pub(super) const HEAD_BYTE_COST: u64 = 2;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// For the first byte of a request.
    Idle,
    /// For the rest of a head.
    Head,
    /// For the body of a client that has proven nothing.
    UnprovenBody,
    /// For its turn: too many requests are being answered.
    Turn,
    /// For nothing from the client, or for the body of a client that has proven who it is.
    Answering,
}

impl Phase {
    const ALL: [Self; 5] =
        [Self::Idle, Self::Head, Self::UnprovenBody, Self::Turn, Self::Answering];
}

/// What the connections of one address share, and the requests that proxies pass on for it.
#[derive(Debug)]
pub(super) struct AddressUse {
    pub(super) max_connections: usize,
    pub(super) connections: AtomicUsize,
    /// Requests that proxies have passed on.
    pub(super) passed_on: AtomicUsize,
    /// One permit for each of these that is being answered.
    pub(super) turns: Arc<Semaphore>,
    /// Part of the memory for clients that have proven nothing.
    pub(super) unproven: ByteBudget,
    /// Tells a connection that waits until it is admitted that another one has been closed.
    pub(super) room: Arc<Notify>,
}

/// An open connection.
#[derive(Debug)]
pub(in crate::http) struct OpenConnection {
    pub(super) shared: Arc<Shared>,
    pub(super) address: Arc<AddressUse>,
    pub(super) peer: Peer,
    /// Of a request of HTTP/2: its connection.
    pub(super) parent: Option<Arc<Self>>,
    /// Of a connection of HTTP/2: its requests.
    pub(super) streams: Mutex<Vec<Weak<Self>>>,
    /// Of a request of HTTP/2: since when a piece of its response has waited for the client; 0 if none does.
    pub(super) piece_since_ms: AtomicU64,
    /// The client of the current request, if a proxy has passed it on.
    client: Mutex<Option<ClientUse>>,
    phase: AtomicU8,
    /// When the phase began, in ms since the start of the process.
    since_ms: AtomicU64,
    /// Whether a response waits for the client to read it.
    is_write_blocked: AtomicBool,
    /// Whether the sender of the current request has proven who it is.
    is_proven: AtomicBool,
    /// Bytes that were read of the current head, and whether a blank is among them.
    head_bytes: AtomicU64,
    has_blank: AtomicBool,
    /// Reserved memory: of clients that have proven nothing, and of the others.
    unproven_bytes: AtomicU64,
    buffered_bytes: AtomicU64,
    /// The turn of the current request. A request whose body proves nothing has none, however long it takes.
    turn: Mutex<Option<OwnedSemaphorePermit>>,
    /// Whether it is to be closed, unless a request has arrived meanwhile.
    pub(super) is_closing: AtomicBool,
    pub(super) close: Notify,
    /// Whether it has ended.
    pub(super) is_gone: AtomicBool,
}

impl OpenConnection {
    pub(super) fn new(shared: Arc<Shared>, address: Arc<AddressUse>, peer: Peer) -> Self {
        let since_ms = AtomicU64::new(shared.now_ms());
        Self {
            shared,
            address,
            peer,
            parent: None,
            streams: Mutex::default(),
            piece_since_ms: AtomicU64::new(0),
            client: Mutex::default(),
            phase: AtomicU8::new(Phase::Idle as u8),
            since_ms,
            is_write_blocked: AtomicBool::new(false),
            is_proven: AtomicBool::new(false),
            head_bytes: AtomicU64::new(0),
            has_blank: AtomicBool::new(false),
            unproven_bytes: AtomicU64::new(0),
            buffered_bytes: AtomicU64::new(0),
            turn: Mutex::default(),
            is_closing: AtomicBool::new(false),
            close: Notify::new(),
            is_gone: AtomicBool::new(false),
        }
    }

    /// Returns the other end.
    pub(in crate::http) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Takes note of whom a proxy has passed on the current request for: the limits of that address apply.
    pub(in crate::http) fn set_client(&self, client: Option<IpAddr>) {
        if self.peer.is_shared() && client != self.peer.client() {
            *self.lock_client() = Some(self.shared.start_client(client.into()));
        }
    }

    /// Gives back what a request took of the limits of its client.
    pub(super) fn forget_client(&self) {
        if self.peer.is_proxy {
            let client = self.lock_client().take();
            drop(client);
        }
    }

    fn lock_client(&self) -> MutexGuard<'_, Option<ClientUse>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn phase(&self) -> Phase {
        let phase = usize::from(self.phase.load(Ordering::Acquire));
        Phase::ALL.get(phase).copied().unwrap_or(Phase::Answering)
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        if self.phase.swap(phase as u8, Ordering::AcqRel) != phase as u8 {
            self.since_ms.store(self.shared.now_ms(), Ordering::Relaxed);
            if let Some(connection) = &self.parent {
                connection.follow_streams();
            }
        }
    }

    /// Returns since when it has waited for its client, in ms since the start of the process; `None` if it does not, and must not be
    /// closed.
    pub(super) fn waiting_since_ms(&self) -> Option<u64> {
        let is_waiting = self.phase() != Phase::Answering
            && !self.is_write_blocked.load(Ordering::Relaxed)
            && !self.is_closing.load(Ordering::Relaxed)
            && !self.is_gone.load(Ordering::Relaxed);
        is_waiting.then(|| self.since_ms.load(Ordering::Relaxed))
    }

    /// Returns when it is to be closed because others need the room.
    pub(in crate::http) async fn wait_until_unwanted(&self) {
        loop {
            self.close.notified().await;
            if self.phase() != Phase::Answering {
                return;
            }
            // A request has arrived in the meantime.
            self.shared.keep_open(self);
        }
    }

    /// Takes note of a request whose head is complete.
    pub(in crate::http) fn start_request(&self) {
        self.is_proven.store(false, Ordering::Relaxed);
        self.set_phase(Phase::Answering);
    }

    /// Takes note of the end of a response, and gives back what its request held.
    pub(in crate::http) fn end_request(&self) {
        self.head_bytes.store(0, Ordering::Relaxed);
        self.has_blank.store(false, Ordering::Relaxed);
        drop(self.lock_turn().take());
        self.give_back_unproven();
        self.shared.buffered.give_back(self.buffered_bytes.swap(0, Ordering::Relaxed));
        self.forget_client();
        self.set_phase(Phase::Idle);
    }

    /// Waits until the request may be answered.
    pub(in crate::http) async fn take_turn(&self) {
        if self.lock_turn().is_some() {
            return;
        }
        if self.peer.is_proxy {
            self.wait_for_turn_of_client().await;
        }
        let turn = self.wait_for_turn().await;
        *self.lock_turn() = turn;
    }

    async fn wait_for_turn(&self) -> Option<OwnedSemaphorePermit> {
        let requests = &self.shared.requests;
        if let Ok(turn) = requests.clone().try_acquire_owned() {
            return Some(turn);
        }
        if !self.is_proven() {
            self.set_phase(Phase::Turn);
        }
        let turn = requests.clone().acquire_owned().await.ok();
        self.set_phase(Phase::Answering);
        turn
    }

    /// Waits until fewer requests of the same client are being answered, if a proxy has passed it on.
    async fn wait_for_turn_of_client(&self) {
        let Some(turns) = self.lock_client().as_ref().map(|client| client.used.turns.clone())
        else {
            return;
        };
        let turn = match turns.clone().try_acquire_owned() {
            Ok(turn) => Some(turn),
            Err(_) => {
                if !self.is_proven() {
                    self.set_phase(Phase::Turn);
                }
                let turn = turns.acquire_owned().await.ok();
                self.set_phase(Phase::Answering);
                turn
            }
        };
        if let Some(client) = self.lock_client().as_mut() {
            client.turn = turn;
        }
    }

    fn lock_turn(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that a body is waited for.
    pub(in crate::http) fn wait_for_body(&self) {
        if !self.is_proven() {
            self.set_phase(Phase::UnprovenBody);
        }
    }

    /// Waits until a body may be read and dropped.
    pub(in crate::http) async fn wait_for_discard(&self) -> Option<SemaphorePermit<'_>> {
        self.wait_for_body();
        self.shared.discards.acquire().await.ok()
    }

    /// Takes note that nothing more of the request is waited for.
    pub(in crate::http) fn start_response(&self) {
        self.set_phase(Phase::Answering);
    }

    /// Takes note that the sender of the current request has proven who it is, and waits for its turn.
    pub(in crate::http) async fn prove(&self) {
        if !self.is_proven.swap(true, Ordering::Relaxed) {
            self.give_back_unproven();
            self.set_phase(Phase::Answering);
        }
        self.take_turn().await;
    }

    pub(in crate::http) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    /// Reserves memory for the current request until its end; returns whether there was as much.
    pub(in crate::http) fn hold(&self, bytes: u64) -> bool {
        if !self.is_proven() {
            return self.hold_unproven(bytes);
        }
        let held = self.shared.buffered.take(bytes);
        if held {
            self.buffered_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        held
    }

    fn hold_unproven(&self, bytes: u64) -> bool {
        if self.peer.is_proxy
            && let Some(client) = self.lock_client().as_mut()
        {
            return client.hold_unproven(bytes);
        }
        if !self.address.unproven.take(bytes) {
            return false;
        }
        if !self.shared.unproven.take(bytes) {
            self.address.unproven.give_back(bytes);
            return false;
        }
        self.unproven_bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    fn give_back_unproven(&self) {
        let bytes = self.unproven_bytes.swap(0, Ordering::Relaxed);
        self.address.unproven.give_back(bytes);
        self.shared.unproven.give_back(bytes);
        if self.peer.is_proxy
            && let Some(client) = self.lock_client().as_mut()
        {
            client.give_back_unproven();
        }
    }

    /// Takes note of bytes of a head.
    ///
    /// # Errors
    /// When there is no memory for them, or no request begins so.
    pub(super) fn add_head_bytes(&self, bytes: &[u8]) -> Result<(), &'static str> {
        self.set_phase(Phase::Head);
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let before = self.head_bytes.fetch_add(count, Ordering::Relaxed);
        let after = before.saturating_add(count);
        if before == 0 {
            self.note_first_bytes(bytes);
        }
        if !self.has_blank.load(Ordering::Relaxed) {
            // A blank follows the method. The HTTP library would wait for it until the head is too long.
            let has_blank = bytes.iter().any(u8::is_ascii_whitespace);
            self.has_blank.store(has_blank, Ordering::Relaxed);
            if !has_blank && after > MAX_BYTES_WITHOUT_BLANK {
                return Err("no request begins so");
            }
        }
        let beyond = |bytes: u64| bytes.saturating_sub(FREE_HEAD_BYTES);
        let added = beyond(after) - beyond(before);
        if added == 0 || self.hold_unproven(added.saturating_mul(HEAD_BYTE_COST)) {
            Ok(())
        } else {
            Err("too many long heads at the same time")
        }
    }

    /// Logs that somebody who is not believed uses the PROXY protocol.
    pub(in crate::http) fn note_first_bytes(&self, bytes: &[u8]) {
        if !self.peer.is_proxy && proxy_protocol::is_beginning(bytes) {
            self.shared.note_unknown_proxy(&self.peer);
        }
    }

    pub(super) fn set_write_blocked(&self, is_blocked: bool) {
        self.is_write_blocked.store(is_blocked, Ordering::Relaxed);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.give_back_unproven();
        self.shared.buffered.give_back(self.buffered_bytes.swap(0, Ordering::Relaxed));
    }
}
