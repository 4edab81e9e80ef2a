//! Types of settings about recordings and their playback.

use std::path::PathBuf;

use http::HeaderValue;

use super::values::SettingValue;

/// A list of directories, separated by colons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirs(pub Vec<PathBuf>);

impl SettingValue for Dirs {
    const ACCEPTS: &'static str = "absolute paths, separated by colons";

    fn read(text: &str) -> Option<Self> {
        let paths = text.split(':').map(str::trim).filter(|path| !path.is_empty());
        let dirs: Vec<PathBuf> = paths.map(PathBuf::from).collect();
        dirs.iter().all(|dir| dir.is_absolute()).then_some(Self(dirs))
    }
}

/// A number of bytes that may be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteReserve(pub u64);

impl SettingValue for ByteReserve {
    const ACCEPTS: &'static str = "a number of bytes, 0 or more";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// A `Content-Security-Policy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityPolicy(pub HeaderValue);

impl SettingValue for SecurityPolicy {
    const ACCEPTS: &'static str = "a Content-Security-Policy: directives, separated by semicolons";

    fn read(text: &str) -> Option<Self> {
        let mut directives = text.split(';').filter_map(|text| text.split_whitespace().next());
        let is_name =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        let is_policy = text.is_ascii() && directives.all(is_name) && !text.trim().is_empty();
        is_policy.then(|| HeaderValue::from_str(text.trim()).ok())?.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_policies_are_checked() {
        let dirs = Dirs::read("/mnt/a: /mnt/b:").unwrap();
        assert_eq!(dirs.0, [PathBuf::from("/mnt/a"), PathBuf::from("/mnt/b")]);
        assert_eq!((Dirs::read("").unwrap().0.len(), Dirs::read("mnt")), (0, None));
        assert!(SecurityPolicy::read("default-src 'self'; font-src https://a.example").is_some());
        for wrong in [" ", "'self'", "default-src 'self'\nx: y", "default-src ä"] {
            assert_eq!(SecurityPolicy::read(wrong), None, "{wrong}");
        }
    }
}
