//! Response times of servers, and how long they work on a create.

use std::time::Duration;

use crate::random::RandomSource;

/// The delay between reading a request and its effect and response.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Latency {
    /// No delay.
    #[default]
    None,
    /// Always this delay.
    Fixed(Duration),
    /// A uniform distribution between two delays.
    Uniform {
        /// The shortest delay.
        min: Duration,
        /// The longest delay.
        max: Duration,
    },
    /// A log-normal distribution, whose long tail is like that of real servers.
    LogNormal {
        /// Half of the responses are faster than this.
        median: Duration,
        /// Standard deviation of the logarithm. With 0.5, one response in a hundred takes longer than 3.2 medians.
        sigma: f64,
        /// Seed of the random numbers, which is combined with the number of the server.
        seed: u64,
    },
}

impl Latency {
    /// Creates the random numbers for the delays of server `number`.
    fn random_source(&self, number: usize) -> RandomSource {
        let seed = match self {
            Self::LogNormal { seed, .. } => *seed,
            _ => 0,
        };
        RandomSource::new(seed ^ ((number as u64) << 32))
    }

    /// Draws one delay.
    fn draw_delay(&self, random: &mut RandomSource) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Fixed(delay) => *delay,
            Self::Uniform { min, max } => *min + max.saturating_sub(*min).mul_f64(random.uniform()),
            Self::LogNormal { median, sigma, .. } => {
                let seconds = median.as_secs_f64() * (sigma * random.normal()).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or(*median)
            }
        }
    }
}

/// The moment of its create from which on a meeting exists, where the server works on a create for some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MeetingMoment {
    /// At the beginning of the work: BigBlueButton registers the meeting first, then waits for slides and plugins.
    #[default]
    Beginning,
    /// After this part of the work, at its end at the latest.
    After(Duration),
    /// At the end of the work, with the answer.
    End,
}

impl MeetingMoment {
    /// Returns how long a create of this work waits before the meeting exists.
    pub(crate) fn work_before(self, work: Duration) -> Duration {
        match self {
            Self::Beginning => Duration::ZERO,
            Self::After(part) => part.min(work),
            Self::End => work,
        }
    }
}

/// A latency and the random numbers from which its delays are drawn.
#[derive(Debug)]
pub(crate) struct DelaySource {
    latency: Latency,
    random: RandomSource,
}

impl DelaySource {
    /// Creates the delays of server `number`.
    pub(crate) fn new(latency: Latency, number: usize) -> Self {
        Self { random: latency.random_source(number), latency }
    }

    /// Draws the next delay.
    pub(crate) fn draw(&mut self) -> Duration {
        self.latency.draw_delay(&mut self.random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn uniform_delays_stay_between_min_and_max() {
        let latency = Latency::Uniform { min: 5 * MS, max: 9 * MS };
        let mut random = latency.random_source(1);
        assert!(
            (0..1_000)
                .map(|_| latency.draw_delay(&mut random))
                .all(|delay| delay >= 5 * MS && delay <= 9 * MS)
        );
    }

    #[test]
    fn log_normal_delays_have_the_median_and_are_repeatable() {
        let latency = Latency::LogNormal { median: 20 * MS, sigma: 0.5, seed: 7 };
        let draw_delays = |number| {
            let mut random = latency.random_source(number);
            (0..2_001).map(|_| latency.draw_delay(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(draw_delays(1), draw_delays(1));
        assert_ne!(draw_delays(1), draw_delays(2));
        let mut sorted = draw_delays(1);
        sorted.sort();
        assert!(sorted[1_000] > 18 * MS && sorted[1_000] < 22 * MS, "{:?}", sorted[1_000]);
    }
}
