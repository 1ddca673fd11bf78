//! What a refused client hears, and whether it may stay.

use crate::client::session::ClientSession;
use crate::connection::close::CloseReason;
use crate::protocol::error::ClientError;

impl ClientSession {
    /// Says what is wrong and goes on.
    pub(super) fn warn(&mut self, error: ClientError<'_>) {
        self.log(&error);
        self.trace_out("-ERR", &error.text());
        self.reply(&error.line());
    }

    /// Says what is wrong with a subscription and goes on.
    pub(super) fn warn_of(&mut self, error: ClientError<'_>, sid: &[u8]) {
        if let Some(what) = error.violation() {
            let sid = String::from_utf8_lossy(sid);
            tracing::error!(link = self.client.label(), "{what}, SID {sid}");
        }
        self.trace_out("-ERR", &error.text());
        self.reply(&error.line());
    }

    /// Says what is wrong and ends the connection.
    pub(super) fn fail(&mut self, error: ClientError<'_>, reason: CloseReason) {
        self.log(&error);
        self.trace_out("-ERR", &error.text());
        self.reply(&error.line());
        self.close(reason);
    }

    /// The log's line, in the words that are searched for in logs of the incumbent. What
    /// was logged with more detail where it was found is not logged again.
    fn log(&self, error: &ClientError<'_>) {
        let link = || self.client.label();
        match error {
            ClientError::AuthorizationViolation
            | ClientError::UnknownOperation
            | ClientError::MaximumPayload => {}
            ClientError::AuthenticationTimeout
            | ClientError::InvalidSubject
            | ClientError::InvalidPublishSubject => {
                tracing::debug!(link = link(), "{}", error.text());
            }
            ClientError::StaleConnection => {
                tracing::debug!(link = link(), "Stale Client Connection - Closing");
            }
            error => {
                let text = error.violation().unwrap_or_else(|| error.text());
                tracing::error!(link = link(), "{text}");
            }
        }
    }

    /// Somebody is refused; `who` he said he is.
    pub(super) fn log_refused(&self, who: &str) {
        let link = self.client.label();
        match who {
            "" => tracing::error!(link, "authentication error"),
            who => tracing::error!(link, "authentication error - {who}"),
        }
    }

    /// Ends the connection without a word.
    pub(super) fn close(&mut self, reason: CloseReason) {
        self.ended = true;
        if let Some(publisher) = &mut self.publisher {
            publisher.batch.flush();
        }
        self.client.link.close(reason);
    }
}
