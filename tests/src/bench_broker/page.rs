//! The figures as a section of docs/performance.md: pure.

use std::fmt::Write as _;

use super::{
    cached::Cached,
    replicas::Replicas,
    report::{Report, mib, seconds},
    start::{Started, Starts},
};
use crate::bench::rounds::Medians;

/// Where the section begins and ends in the page; the lines themselves stay.
pub const BEGINS: &str = "<!-- figures: written by `cargo bench-broker --write` -->";
/// See [`BEGINS`].
pub const ENDS: &str = "<!-- end of figures -->";

/// The section.
pub fn section(report: &Report, machine: &str) -> String {
    let mut text = format!("Measured on {machine}.\n\n### Cached reads\n\n");
    text += "| objects held | connections | broker | echo | CPU per `Resolve` | requests/s | p50 | p99 | p99.9 |\n\
             |---|---|---|---|---|---|---|---|---|\n";
    report.cached.iter().for_each(|cached| cached_rows(&mut text, cached));
    text += "\nBroker and echo: µs of processor time for each request; then the ratio of the two, and the broker's own \
             figures.\n\n### Memory\n\n\
             | objects held | nothing declared | an `AzureKeyVaultSecret` | an object of 200 B |\n|---|---|---|---|\n";
    for cached in &report.cached {
        let (secret, object) = (cached.bytes_of_secret(), cached.bytes_of_object());
        let _infallible =
            writeln!(text, "| {} | {:.1} MiB | {secret} B | {object} B |", cached.objects, mib(cached.empty));
    }
    text += "\n### Replicas\n\n\
             | replicas | vault calls, cold | a poll | a lost owner is missed for | vault calls for that | CPU per `Resolve`, of all | requests/s |\n\
             |---|---|---|---|---|---|---|\n";
    report.replicas.iter().for_each(|one| replicas_row(&mut text, one));
    mass_start(&mut text, &report.start);
    text
}

/// The page with another section; `None` where it has no place for it.
pub fn replaced(page: &str, section: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGINS)?;
    let (_, after) = rest.split_once(ENDS)?;
    Some(format!("{before}{BEGINS}\n\n{section}\n{ENDS}{after}"))
}

fn cached_rows(text: &mut String, cached: &Cached) {
    for (mode, rounds) in [("kept", &cached.kept), ("one for each", &cached.fresh)] {
        let Medians { ours, bare, ratio } = Medians::of(rounds);
        let _infallible = writeln!(
            text,
            "| {} | {mode} | {:.0} | {:.0} | {:.2} × | {:.0} | {:.0} µs | {:.0} µs | {:.0} µs |",
            cached.objects,
            ours.cpu_micros,
            bare.cpu_micros,
            ratio.cpu_micros,
            ours.requests_per_second,
            ours.p50_micros,
            ours.p99_micros,
            ours.p999_micros
        );
    }
}

fn replicas_row(text: &mut String, one: &Replicas) {
    let Replicas { replicas, cold_calls, poll_calls, kept, taken_over, calls_after, .. } = one;
    let Medians { ours, ratio, .. } = Medians::of(kept);
    let missed = taken_over.map_or_else(|| "–".to_owned(), |millis| format!("{millis} ms"));
    let _infallible = writeln!(
        text,
        "| {replicas} | {cold_calls} | {poll_calls} | {missed} | {calls_after} | {:.2} × echo | {:.0} |",
        ratio.cpu_micros, ours.requests_per_second
    );
}

fn mass_start(text: &mut String, Starts { start, broker, direct }: &Starts) {
    let _infallible = write!(
        text,
        "\n### Mass start\n\n{} clients over {} objects in {} vaults, {} under way at a time; {} of them are the real launcher \
         in a process of its own.\n\n\
         | | served | failed | all over after | objects read | challenges | 429 | tokens |\n|---|---|---|---|---|---|---|---|\n",
        start.clients,
        start.objects * start.vaults,
        start.vaults,
        start.at_once,
        start.processes
    );
    for (name, started) in [("through a cold broker", broker), ("directly, as akv2k8s' injector asks", direct)] {
        let Started { done, failed, took, reads, challenges, throttled, tokens, .. } = started;
        let _infallible = writeln!(
            text,
            "| {name} | {} | {failed} | {:.1} s | {reads} | {challenges} | {throttled} | {tokens} |",
            done.len(),
            seconds(*took)
        );
    }
    *text += "\n![How many clients had their values, over time](performance.svg)\n";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_broker::report::tests::report;

    #[test]
    fn the_section_replaces_what_stood_there_and_nothing_else() {
        let page = format!("# Performance\n{BEGINS}\nold\n{ENDS}\nmore\n");
        let new = replaced(&page, "new").unwrap();
        assert_eq!(new, format!("# Performance\n{BEGINS}\n\nnew\n{ENDS}\nmore\n"));
        assert_eq!(replaced(&new, "new").unwrap(), new);
        assert_eq!(replaced("# Performance\n", "new"), None);
    }

    #[test]
    fn figures_come_with_their_ratios() {
        let text = section(&report(15.0, 1_000, 0, 0), "two processors");
        for part in [
            "Measured on two processors.",
            "| 100 | kept | 15 | 10 | 1.50 × |",
            "| 100 | 10.0 MiB |",
            "| 1000 B |",
            "| 3 | 5 | 1 | 950 ms | 0 | 1.50 × echo |",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
