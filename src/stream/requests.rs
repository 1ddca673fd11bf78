//! What the API asks of streams and answers, but for configurations.
//!
//! Separate because reading a request needs no server. Names and keys are the wire's
//! (jetstream spec §1.4, §1.6); `from_request` refuses in the peers' words. Absent: which
//! combinations of fields make sense, and envelopes.

use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;
use crate::api_error::json::time::Time;
use crate::api_error::json::{self, field};

/// How many names a page of names has.
pub const NAMES_PER_PAGE: usize = 1024;
/// How many streams or consumers a page of them has.
pub const INFOS_PER_PAGE: usize = 256;
/// How many subjects a page of a stream's subjects has.
pub const SUBJECTS_PER_PAGE: usize = 100_000;

macro_rules! request {
    ($request:ident, $name:literal) => {
        impl $request {
            /// Reads a body; an empty one asks for nothing in particular.
            ///
            /// # Errors
            /// `invalid JSON: ...` (10025).
            pub fn from_request(body: &[u8], strict: bool) -> Result<Self, ApiError> {
                json::parse(body, $name, strict)
            }
        }
    };
}

/// For a page of streams' names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamesRequest {
    /// How many to leave out; negative: none.
    #[serde(deserialize_with = "field::int")]
    pub offset: i64,
    /// Only of streams that capture something of it.
    pub subject: String,
}
request!(NamesRequest, "JSApiStreamNamesRequest");

/// For a page of streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListRequest {
    /// As [`NamesRequest::offset`].
    #[serde(deserialize_with = "field::int")]
    pub offset: i64,
    /// As [`NamesRequest::subject`].
    pub subject: String,
}
request!(ListRequest, "JSApiStreamListRequest");

/// For one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InfoRequest {
    /// How many subjects to leave out; negative: none.
    #[serde(deserialize_with = "field::int")]
    pub offset: i64,
    /// With the deleted sequences.
    pub deleted_details: bool,
    /// With the subjects that match, and how many messages each has.
    pub subjects_filter: String,
}
request!(InfoRequest, "JSApiStreamInfoRequest");

/// To remove messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PurgeRequest {
    /// Below this one; 0: all.
    pub seq: u64,
    /// Matching ones only.
    pub filter: String,
    /// But the last so many. Not with `seq`.
    pub keep: u64,
}
request!(PurgeRequest, "JSApiStreamPurgeRequest");

/// To remove one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteMessageRequest {
    /// Which.
    pub seq: u64,
    /// Its bytes may stay on the disk for a while.
    pub no_erase: bool,
}
request!(DeleteMessageRequest, "JSApiMsgDeleteRequest");

/// For a message (`MSG.GET`), or several (`DIRECT.GET`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetMessageRequest {
    /// This one, or the first at or after it.
    pub seq: u64,
    /// The last on a subject.
    pub last_by_subj: String,
    /// The first that matches, from `seq` or `start_time` on.
    pub next_by_subj: String,
    /// The first at or after it.
    pub start_time: Option<Time>,
    /// Without its headers.
    pub no_hdr: bool,
    /// How many.
    #[serde(deserialize_with = "field::int")]
    pub batch: i64,
    /// How many bytes.
    #[serde(deserialize_with = "field::int")]
    pub max_bytes: i64,
    /// The last on each subject that matches one of these.
    pub multi_last: Vec<String>,
    /// As of this sequence.
    pub up_to_seq: u64,
    /// As of this time.
    pub up_to_time: Option<Time>,
}
request!(GetMessageRequest, "JSApiMsgGetRequest");

/// A message as `MSG.GET` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredMessage {
    /// Where it was published to.
    pub subject: String,
    /// Its position.
    pub seq: u64,
    /// Its header block, in Base64; empty if there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hdrs: String,
    /// Its body, in Base64; empty if there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data: String,
    /// When it was stored.
    pub time: Time,
}

/// Where a page begins and ends among `total`: the first fields of every paged answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// How many there are.
    pub total: usize,
    /// How many come before this page.
    pub offset: usize,
    /// How many a page has.
    pub limit: usize,
}

impl Page {
    /// The page that is asked for.
    pub fn new(total: usize, offset: i64, limit: usize) -> Self {
        let offset = usize::try_from(offset).unwrap_or(0).min(total);
        Page {
            total,
            offset,
            limit,
        }
    }

    /// Its items among all.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset.saturating_add(self.limit).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_refused_by_name() {
        let purge = PurgeRequest::from_request(br#"{"filter":"a","keep":1}"#, true).unwrap();
        assert_eq!((purge.seq, purge.filter.as_str(), purge.keep), (0, "a", 1));
        let check = |error: ApiError, field: &str| {
            assert_eq!(
                error.description,
                format!("invalid JSON: json: cannot unmarshal string into Go struct field {field}")
            );
        };
        let text = br#"{"offset":"x","seq":"x"}"#;
        let error = NamesRequest::from_request(text, false).unwrap_err();
        check(error, "JSApiStreamNamesRequest.offset of type int");
        let error = DeleteMessageRequest::from_request(text, false).unwrap_err();
        check(error, "JSApiMsgDeleteRequest.seq of type uint64");
        let error = GetMessageRequest::from_request(br#"{"start_time":5}"#, true).unwrap_err();
        assert_eq!(
            error.description,
            "invalid JSON: json: cannot unmarshal number into Go struct field JSApiMsgGetRequest.start_time of type time.Time"
        );
    }

    #[test]
    fn pages_stay_within_what_there_is() {
        let check = |total, offset, expected: (usize, std::ops::Range<usize>)| {
            let page = Page::new(total, offset, 2);
            assert_eq!((page.offset, page.range()), expected);
        };
        check(3, 0, (0, 0..2));
        check(3, 2, (2, 2..3));
        check(3, 100, (3, 3..3));
        check(3, -1, (0, 0..2));
        check(0, 0, (0, 0..0));
    }

    #[test]
    fn a_message_is_written_as_the_peers_do() {
        let captured = r#"{"subject":"s.0","seq":1,"data":"aGVsbG8=","time":"2026-11-21T12:30:44.894602734Z"}"#;
        let message: StoredMessage = serde_json::from_str(captured).unwrap();
        assert_eq!(json::text(&message), captured);
    }
}
