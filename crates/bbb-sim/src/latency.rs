//! How long a server takes to answer.

use std::time::Duration;

use crate::random::RandomSource;

/// The delay between a request being read and its effect and answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Latency {
    /// Answer at once.
    #[default]
    None,
    /// Always the same delay.
    Fixed(Duration),
    /// Even between the two.
    Uniform {
        /// The shortest delay.
        min: Duration,
        /// The longest delay.
        max: Duration,
    },
    /// The long-tailed shape of real servers.
    LogNormal {
        /// Half of the answers are faster than this.
        median: Duration,
        /// Standard deviation of the logarithm; 0.5 puts one answer in a hundred over 3.2 medians.
        sigma: f64,
        /// Makes the delays repeatable; every server mixes its number in.
        seed: u64,
    },
}

impl Latency {
    /// The random numbers of server `number` under this latency.
    pub(crate) fn random_source(&self, number: usize) -> RandomSource {
        let seed = match self {
            Self::LogNormal { seed, .. } => *seed,
            _ => 0,
        };
        RandomSource::new(seed ^ ((number as u64) << 32))
    }

    /// One delay.
    pub(crate) fn draw_delay(&self, noise: &mut RandomSource) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Fixed(delay) => *delay,
            Self::Uniform { min, max } => *min + max.saturating_sub(*min).mul_f64(noise.uniform()),
            Self::LogNormal { median, sigma, .. } => {
                let seconds = median.as_secs_f64() * (sigma * noise.normal()).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or(*median)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn uniform_stays_between_its_ends() {
        let latency = Latency::Uniform { min: 5 * MS, max: 9 * MS };
        let mut noise = latency.random_source(1);
        assert!(
            (0..1_000).map(|_| latency.draw_delay(&mut noise)).all(|d| d >= 5 * MS && d <= 9 * MS)
        );
    }

    #[test]
    fn log_normal_has_its_median_and_repeats() {
        let latency = Latency::LogNormal { median: 20 * MS, sigma: 0.5, seed: 7 };
        let draws = |number| {
            let mut noise = latency.random_source(number);
            (0..2_001).map(|_| latency.draw_delay(&mut noise)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        let mut sorted = draws(1);
        sorted.sort();
        assert!(sorted[1_000] > 18 * MS && sorted[1_000] < 22 * MS, "{:?}", sorted[1_000]);
    }
}
