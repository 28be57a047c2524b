//! Stream events to HTTP/1.x messages.
