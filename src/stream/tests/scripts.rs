//! What a stream does, in words.
use super::*;
