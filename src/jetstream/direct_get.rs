//! Reads past the API: `$JS.API.DIRECT.GET.…` (jetstream spec §1.6, ADR-31).
//!
//! Separate because the answer is the raw message, not JSON, and because it is fast: no
//! queue of the API stands before it, and no log is asked.
//!
//! Invariants: nothing is answered unless the stream allows direct reads (then nobody
//! listens, as far as the asking client can tell); a batch ends with `204 EOB`; what one
//! request can make us send is bounded by `max_bytes`. Absent: reads that wait.

use std::ops::ControlFlow;

use super::incoming::Incoming;
use super::outlet::Outlet;
use super::replica::Replica;
use super::status;
use super::subjects::Target;
use crate::api_error::json::time::Time;
use crate::store::LastError;
use crate::store::MsgStore;
use crate::store::error::Error;
use crate::store::message::{MessageRef, Seq};
use crate::stream::requests::GetMessageRequest;
use crate::subject::filters::Filters;

/// Subjects that one `multi_last` may find.
const SUBJECTS_MAX: usize = 1024;
/// Bytes of a batch that names no limit: what a client may have waiting by default.
const BATCH_BYTES: usize = 64 * 1024 * 1024;

/// Why a request gets a status instead of messages.
enum Refusal {
    Status(&'static str),
    Store(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Store(error.to_string())
    }
}

/// Where an answer goes and what it looks like.
struct Answer<'a> {
    stream: &'a str,
    outlet: &'a mut Outlet,
    reply: &'a [u8],
    no_hdr: bool,
}

/// Answers one request.
pub fn answer(replica: &mut Replica, incoming: &Incoming) {
    if incoming.reply().is_empty() {
        return;
    }
    let handle = std::sync::Arc::clone(&replica.handle);
    let group = replica.group.clone();
    let outlet = &mut replica.outlet;
    let refused = group.with(|machine| {
        let mut answer = Answer {
            stream: &handle.name,
            outlet,
            reply: incoming.reply(),
            no_hdr: false,
        };
        serve(machine.store(), incoming, &mut answer).err()
    });
    let status = match refused {
        None => return,
        Some(Refusal::Status(status)) => status.to_owned(),
        Some(Refusal::Store(error)) => format!("500 {error}"),
    };
    replica
        .outlet
        .publish(incoming.reply(), b"", &status::line(&status), b"");
}

fn serve(
    store: &mut dyn MsgStore,
    incoming: &Incoming,
    answer: &mut Answer<'_>,
) -> Result<(), Refusal> {
    let required = crate::protocol::headers::find(incoming.headers(), b"Nats-Required-Api-Level");
    let is_met = |level: &[u8]| {
        let level = std::str::from_utf8(level).ok()?.parse::<u64>().ok()?;
        (level <= u64::from(crate::consumer::metadata::API_LEVEL)).then_some(())
    };
    if required.is_some_and(|level| is_met(level).is_none()) {
        return Err(Refusal::Status("412 Required Api Level"));
    }
    let subject = match Target::of(incoming.subject()) {
        Some(Target::DirectGet { subject, .. }) => subject,
        _ => b"",
    };
    let body = incoming.payload().trim_ascii();
    if subject.is_empty() && body.is_empty() {
        return Err(Refusal::Status("408 Empty Request"));
    }
    let request = GetMessageRequest::from_request(body, false);
    let mut request = request.map_err(|_| Refusal::Status("408 Malformed Request"))?;
    if !subject.is_empty() {
        if !is_blank(&request) {
            return Err(Refusal::Status("408 Bad Request"));
        }
        request = GetMessageRequest {
            last_by_subj: String::from_utf8_lossy(subject).into_owned(),
            no_hdr: request.no_hdr,
            max_bytes: request.max_bytes,
            ..GetMessageRequest::default()
        };
    }
    answer.no_hdr = request.no_hdr;
    check(&request)?;
    match (request.multi_last.is_empty(), request.batch) {
        (false, _) => many_last(store, &request, answer),
        (true, 0) => one(store, &request, answer),
        (true, _) => batch(store, &request, answer),
    }
}

