//! What a person or a program reads of a run: the ledger, progress, logs.
