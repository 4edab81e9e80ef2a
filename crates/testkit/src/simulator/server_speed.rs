//! How long a simulated server works on calls. Some servers answer everything slowly, and some answer
//! small requests at once and take seconds for a create, as BBB does while it fetches slides.

use crate::seeded_rng::SeededRng;

/// Time that a create may take, in ms: the least and the most.
const CREATE_MS: [(u64, u64); 3] = [(1_000, 3_000), (2_000, 8_000), (6_000, 12_000)];
/// Time that every call takes on a slow server, in ms.
const SLOW_CALL_MS: (u64, u64) = (1_500, 3_000);
/// A call that takes at least so long counts as slow, in ms.
pub(crate) const SLOW_MS: u64 = 1_000;

/// How long a server works on calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServerSpeed {
    /// The least and the most time for a create, in ms.
    create_ms: (u64, u64),
    /// The same for all other calls.
    call_ms: (u64, u64),
}

/// The work of a server on one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallWork {
    /// How long it takes, in ms.
    pub(crate) ms: u64,
    /// Whether a meeting exists only when the work is done, instead of when it begins.
    pub(crate) has_late_effect: bool,
}

impl ServerSpeed {
    /// Draws the speed of a server in a scenario with slow servers.
    #[must_use]
    pub(crate) fn draw(rng: &mut SeededRng) -> Self {
        match rng.draw_u64(0, 99) {
            0..40 => {
                let create_ms = rng.pick(&CREATE_MS).copied().unwrap_or_default();
                Self { create_ms, call_ms: (0, 0) }
            }
            40..55 => Self { create_ms: SLOW_CALL_MS, call_ms: SLOW_CALL_MS },
            _ => Self::default(),
        }
    }

    /// Returns whether the server always answers a create within this time, in ms.
    #[must_use]
    pub(crate) fn creates_within(self, ms: u64) -> bool {
        self.create_ms.1 < ms
    }

    /// Draws the work on a call. A server without work draws nothing.
    pub(crate) fn draw_work(self, call: &str, rng: &mut SeededRng) -> CallWork {
        let is_create = call == "create";
        let (least, most) = if is_create { self.create_ms } else { self.call_ms };
        if most == 0 {
            return CallWork::default();
        }
        let ms = rng.draw_u64(least, most);
        CallWork { ms, has_late_effect: is_create && rng.draw_percent(50) }
    }
}
