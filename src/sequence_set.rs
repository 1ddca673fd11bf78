//! Compressed sets of sequences (skeleton).
