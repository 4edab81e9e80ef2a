//! Which server gets a new meeting.

use std::hash::Hasher;

use sha2::{Digest, Sha256};

use crate::server::Server;

/// Which servers a request asks for, by their tags (`meta_server-tag`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagRequest {
    /// Any of these will do; `None` is an untagged server. Empty: untagged servers only.
    any_of: Vec<Option<String>>,
    /// As it was written, without the `!`.
    text: String,
    /// Whether no other server will do.
    required: bool,
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

    fn fits(&self, server: &Server) -> bool {
        self.any_of.contains(&server.tag)
    }
}

/// A meeting that looks for a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Servers it may go to.
    pub tags: TagRequest,
    /// Seats that it will bring.
    pub seats: u32,
    /// Decides among equals; the same seed decides alike everywhere.
    pub seed: u64,
}

/// Why there is no server for a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No server with the required tag is available; the tag as it was written.
    TagUnavailable(String),
    /// No server is available.
    NoServer,
}

/// Chooses the server that is least loaded once the meeting is on it.
///
/// What is compared is (seats + E) × multiplier, which is the load plus E × multiplier: a meeting
/// must not go to an idle weak server that it would overload.
///
/// # Errors
/// When no server may take it.
pub fn choose<'a>(servers: &'a [Server], ask: &Ask) -> Result<&'a Server, Refusal> {
    let open = || servers.iter().filter(|server| server.accepts_meetings());
    let tagged = lowest(open().filter(|server| ask.tags.fits(server)), ask);
    if let Some(server) = tagged {
        return Ok(server);
    }
    if ask.tags.required {
        return Err(Refusal::TagUnavailable(ask.tags.text.clone()));
    }
    lowest(open().filter(|server| server.tag.is_none()), ask).ok_or(Refusal::NoServer)
}

fn lowest<'a>(candidates: impl Iterator<Item = &'a Server>, ask: &Ask) -> Option<&'a Server> {
    let ranked = candidates.map(|server| (load_with(server, ask), rank(server, ask.seed), server));
    ranked.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(_, _, server)| server)
}

/// The load that a server would have with the meeting on it.
#[must_use]
pub fn load_with(server: &Server, ask: &Ask) -> f64 {
    server.load.unwrap_or(f64::INFINITY) + f64::from(ask.seats) * server.load_multiplier
}

