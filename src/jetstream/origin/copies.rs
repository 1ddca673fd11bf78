//! What a message becomes when it is copied: its subject and its headers.
//!
//! Separate because it is the wire's: where a copy comes from stands in it for good, and
//! other servers read it.

use bytes::Bytes;

use super::super::status;
use crate::consumer::ack::AckSubject;
use crate::protocol::headers;
use crate::stream::config::{StreamSource, SubjectTransform};
use crate::subject::transform::Transform;

/// The subject of a copy, by the first transform that takes it.
pub(super) fn transformed(transforms: &[Transform], subject: &Bytes) -> Bytes {
    let takes = transforms.iter().find(|transform| transform.takes(subject));
    let out = takes.and_then(|transform| transform.apply(subject, &mut |_| 0));
    out.map_or_else(|| subject.clone(), Bytes::from)
}

/// A copy is not refused for what its publisher expected of the origin.
pub(super) fn without_expectations(block: &Bytes) -> Bytes {
    let is_dropped =
        |name: &[u8]| name.starts_with(b"Nats-Expected-") || name.starts_with(b"Nats-Batch-");
    if !headers::fields(block).any(|(name, _)| is_dropped(name)) {
        return block.clone();
    }
    let mut out = b"NATS/1.0\r\n".to_vec();
    let empty = out.len();
    for (name, value) in headers::fields(block).filter(|(name, _)| !is_dropped(name)) {
        status::push(&mut out, &String::from_utf8_lossy(name), value);
    }
    if out.len() == empty {
        return Bytes::new();
    }
    out.extend_from_slice(b"\r\n");
    Bytes::from(out)
}

/// Where a message comes from: stream, sequence, filter, destination, subject, and which
/// stream of that name it was.
pub(super) fn source_header(
    source: &StreamSource,
    ack: &AckSubject<'_>,
    subject: &[u8],
    identity: &str,
) -> Vec<u8> {
    let join = |parts: Vec<&str>, none: &str| match parts.is_empty() {
        true => none.to_owned(),
        false => parts.join("\x0c"),
    };
    let transforms = &source.subject_transforms;
    let filters = match transforms.is_empty() {
        true if source.filter_subject.is_empty() => ">".to_owned(),
        true => source.filter_subject.clone(),
        false => join(transforms.iter().map(|t| t.src.as_str()).collect(), ">"),
    };
    let dest = |transform: &'_ SubjectTransform| match transform.dest.is_empty() {
        true => ">".to_owned(),
        false => transform.dest.clone(),
    };
    let destinations: Vec<String> = transforms.iter().map(dest).collect();
    let destinations = join(destinations.iter().map(String::as_str).collect(), ">");
    let mut header = format!(
        "{} {} {filters} {destinations} ",
        source.name, ack.stream_seq
    )
    .into_bytes();
    header.extend_from_slice(subject);
    header.push(b' ');
    header.extend_from_slice(identity.as_bytes());
    header
}
