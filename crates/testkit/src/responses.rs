//! Answers of the balancer, as its clients read them.

use crate::conformance::http::ClientResponse;

/// The query of a create.
#[must_use]
pub fn create_query(id: &str) -> String {
    format!("meetingID={id}&name=Meeting+{id}")
}

/// Whether a call succeeded.
#[must_use]
pub fn is_success(answer: &ClientResponse) -> bool {
    answer.status == 200 && answer.xml_field("returncode") == "SUCCESS"
}

/// Whether the balancer says that it cannot reach its store, in the way that clients understand.
#[must_use]
pub fn is_unavailable(answer: &ClientResponse) -> bool {
    answer.status == 200
        && answer.xml_field("returncode") == "FAILED"
        && answer.xml_field("messageKey") == "internalError"
        && answer.xml_field("message") == "The balancer's store is unavailable."
}

/// An answer, for messages.
#[must_use]
pub fn describe_response(answer: &ClientResponse) -> String {
    format!("{} {}", answer.status, answer.text())
}
