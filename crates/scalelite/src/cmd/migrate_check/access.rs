//! Whether the user that will run the balancer may use a directory or file, by its owner, group and mode. A check as root
//! would otherwise find everything accessible.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bits of a mode.
pub const READ: u32 = 4;
/// Bits of a mode.
pub const WRITE: u32 = 2;
/// Bits of a mode.
pub const ENTER: u32 = 1;
/// The user of our packages.
const PACKAGE_USER: &str = "scalelite";
/// The original's group for the spool, and its number in the containers.
const SPOOL_GROUP: (&str, u32) = ("scalelite-spool", 2000);

/// A user and its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    uid: u32,
    gids: Vec<u32>,
}

impl Identity {
    /// The user of this name; without a name, the user of our packages if this process runs as root and there is one,
    /// and the user of this process otherwise.
    ///
    /// # Errors
    /// When there is no user of this name.
    pub fn find(name: Option<&str>) -> Result<Self, String> {
        let (users, groups) = (read("/etc/passwd"), read("/etc/group"));
        let status = read("/proc/self/status");
        let numbers = |name: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
        };
        // The second one of each is the effective one.
        let uid = numbers("Uid:").get(1).copied().unwrap_or(u32::MAX);
        if let Some(name) = name {
            return Self::parse(name, &users, &groups)
                .ok_or_else(|| format!("there is no user {name} on this machine"));
        }
        let packaged = Self::parse(PACKAGE_USER, &users, &groups).filter(|_| uid == 0);
        let gids = [numbers("Groups:"), numbers("Gid:")].concat();
        let name = users
            .lines()
            .find(|line| line.split(':').nth(2) == Some(uid.to_string().as_str()))
            .and_then(|line| line.split(':').next());
        let own = Self { name: name.unwrap_or("this user").to_owned(), uid, gids };
        Ok(packaged.unwrap_or(own))
    }

    /// Finds a user in the texts of `/etc/passwd` and `/etc/group`.
    fn parse(name: &str, users: &str, groups: &str) -> Option<Self> {
        let fields: Vec<&str> = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.first() == Some(&name))?;
        let uid = fields.get(2)?.parse().ok()?;
        let mut gids: Vec<u32> = fields.get(3)?.parse().into_iter().collect();
        for line in groups.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let is_member =
                fields.get(3).is_some_and(|members| members.split(',').any(|one| one == name));
            gids.extend(
                fields.get(2).filter(|_| is_member).and_then(|gid| gid.parse::<u32>().ok()),
            );
        }
        Some(Self { name: name.to_owned(), uid, gids })
    }

    /// Whether the user may do what these bits say with a file or directory.
    pub fn may(&self, metadata: &std::fs::Metadata, wanted: u32) -> bool {
        let mode = metadata.mode();
        if self.uid == 0 {
            // Root may do everything; a file that nobody may read is shown all the same.
            return mode & 0o777 != 0 || metadata.is_dir();
        }
        let granted = if metadata.uid() == self.uid {
            mode >> 6
        } else if self.gids.contains(&metadata.gid()) {
            mode >> 3
        } else {
            mode
        };
        granted & wanted == wanted
    }

    /// Finds the first directory at or above a path that the user may not enter.
    pub fn find_barrier<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let mut above: Vec<&Path> =
            path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).collect();
        above.reverse();
        above
            .into_iter()
            .find(|dir| std::fs::metadata(dir).is_ok_and(|metadata| !self.may(&metadata, ENTER)))
    }

    /// What an administrator can do so that the user gets the rights of a directory's group.
    pub fn advise(&self, path: &Path, metadata: &std::fs::Metadata) -> String {
        let (gid, name) = (metadata.gid(), &self.name);
        let mut steps = Vec::new();
        let group_bits = (metadata.mode() >> 3) & (READ | WRITE | ENTER);
        if group_bits != READ | WRITE | ENTER {
            steps.push(format!("chmod g+rwx {}", path.display()));
        }
        if !self.gids.contains(&gid) {
            let group = match find_group(&read("/etc/group"), gid) {
                Some(group) => group,
                None => {
                    let group = if gid == SPOOL_GROUP.1 { SPOOL_GROUP.0 } else { "recordings" };
                    steps.push(format!("groupadd -g {gid} {group}"));
                    group.to_owned()
                }
            };
            steps.push(format!("usermod -aG {group} {name}"));
        }
        steps.join(" && ")
    }
}

/// The name of a group in the text of `/etc/group`.
fn find_group(groups: &str, gid: u32) -> Option<String> {
    let line =
        groups.lines().find(|line| line.split(':').nth(2) == Some(gid.to_string().as_str()))?;
    line.split(':').next().map(str::to_owned)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn users_get_the_rights_of_their_groups() {
        let users = "root:x:0:0::/:/bin/sh\nscalelite:x:990:991::/:/bin/false\n";
        let groups = "root:x:0:\nscalelite:x:991:\nscalelite-spool:x:2000:other,scalelite\n";
        let user = Identity::parse("scalelite", users, groups).unwrap();
        assert_eq!((user.uid, user.gids.as_slice()), (990, &[991, 2000][..]));
        assert_eq!(Identity::parse("nobody", users, groups), None);
        assert_eq!(find_group(groups, 2000).as_deref(), Some("scalelite-spool"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        std::fs::write(&file, "").unwrap();
        let with_mode = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            std::fs::metadata(&file).unwrap()
        };
        // The file belongs to whoever runs the test.
        let other = Identity { uid: 4_000_000, gids: Vec::new(), ..user.clone() };
        assert!(other.may(&with_mode(0o604), READ) && !other.may(&with_mode(0o640), READ));
        assert!(!other.may(&with_mode(0o604), READ | WRITE));
        let root = Identity { uid: 0, ..user };
        assert!(root.may(&with_mode(0o600), READ | WRITE) && !root.may(&with_mode(0), READ));
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(other.find_barrier(&file), Some(dir.path()));
    }
}
