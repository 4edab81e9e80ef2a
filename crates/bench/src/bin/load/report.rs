//! The table of results.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ContentArrangement, Table};

const COLUMNS: [&str; 9] = [
    "measurement",
    "balancer",
    "baseline",
    "ratio",
    "target",
    "reached",
    "p50 ms",
    "p99 ms",
    "failed",
];
/// Columns of numbers.
const NUMBER_COLUMNS: [usize; 6] = [1, 2, 3, 6, 7, 8];

/// The content of a cell without a measurement or target.
const EMPTY_CELL: &str = "–";

/// One row of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReportRow {
    /// What was measured.
    pub(crate) name: String,
    /// The balancer's result, with its unit.
    pub(crate) product: String,
    /// The baseline's result in the same run.
    pub(crate) baseline: String,
    /// Speed of the balancer divided by that of the baseline.
    pub(crate) ratio: Option<f64>,
    /// The target, and whether it was reached.
    pub(crate) target: Option<(String, bool)>,
    /// Median and 99th percentile of the balancer's response times.
    pub(crate) p50_p99_ms: Option<(f64, f64)>,
    /// Number of requests without a valid response, of balancer and baseline.
    pub(crate) failed: usize,
    /// The error of one of these requests.
    pub(crate) failure_example: Option<String>,
}

impl ReportRow {
    /// The row of a measurement that failed.
    pub(crate) fn from_error(name: String, error: &anyhow::Error) -> Self {
        Self {
            name,
            product: EMPTY_CELL.to_owned(),
            baseline: EMPTY_CELL.to_owned(),
            failed: 1,
            failure_example: Some(format!("{error:#}")),
            ..Self::default()
        }
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let (target, reached) = match &self.target {
            Some((target, reached)) => (target.clone(), if *reached { "ok" } else { "missed" }),
            None => (EMPTY_CELL.to_owned(), EMPTY_CELL),
        };
        let (p50, p99) = match self.p50_p99_ms {
            Some((p50, p99)) => (Some(p50), Some(p99)),
            None => (None, None),
        };
        [
            self.name.clone(),
            self.product.clone(),
            self.baseline.clone(),
            format_number(self.ratio),
            target,
            reached.to_owned(),
            format_number(p50),
            format_number(p99),
            self.failed.to_string(),
        ]
    }
}

fn format_number(value: Option<f64>) -> String {
    value.map_or_else(|| EMPTY_CELL.to_owned(), |value| format!("{value:.2}"))
}

/// Formats a number of requests per second.
pub(crate) fn format_rate(rate: f64) -> String {
    format!("{rate:.0}/s")
}

pub(crate) fn to_table(rows: &[ReportRow], markdown: bool) -> String {
    let mut table = Table::new();
    let style = if markdown { ASCII_MARKDOWN } else { UTF8_FULL_CONDENSED };
    table.load_style(style);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(COLUMNS);
    table.add_rows(rows.iter().map(ReportRow::cells));
    for column in NUMBER_COLUMNS {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// Returns the number of cores and the model of the processor.
pub(crate) fn describe_machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = named.map_or("unknown model", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores ({model})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_tables_have_a_line_for_each_row() {
        let row = ReportRow {
            name: "join".to_owned(),
            ratio: Some(0.456),
            target: Some(("≥ 0.40".to_owned(), true)),
            ..ReportRow::default()
        };
        let table = to_table(&[row], true);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].contains("0.46") && lines[2].contains("ok"), "{table}");
        assert!(lines.iter().all(|line| line.starts_with('|')), "{table}");
    }
}
