//! Answers of servers with odd content: what can be read of them is used, and the log says once per
//! server what was odd.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bbb::meetings::MeetingList;
use domain::{Server, ServerId};

use crate::context::App;

/// Most entries that are kept. If there are more, all are forgotten and logged again.
const MAX_ENTRIES: usize = 10_000;

/// What was logged, for each server.
#[derive(Debug, Default)]
pub struct OddAnswers(Mutex<HashSet<(ServerId, &'static str)>>);

impl OddAnswers {
    /// Returns whether this kind of odd content is new for the server, and remembers it.
    fn is_new(&self, server: &ServerId, kind: &'static str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_ENTRIES {
            known.clear();
        }
        known.insert((server.clone(), kind))
    }
}

impl App {
    /// Logs that a server answers a call with odd content, unless it was logged before.
    pub(crate) fn note_odd_answer(&self, server: &Server, call: &str, kind: &'static str) {
        if self.odd_answers.is_new(&server.id, kind) {
            let host = server.hostname();
            tracing::warn!(server = %server.id, host, call, kind, "odd answer of server");
        }
    }

    /// Logs what is odd about a list of meetings.
    pub(crate) fn note_odd_list(&self, server: &Server, list: &MeetingList) {
        if list.was_recovered {
            self.note_odd_answer(server, "getMeetings", "not well-formed");
        }
        if !list.unreadable.ids.is_empty() || list.unreadable.has_unknown {
            self.note_odd_answer(server, "getMeetings", "unreadable meeting");
        }
        for field in list.meetings.iter().flat_map(|meeting| &meeting.odd_fields) {
            self.note_odd_answer(server, "getMeetings", field);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_new_once_for_each_server() {
        let (odd, server) = (OddAnswers::default(), |n: usize| ServerId(n.to_string()));
        assert!(odd.is_new(&server(1), "createTime") && odd.is_new(&server(2), "createTime"));
        assert!(odd.is_new(&server(1), "videoCount"));
        assert!(!odd.is_new(&server(1), "createTime") && !odd.is_new(&server(2), "createTime"));
    }

    #[test]
    fn the_memory_is_bounded() {
        let odd = OddAnswers::default();
        for n in 0..3 * MAX_ENTRIES {
            assert!(odd.is_new(&ServerId(n.to_string()), "createTime"));
        }
        assert!(odd.0.lock().unwrap().len() <= MAX_ENTRIES);
    }
}
