//! Parses the tags of servers that a request asks for.

use crate::server::Server;

/// The server tags that a request asks for (`meta_server-tag`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagRequest {
    /// The acceptable tags; `None` is an untagged server. If the list is empty, only untagged
    /// servers are requested.
    any_of: Vec<Option<String>>,
    /// The text of the request, without the `!`.
    pub(super) text: String,
    /// Whether other servers are not acceptable.
    pub(super) required: bool,
}

impl TagRequest {
    /// Parses `t1;t2;…`, with a final `!` if the tags are required. `none` means untagged.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (text, required) = match text.strip_suffix('!') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let tags = text.split(';').filter(|tag| !tag.is_empty());
        let any_of: Vec<_> = tags.map(|tag| (tag != "none").then(|| tag.to_owned())).collect();
        let required = required && !any_of.is_empty();
        Self { any_of, text: text.to_owned(), required }
    }

    /// Returns whether the request names any tag, or `none`.
    pub(super) fn has_tags(&self) -> bool {
        !self.any_of.is_empty()
    }

    /// Returns whether a server has one of the tags.
    pub(super) fn matches(&self, server: &Server) -> bool {
        self.any_of.contains(&server.tag)
    }
}
