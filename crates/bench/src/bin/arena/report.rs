//! The table of results.

use std::fmt::Write;

/// The results of one policy: the relative fullness of each day.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolicyRow {
    pub(crate) name: &'static str,
    pub(crate) equal: Vec<f64>,
    pub(crate) unequal: Vec<f64>,
}

/// Returns mean and spread (standard deviation over days).
pub(crate) fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (square / (count - 1.0).max(1.0)).sqrt())
}

/// Formats the results as a Markdown table.
pub(crate) fn to_markdown(rows: &[PolicyRow]) -> String {
    let mut text =
        String::from("| policy | equal servers | unequal servers |\n| --- | --- | --- |\n");
    for row in rows {
        let cell = |values: &[f64]| {
            let (mean, spread) = mean_and_spread(values);
            if values.is_empty() { "–".to_owned() } else { format!("{mean:.3} ± {spread:.3}") }
        };
        let (equal, unequal) = (cell(&row.equal), cell(&row.unequal));
        let _infallible = writeln!(text, "| {} | {equal} | {unequal} |", row.name);
    }
    text
}
