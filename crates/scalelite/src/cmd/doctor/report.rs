//! How findings are printed: a list for people, an array for programs.

use std::io::IsTerminal as _;

use app::ports::{Finding, Level};
use serde_json::json;

use crate::output::{printable, say};

/// One line for each finding, with what to do under those that need it.
pub fn text(findings: &[Finding]) {
    let terminal = std::io::stdout().is_terminal();
    for finding in findings {
        let (check, detail) = (printable(&finding.check), printable(&finding.detail));
        say(format!("{}{check}: {detail}", mark(finding.level, terminal)));
        if let Some(advice) = &finding.advice {
            say(format!(
                "{:width$}{}",
                "",
                printable(advice),
                width = if terminal { 4 } else { 9 }
            ));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    say(match (count(Level::Fail), count(Level::Warn)) {
        (0, 0) => "Nothing is wrong.".to_owned(),
        (0, warned) => format!("Nothing fails; {warned} to look at."),
        (failed, 0) => format!("{failed} failed."),
        (failed, warned) => format!("{failed} failed; {warned} more to look at."),
    });
}

/// What a line begins with; files and pipes get words.
fn mark(level: Level, terminal: bool) -> String {
    let (sign, word) = match level {
        Level::Ok => ("✓", "ok"),
        Level::Warn => ("!", "warn"),
        Level::Fail => ("✗", "FAIL"),
        Level::Skipped => ("-", "skipped"),
    };
    if terminal { format!("{sign} ") } else { format!("{word:<9}") }
}

/// An array of objects.
pub fn json(findings: &[Finding]) {
    let of = |finding: &Finding| {
        json!({
            "name": finding.check,
            "outcome": finding.level.name(),
            "detail": finding.detail,
            "advice": finding.advice,
        })
    };
    say(json!(findings.iter().map(of).collect::<Vec<_>>()).to_string());
}
