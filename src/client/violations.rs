//! What a refused client hears, and whether it may stay.

use crate::client::session::ClientSession;
use crate::connection::close::CloseReason;
use crate::protocol::error::ClientError;

impl ClientSession {
    /// Says what is wrong and goes on.
    pub(super) fn warn(&mut self, error: ClientError<'_>) {
        tracing::debug!(link = self.client.label(), "{}", error.text());
        self.reply(&error.line());
    }

    /// Says what is wrong and ends the connection.
    pub(super) fn fail(&mut self, error: ClientError<'_>, reason: CloseReason) {
        let text = error.text();
        tracing::error!(link = self.client.label(), "{text}");
        self.reply(&error.line());
        self.close(reason);
    }

    /// Ends the connection without a word.
    pub(super) fn close(&mut self, reason: CloseReason) {
        self.ended = true;
        self.publisher_mut().batch.flush();
        self.client.link.close(reason);
    }
}
