//! What a started product takes of the machine: memory and descriptors.

use anyhow::Context as _;

use crate::product::Product;

impl Product {
    /// A number in KiB from `/proc/PID/status`, e.g. `VmHWM`.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn memory_kib(&self, name: &str) -> anyhow::Result<u64> {
        let id = self.process_id()?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let digits = line.with_context(|| format!("no {name}"))?;
        let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
        Ok(digits.parse()?)
    }

    /// The number of files and sockets that the process has open.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn count_descriptors(&self) -> anyhow::Result<usize> {
        let id = self.process_id()?;
        Ok(std::fs::read_dir(format!("/proc/{id}/fd"))?.count())
    }
}
