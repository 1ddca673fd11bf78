//! Integration tests: in-process servers on ports of their own, one binary.

mod arrows;
