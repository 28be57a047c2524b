//! Which messages go on, and how they are changed.
