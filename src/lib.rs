//! shadowtap copies real HTTP/1.x traffic to a shadow (v2) service without standing in its way.
//!
//! Data flows one way through rooms, each a module of this crate:
//!
//! ```text
//! capture -> decode -> reassemble -> http -> shape -> replay | record -> telemetry
//! ```
//!
//! A room knows the shared vocabulary ([`model`]) and never its neighbour; one place ([`app`])
//! wires the rooms. The capture side is plain synchronous Rust; the replay side is async. A test
//! (`tests/house.rs`) holds the rule.

pub mod app;
pub mod capture;
pub mod cli;
pub mod config;
pub mod decode;
pub mod http;
pub mod middleware;
pub mod model;
pub mod reassemble;
pub mod record;
pub mod replay;
pub mod shape;
pub mod telemetry;
