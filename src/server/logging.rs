//! From the options' logging section to what `telemetry` is told.

use crate::config::options::logging::Logging;
use crate::telemetry::{FileSettings, Settings};

/// What the log does with these options, at start and after a reload.
pub fn settings(logging: &Logging) -> Settings {
    let traces = logging.trace || logging.trace_verbose || logging.trace_headers;
    let file = logging.log_file.as_ref().map(|path| FileSettings {
        path: path.clone(),
        bytes_max: logging.logfile_size_limit,
        files_max: logging.logfile_max_num,
    });
    Settings {
        debug: logging.debug,
        trace: traces,
        trace_verbose: logging.trace_verbose,
        trace_headers: logging.trace_headers,
        traced_bytes_max: usize::try_from(logging.max_traced_msg_len).unwrap_or(usize::MAX),
        logtime: logging.logtime,
        logtime_utc: logging.logtime_utc,
        file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_same() {
        assert_eq!(settings(&Logging::default()), Settings::default());
    }

    #[test]
    fn verbose_tracing_is_tracing() {
        let logging = Logging {
            trace_verbose: true,
            log_file: Some("log".into()),
            logfile_size_limit: 7,
            logfile_max_num: 3,
            ..Logging::default()
        };
        let file = FileSettings {
            path: "log".into(),
            bytes_max: 7,
            files_max: 3,
        };
        let expected = Settings {
            trace: true,
            trace_verbose: true,
            file: Some(file),
            ..Settings::default()
        };
        assert_eq!(settings(&logging), expected);
    }
}
