//! Medians and the like.

use crate::round::Round;

pub(crate) use testkit::quantile::ms;
use testkit::quantile::quantile;

/// Rounds of the balancer and of its floor, taken in turn.
#[derive(Debug, Default)]
pub(crate) struct Duel {
    pub(crate) product: Vec<Round>,
    pub(crate) floor: Vec<Round>,
    /// Of which only the failures count.
    pub(crate) warm_up: Vec<Round>,
}

impl Duel {
    /// Failures of rounds, and what was wrong with one of them.
    pub(crate) fn failures(&self) -> (usize, Option<String>) {
        let rounds = self.product.iter().chain(&self.floor);
        failures(rounds.chain(&self.warm_up))
    }

    /// The balancer's rate over its floor's: the median of the neighbouring rounds.
    pub(crate) fn ratio(&self) -> f64 {
        let pairs = self.product.iter().zip(&self.floor);
        median(pairs.map(|(product, floor)| product.rate() / floor.rate()))
    }
}

/// The median of the rounds' rates.
pub(crate) fn rate(rounds: &[Round]) -> f64 {
    median(rounds.iter().map(Round::rate))
}

/// The time within which that share of all answers came, in ms.
pub(crate) fn within_ms(rounds: &[Round], share: f64) -> f64 {
    let latencies = rounds.iter().flat_map(|round| &round.latencies);
    quantile(latencies.map(ms).collect(), share)
}

/// Failures of all rounds, and what was wrong with one of them.
pub(crate) fn failures<'a>(rounds: impl IntoIterator<Item = &'a Round>) -> (usize, Option<String>) {
    let (mut failed, mut complaint) = (0, None);
    for round in rounds {
        failed += round.failed;
        complaint = complaint.or_else(|| round.complaint.clone());
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
        let round = |answers: usize| Round {
            elapsed: Duration::from_secs(1),
            latencies: vec![Duration::from_millis(2); answers],
            ..Round::default()
        };
        let duel = Duel {
            product: vec![round(5), round(1), round(40)],
            floor: vec![round(10), round(10), round(100)],
            ..Duel::default()
        };
        assert!((duel.ratio() - 0.4).abs() < 1e-9);
        assert!((rate(&duel.product) - 5.0).abs() < 1e-9);
        assert!((within_ms(&duel.product, 0.99) - 2.0).abs() < 1e-9);
    }
}
