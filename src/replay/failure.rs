//! Why v2 gave no answer: from the client's chain of errors to one named cause.
//!
//! In: an error and how far the exchange had come. Out: a [`Failure`]. An answer that breaks off
//! within its head cannot be told from none by this client: both are `Reset`.

use std::error::Error;
use std::io;

use crate::model::ledger::Failure;

use super::resolve::ResolveError;

/// How far an exchange had come when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The head of the answer was not there yet.
    Head,
    /// The body of the answer was being read.
    Body,
}

/// The cause of a client error.
pub(super) fn classify(error: &reqwest::Error, stage: Stage) -> Failure {
    if find::<ResolveError>(error).is_some() {
        return Failure::Resolve;
    }
    // In TLS 1.3 a server may refuse the client after the handshake, in place of an answer.
    if stage == Stage::Head && find::<rustls::Error>(error).is_some() {
        return Failure::Tls;
    }
    if error.is_connect() {
        return connecting(error);
    }
    if error.is_builder() {
        return Failure::Unsendable;
    }
    let broken = match stage {
        Stage::Head => Failure::Reset,
        Stage::Body => Failure::BrokenAnswer,
    };
    if let Some(http) = find::<hyper::Error>(error) {
        if http.is_user() {
            return Failure::Unsendable;
        }
        if http.is_parse() {
            return Failure::InvalidAnswer;
        }
        if http.is_incomplete_message() || http.is_closed() || http.is_canceled() {
            return broken;
        }
    }
    match io_kind(error) {
        // The chunk framing of the answer.
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Failure::InvalidAnswer,
        Some(io::ErrorKind::TimedOut) => Failure::Timeout,
        Some(_) => broken,
        None => Failure::Other,
    }
}

/// The cause, when there is no connection.
fn connecting(error: &reqwest::Error) -> Failure {
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => Failure::Refused,
        // Only a TLS handshake reads while connecting.
        Some(io::ErrorKind::UnexpectedEof) => Failure::Tls,
        _ => Failure::Connect,
    }
}

/// The kind of the innermost I/O error: the outer ones only carry it.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    chain(error).filter_map(|e| e.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

/// The first error of type `E` in the chain.
fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// An error and its causes, from the outside inwards. Looks into `io::Error`s, whose `source`
/// passes over the error they carry.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(carried) => Some(carried),
            None => error.source(),
        }
    })
}
