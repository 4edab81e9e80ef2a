//! The values of metrics at one moment, and the text of them that Prometheus reads (format 0.0.4).

use std::fmt;

use app::state::TimeCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::definitions::{DEFINITIONS, MetricDefinition, MetricId, MetricKind};

/// Content type of the text.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;
/// Longest value of a label, in characters. Some of them come from servers and administrators.
const MAX_LABEL_CHARS: usize = 120;

/// One value of a metric.
#[derive(Clone, Debug)]
enum MetricValue {
    Number(f64),
    Count(u64),
    Fraction(f64),
    Times(TimeCounts),
}

/// The values of metrics.
#[derive(Debug)]
pub struct MetricValues {
    /// For each metric, in the order of the definitions: the values of its labels, and its value.
    families: Vec<Vec<(Vec<String>, MetricValue)>>,
}

impl Default for MetricValues {
    fn default() -> Self {
        Self { families: DEFINITIONS.iter().map(|_| Vec::new()).collect() }
    }
}

impl MetricValues {
    /// Sets a gauge.
    pub fn set(&mut self, metric: MetricId, labels: &[&str], value: f64) {
        self.add(metric, labels, MetricValue::Number(value));
    }

    /// Sets a gauge that is 1 if something is so, otherwise 0.
    pub fn set_whether(&mut self, metric: MetricId, labels: &[&str], is_so: bool) {
        self.set(metric, labels, f64::from(u8::from(is_so)));
    }

    /// Sets a counter.
    pub fn count(&mut self, metric: MetricId, labels: &[&str], count: u64) {
        self.add(metric, labels, MetricValue::Count(count));
    }

    /// Sets a counter of something that is no whole number.
    pub fn count_fraction(&mut self, metric: MetricId, labels: &[&str], count: f64) {
        self.add(metric, labels, MetricValue::Fraction(count));
    }

    /// Sets a histogram.
    pub fn times(&mut self, metric: MetricId, labels: &[&str], times: TimeCounts) {
        self.add(metric, labels, MetricValue::Times(times));
    }

    fn add(&mut self, metric: MetricId, labels: &[&str], value: MetricValue) {
        if let Some(family) = self.families.get_mut(metric as usize) {
            family.push((labels.iter().map(|label| shorten(label)).collect(), value));
        }
    }

    /// Takes over all values of others.
    pub fn append(&mut self, others: Self) {
        for (family, added) in self.families.iter_mut().zip(others.families) {
            family.extend(added);
        }
    }

    /// Writes the text.
    pub fn into_text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing into a text does not fail.
        let _ = prometheus_text::encode(&mut text, &registry);
        text
    }
}

fn shorten(label: &str) -> String {
    match label.char_indices().nth(MAX_LABEL_CHARS) {
        Some((end, _)) => label[..end].to_owned(),
        None => label.to_owned(),
    }
}

impl Collector for MetricValues {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (definition, family) in DEFINITIONS.iter().zip(&self.families) {
            if family.is_empty() {
                continue;
            }
            let MetricDefinition { name, kind, help, .. } = *definition;
            let kind = match kind {
                MetricKind::Gauge => MetricType::Gauge,
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Histogram => MetricType::Histogram,
            };
            // The library adds the suffix.
            let name = name.strip_suffix("_total").unwrap_or(name);
            let mut metric = encoder.encode_descriptor(name, help.trim_start(), None, kind)?;
            for (labels, value) in family {
                let names = definition.labels.iter().copied();
                let labels: Vec<(&str, &str)> =
                    names.zip(labels.iter().map(String::as_str)).collect();
                encode_value(metric.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }
}

fn encode_value(mut encoder: MetricEncoder<'_>, value: &MetricValue) -> fmt::Result {
    match value {
        MetricValue::Number(number) => encoder.encode_gauge(number),
        MetricValue::Count(count) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
        MetricValue::Fraction(count) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
        MetricValue::Times(times) => {
            let TimeCounts { sum_s, ranges } = times;
            encoder.encode_histogram::<NoLabelSet>(*sum_s, times.total(), ranges, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use app::state::TimeHistogram;

    use super::*;

    #[test]
    fn labels_are_escaped_and_bounded() {
        let mut values = MetricValues::default();
        values.set(MetricId::ServerUsers, &["a\"b\\c\nd"], 3.0);
        values.set(MetricId::ServerUsers, &[&"ä".repeat(500)], 0.5);
        let text = values.into_text();
        let mut lines = text.lines().skip(2);
        assert_eq!(lines.next(), Some(r#"scalelite_server_users{server="a\"b\\c\nd"} 3.0"#));
        let long = format!("scalelite_server_users{{server=\"{}\"}} 0.5", "ä".repeat(120));
        assert_eq!((lines.next(), lines.next()), (Some(long.as_str()), None));
    }

    #[test]
    fn counters_and_histograms_are_complete() {
        let histogram = TimeHistogram::new(&[250]);
        histogram.observe(Duration::from_millis(100));
        histogram.observe(Duration::from_secs(1));
        let mut values = MetricValues::default();
        values.times(MetricId::ServerCreates, &["a"], histogram.read());
        let mut more = MetricValues::default();
        more.count(MetricId::Failovers, &[], 7);
        values.append(more);
        let text = values.into_text();
        for line in [
            "# TYPE scalelite_server_create_seconds histogram",
            "scalelite_server_create_seconds_bucket{server=\"a\",le=\"0.25\"} 1",
            "scalelite_server_create_seconds_bucket{server=\"a\",le=\"+Inf\"} 2",
            "scalelite_server_create_seconds_sum{server=\"a\"} 1.1",
            "scalelite_server_create_seconds_count{server=\"a\"} 2",
            "# TYPE scalelite_create_failovers_total counter",
            "scalelite_create_failovers_total 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
