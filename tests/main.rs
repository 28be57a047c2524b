//! The one test binary: real interfaces, real servers, real processes.

mod live_capture;
