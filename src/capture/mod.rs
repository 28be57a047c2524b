//! Frames with packet time and link type: live from an interface (libpcap) or from a file.
//!
//! In: names of interfaces or a file. Out: [`crate::model::Frame`]s, one after the other, and what
//! was lost on the way. Left to others: everything inside a frame (`decode`).

pub mod bpf;
pub mod doctor;
pub mod drops;
pub mod fault;
pub mod file;
pub mod interfaces;
pub mod live;
pub mod rights;
