//! Prints findings as text or JSON.

use std::io::IsTerminal as _;

use app::ports::{Finding, FindingLevel};
use serde_json::json;

use crate::output::{print_line, printable};

/// Prints one line for each finding, followed by its advice if it has any, and a summary.
pub fn print_findings(findings: &[Finding]) {
    let terminal = std::io::stdout().is_terminal();
    for finding in findings {
        let (check, detail) = (printable(&finding.check), printable(&finding.detail));
        print_line(format!("{}{check}: {detail}", line_prefix(finding.level, terminal)));
        if let Some(advice) = &finding.advice {
            print_line(format!(
                "{:width$}{}",
                "",
                printable(advice),
                width = if terminal { 4 } else { 9 }
            ));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    print_line(match (count(FindingLevel::Fail), count(FindingLevel::Warn)) {
        (0, 0) => "No problems found.".to_owned(),
        (0, warned) => format!("{warned} warnings."),
        (failed, 0) => format!("{failed} failed."),
        (failed, warned) => format!("{failed} failed, {warned} warnings."),
    });
}

/// The prefix of a line: a symbol on a terminal, a word otherwise.
fn line_prefix(level: FindingLevel, terminal: bool) -> String {
    let (symbol, word) = match level {
        FindingLevel::Ok => ("✓", "ok"),
        FindingLevel::Warn => ("!", "warn"),
        FindingLevel::Fail => ("✗", "FAIL"),
        FindingLevel::Skipped => ("-", "skipped"),
    };
    if terminal { format!("{symbol} ") } else { format!("{word:<9}") }
}

/// Prints an array with an object for each finding.
pub fn print_findings_json(findings: &[Finding]) {
    let to_json = |finding: &Finding| {
        json!({
            "name": finding.check,
            "outcome": finding.level.name(),
            "detail": finding.detail,
            "advice": finding.advice,
        })
    };
    print_line(json!(findings.iter().map(to_json).collect::<Vec<_>>()).to_string());
}
