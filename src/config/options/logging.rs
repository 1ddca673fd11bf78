//! What is logged, where to, and how log files rotate.

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
