//! How findings are printed: a list for people, an array for programs.

use std::io::IsTerminal as _;

use app::ports::{Finding, FindingLevel};
use serde_json::json;

use crate::output::{print_line, printable};

/// One line for each finding, with what to do under those that need it.
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
        (0, 0) => "Nothing is wrong.".to_owned(),
        (0, warned) => format!("Nothing fails; {warned} to look at."),
        (failed, 0) => format!("{failed} failed."),
        (failed, warned) => format!("{failed} failed; {warned} more to look at."),
    });
}

/// What a line begins with; files and pipes get words.
fn line_prefix(level: FindingLevel, terminal: bool) -> String {
    let (sign, word) = match level {
        FindingLevel::Ok => ("✓", "ok"),
        FindingLevel::Warn => ("!", "warn"),
        FindingLevel::Fail => ("✗", "FAIL"),
        FindingLevel::Skipped => ("-", "skipped"),
    };
    if terminal { format!("{sign} ") } else { format!("{word:<9}") }
}

/// An array of objects.
pub fn print_findings_json(findings: &[Finding]) {
    let of = |finding: &Finding| {
        json!({
            "name": finding.check,
            "outcome": finding.level.name(),
            "detail": finding.detail,
            "advice": finding.advice,
        })
    };
    print_line(json!(findings.iter().map(of).collect::<Vec<_>>()).to_string());
}
