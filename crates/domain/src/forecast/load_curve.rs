//! A number of users over the next two hours.

/// Moments of a curve are this far apart.
pub const STEP_MS: i64 = 5 * 60_000;
/// From now to two hours ahead.
pub(super) const POINTS: usize = 25;
/// What a curve takes up: a multiple of what processors add at a time, the rest being zeros.
pub(super) const PADDED_POINTS: usize = 32;

/// Users now, in five minutes, and so on for two hours.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub struct LoadCurve(pub(super) [f32; PADDED_POINTS]);

impl LoadCurve {
    pub(super) const ZERO: Self = Self([0.0; PADDED_POINTS]);

    /// The moments.
    #[must_use]
    pub fn points(&self) -> &[f32] {
        &self.0[..POINTS]
    }

    /// Made moment by moment, from how many ms ahead each is.
    pub(super) fn from_fn(mut users: impl FnMut(i64) -> f32) -> Self {
        let mut curve = Self::ZERO;
        for (ahead, point) in (0..).zip(&mut curve.0[..POINTS]) {
            *point = users(ahead * STEP_MS);
        }
        curve
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (point, more) in self.0.iter_mut().zip(&other.0) {
            *point += more;
        }
    }

    /// Never goes below zero, where rounding would lead.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (point, less) in self.0.iter_mut().zip(&other.0) {
            *point = (*point - less).max(0.0);
        }
    }

    pub(super) fn peak(&self) -> f32 {
        self.points().iter().copied().fold(0.0, f32::max)
    }
}
