//! The order among equals: seeded, even over seeds, and the same in every process.

use std::hash::Hasher;

use sha2::{Digest, Sha256};

use crate::server::Server;

/// Where a server stands among equals.
pub(super) fn server_rank(server: &Server, seed: u64) -> u64 {
    let mut hasher = FnvHasher(seed ^ 0xcbf2_9ce4_8422_2325);
    hasher.write(server.id.0.as_bytes());
    // One round of mixing, so that the last bytes of an id reach the high bits.
    let mixed = hasher.finish();
    (mixed ^ (mixed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A seed from a meeting's ID.
#[must_use]
pub fn meeting_seed(meeting_id: &str) -> u64 {
    let hash = Sha256::digest(meeting_id.as_bytes());
    hash.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// FNV-1a: std's hasher may change between releases, and replicas must agree.
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
