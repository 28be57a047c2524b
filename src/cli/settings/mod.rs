//! The config file, in terms of the flags: what its keys are, what they say, and what is in force with it.
//!
//! In: the file's text, the command line, the environment. Out: the same arguments as if all had been typed
//! ([`resolve`]), each value with its source, or every problem with its line. There is no list of keys: they are
//! the long flags of clap's own definition, and what a value may be is what the flag takes. Nothing is opened here.

mod blame;
mod document;
mod effective;
mod keys;
mod mask;
mod merge;
mod problem;
mod resolve;
#[cfg(test)]
mod tests;

pub use document::Entry;
pub use effective::{Setting, Settings, Source, Value};
pub use keys::{configurable, keys_of};
pub use problem::{Failure, Problem};
pub use resolve::{
    Mode, Request, Resolved, alone, check_all, definition, file_of, resolve, strict,
};
