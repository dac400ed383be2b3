//! Processor time of a process whose threads come and go: blocking work runs on threads that end when they are not
//! needed, and the kernel forgets their time with them. So it is looked at again and again, thread by thread.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::time::sleep;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What all threads of `process` use of the processors within `lasts`, in user and kernel mode together. What a thread
/// uses in its last second is not seen.
pub(super) async fn used(process: u32, lasts: Duration) -> anyhow::Result<Duration> {
    let (began, mut before) = (Instant::now(), threads(process)?);
    let mut used = 0;
    while let Some(left) = lasts.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        sleep(left.min(LOOK_EVERY)).await;
        let now = threads(process)?;
        used += since(&before, &now);
        before = now;
    }
    Ok(Duration::from_nanos(used))
}

/// Nanoseconds by thread.
type Threads = HashMap<String, u64>;

fn since(before: &Threads, now: &Threads) -> u64 {
    now.iter().map(|(thread, now)| now.saturating_sub(before.get(thread).copied().unwrap_or_default())).sum()
}

fn threads(process: u32) -> anyhow::Result<Threads> {
    let tasks = format!("/proc/{process}/task");
    let mut threads = Threads::new();
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
        let task = task?;
        // A thread that ended between the listing and the reading has none.
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        // The first of three numbers: time on a processor, time in the queue, time slices.
        let time = text.split_whitespace().next().and_then(|time| time.parse().ok());
        threads.insert(task.file_name().to_string_lossy().into_owned(), time.context("this is no schedstat")?);
    }
    Ok(threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_threads_count_from_nothing_and_ended_ones_no_more() {
        let of = |threads: &[(&str, u64)]| threads.iter().map(|(name, time)| ((*name).to_owned(), *time)).collect();
        let (before, now) = (of(&[("1", 100), ("2", 50)]), of(&[("1", 130), ("3", 5)]));
        assert_eq!(since(&before, &now), 35);
        assert_eq!(since(&before, &before), 0);
    }

    #[tokio::test]
    async fn the_time_of_this_process_is_seen() {
        let me = std::process::id();
        assert!(threads(me).unwrap().len() > 1);
        let spinning = std::thread::spawn(|| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(50) {
                std::hint::spin_loop();
            }
        });
        assert!(used(me, Duration::from_millis(60)).await.unwrap() > Duration::ZERO);
        spinning.join().unwrap();
        assert!(used(u32::MAX, Duration::ZERO).await.is_err());
    }
}
