//! The user to whom a file belongs, to tell somebody without access which command to use.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Longest list of users that is read, in bytes.
const MAX_LIST_BYTES: u64 = 1 << 20;
/// The user and group that may do everything.
const ROOT: u32 = 0;

/// The advice for somebody who may not use a file: the command to run instead. Arguments are not repeated, since they may
/// be secrets.
pub fn advise_sudo(path: &Path) -> String {
    // Of a directory that cannot be searched, the directory itself tells who may.
    let metadata = path.ancestors().find_map(|place| std::fs::metadata(place).ok());
    let user = metadata.and_then(|metadata| {
        let (users, groups) = (read_list("/etc/passwd"), read_list("/etc/group"));
        find_user(metadata.uid(), metadata.gid(), &users, &groups)
    });
    match user {
        Some(user) => format!("run the command as its user: `sudo -u {user} scalelite …`"),
        None => "run the command as root: `sudo scalelite …`".to_owned(),
    }
}

/// The user who may read a file of this owner and group, unless that is root only: the owner, or the user for whom the
/// group was made.
fn find_user(uid: u32, gid: u32, users: &str, groups: &str) -> Option<String> {
    let names = |list: &str, id: u32| -> Option<String> {
        let entries = list.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut found = entries.filter(|entry| {
            entry.get(2).is_some_and(|text| text.parse::<u32>().is_ok_and(|found| found == id))
        });
        found.next()?.first().map(|name| (*name).to_owned())
    };
    if uid != ROOT {
        return names(users, uid).or(Some(format!("'#{uid}'")));
    }
    let group = Some(gid).filter(|gid| *gid != ROOT).and_then(|gid| names(groups, gid))?;
    users.lines().any(|line| line.split(':').next() == Some(&group)).then_some(group)
}

fn read_list(path: &str) -> String {
    let mut text = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_LIST_BYTES).read_to_end(&mut text));
    if read.is_ok() { String::from_utf8_lossy(&text).into_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_by_owner_and_group() {
        let users = "root:x:0:0:root:/root:/bin/sh\nscalelite:x:999:998::/:/bin/false\nada:x:1000:1000::/:\n";
        let groups = "root:x:0:\nscalelite:x:998:\nadm:x:4:ada\n";
        let find = |uid, gid| find_user(uid, gid, users, groups);
        assert_eq!(find(999, 0).as_deref(), Some("scalelite"));
        assert_eq!(find(0, 998).as_deref(), Some("scalelite"));
        assert_eq!(find(1000, 998).as_deref(), Some("ada"));
        assert_eq!(find(1234, 0).as_deref(), Some("'#1234'"));
        // Root's files, and those of a group without a user of its name, are root's.
        assert_eq!((find(0, 0), find(0, 4), find(0, 77)), (None, None, None));
    }
}
