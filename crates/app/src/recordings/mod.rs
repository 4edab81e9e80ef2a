//! Recordings beyond the calls of the API: their files on the way from shelf to shelf.

pub mod travel;
