//! Responses of the balancer to API calls.

use crate::conformance::http::ClientResponse;

/// The query of a create call.
#[must_use]
pub fn create_query(id: &str) -> String {
    format!("meetingID={id}&name=Meeting+{id}")
}

/// Whether a call succeeded.
#[must_use]
pub fn is_success(response: &ClientResponse) -> bool {
    response.status == 200 && response.xml_field("returncode") == "SUCCESS"
}

/// Whether a response says that the balancer's store is unavailable, in the form of a failed API
/// call.
#[must_use]
pub fn is_unavailable(response: &ClientResponse) -> bool {
    response.status == 200
        && response.xml_field("returncode") == "FAILED"
        && response.xml_field("messageKey") == "internalError"
        && response.xml_field("message") == "The balancer's store is unavailable."
}

/// A response as text, for messages.
#[must_use]
pub fn describe_response(response: &ClientResponse) -> String {
    format!("{} {}", response.status, response.text())
}
