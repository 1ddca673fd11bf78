//! How much memory the process may use: the machine's, or less where a cgroup says so.
//!
//! Absent: what is in use; `telemetry::process` measures that.

use std::path::Path;

use crate::vfs::Vfs;

/// What is assumed where the system does not say.
const ASSUMED_BYTES: usize = 4 << 30;
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of memory that are there for this process.
pub fn available(vfs: &dyn Vfs) -> usize {
    let read = |path: &str| vfs.read_text(Path::new(path), FILE_BYTES_MAX).ok();
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let mut limits = vec![read("/proc/meminfo").and_then(|text| total_of_meminfo(&text))];
    for directory in limit_files(&groups) {
        limits.push(read(&directory).and_then(|text| limit(&text)));
    }
    limits.into_iter().flatten().min().unwrap_or(ASSUMED_BYTES)
}

/// `MemTotal` in bytes.
fn total_of_meminfo(text: &str) -> Option<usize> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// A cgroup's limit in bytes; none if it says `max`, or nothing that is a number.
fn limit(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|bytes| *bytes > 0)
}

/// The files that may hold a limit: of the own group and those above it, in the unified
/// hierarchy and in the older one. In a container the own group mostly is the root.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = vec![
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(),
    ];
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        while !path.is_empty() && !path.contains("..") {
            files.push(format!("{root}{path}/{file}"));
            path = path.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::real::RealVfs;

    #[test]
    fn meminfo_says_how_large_the_machine_is() {
        let check = |text: &str, expected| assert_eq!(total_of_meminfo(text), expected, "{text}");
        check("MemTotal:       24 kB\nMemFree: 1 kB\n", Some(24 * 1024));
        check("MemFree: 1 kB\n", None);
        check("MemTotal: many kB\n", None);
        check("", None);
    }

    #[test]
    fn a_group_without_a_limit_says_max() {
        let check = |text: &str, expected| assert_eq!(limit(text), expected, "{text}");
        check("max\n", None);
        check("536870912\n", Some(512 << 20));
        check("0\n", None);
        check("", None);
    }

    #[test]
    fn limits_above_the_own_group_count_too() {
        let files = limit_files("0::/kubepods/pod1/c2\n4:memory:/a\n3:cpu:/b\n");
        let expected = [
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/kubepods/pod1/c2/memory.max",
            "/sys/fs/cgroup/kubepods/pod1/memory.max",
            "/sys/fs/cgroup/kubepods/memory.max",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
        ];
        assert_eq!(files, expected);
        assert_eq!(limit_files("0::/\nrubbish\n").len(), 2);
    }

    #[test]
    fn there_is_some_memory_here() {
        assert!(available(&RealVfs) > 1 << 20);
    }
}
