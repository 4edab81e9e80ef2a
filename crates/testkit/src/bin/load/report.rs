//! What was measured, as a table.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ContentArrangement, Table};

const COLUMNS: [&str; 9] =
    ["what", "balancer", "floor", "ratio", "target", "reached", "p50 ms", "p99 ms", "failed"];
/// Columns of numbers.
const TO_THE_RIGHT: [usize; 6] = [1, 2, 3, 6, 7, 8];

/// Stands where nothing was measured or wanted.
const NOTHING: &str = "–";

/// One line of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// What the balancer reached, with its unit.
    pub(crate) product: String,
    /// What the floor reached in the same run.
    pub(crate) floor: String,
    /// Speed of the balancer over that of the floor.
    pub(crate) ratio: Option<f64>,
    /// What was to be reached, and whether it was.
    pub(crate) target: Option<(String, bool)>,
    /// Within what time half of the balancer's answers, and nearly all of them, came.
    pub(crate) within_ms: Option<(f64, f64)>,
    /// Requests without a good answer, of balancer and floor.
    pub(crate) failed: usize,
    /// What was wrong with one of those.
    pub(crate) complaint: Option<String>,
}

impl Row {
    /// A measurement that could not be finished.
    pub(crate) fn given_up(what: String, error: &anyhow::Error) -> Self {
        Self {
            what,
            product: NOTHING.to_owned(),
            floor: NOTHING.to_owned(),
            failed: 1,
            complaint: Some(format!("{error:#}")),
            ..Self::default()
        }
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let (target, reached) = match &self.target {
            Some((target, reached)) => (target.clone(), if *reached { "ok" } else { "missed" }),
            None => (NOTHING.to_owned(), NOTHING),
        };
        let (p50, p99) = match self.within_ms {
            Some((p50, p99)) => (Some(p50), Some(p99)),
            None => (None, None),
        };
        [
            self.what.clone(),
            self.product.clone(),
            self.floor.clone(),
            number(self.ratio),
            target,
            reached.to_owned(),
            number(p50),
            number(p99),
            self.failed.to_string(),
        ]
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| format!("{value:.2}"))
}

/// Requests per second.
pub(crate) fn per_second(rate: f64) -> String {
    format!("{rate:.0}/s")
}

pub(crate) fn table(rows: &[Row], markdown: bool) -> String {
    let mut table = Table::new();
    let style = if markdown { ASCII_MARKDOWN } else { UTF8_FULL_CONDENSED };
    table.load_style(style);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(COLUMNS);
    table.add_rows(rows.iter().map(Row::cells));
    for column in TO_THE_RIGHT {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// The machine, in a few words.
pub(crate) fn machine() -> String {
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
        let row = Row {
            what: "join".to_owned(),
            ratio: Some(0.456),
            target: Some(("≥ 0.40".to_owned(), true)),
            ..Row::default()
        };
        let table = table(&[row], true);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].contains("0.46") && lines[2].contains("ok"), "{table}");
        assert!(lines.iter().all(|line| line.starts_with('|')), "{table}");
    }
}