/// Nothing is asked for but how the answer looks.
fn is_blank(request: &GetMessageRequest) -> bool {
    let only = GetMessageRequest {
        no_hdr: request.no_hdr,
        max_bytes: request.max_bytes,
        ..GetMessageRequest::default()
    };
    *request == only
}

/// Combinations that contradict each other.
fn check(request: &GetMessageRequest) -> Result<(), Refusal> {
    let last = !request.last_by_subj.is_empty();
    let next = !request.next_by_subj.is_empty();
    let multi = !request.multi_last.is_empty();
    let start = request.start_time.is_some();
    let seq = request.seq > 0;
    // Pairs of fields that contradict each other.
    let contradictions = [
        (seq, last || start),
        (start, last),
        (last, next || multi || request.batch > 0),
        (next, multi),
        (request.up_to_seq > 0, request.up_to_time.is_some()),
    ];
    let bad = contradictions.iter().any(|(one, other)| *one && *other);
    if bad {
        return Err(Refusal::Status("408 Bad Request"));
    }
    if !seq && !last && !next && !multi && !start {
        return Err(Refusal::Status("408 Empty Request"));
    }
    Ok(())
}

/// Where a read begins.
fn from(store: &mut dyn MsgStore, request: &GetMessageRequest) -> Result<Option<Seq>, Refusal> {
    match request.start_time {
        None => Ok(Some(Seq(request.seq.max(1)))),
        Some(Time(time)) => Ok(store.first_since(time.unwrap_or_default())?),
    }
}

fn one(
    store: &mut dyn MsgStore,
    request: &GetMessageRequest,
    answer: &mut Answer<'_>,
) -> Result<(), Refusal> {
    const NOT_FOUND: Refusal = Refusal::Status("404 Message Not Found");
    let found = if !request.last_by_subj.is_empty() {
        store.last(Seq::MAX, &Filters::new([&request.last_by_subj]))?
    } else {
        let from = from(store, request)?.ok_or(NOT_FOUND)?;
        match (request.next_by_subj.is_empty(), request.start_time) {
            // Exactly this one.
            (true, None) => Some(from),
            (true, Some(_)) => store.next(from, &Filters::all())?,
            (false, _) => store.next(from, &Filters::new([&request.next_by_subj]))?,
        }
    };
    let message = store.get(found.ok_or(NOT_FOUND)?)?.ok_or(NOT_FOUND)?;
    answer.send(message.as_ref(), None);
    Ok(())
}

