//! What a person or a program reads of a run: the ledger, progress, logs, listings of messages.
//!
//! In come snapshots and messages, out comes text; where it is printed is decided in `app`. Text
//! that stems from the wire never reaches a terminal unescaped. [`ledger_table`] is the final
//! account, [`progress`] its one line while running, [`inspect`] lists messages, [`stats`] sums them
//! up, [`logs`] sets up logging, [`bar`] draws progress on a terminal.

pub mod bar;
pub mod body;
pub mod inspect;
pub mod ledger_table;
pub mod logs;
pub mod numbers;
pub mod progress;
pub mod stats;
mod times;
