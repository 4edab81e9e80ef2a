//! *Doctor*: the checks that `scalelite doctor` makes, and the parts that this process needs.

use std::sync::Arc;

use app::admin::doctor::check_servers;
use app::ports::FindingLevel;
use askama::Template;

use super::super::view::{PageError, RenderedPage};
use crate::http::state::HttpState;

#[derive(Template)]
#[template(path = "console/doctor.html")]
struct DoctorPage {
    findings: Vec<FindingRow>,
    parts: Vec<FindingRow>,
}

struct FindingRow {
    level: &'static str,
    check: String,
    detail: String,
    advice: String,
}

pub(in super::super) async fn render(state: &Arc<HttpState>) -> Result<RenderedPage, PageError> {
    let findings = match &state.administration.checks {
        Some(checks) => checks.run_checks().await,
        None => check_servers(&state.app).await,
    };
    let findings = findings.into_iter().map(|finding| FindingRow {
        level: match finding.level {
            FindingLevel::Ok => "ok",
            FindingLevel::Warn => "warning",
            FindingLevel::Fail => "failed",
            FindingLevel::Skipped => "skipped",
        },
        check: finding.check,
        detail: finding.detail,
        advice: finding.advice.unwrap_or_default(),
    });
    let parts = state.health.report().into_iter().map(|part| FindingRow {
        level: part.status(),
        check: part.name.to_owned(),
        detail: part.detail().unwrap_or_default().to_owned(),
        advice: String::new(),
    });
    let page = DoctorPage { findings: findings.collect(), parts: parts.collect() };
    RenderedPage::new("Doctor", &page, None)
}
