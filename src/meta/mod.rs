//! Which server carries what (skeleton).
