//! Quantiles of measured values.

use std::time::Duration;

/// The `share` quantile: the smallest value that is not below this share of the values; NaN if
/// there are no values.
#[must_use]
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    // The conversion to an integer saturates.
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// A duration in milliseconds, with fractions.
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
