//! Stream imports: messages of one account that appear in another.
//!
//! A subscription whose filter reaches an import gets a *shadow* in the exporting account.
//! The shadow receives there, under the subject of there; what it receives is renamed and
//! handed to the sink of the real subscription, which counts it.

use std::sync::Arc;

use super::message::{Batch, Encoded, Message};
use super::subscription::Subscription;
use crate::account::import::StreamImport;

/// What makes a subscription in the exporting account a shadow.
#[derive(Debug)]
pub struct Shadow {
    parent: Arc<Subscription>,
    import: Arc<StreamImport>,
}

impl Shadow {
    /// The shadow subscription that `parent` needs for `import`, if the import can reach it.
    pub fn of(parent: &Arc<Subscription>, import: &Arc<StreamImport>) -> Option<Arc<Subscription>> {
        let filter = import.shadow(parent.filter())?;
        let shadow = Shadow {
            parent: Arc::clone(parent),
            import: Arc::clone(import),
        };
        Subscription::shadowing(&filter, shadow)
    }

    /// The real subscription.
    pub fn parent(&self) -> &Arc<Subscription> {
        &self.parent
    }

    /// Hands a message of the exporting account to the real subscription.
    pub fn deliver(&self, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(subject) = self.import.map.apply(message.subject) else {
            return false;
        };
        let local = Message {
            subject: &subject,
            ..*message
        };
        let mut encoded = Encoded::default();
        encoded.begin(1);
        self.parent
            .sink
            .deliver(&local, &mut encoded, &self.parent, batch)
    }
}
