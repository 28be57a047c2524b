//! The one test binary: real interfaces, servers, clients and captures around the real executable.
//!
//! Tests that need root live in modules named `privileged`; `scripts/test.sh` leaves those out by
//! name where there is no root, so that they are never counted as passed.

mod carry;
mod config_file;
mod convert;
mod corpus;
mod demo;
mod dictionary;
mod fidelity;
mod fixtures;
mod following;
mod foreign;
mod fuzz_seeds;
mod gor;
mod house;
mod kernel;
mod live_capture;
mod middleware;
mod mirror;
mod order;
mod planted;
mod reading;
mod record_replay;
mod recording;
mod replay_files;
mod replay_flags;
mod rewriting;
mod rights;
mod secrets;
mod several_files;
mod support;
mod truncated;
mod usage;
mod v2_faults;
mod v2_trouble;
mod writing;
