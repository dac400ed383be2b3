//! What a process has used of the processors, in nanoseconds.
//!
//! Summed over its threads, because the kernel's figure for a whole process comes in ticks of 10 ms. The time of
//! threads that have ended is lost; a server's workers do not end.

use std::{fs, io, time::Duration};

use anyhow::Context as _;

/// CPU time of all threads of `process`, in user and kernel mode together.
pub fn used(process: u32) -> anyhow::Result<Duration> {
    let tasks = format!("/proc/{process}/task");
    let mut total = 0;
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
        let path = task?.path().join("schedstat");
        match fs::read_to_string(&path) {
            Ok(text) => total += on_processor(&text).with_context(|| format!("{} is no schedstat", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A thread that ended between the listing and the reading.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(Duration::from_nanos(total))
}

/// The first of three numbers: time on a processor, time in the queue, time slices.
fn on_processor(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_counts() {
        assert_eq!(on_processor("504658 383730 6\n"), Some(504_658));
        assert_eq!(on_processor(""), None);
    }

    #[test]
    fn work_shows_and_a_process_that_is_none_is_an_error() {
        let me = std::process::id();
        let before = used(me).unwrap();
        while used(me).unwrap() < before + Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        assert!(used(u32::MAX).is_err());
    }
}
