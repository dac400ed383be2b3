//! How much of a directory each look is worth: metadata first, and contents only when these may have changed.
//!
//! - While the directory's own stamp holds, so do its names. A kubelet's swap is a rename in the directory and moves that
//!   stamp: everything is looked at, the same moment.
//! - A file that is rewritten in place, or reached through a link that is swapped elsewhere, shows in its own stamp alone.
//!   These are looked at by turns, [`TURN`] at a look, and the names once in each round. A directory of so many files is
//!   looked at whole each time; one of 10,000 in three quarters of a minute, at a cost that does not grow.
//! - Stamps are as fine as the kernel's clock: a file that changed just before it was read may have changed again since,
//!   with the same stamp. Until what is newest is old, contents are read at every look.

use std::{
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use super::survey::Survey;

/// Entries looked at in one look. A look at 10,000 of them takes 14 to 30 ms: each second, that would not be idle.
const TURN: usize = 256;

/// The coarsest clock that stamps come from (FAT counts in two seconds), and time enough for a server's to differ.
const COARSEST: Duration = Duration::from_secs(2);

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub(super) struct Attention(Option<Known>);

#[derive(Debug)]
struct Known {
    survey: Survey,
    /// Whether its stamps can be trusted to tell what comes after.
    settled: bool,
    /// The first entry of the next turn.
    next: usize,
}

impl Attention {
    /// The files whose contents are to be read at once, or nothing: then they are what they were. `now` is the time.
    pub(super) fn look(&mut self, directory: &Path, now: SystemTime) -> io::Result<Option<&Survey>> {
        if let Some(known) = &mut self.0
            && known.settled
            && known.holds(directory)?
        {
            return Ok(None);
        }
        let survey = Survey::take(directory)?;
        let settled = settled(survey.newest(), now);
        Ok(Some(&self.0.insert(Known { survey, settled, next: 0 }).survey))
    }
}

impl Known {
    fn holds(&mut self, directory: &Path) -> io::Result<bool> {
        if !self.survey.directory_holds(directory)? || (self.next == 0 && !self.survey.names_hold(directory)?) {
            return Ok(false);
        }
        let turn = turn(self.next, self.survey.len());
        self.next = if turn.end == self.survey.len() { 0 } else { turn.end };
        Ok(self.survey.entries_hold(turn))
    }
}

fn turn(first: usize, len: usize) -> std::ops::Range<usize> {
    first..first.saturating_add(TURN).min(len)
}

/// Whether whatever changes after `read` gets a stamp later than `newest`.
fn settled(newest: SystemTime, read: SystemTime) -> bool {
    read.duration_since(newest).is_ok_and(|age| age > COARSEST)
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::FileTimes, os::unix::fs::symlink, time::UNIX_EPOCH};

    use super::*;

    /// Long after whatever a test wrote.
    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(60)
    }

    fn reads(attention: &mut Attention, directory: &Path) -> bool {
        attention.look(directory, later()).unwrap().is_some()
    }

    /// Returns when the clock of stamps has moved on. These tests say that all is settled at once; two changes in one of
    /// its ticks would have one stamp.
    fn tick() {
        let probe = tempfile::NamedTempFile::new().unwrap();
        let stamp = || {
            fs::write(probe.path(), "").unwrap();
            fs::metadata(probe.path()).unwrap().modified().unwrap()
        };
        let first = stamp();
        while stamp() <= first {}
    }

    fn full(files: usize) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..files {
            fs::write(dir.path().join(format!("{n:04}.yaml")), "a: 1\n").unwrap();
        }
        dir
    }

    #[test]
    fn a_stamp_is_trusted_only_when_it_is_older_than_the_coarsest_clock() {
        let at = |milliseconds| UNIX_EPOCH + Duration::from_millis(milliseconds);
        for (newest, read, expected) in [
            (10_000, 12_001, true),
            (10_000, 12_000, false),
            (10_000, 10_000, false),
            // The clock was set back, or the server's is ahead.
            (10_000, 9_000, false),
            (0, 10_000, true),
        ] {
            assert_eq!(settled(at(newest), at(read)), expected, "{newest} {read}");
        }
    }

    #[test]
    fn a_directory_that_stays_as_it_is_is_read_once() {
        let dir = full(TURN + 1);
        let mut attention = Attention::default();
        assert!(reads(&mut attention, dir.path()));
        for look in 0..7 {
            assert!(!reads(&mut attention, dir.path()), "look {look}");
        }
    }

    #[test]
    fn what_was_written_just_before_it_was_read_is_read_again() {
        let dir = full(1);
        let mut attention = Attention::default();
        for _ in 0..3 {
            assert!(attention.look(dir.path(), SystemTime::now()).unwrap().is_some());
        }
        assert!(reads(&mut attention, dir.path()));
        assert!(!reads(&mut attention, dir.path()));
    }

    #[test]
    fn each_kind_of_change_is_seen_at_the_next_look() {
        let dir = full(3);
        let path = |name: &str| dir.path().join(name);
        symlink("nowhere", path("link.yml")).unwrap();
        let elsewhere = full(1);
        let times = fs::metadata(path("0001.yaml")).unwrap();
        let times = FileTimes::new().set_modified(times.modified().unwrap());
        let mut attention = Attention::default();
        assert!(reads(&mut attention, dir.path()));
        let changes: [(&str, &dyn Fn()); 7] = [
            ("a longer file", &|| fs::write(path("0000.yaml"), "a: 100\n").unwrap()),
            ("one of the same size and time of modification", &|| {
                fs::write(path("0001.yaml"), "a: 2\n").unwrap();
                fs::File::options().write(true).open(path("0001.yaml")).unwrap().set_times(times).unwrap();
            }),
            ("a new file", &|| fs::write(path("new.yml"), "").unwrap()),
            ("one that is gone", &|| fs::remove_file(path("0002.yaml")).unwrap()),
            ("a file moved over another", &|| fs::rename(path("0001.yaml"), path("0000.yaml")).unwrap()),
            ("a link that leads somewhere", &|| fs::write(path("nowhere"), "").unwrap()),
            ("a link that leads elsewhere", &|| {
                fs::remove_file(path("link.yml")).unwrap();
                symlink(elsewhere.path().join("0000.yaml"), path("link.yml")).unwrap();
            }),
        ];
        for (change, make) in changes {
            assert!(!reads(&mut attention, dir.path()), "before {change}");
            tick();
            make();
            assert!(reads(&mut attention, dir.path()), "{change}");
        }
    }

    #[test]
    fn in_a_large_directory_a_rewritten_file_is_seen_within_one_round() {
        let files = 2 * TURN + 1;
        let dir = full(files);
        let mut attention = Attention::default();
        assert!(reads(&mut attention, dir.path()));
        for n in [0, TURN - 1, TURN, files - 1] {
            tick();
            fs::write(dir.path().join(format!("{n:04}.yaml")), "a: 2\n").unwrap();
            assert!((0..files.div_ceil(TURN)).any(|_| reads(&mut attention, dir.path())), "file {n}");
        }
    }

    #[test]
    fn in_a_large_directory_a_swap_is_seen_at_the_next_look() {
        let (dir, moments) = (tempfile::tempdir().unwrap(), [full(3 * TURN), full(3 * TURN)]);
        let swap = |to: &Path| {
            symlink(to, dir.path().join("..next")).unwrap();
            fs::rename(dir.path().join("..next"), dir.path().join("..data")).unwrap();
        };
        swap(moments[0].path());
        for n in 0..3 * TURN {
            symlink(format!("..data/{n:04}.yaml"), dir.path().join(format!("{n:04}.yaml"))).unwrap();
        }
        let mut attention = Attention::default();
        assert!(reads(&mut attention, dir.path()));
        for moment in [1, 0, 1] {
            assert!(!reads(&mut attention, dir.path()));
            tick();
            swap(moments[moment].path());
            assert!(reads(&mut attention, dir.path()));
        }
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error() {
        let dir = full(1);
        let mut attention = Attention::default();
        assert!(reads(&mut attention, dir.path()));
        let gone = dir.path().to_owned();
        drop(dir);
        assert!(attention.look(&gone, later()).is_err());
    }
}
