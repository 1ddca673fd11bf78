//! `MsgStore` on message blocks (skeleton).
