//! A curve of user numbers over the next two hours.

/// Time between two points of a curve, in ms.
pub const STEP_MS: i64 = 5 * 60_000;
/// Number of points of a curve: now to two hours ahead.
pub(super) const POINTS: usize = 25;
/// Length of the array of a curve: a multiple of the number of values that processors add at a
/// time. The points after the first [`POINTS`] are zero.
pub(super) const PADDED_POINTS: usize = 32;

/// Numbers of users now, in five minutes, and so on for two hours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(align(64))]
pub struct LoadCurve(pub(super) [f32; PADDED_POINTS]);

impl LoadCurve {
    pub(super) const ZERO: Self = Self([0.0; PADDED_POINTS]);

    /// Returns the points of the curve.
    #[must_use]
    pub fn points(&self) -> &[f32] {
        &self.0[..POINTS]
    }

    /// Computes each point from the time that it is ahead, in ms.
    pub(super) fn from_fn(mut users: impl FnMut(i64) -> f32) -> Self {
        let mut curve = Self::ZERO;
        for (step, point) in (0..).zip(&mut curve.0[..POINTS]) {
            *point = users(step * STEP_MS);
        }
        curve
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (point, added) in self.0.iter_mut().zip(&other.0) {
            *point += added;
        }
    }

    /// Subtracts a curve. Points that would become negative by rounding errors become zero.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (point, subtracted) in self.0.iter_mut().zip(&other.0) {
            *point = (*point - subtracted).max(0.0);
        }
    }

    pub(super) fn peak(&self) -> f32 {
        self.points().iter().copied().fold(0.0, f32::max)
    }
}
