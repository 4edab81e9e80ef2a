//! The command line of the built binary: the original's spelling as recorded, and our own.

mod transcripts;