/// A seeded order among equals: even over seeds, and the same in every process.
fn rank(server: &Server, seed: u64) -> u64 {
    let mut hasher = Fnv(seed ^ 0xcbf2_9ce4_8422_2325);
    hasher.write(server.id.0.as_bytes());
    // One round of mixing, so that the last bytes of an id reach the high bits.
    let mixed = hasher.finish();
    (mixed ^ (mixed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A seed from a meeting's ID.
#[must_use]
pub fn seed(meeting_id: &str) -> u64 {
    let hash = Sha256::digest(meeting_id.as_bytes());
    hash.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// FNV-1a: std's hasher may change between releases, and replicas must agree.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::server::{AdminState, ServerId};

    fn server(id: &str, load: f64, multiplier: f64, tag: Option<&str>) -> Server {
        let mut server = Server::new(ServerId(id.to_owned()), String::new(), String::new());
        server.state = AdminState::Enabled;
        server.health.online = true;
        server.load = Some(load);
        server.load_multiplier = multiplier;
        server.tag = tag.map(str::to_owned);
        server
    }

    fn ask(tag: &str) -> Ask {
        Ask { tags: TagRequest::parse(tag), seats: 15, seed: 7 }
    }

    fn chosen(servers: &[Server], tag: &str) -> Result<String, Refusal> {
        choose(servers, &ask(tag)).map(|server| server.id.0.clone())
    }

    #[test]
    fn the_new_meetings_own_weight_counts() {
        let servers = [server("weak", 0.0, 3.0, None), server("strong", 20.0, 1.0, None)];
        assert_eq!(chosen(&servers, ""), Ok("strong".to_owned()));
    }

    #[test]
    fn tags() {
        let servers = [
            server("red", 5.0, 1.0, Some("red")),
            server("blue", 3.0, 1.0, Some("blue")),
            server("plain", 30.0, 1.0, None),
        ];
        for (tag, expected) in [
            ("", "plain"),
            ("!", "plain"),
            ("red", "red"),
            ("red;blue", "blue"),
            ("red;blue!", "blue"),
            ("green", "plain"),
            ("none", "plain"),
            ("none;red!", "red"),
        ] {
            assert_eq!(chosen(&servers, tag), Ok(expected.to_owned()), "{tag}");
        }
        let refused = Err(Refusal::TagUnavailable("green".to_owned()));
        assert_eq!(chosen(&servers, "green!"), refused);
        assert_eq!(chosen(&servers[..2], ""), Err(Refusal::NoServer));
        assert_eq!(chosen(&servers[..2], "green"), Err(Refusal::NoServer));
    }

    #[test]
    fn equals_share() {
        let servers: Vec<_> = (0..4).map(|n| server(&format!("s{n}"), 0.0, 1.0, None)).collect();
        let mut counts: HashMap<String, u32> = HashMap::new();
        for n in 0..4000 {
            let ask = Ask { seed: seed(&format!("meeting-{n}")), ..ask("") };
            *counts.entry(choose(&servers, &ask).unwrap().id.0.clone()).or_default() += 1;
        }
        assert!(
            counts.len() == 4 && counts.values().all(|n| (800..1200).contains(n)),
            "{counts:?}"
        );
    }

    fn any_server() -> impl Strategy<Value = Server> {
        let tag = prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
        (any::<u32>(), 0.0..500.0, 0.1..5.0, tag, 0..3usize, any::<bool>(), any::<bool>()).prop_map(
            |(id, load, multiplier, tag, state, online, loaded)| {
                let mut one = server(&id.to_string(), load, multiplier, tag);
                one.set_state(
                    [AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled][state],
                );
                one.health.online = online;
                one.load = one.load.filter(|_| loaded);
                one
            },
        )
    }

    proptest! {
        #[test]
        fn only_open_servers_are_chosen_and_none_is_better(
            servers in proptest::collection::vec(any_server(), 0..20),
            tag in "(|a|b|c|a;b|none)!?", seed: u64,
        ) {
            let ask = Ask { seed, ..ask(&tag) };
            match choose(&servers, &ask) {
                Ok(one) => {
                    prop_assert!(one.accepts_meetings());
                    prop_assert!(ask.tags.fits(one) || one.tag.is_none());
                    let same_kind = servers.iter().filter(|other| {
                        other.accepts_meetings() && ask.tags.fits(other) == ask.tags.fits(one) && (ask.tags.fits(one) || other.tag.is_none())
                    });
                    for other in same_kind {
                        prop_assert!(load_with(one, &ask) <= load_with(other, &ask));
                    }
                }
                Err(Refusal::NoServer) => {
                    prop_assert!(!servers.iter().any(|one| one.accepts_meetings() && one.tag.is_none()));
                }
                Err(Refusal::TagUnavailable(_)) => {
                    prop_assert!(!servers.iter().any(|one| one.accepts_meetings() && ask.tags.fits(one)));
                }
            }
        }

        #[test]
        fn the_order_of_the_servers_does_not_matter(
            mut servers in proptest::collection::vec(any_server(), 1..12), seed: u64,
        ) {
            let ask = Ask { seed, ..ask("") };
            let before = choose(&servers, &ask).map(|one| (load_with(one, &ask), one.id.clone())).ok();
            servers.reverse();
            let after = choose(&servers, &ask).map(|one| (load_with(one, &ask), one.id.clone())).ok();
            prop_assert_eq!(before, after);
        }
    }
}
