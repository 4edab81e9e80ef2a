//! Who runs a command, for the log of changes: `user@host`, with the user who became another one by sudo.

use std::io::{BufRead as _, BufReader, Read as _};

use app::origin::Actor;

use crate::config::Sources;

/// Most bytes of the list of users that are read.
const MAX_PASSWD_BYTES: u64 = 4 << 20;
/// Longest name that is shown, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Returns who runs this command.
pub fn find_actor(sources: &Sources) -> Actor {
    let uid = rustix::process::getuid().as_raw();
    let user = find_user_name(uid).unwrap_or_else(|| format!("uid {uid}"));
    let user = match sources.variable("SUDO_USER").map(printable) {
        Some(by) if !by.is_empty() && by != user => format!("{by} as {user}"),
        _ => user,
    };
    let name = rustix::system::uname();
    let host = name.nodename().to_string_lossy();
    Actor::CommandLine(format!("{user}@{}", printable(&host)).into())
}

/// Looks a user up in /etc/passwd. The name services of the machine are not asked: they may hang.
fn find_user_name(uid: u32) -> Option<String> {
    let file = std::fs::File::open("/etc/passwd").ok()?;
    let lines = BufReader::new(file.take(MAX_PASSWD_BYTES)).lines().map_while(Result::ok);
    find_in(lines, uid)
}

fn find_in(mut lines: impl Iterator<Item = String>, uid: u32) -> Option<String> {
    lines.find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid).then(|| printable(name))
    })
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_number() {
        let lines =
            "root:x:0:0:root:/root:/bin/bash\nbroken\n\nada:x:1000:1000::/home/ada:/bin/sh\n";
        let find = |uid| find_in(lines.lines().map(str::to_owned), uid);
        assert_eq!(find(1000).as_deref(), Some("ada"));
        assert_eq!(find(0).as_deref(), Some("root"));
        assert_eq!(find(7), None);
    }
}
