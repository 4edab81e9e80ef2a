//! Answers of the balancer, as its clients read them.

use crate::conformance::http::Answer;

/// The query of a create.
#[must_use]
pub fn named(id: &str) -> String {
    format!("meetingID={id}&name=Meeting+{id}")
}

/// Whether a call succeeded.
#[must_use]
pub fn is_success(answer: &Answer) -> bool {
    answer.status == 200 && answer.field("returncode") == "SUCCESS"
}

/// Whether the balancer says that it cannot reach its store, in the way that clients understand.
#[must_use]
pub fn is_unavailable(answer: &Answer) -> bool {
    answer.status == 200
        && answer.field("returncode") == "FAILED"
        && answer.field("messageKey") == "internalError"
        && answer.field("message") == "The balancer's store is unavailable."
}

/// An answer, for messages.
#[must_use]
pub fn told(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.text())
}
