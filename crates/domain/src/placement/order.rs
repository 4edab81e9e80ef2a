//! The order of servers with equal costs. It depends on a seed, distributes evenly over seeds, and
//! is the same in all processes.

use std::hash::Hasher;

use sha2::{Digest, Sha256};

use crate::server::Server;

/// Returns the rank of a server among equal ones; the lowest rank is chosen.
pub(super) fn server_rank(server: &Server, seed: u64) -> u64 {
    let mut hasher = FnvHasher(seed ^ 0xcbf2_9ce4_8422_2325);
    hasher.write(server.id.0.as_bytes());
    // One round of mixing, so that the last bytes of an id reach the high bits.
    let mixed = hasher.finish();
    (mixed ^ (mixed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Derives a seed from a meeting id.
#[must_use]
pub fn meeting_seed(meeting_id: &str) -> u64 {
    let hash = Sha256::digest(meeting_id.as_bytes());
    hash.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// FNV-1a. The hasher of the standard library may change between releases, and replicas must agree.
struct FnvHasher(u64);

impl Hasher for FnvHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
