//! openraft behind one handle (skeleton).
