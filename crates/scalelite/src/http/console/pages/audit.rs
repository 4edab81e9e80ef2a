//! *Audit*: the changes of the last days, the newest first.

use std::sync::Arc;

use askama::Template;
use domain::Timestamp;

use super::super::show;
use super::super::view::{PageError, RenderedPage};
use crate::http::state::HttpState;

/// Records that are shown.
const MAX_RECORDS: usize = 200;
/// How far back they go, in ms.
const SHOWN_MS: i64 = 30 * 86_400_000;

#[derive(Template)]
#[template(path = "console/audit.html")]
struct AuditPage {
    records: Vec<RecordRow>,
}

struct RecordRow {
    time: String,
    actor: String,
    text: String,
}

pub(in super::super) async fn render(state: &Arc<HttpState>) -> Result<RenderedPage, PageError> {
    let since = Timestamp(state.app.clock.now().0 - SHOWN_MS);
    let records = state.app.audit.list_audit(since, None, MAX_RECORDS).await?;
    let row = |record: &app::ports::AuditRecord| RecordRow {
        time: show::time(record.at),
        actor: record.actor.clone(),
        text: app::audit::describe(record),
    };
    let page = AuditPage { records: records.iter().map(row).collect() };
    RenderedPage::new("Audit", &page, None)
}
