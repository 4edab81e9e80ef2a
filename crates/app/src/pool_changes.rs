//! Changes of servers that other processes have made: commands, or replicas whose log is elsewhere. The log of this process tells what
//! changed, as soon as it reads the servers anew.

use std::fmt::Debug;

use domain::{Server, ServerId};

/// Logs how the servers differ from those that this process knew before.
pub(crate) fn log_changes(before: &[Server], after: &[Server]) {
    let find =
        |servers: &[Server], id: &ServerId| servers.iter().find(|server| server.id == *id).cloned();
    for server in after {
        let (id, host) = (&server.id, server.hostname());
        match find(before, id) {
            None => tracing::info!(server = %id, host, "server added by another process"),
            Some(old) => {
                let changes = describe_changes(&old, server);
                if !changes.is_empty() {
                    tracing::info!(server = %id, host, changes, "server changed by another process");
                }
            }
        }
    }
    for server in before {
        if find(after, &server.id).is_none() {
            let host = server.hostname();
            tracing::info!(server = %server.id, host, "server removed by another process");
        }
    }
}

/// What an administrator has changed. Secrets are only said to differ.
fn describe_changes(old: &Server, new: &Server) -> String {
    fn compare<T: PartialEq + Debug>(name: &str, old: &T, new: &T) -> Option<String> {
        (old != new).then(|| format!("{name}: {old:?} -> {new:?}"))
    }
    let state = (old.state != new.state)
        .then(|| format!("state: {} -> {}", old.state.name(), new.state.name()));
    let secret = (old.secret != new.secret).then(|| "secret".to_owned());
    let changes = [
        state,
        compare("url", &old.url, &new.url),
        compare("join_url", &old.join_url, &new.join_url),
        secret,
        compare("tag", &old.tag, &new.tag),
        compare("load_multiplier", &old.load_multiplier, &new.load_multiplier),
        compare("limits", &old.limits, &new.limits),
    ];
    changes.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use domain::AdminState;

    use super::*;
    use crate::test_app::test_server;

    #[test]
    fn changes_are_described_without_secrets() {
        let old = test_server("a");
        assert_eq!(describe_changes(&old, &old), "");
        let mut new = old.clone();
        new.health.online = false;
        new.load = Some(5.0);
        assert_eq!(describe_changes(&old, &new), "", "what polls find is no change");
        new.state = AdminState::Cordoned;
        new.secret = "another-one".to_owned();
        new.load_multiplier = 2.5;
        let expected = "state: enabled -> cordoned, secret, load_multiplier: 1.0 -> 2.5";
        assert_eq!(describe_changes(&old, &new), expected);
    }
}
