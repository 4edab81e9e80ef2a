//! One server under several names: other spellings of its URL, and further ports.

use std::io;

use crate::server::BbbServer;
use crate::sync::lock;

/// Number of ports that a server may have beside its own.
const MAX_ALIASES: usize = 16;

/// A spelling of the URL of a server. All but the last reach the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlSpelling {
    /// With the address 127.0.0.1 and without a slash at the end, as [`BbbServer::url`] returns it.
    Plain,
    /// With a slash at the end.
    TrailingSlash,
    /// With the name `localhost` in place of the address.
    Localhost,
    /// With scheme and name in upper case.
    UpperCase,
    /// With two slashes before the path, which web servers take as one.
    DoubleSlash,
    /// With two slashes within the path.
    InnerDoubleSlash,
    /// Without `/api` at the end, as front-ends write it.
    WithoutApi,
}

impl UrlSpelling {
    /// All spellings.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::TrailingSlash,
        Self::Localhost,
        Self::UpperCase,
        Self::DoubleSlash,
        Self::InnerDoubleSlash,
        Self::WithoutApi,
    ];
}

impl BbbServer {
    /// Returns the URL of the API in this spelling.
    #[must_use]
    pub fn url_as(&self, spelling: UrlSpelling) -> String {
        let (port, path) = (self.port(), self.path());
        match spelling {
            UrlSpelling::Plain => self.url(),
            UrlSpelling::TrailingSlash => format!("{}/", self.url()),
            UrlSpelling::Localhost => format!("http://localhost:{port}{path}"),
            UrlSpelling::UpperCase => format!("HTTP://LOCALHOST:{port}{path}"),
            UrlSpelling::DoubleSlash => format!("http://127.0.0.1:{port}/{path}"),
            UrlSpelling::InnerDoubleSlash => {
                format!("http://127.0.0.1:{port}{}", path.replace("/api", "//api"))
            }
            UrlSpelling::WithoutApi => {
                self.url().strip_suffix("/api").map_or_else(|| self.url(), str::to_owned)
            }
        }
    }

    /// Opens one more port on which the server answers, with the same meetings, faults and log, and returns the URL of the
    /// API there.
    ///
    /// # Errors
    /// If no port can be listened on, or the server has too many.
    pub fn open_alias(&self) -> io::Result<String> {
        let _runtime_guard = self.0.context.runtime.enter();
        let mut aliases = lock(&self.0.aliases);
        if aliases.len() >= MAX_ALIASES {
            return Err(io::Error::other("the server has too many aliases"));
        }
        let listener = self.start_listening()?;
        let url = format!("http://127.0.0.1:{}/bigbluebutton/api", listener.port());
        aliases.push(listener);
        drop(aliases);
        self.apply_fault_to_listeners();
        Ok(url)
    }
}
