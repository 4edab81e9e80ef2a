//! What the upload handler needs: the store of unfinished archives and its limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use app::ports::Uploads;
use domain::ServerId;

/// Number of simultaneous uploads beyond which a server may have only one.
const MAX_CONCURRENT_UPLOADS: usize = 16;

/// Uploads of recordings.
pub struct UploadService {
    pub(super) uploads: Arc<dyn Uploads>,
    /// Longest archive, in bytes.
    pub(super) max_bytes: u64,
    pub(super) slots: UploadSlots,
}

impl UploadService {
    /// Accepts archives of up to `max_bytes` bytes, `per_server` at the same time from one server.
    pub fn new(uploads: Arc<dyn Uploads>, max_bytes: u64, per_server: usize) -> Self {
        let slots = UploadSlots { per_server, taken: Mutex::default() };
        Self { uploads, max_bytes, slots }
    }
}

/// The places of uploads in progress. Uploads of one server never take the last place of another.
pub(super) struct UploadSlots {
    per_server: usize,
    /// How many each server has; there are no more entries than servers.
    taken: Mutex<HashMap<ServerId, usize>>,
}

/// A place, given back when it is dropped.
pub(super) struct UploadSlot<'a> {
    slots: &'a UploadSlots,
    server: ServerId,
}

impl UploadSlots {
    /// Takes a place for an upload of this server; `None` if it has to wait.
    pub(super) fn take(&self, server: &ServerId) -> Option<UploadSlot<'_>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(server).copied().unwrap_or_default();
        if own >= self.per_server || (own > 0 && all >= MAX_CONCURRENT_UPLOADS) {
            return None;
        }
        taken.insert(server.clone(), own + 1);
        Some(UploadSlot { slots: self, server: server.clone() })
    }
}

impl Drop for UploadSlot<'_> {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.server) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_server_takes_the_place_of_another() {
        let slots = UploadSlots { per_server: 4, taken: Mutex::default() };
        let server = |name: &str| ServerId(name.to_owned());
        let mut taken: Vec<UploadSlot<'_>> = Vec::new();
        for n in 0..4 {
            let server = server(&format!("hostile {n}"));
            taken.extend((0..9).map_while(|_| slots.take(&server)));
        }
        assert_eq!(taken.len(), MAX_CONCURRENT_UPLOADS);
        let good = slots.take(&server("good")).unwrap();
        assert!(slots.take(&server("good")).is_none(), "one is left to each server");
        drop((taken, good));
        assert!(slots.taken.lock().unwrap().is_empty());
    }
}
