//! Quantiles of what was measured.

use std::time::Duration;

/// The smallest value that is not below that share of them; no number if there is none.
#[must_use]
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    // A float becomes the nearest integer that fits.
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Milliseconds, with fractions.
#[must_use]
pub fn to_ms(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values = || (1..=100).rev().map(f64::from).collect::<Vec<_>>();
        assert_eq!(quantile(values(), 0.5), 50.0);
        assert_eq!(quantile(values(), 0.99), 99.0);
        assert_eq!(quantile(values(), 1.0), 100.0);
        assert!(quantile(Vec::new(), 0.5).is_nan());
    }
}
