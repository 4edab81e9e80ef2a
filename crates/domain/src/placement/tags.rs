//! Which servers a request asks for by their tags.

use crate::server::Server;

/// Which servers a request asks for, by their tags (`meta_server-tag`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagRequest {
    /// Any of these will do; `None` is an untagged server. Empty: untagged servers only.
    any_of: Vec<Option<String>>,
    /// As it was written, without the `!`.
    pub(super) text: String,
    /// Whether no other server will do.
    pub(super) required: bool,
}

impl TagRequest {
    /// Reads `t1;t2;…`, ended by `!` if the tags are required; `none` stands for untagged.
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

    /// Whether it names any tag, or `none`.
    pub(super) fn has_tags(&self) -> bool {
        !self.any_of.is_empty()
    }

    /// Whether a server has one of the tags.
    pub(super) fn matches(&self, server: &Server) -> bool {
        self.any_of.contains(&server.tag)
    }
}
