//! Times by the clock of this machine, as people write and read them.

pub use adapters::local_time::{read_local, show_local};
