//! Which directories are refused.

use super::*;

struct Dirs {
    root: tempfile::TempDir,
}

impl Dirs {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["data", "spool", "published"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn marks(&self) -> DirectoryMarks {
        let dir = |setting, name| WatchedDir {
            setting,
            path: self.path(name),
            default_path: "/var/bigbluebutton/x",
            is_made_on_demand: false,
        };
        let dirs = vec![dir("SPOOL", "spool"), dir("PUBLISH", "published")];
        DirectoryMarks::new(dirs, &self.path("data"), self.path("fstab"))
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.marks().find_faults().into_iter();
        faults.map(|fault| format!("{}: {}", fault.setting, fault.reason)).collect()
    }

    /// Says of a remembered directory that it was on another file system, or mounted.
    fn change_memory(&self, change: impl Fn(&mut DirPlace)) {
        let marks = self.marks();
        let mut memory = marks.read_memory();
        memory.values_mut().for_each(change);
        marks.write_memory(&memory).unwrap();
    }

    fn start_with_a_recording(&self) {
        std::fs::create_dir(self.path("published/video")).unwrap();
        self.marks().remember().unwrap();
        assert!(self.path("spool").join(MARK_FILE).exists(), "all are marked together");
        assert_eq!(self.faults(), [""; 0]);
    }
}

#[test]
fn directories_without_recordings_are_not_remembered() {
    let dirs = Dirs::new();
    dirs.marks().remember().unwrap();
    assert!(!dirs.path("spool").join(MARK_FILE).exists() && dirs.marks().read_memory().is_empty());
    assert_eq!(dirs.faults(), [""; 0]);
}

#[test]
fn a_missing_directory_is_refused() {
    let dirs = Dirs::new();
    std::fs::remove_dir(dirs.path("spool")).unwrap();
    assert_eq!(dirs.faults(), ["SPOOL: does not exist"]);
    // Default directories of a machine without recordings are not missed.
    let spool = WatchedDir {
        setting: "SPOOL",
        path: "/nowhere/x/spool".into(),
        default_path: "/nowhere/x/spool",
        is_made_on_demand: false,
    };
    let marks = DirectoryMarks::new(vec![spool], &dirs.path("data"), dirs.path("fstab"));
    assert!(marks.find_faults().is_empty());
}

#[test]
fn a_directory_that_is_made_on_demand_is_missed_only_where_nothing_else_is() {
    let dirs = Dirs::new();
    std::fs::create_dir(dirs.path("mount")).unwrap();
    let unpublished = WatchedDir {
        setting: "UNPUBLISH",
        path: dirs.path("mount/unpublished"),
        default_path: "/var/bigbluebutton/x",
        is_made_on_demand: true,
    };
    let marks = DirectoryMarks::new(vec![unpublished], &dirs.path("data"), dirs.path("fstab"));
    assert_eq!(marks.find_faults().len(), 1, "it may be a file system that is not mounted");
    std::fs::create_dir(dirs.path("mount/spool")).unwrap();
    assert!(marks.find_faults().is_empty());
}

#[test]
fn an_empty_directory_of_another_file_system_is_refused_until_somebody_accepts_it() {
    let dirs = Dirs::new();
    dirs.start_with_a_recording();
    std::fs::remove_file(dirs.path("spool").join(MARK_FILE)).unwrap();
    assert_eq!(dirs.faults(), [""; 0], "the same directory");
    dirs.change_memory(|place| place.device += 1);
    assert_eq!(dirs.faults().len(), 1);
    assert!(dirs.faults()[0].starts_with("SPOOL: is not the directory"), "{:?}", dirs.faults());
    // What is refused is neither marked nor forgotten.
    dirs.marks().remember().unwrap();
    assert_eq!(dirs.faults().len(), 1);
    std::fs::write(dirs.path("spool").join(MARK_FILE), "").unwrap();
    assert_eq!(dirs.faults(), [""; 0]);
    dirs.marks().remember().unwrap();
    std::fs::remove_file(dirs.path("spool").join(MARK_FILE)).unwrap();
    assert_eq!(dirs.faults(), [""; 0], "it is the one that is remembered now");
}

#[test]
fn a_directory_that_lost_its_mount_is_refused_even_if_somebody_has_written_into_it() {
    let dirs = Dirs::new();
    dirs.start_with_a_recording();
    dirs.change_memory(|place| place.is_mount_point = true);
    assert_eq!(dirs.faults(), [""; 0], "the marks are there");
    std::fs::remove_file(dirs.path("published").join(MARK_FILE)).unwrap();
    assert_eq!(dirs.faults().len(), 1, "{:?}", dirs.faults());
}

#[test]
fn a_directory_that_was_removed_and_made_anew_is_used() {
    let dirs = Dirs::new();
    dirs.start_with_a_recording();
    std::fs::remove_dir_all(dirs.path("published")).unwrap();
    assert_eq!(dirs.faults(), ["PUBLISH: does not exist"]);
    std::fs::create_dir(dirs.path("published")).unwrap();
    assert_eq!(dirs.faults(), [""; 0]);
    dirs.marks().remember().unwrap();
    assert!(dirs.path("published").join(MARK_FILE).exists());
}

#[test]
fn a_mount_of_fstab_that_is_missing_is_told() {
    let dirs = Dirs::new();
    let line = format!("host:/export {} nfs defaults 0 0\n", dirs.path("spool").display());
    std::fs::write(dirs.path("fstab"), line).unwrap();
    assert!(dirs.faults()[0].starts_with("SPOOL: nothing is mounted at "), "{:?}", dirs.faults());
    std::fs::write(dirs.path("spool").join(MARK_FILE), "").unwrap();
    assert_eq!(dirs.faults(), [""; 0]);
}
