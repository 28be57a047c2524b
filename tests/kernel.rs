//! TCP reassembly against the kernel itself: what read() delivers from segments that overlap, repeat,
//! come out of order, are urgent, with other bytes each time, is what the reassembler delivers from the
//! same frames. Needs root for a network namespace, and python3 with venv and the Python package index,
//! the first time.

mod privileged;
