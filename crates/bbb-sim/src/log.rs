//! The record of what a server was asked, for tests that must know what reached it.

use std::collections::{BTreeMap, VecDeque};

/// Requests kept for each server; the oldest go first.
const KEPT: usize = 50_000;
/// Bytes of a request's body that are kept.
const KEPT_BODY: usize = 1 << 20;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
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

impl Request {
    /// The first header of that name (in lower case), or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The name under which this call is counted and faults strike it.
    pub(crate) fn label(&self) -> &str {
        if self.call.is_empty() { "index" } else { &self.call }
    }
}

/// The requests of one server.
#[derive(Debug)]
pub(crate) struct Log {
    kept: VecDeque<Request>,
    counts: BTreeMap<String, u64>,
    pub(crate) enabled: bool,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { kept: VecDeque::new(), counts: BTreeMap::new(), enabled: true }
    }

    /// Counts a request and keeps it, if told to.
    pub(crate) fn note(&mut self, request: &Request) {
        if let Some(count) = self.counts.get_mut(request.label()) {
            *count += 1;
        } else {
            self.counts.insert(request.label().to_owned(), 1);
        }
        if !self.enabled {
            return;
        }
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        let body = request.body.get(..KEPT_BODY).unwrap_or(&request.body).to_vec();
        self.kept.push_back(Request {
            server: request.server,
            call: request.call.clone(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body,
        });
    }

    pub(crate) fn take(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.kept).into()
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(n: usize, body: Vec<u8>) -> Request {
        Request {
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
        let mut log = Log::new();
        for n in 0..KEPT + 3 {
            log.note(&request(n, Vec::new()));
        }
        assert_eq!(log.len(), KEPT);
        assert_eq!(log.take()[0].server, 3);
        assert_eq!(log.counts()["index"], KEPT as u64 + 3);
        log.note(&request(0, vec![7; KEPT_BODY + 1]));
        assert_eq!(log.take()[0].body.len(), KEPT_BODY);
    }
}
