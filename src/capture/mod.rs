//! Frames with packet time and link type: live from an interface (libpcap) or from a file.

pub mod file;
