//! The JetStream API's errors: codes as data (skeleton).