fn batch(
    store: &mut dyn MsgStore,
    request: &GetMessageRequest,
    answer: &mut Answer<'_>,
) -> Result<(), Refusal> {
    const NOT_FOUND: Refusal = Refusal::Status("404 Message Not Found");
    let filters = Filters::new([&request.next_by_subj]);
    let from = from(store, request)?.ok_or(NOT_FOUND)?;
    let mut pending = store.count(from, &filters)?;
    if pending == 0 {
        return Err(NOT_FOUND);
    }
    let mut left = request.batch;
    let mut bytes = bytes_max(request);
    let mut last = Seq::NONE;
    if left < 0 {
        // Less than nothing is nothing.
        answer.end(pending, last, None);
        return Ok(());
    }
    store.scan(from, &filters, &mut |message| {
        pending = pending.saturating_sub(1);
        answer.send(message, Some((pending, last)));
        last = message.seq;
        left -= 1;
        let size = message.subject.len() + message.headers.len() + message.payload.len();
        let fits = size < bytes;
        bytes = bytes.saturating_sub(size);
        match left > 0 && fits {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    answer.end(pending, last, None);
    Ok(())
}

fn many_last(
    store: &mut dyn MsgStore,
    request: &GetMessageRequest,
    answer: &mut Answer<'_>,
) -> Result<(), Refusal> {
    // These answers always carry their headers.
    answer.no_hdr = false;
    let up_to = match (request.up_to_time, request.up_to_seq) {
        (None, 0) => store.state().last_seq,
        (None, seq) => Seq(seq),
        (Some(Time(time)), _) => match store.first_since(time.unwrap_or_default())? {
            Some(first) => first.prev(),
            None => store.state().last_seq,
        },
    };
    let found =
        match store.last_per_subject(&Filters::new(&request.multi_last), up_to, SUBJECTS_MAX) {
            Ok(found) => found,
            Err(LastError::TooMany) => return Err(Refusal::Status("413 Too Many Results")),
            Err(LastError::Store(error)) => return Err(error.into()),
        };
    if found.is_empty() {
        return Err(Refusal::Status("404 No Results"));
    }
    // A later page of the same results may have none left.
    let from_here = |seq: &Seq| seq.0 >= request.seq;
    let mut found: Vec<Seq> = found.into_iter().filter(from_here).collect();
    let mut pending = found.len() as u64;
    if request.batch > 0 {
        found.truncate(usize::try_from(request.batch).unwrap_or(usize::MAX));
    }
    let mut bytes = bytes_max(request);
    let mut last = Seq::NONE;
    for seq in found {
        pending -= 1;
        let Some(message) = store.get(seq)? else {
            continue;
        };
        answer.send(message.as_ref(), Some((pending, last)));
        last = seq;
        let size = message.subject.len() + message.headers.len() + message.payload.len();
        if size >= bytes {
            break;
        }
        bytes -= size;
    }
    answer.end(pending, last, Some(up_to));
    Ok(())
}

fn bytes_max(request: &GetMessageRequest) -> usize {
    match usize::try_from(request.max_bytes) {
        Ok(0) | Err(_) => BATCH_BYTES,
        Ok(max) => max.min(BATCH_BYTES),
    }
}

impl Answer<'_> {
    /// Sends one message; in a batch with what is pending and the sequence sent before.
    fn send(&mut self, message: MessageRef<'_>, batch: Option<(u64, Seq)>) {
        if self.no_hdr {
            self.outlet.publish(self.reply, b"", b"", message.payload);
            return;
        }
        let mut block = match message.headers.len() {
            0..=2 => b"NATS/1.0\r\n".to_vec(),
            // Without the blank line that ends it.
            len => message.headers[..len - 2].to_vec(),
        };
        let mut number = itoa::Buffer::new();
        status::push(&mut block, "Nats-Stream", self.stream.as_bytes());
        status::push(&mut block, "Nats-Subject", message.subject);
        status::push(
            &mut block,
            "Nats-Sequence",
            number.format(message.seq.0).as_bytes(),
        );
        let time = message.time.to_rfc3339();
        status::push(&mut block, "Nats-Time-Stamp", time.as_bytes());
        if let Some((pending, last)) = batch {
            status::push(
                &mut block,
                "Nats-Num-Pending",
                number.format(pending).as_bytes(),
            );
            status::push(
                &mut block,
                "Nats-Last-Sequence",
                number.format(last.0).as_bytes(),
            );
        }
        block.extend_from_slice(b"\r\n");
        self.outlet
            .publish(self.reply, b"", &block, message.payload);
    }

    /// Ends a batch.
    fn end(&mut self, pending: u64, last: Seq, up_to: Option<Seq>) {
        let (pending, last) = (pending.to_string(), last.to_string());
        let mut fields = vec![
            ("Nats-Num-Pending", &*pending),
            ("Nats-Last-Sequence", &*last),
        ];
        let up_to = up_to.map(|seq| seq.to_string());
        if let Some(up_to) = &up_to {
            fields.push(("Nats-UpTo-Sequence", up_to));
        }
        let block = status::with("204 EOB", &fields);
        self.outlet.publish(self.reply, b"", &block, b"");
    }
}
