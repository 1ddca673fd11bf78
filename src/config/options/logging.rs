//! What is logged, where to, and how log files rotate.

use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};

/// Logging.
#[derive(Clone, Debug, PartialEq)]
pub struct Logging {
    /// Log decisions. Default false.
    pub debug: bool,
    /// Log protocol lines. Default false.
    pub trace: bool,
    /// Trace the system account too; implies `trace`. Default false.
    pub trace_verbose: bool,
    /// Trace headers only, without payload; implies `trace`. Default false.
    pub trace_headers: bool,
    /// Begin each line with the time. Default true.
    pub logtime: bool,
    /// That time in UTC. Default false: local time.
    pub logtime_utc: bool,
    /// Log to this file. Default: standard error.
    pub log_file: Option<String>,
    /// Bytes after which the log file is rotated. Default 0: never.
    pub logfile_size_limit: u64,
    /// Rotated log files kept. Default 0: all.
    pub logfile_max_num: u64,
    /// Log to the local syslog. Default false.
    pub syslog: bool,
    /// Log to the syslog at this URL. Default: none.
    pub remote_syslog: Option<String>,
    /// Bytes of a traced message that are logged. Default 0: all.
    pub max_traced_msg_len: u64,
    /// Log every this many failed first attempts to connect to a peer. Default 3600.
    pub connect_error_reports: u64,
    /// Log every this many failed attempts to reconnect to a peer. Default 1.
    pub reconnect_error_reports: u64,
}

impl Default for Logging {
    fn default() -> Self {
        Logging {
            debug: false,
            trace: false,
            trace_verbose: false,
            trace_headers: false,
            logtime: true,
            logtime_utc: false,
            log_file: None,
            logfile_size_limit: 0,
            logfile_max_num: 0,
            syslog: false,
            remote_syslog: None,
            max_traced_msg_len: 0,
            connect_error_reports: 3600,
            reconnect_error_reports: 1,
        }
    }
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Logging>] = &[
    key("debug", "boolean", "false", Yes, "true",
        "Log decisions.",
        |l, v, r| r.flag(v, &mut l.debug)),
    key("trace", "boolean", "false", Yes, "true",
        "Log protocol lines.",
        |l, v, r| r.flag(v, &mut l.trace)),
    key("trace_verbose", "boolean", "false", Yes, "true",
        "Trace the system account too; implies `trace`.",
        |l, v, r| implies_trace(v, r, &mut l.trace_verbose, &mut l.trace)),
    key("trace_headers", "boolean", "false", Yes, "true",
        "Trace headers only, without payload; implies `trace`.",
        |l, v, r| implies_trace(v, r, &mut l.trace_headers, &mut l.trace)),
    key("logtime", "boolean", "true", Yes, "false",
        "Begin each line with the time.",
        |l, v, r| r.flag(v, &mut l.logtime)),
    key("logtime_utc", "boolean", "false", Yes, "true",
        "That time in UTC.",
        |l, v, r| r.flag(v, &mut l.logtime_utc)),
    key("log_file|logfile", "path", "standard error", Yes, "/var/log/natter.log",
        "Log to this file.",
        |l, v, r| r.text(v, &mut l.log_file)),
    key("logfile_size_limit|log_size_limit", "size", "0: never", No, "1MB",
        "Bytes after which the log file is rotated.",
        |l, v, r| r.number_or_none(v, &mut l.logfile_size_limit)),
    key("logfile_max_num|log_max_num", "integer", "0: all", No, "5",
        "Log files kept, the current one included.",
        |l, v, r| r.number_or_none(v, &mut l.logfile_max_num)),
    key("syslog", "boolean", "false", Yes, "true",
        "Log to the local syslog. Not in this release.",
        |l, v, r| r.flag(v, &mut l.syslog)),
    key("remote_syslog", "URL", "none", Yes, "udp://127.0.0.1:514",
        "Log to the syslog at this URL. Not in this release.",
        |l, v, r| r.text(v, &mut l.remote_syslog)),
    key("max_traced_msg_len", "integer", "0: all", Yes, "256",
        "Bytes of a traced message that are logged.",
        |l, v, r| r.number_or_none(v, &mut l.max_traced_msg_len)),
    key("connect_error_reports", "integer", "3600", Yes, "10",
        "Log every this many failed first attempts to connect to a peer.",
        |l, v, r| r.number_or_default(v, &mut l.connect_error_reports)),
    key("reconnect_error_reports", "integer", "1", Yes, "10",
        "Log every this many failed attempts to reconnect to a peer.",
        |l, v, r| r.number_or_default(v, &mut l.reconnect_error_reports)),
];

fn implies_trace(v: Item<'_>, r: &mut Reader, flag: &mut bool, trace: &mut bool) {
    r.flag(v, flag);
    *trace |= *flag;
}
