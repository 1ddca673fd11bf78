//! Ordered timers as data (skeleton).
