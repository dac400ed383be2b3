//! What a process has in memory.

use std::fs;

use anyhow::Context as _;

/// Bytes in memory at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All that is in memory: `VmRSS`.
    pub resident: u64,
    /// Of these, what is nobody else's and no file's: `RssAnon`.
    pub anonymous: u64,
    /// The most that was ever in memory: `VmHWM`.
    pub most: u64,
}

impl Memory {
    /// Of `process`, now.
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{process}/status");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&text).with_context(|| format!("{path} does not say"))
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
        };
        Some(Self { resident: field("VmRSS")?, anonymous: field("RssAnon")?, most: field("VmHWM")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_fields_are_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t   300 kB\nVmRSS:\t   200 kB\nRssAnon:\t     100 kB\nRssFile:\t 100 kB\n";
        let expected = Memory { resident: 200 << 10, anonymous: 100 << 10, most: 300 << 10 };
        assert_eq!(Memory::parse(status), Some(expected));
        assert_eq!(Memory::parse("VmRSS:\t200 kB\n"), None);
    }

    #[test]
    fn this_process_is_somewhere_in_memory() {
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.anonymous > 0 && memory.anonymous <= memory.resident && memory.resident <= memory.most);
    }
}
