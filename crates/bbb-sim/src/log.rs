//! The log of the requests that reached a server, for tests.

use std::collections::{BTreeMap, VecDeque};

/// Number of requests that are kept for each server. The oldest are dropped first.
const MAX_REQUESTS: usize = 50_000;
/// Bytes of a request body that are kept.
const MAX_BODY_BYTES: usize = 1 << 20;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The number of the server that received it.
    pub server: usize,
    /// The name of the call; empty for the version call.
    pub call: String,
    /// The HTTP method.
    pub method: String,
    /// The path as sent, including any prefix.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// The headers in order of arrival, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The first mebibyte of the body.
    pub body: Vec<u8>,
}

impl RecordedRequest {
    /// Returns the first header with this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Returns the name of the call for counts and faults: "index" for the version call.
    pub(crate) fn call_label(&self) -> &str {
        if self.call.is_empty() { "index" } else { &self.call }
    }
}

/// The requests of one server.
#[derive(Debug)]
pub(crate) struct CallLog {
    requests: VecDeque<RecordedRequest>,
    call_counts: BTreeMap<String, u64>,
    /// Whether requests are kept. They are always counted.
    pub(crate) enabled: bool,
}

impl CallLog {
    pub(crate) fn new() -> Self {
        Self { requests: VecDeque::new(), call_counts: BTreeMap::new(), enabled: true }
    }

    /// Counts a request, and keeps it if the log is enabled.
    pub(crate) fn record_request(&mut self, request: &RecordedRequest) {
        if let Some(count) = self.call_counts.get_mut(request.call_label()) {
            *count += 1;
        } else {
            self.call_counts.insert(request.call_label().to_owned(), 1);
        }
        if !self.enabled {
            return;
        }
        if self.requests.len() >= MAX_REQUESTS {
            self.requests.pop_front();
        }
        let body = request.body.get(..MAX_BODY_BYTES).unwrap_or(&request.body).to_vec();
        self.requests.push_back(RecordedRequest {
            server: request.server,
            call: request.call.clone(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body,
        });
    }

    pub(crate) fn take_requests(&mut self) -> Vec<RecordedRequest> {
        std::mem::take(&mut self.requests).into()
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn call_counts(&self) -> BTreeMap<String, u64> {
        self.call_counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_request(n: usize, body: Vec<u8>) -> RecordedRequest {
        RecordedRequest {
            server: n,
            call: String::new(),
            method: "GET".to_owned(),
            path: String::new(),
            query: String::new(),
            headers: Vec::new(),
            body,
        }
    }

    #[test]
    fn the_log_is_bounded_and_the_counts_are_complete() {
        let mut log = CallLog::new();
        for n in 0..MAX_REQUESTS + 3 {
            log.record_request(&test_request(n, Vec::new()));
        }
        assert_eq!(log.len(), MAX_REQUESTS);
        assert_eq!(log.take_requests()[0].server, 3);
        assert_eq!(log.call_counts()["index"], MAX_REQUESTS as u64 + 3);
        log.record_request(&test_request(0, vec![7; MAX_BODY_BYTES + 1]));
        assert_eq!(log.take_requests()[0].body.len(), MAX_BODY_BYTES);
    }
}
