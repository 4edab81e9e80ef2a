//! A short arena.
