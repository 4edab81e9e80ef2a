//! The record of what a server was asked, for tests that must know what reached it.

use std::collections::{BTreeMap, VecDeque};

/// Requests kept for each server; the oldest go first.
const MAX_REQUESTS: usize = 50_000;
/// Bytes of a request's body that are kept.
const MAX_BODY_BYTES: usize = 1 << 20;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The number of the server that was asked.
    pub server: usize,
    /// The call's name; empty for the version call.
    pub call: String,
    /// The HTTP method.
    pub method: String,
    /// The path as sent, with any prefix.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// Names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    /// The first mebibyte of the body.
    pub body: Vec<u8>,
}

impl RecordedRequest {
    /// The first header of that name (in lower case), or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The name under which this call is counted and faults strike it.
    pub(crate) fn call_label(&self) -> &str {
        if self.call.is_empty() { "index" } else { &self.call }
    }
}

/// The requests of one server.
#[derive(Debug)]
pub(crate) struct CallLog {
    requests: VecDeque<RecordedRequest>,
    call_counts: BTreeMap<String, u64>,
    pub(crate) enabled: bool,
}

impl CallLog {
    pub(crate) fn new() -> Self {
        Self { requests: VecDeque::new(), call_counts: BTreeMap::new(), enabled: true }
    }

    /// Counts a request and keeps it, if told to.
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
    fn the_log_is_bounded_and_the_count_is_not() {
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
