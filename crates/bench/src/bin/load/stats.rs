//! Medians, quantiles and ratios of measured rounds.

use crate::round::RoundResult;

use testkit::quantile::quantile;
pub(crate) use testkit::quantile::to_ms;

/// Alternating rounds of the balancer and of its baseline.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) product: Vec<RoundResult>,
    pub(crate) baseline: Vec<RoundResult>,
    /// Rounds before the measurement, of which only the failures count.
    pub(crate) warm_up: Vec<RoundResult>,
}

impl Comparison {
    /// Returns the number of failures in all rounds, and the error of one of them.
    pub(crate) fn count_failures(&self) -> (usize, Option<String>) {
        let rounds = self.product.iter().chain(&self.baseline);
        count_failures(rounds.chain(&self.warm_up))
    }

    /// Returns the balancer's rate divided by the baseline's: the median of the ratios of consecutive
    /// rounds.
    pub(crate) fn ratio(&self) -> f64 {
        let pairs = self.product.iter().zip(&self.baseline);
        median(pairs.map(|(product, baseline)| product.rate() / baseline.rate()))
    }
}

/// Returns the median of the rounds' rates.
pub(crate) fn median_rate(rounds: &[RoundResult]) -> f64 {
    median(rounds.iter().map(RoundResult::rate))
}

/// Returns a quantile of the response times of all rounds, in ms.
pub(crate) fn latency_quantile_ms(rounds: &[RoundResult], share: f64) -> f64 {
    let latencies = rounds.iter().flat_map(|round| &round.latencies);
    quantile(latencies.map(to_ms).collect(), share)
}

/// Returns the number of failures in these rounds, and the error of one of them.
pub(crate) fn count_failures<'a>(
    rounds: impl IntoIterator<Item = &'a RoundResult>,
) -> (usize, Option<String>) {
    let (mut failed, mut failure_example) = (0, None);
    for round in rounds {
        failed += round.failed;
        failure_example = failure_example.or_else(|| round.failure_example.clone());
    }
    (failed, failure_example)
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values.into_iter().collect(), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn medians_are_values_that_occurred() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn ratios_are_those_of_consecutive_rounds() {
        let round = |count: usize| RoundResult {
            elapsed: Duration::from_secs(1),
            latencies: vec![Duration::from_millis(2); count],
            ..RoundResult::default()
        };
        let comparison = Comparison {
            product: vec![round(5), round(1), round(40)],
            baseline: vec![round(10), round(10), round(100)],
            ..Comparison::default()
        };
        assert!((comparison.ratio() - 0.4).abs() < 1e-9);
        assert!((median_rate(&comparison.product) - 5.0).abs() < 1e-9);
        assert!((latency_quantile_ms(&comparison.product, 0.99) - 2.0).abs() < 1e-9);
    }
}
