//! Whether there is memory for what is to be done, told before the work.

use super::progress::Progress;
use crate::error::{Error, Result};

/// What the system says of its memory.
const MEMINFO: &str = "/proc/meminfo";
/// The bound of the control group that a process is in, and what is taken of it, where containers show them.
const GROUP: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"];

/// Checks that so many bytes are free. With less than needed it is an error; where more than half of what is free is
/// needed, a note.
///
/// # Errors
///
/// [`Error::NoMemory`].
pub(super) fn check_memory(what: &'static str, needed: u64, progress: &Progress<'_>) -> Result<()> {
    // A system that does not tell is one that may have it.
    free().map_or(Ok(()), |free| check(what, needed, free, progress))
}

fn check(what: &'static str, needed: u64, free: u64, progress: &Progress<'_>) -> Result<()> {
    if needed > free {
        return Err(Error::NoMemory { what, needed, free });
    }
    if needed > free / 2 {
        progress.note(format!("{what} takes about {needed} bytes of memory, and {free} are free"));
    }
    Ok(())
}

fn free() -> Option<u64> {
    let of_system = std::fs::read_to_string(MEMINFO).ok().and_then(|text| available(&text));
    let [max, taken] = GROUP.map(|path| std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()));
    let of_group = max.zip(taken).map(|(max, taken): (u64, u64)| max.saturating_sub(taken));
    [of_system, of_group].into_iter().flatten().min()
}

/// Bytes that can be had without swapping, of the text of `/proc/meminfo` (proc(5), `MemAvailable`).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use super::super::progress::Event;
    use super::*;

    #[test]
    fn what_the_system_says() {
        let text =
            "MemTotal:       24683656 kB\nMemFree:         1200 kB\nMemAvailable:   23943252 kB\nBuffers: 1 kB\n";
        assert_eq!(available(text), Some(23_943_252 * 1024));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: x kB\n"), None);
    }

    #[test]
    fn too_much_is_an_error_and_much_is_a_note() {
        let notes = Mutex::new(Vec::new());
        let tell = |event: Event| {
            if let Event::Note(note) = event {
                notes.lock().unwrap().push(note);
            }
        };
        let stop = AtomicBool::new(false);
        let progress = Progress::new(&tell, &stop);
        check("training", 40, 100, &progress).unwrap();
        assert!(notes.lock().unwrap().is_empty());
        check("training", 60, 100, &progress).unwrap();
        assert_eq!(notes.lock().unwrap().len(), 1);
        let error = check("training", 101, 100, &progress).unwrap_err();
        assert!(matches!(error, Error::NoMemory { needed: 101, free: 100, .. }), "{error}");
    }
}
