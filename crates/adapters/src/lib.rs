//! The ports, implemented: SQLite, BBB over HTTP, clock and randomness.
