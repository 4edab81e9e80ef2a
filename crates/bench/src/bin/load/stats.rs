//! Medians and the like.

use crate::round::RoundResult;

use testkit::quantile::quantile;
pub(crate) use testkit::quantile::to_ms;

/// Rounds of the balancer and of its floor, taken in turn.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) product: Vec<RoundResult>,
    pub(crate) floor: Vec<RoundResult>,
    /// Of which only the failures count.
    pub(crate) warm_up: Vec<RoundResult>,
}

impl Comparison {
    /// Failures of rounds, and what was wrong with one of them.
    pub(crate) fn count_failures(&self) -> (usize, Option<String>) {
        let rounds = self.product.iter().chain(&self.floor);
        count_failures(rounds.chain(&self.warm_up))
    }

    /// The balancer's rate over its floor's: the median of the neighbouring rounds.
    pub(crate) fn ratio(&self) -> f64 {
        let pairs = self.product.iter().zip(&self.floor);
        median(pairs.map(|(product, floor)| product.rate() / floor.rate()))
    }
}

/// The median of the rounds' rates.
pub(crate) fn median_rate(rounds: &[RoundResult]) -> f64 {
    median(rounds.iter().map(RoundResult::rate))
}

/// The time within which that share of all answers came, in ms.
pub(crate) fn latency_quantile_ms(rounds: &[RoundResult], share: f64) -> f64 {
    let latencies = rounds.iter().flat_map(|round| &round.latencies);
    quantile(latencies.map(to_ms).collect(), share)
}

/// Failures of all rounds, and what was wrong with one of them.
pub(crate) fn count_failures<'a>(
    rounds: impl IntoIterator<Item = &'a RoundResult>,
) -> (usize, Option<String>) {
    let (mut failed, mut complaint) = (0, None);
    for round in rounds {
        failed += round.failed;
        complaint = complaint.or_else(|| round.failure_example.clone());
    }
    (failed, complaint)
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
    fn ratios_are_those_of_neighbours() {
        let round = |answers: usize| RoundResult {
            elapsed: Duration::from_secs(1),
            latencies: vec![Duration::from_millis(2); answers],
            ..RoundResult::default()
        };
        let duel = Comparison {
            product: vec![round(5), round(1), round(40)],
            floor: vec![round(10), round(10), round(100)],
            ..Comparison::default()
        };
        assert!((duel.ratio() - 0.4).abs() < 1e-9);
        assert!((median_rate(&duel.product) - 5.0).abs() < 1e-9);
        assert!((latency_quantile_ms(&duel.product, 0.99) - 2.0).abs() < 1e-9);
    }
}
