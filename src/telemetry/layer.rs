//! From `tracing` events to lines.
//!
//! Separate from the format because this half has state: what is switched on, and the
//! destination, behind one lock that is held for one write. A line is put together
//! before the lock is taken.
//!
//! Invariants: an event that is switched off costs one load, because the layer's answer
//! is cached per call site until the settings change; of other crates only warnings and
//! errors are logged.

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::clock::{self, Timestamp};
use crate::telemetry::destination::Destination;
use crate::telemetry::log_file;
use crate::telemetry::log_format::{self, Label, Prefix};
use crate::telemetry::{FATAL, Handle, Settings, protocol_trace};
use crate::vfs::{Error, Vfs};

const DEBUG: u8 = 1;
const TRACE: u8 = 2;
const LOGTIME: u8 = 4;
const UTC: u8 = 8;
const COLOUR: u8 = 16;

/// The layer that prints; see the module `telemetry` for its conventions.
pub struct LogLayer {
    shared: Arc<Shared>,
}

impl LogLayer {
    /// A layer and the handle that changes it.
    ///
    /// # Errors
    /// When the log file cannot be opened.
    pub fn new(settings: &Settings, vfs: Arc<dyn Vfs>) -> Result<(LogLayer, Handle), Error> {
        let destination = Destination::open(vfs.clone(), settings.file.as_ref())?;
        let shared = Arc::new(Shared {
            switches: AtomicU8::new(switches(settings, &destination)),
            pid: std::process::id(),
            local: TimeZone::system(),
            lines_lost: AtomicU64::new(0),
            vfs,
            destination: Mutex::new(destination),
        });
        protocol_trace::configure(settings);
        let handle = Handle {
            shared: shared.clone(),
        };
        Ok((LogLayer { shared }, handle))
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.shared.is_enabled(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.shared.is_enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let switches = self.shared.switches.load(Ordering::Relaxed);
        Some(match switches {
            _ if switches & TRACE != 0 => LevelFilter::TRACE,
            _ if switches & DEBUG != 0 => LevelFilter::DEBUG,
            _ => LevelFilter::INFO,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        self.shared.log(label(event.metadata()), &words.finish());
    }
}

fn label(metadata: &Metadata<'_>) -> Label {
    match *metadata.level() {
        Level::ERROR if metadata.target() == FATAL => Label::Fatal,
        Level::ERROR => Label::Error,
        Level::WARN => Label::Warn,
        Level::INFO => Label::Info,
        Level::DEBUG => Label::Debug,
        Level::TRACE => Label::Trace,
    }
}

fn switches(settings: &Settings, destination: &Destination) -> u8 {
    let bits = [
        (settings.debug, DEBUG),
        (settings.trace, TRACE),
        (settings.logtime, LOGTIME),
        (settings.logtime_utc, UTC),
        (destination.colour(), COLOUR),
    ];
    bits.iter()
        .filter(|(on, _)| *on)
        .fold(0, |sum, (_, bit)| sum | bit)
}

/// What the layer and its handles share.
pub struct Shared {
    /// The bits above; written by `apply`, read for every line.
    switches: AtomicU8,
    pid: u32,
    local: TimeZone,
    lines_lost: AtomicU64,
    vfs: Arc<dyn Vfs>,
    destination: Mutex<Destination>,
}

impl Shared {
    /// Makes everything as `settings` say. With an error nothing has changed.
    pub(super) fn apply(&self, settings: &Settings) -> Result<(), Error> {
        let mut destination = self.destination.lock();
        match (&mut *destination, &settings.file) {
            (Destination::File(file), Some(wanted)) if file.settings().path == wanted.path => {
                file.set_limits(wanted);
            }
            (Destination::Stderr { .. }, None) => {}
            (_, wanted) => *destination = Destination::open(self.vfs.clone(), wanted.as_ref())?,
        }
        let switches = switches(settings, &destination);
        self.switches.store(switches, Ordering::Relaxed);
        protocol_trace::configure(settings);
        Ok(())
    }

    /// Opens the log file anew; false if there is none.
    pub(super) fn reopen(&self) -> Result<bool, Error> {
        match &mut *self.destination.lock() {
            Destination::Stderr { .. } => Ok(false),
            Destination::File(file) => file.reopen().map(|()| true),
        }
    }

    /// Lines that could not be written since the start.
    pub(super) fn lines_lost(&self) -> u64 {
        self.lines_lost.load(Ordering::Relaxed)
    }

    fn is_enabled(&self, metadata: &Metadata<'_>) -> bool {
        let switches = self.switches.load(Ordering::Relaxed);
        let ours = metadata.target().split("::").next() == Some("natter");
        match *metadata.level() {
            Level::ERROR | Level::WARN => true,
            Level::INFO => ours,
            Level::DEBUG => ours && switches & DEBUG != 0,
            Level::TRACE => ours && switches & TRACE != 0,
        }
    }

    fn log(&self, label: Label, message: &str) {
        thread_local! {
            /// The line of before, for its memory. Taken while in use: a value that logs
            /// while it is formatted finds an empty one.
            static LINE: Cell<String> = const { Cell::new(String::new()) };
        }
        const LINE_KEPT_BYTES_MAX: usize = 16 * 1024;

        let now = clock::now();
        let mut line = LINE.take();
        line.clear();
        log_format::append_line(&mut line, self.prefix(now, label), message);
        self.write(now, &line);
        if line.capacity() <= LINE_KEPT_BYTES_MAX {
            LINE.set(line);
        }
    }

    fn write(&self, now: Timestamp, line: &str) {
        let mut destination = self.destination.lock();
        self.count(destination.append(line));
        if let Destination::File(file) = &mut *destination
            && file.is_rotation_due()
        {
            let events = file.rotate(self.local_time(now));
            for event in events {
                let (label, message) = describe(&event);
                let mut line = String::new();
                log_format::append_line(&mut line, self.prefix(now, label), &message);
                self.count(destination.append(&line));
            }
        }
    }

    fn count(&self, written: bool) {
        if !written {
            self.lines_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn prefix(&self, now: Timestamp, label: Label) -> Prefix {
        let switches = self.switches.load(Ordering::Relaxed);
        let time = match switches & (LOGTIME | UTC) {
            LOGTIME => Some(self.local_time(now)),
            both if both == LOGTIME | UTC => Some(time_in(&TimeZone::UTC, now)),
            _ => None,
        };
        Prefix {
            pid: self.pid,
            time,
            label,
            colour: switches & COLOUR != 0,
        }
    }

    fn local_time(&self, now: Timestamp) -> DateTime {
        time_in(&self.local, now)
    }
}

fn time_in(zone: &TimeZone, time: Timestamp) -> DateTime {
    let time = jiff::Timestamp::from_nanosecond(i128::from(time.unix_nanos()));
    zone.to_datetime(time.unwrap_or_default())
}

fn describe(event: &log_file::Event) -> (Label, String) {
    match event {
        log_file::Event::Rotated(name) => {
            let message = format!("Rotated log, backup saved as {name:?}");
            (Label::Info, message)
        }
        log_file::Event::Purged(name) => (Label::Info, format!("Purged log file {name:?}")),
        log_file::Event::NotRotated(error) => {
            let message = format!("Unable to rotate the log file, it stays in use: {error}");
            (Label::Error, message)
        }
        log_file::Event::NotPurged(error) => {
            (Label::Error, format!("Unable to purge a log file: {error}"))
        }
    }
}

/// Collects the fields of an event.
#[derive(Default)]
struct Words {
    link: String,
    message: String,
    fields: String,
}

impl Words {
    /// `link - message key=value`.
    fn finish(self) -> String {
        let mut text = self.link;
        if text.is_empty() {
            text = self.message;
        } else {
            text.push_str(" - ");
            text.push_str(&self.message);
        }
        text.push_str(&self.fields);
        text
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a String fails only if the value does; its half is kept then.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            "link" => self.link.write_fmt(value),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    /// Text is quoted where it would not be told from what follows.
    fn record_str(&mut self, field: &Field, value: &str) {
        let plain = !value.is_empty() && !value.contains([' ', '"', '=']);
        match field.name() {
            "message" | "link" => self.add(field, format_args!("{value}")),
            _ if plain => self.add(field, format_args!("{value}")),
            _ => self.add(field, format_args!("{value:?}")),
        }
    }

    /// An error with its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.record_str(field, &text);
    }
}

#[cfg(test)]
mod tests;
