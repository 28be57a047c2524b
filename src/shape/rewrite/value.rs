//! What a rule puts somewhere: a text as typed, or one that may change while running.
//!
//! In: `VALUE` as typed. Out: where it comes from; then its bytes at any time. Guaranteed: no value ever holds what
//! ends a line, so that no rule can add a field or a request. Reading the environment or a file is left to `app`.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::super::lines::is_value;

/// Where a value comes from, as typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// It is the text itself.
    Literal(String),
    /// An environment variable (`env:NAME`).
    Env(String),
    /// A file, read again when it changes (`file:PATH`).
    File(String),
}

impl Source {
    /// Of `env:NAME`, `file:PATH`, `literal:TEXT`, and of every other text itself.
    pub fn of(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("env:") {
            return Self::Env(name.to_owned());
        }
        if let Some(path) = text.strip_prefix("file:") {
            return Self::File(path.to_owned());
        }
        Self::Literal(text.strip_prefix("literal:").unwrap_or(text).to_owned())
    }
}

/// A value at any time.
#[derive(Clone)]
pub struct Value(Arc<RwLock<Arc<[u8]>>>);

/// Without the secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}

/// Why a text cannot be a value; it is not repeated.
pub const NOT_A_VALUE: &str =
    "the value has a line break or another control character, which no field may have";

impl Value {
    /// With these bytes, until others are put there. They must end no line.
    pub fn new(bytes: &[u8]) -> Result<Self, &'static str> {
        if !is_value(bytes) {
            return Err(NOT_A_VALUE);
        }
        Ok(Self(Arc::new(RwLock::new(bytes.into()))))
    }

    /// Puts other bytes there, for everybody who has this value.
    pub fn set(&self, bytes: &[u8]) -> Result<(), &'static str> {
        if !is_value(bytes) {
            return Err(NOT_A_VALUE);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = bytes.into();
        Ok(())
    }

    /// The bytes now.
    pub fn get(&self) -> Arc<[u8]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
