//! The mass start as a picture: how many clients had their values, over time. Pure; the same figures, the same bytes.

use std::fmt::Write as _;

use super::start::{Started, Starts};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
/// Around the curves: left, top, right, bottom.
const MARGIN: [f64; 4] = [64.0, 40.0, 24.0, 48.0];
const COLOURS: [&str; 2] = ["#0b6e4f", "#b3541e"];
/// Points of a curve: more cannot be seen.
const POINTS: usize = 240;

/// The picture.
pub fn svg(starts: &Starts) -> String {
    let curves = [("through the broker", &starts.broker), ("directly", &starts.direct)];
    let longest = curves.iter().map(|(_, started)| started.took).max().unwrap_or_default().max(1);
    let scale = Scale { longest: figure(longest), most: figure(starts.start.clients as u64) };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    text(&mut svg, (MARGIN[0], 22.0), "start", &format!("{} clients start at once", starts.start.clients));
    axes(&mut svg, scale);
    for ((name, started), (colour, line)) in curves.iter().zip(COLOURS.iter().zip(0_u32..)) {
        let points = curve(started, scale);
        let _infallible = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            points.join(" ")
        );
        let y = HEIGHT - MARGIN[3] - 40.0 + 18.0 * f64::from(line);
        let label = format!("{name}: {} have their values, {} failed", started.done.len(), started.failed);
        let _infallible =
            writeln!(svg, "<rect x=\"330\" y=\"{:.1}\" width=\"12\" height=\"3\" fill=\"{colour}\"/>", y - 5.0);
        text(&mut svg, (348.0, y), "start", &label);
    }
    svg + "</svg>\n"
}

#[derive(Clone, Copy)]
struct Scale {
    longest: f64,
    most: f64,
}

impl Scale {
    fn x(self, millis: f64) -> f64 {
        MARGIN[0] + (WIDTH - MARGIN[0] - MARGIN[2]) * millis / self.longest
    }

    fn y(self, clients: f64) -> f64 {
        HEIGHT - MARGIN[3] - (HEIGHT - MARGIN[1] - MARGIN[3]) * clients / self.most
    }
}

fn axes(svg: &mut String, scale: Scale) {
    let (left, right, bottom) = (scale.x(0.0), scale.x(scale.longest), scale.y(0.0));
    for quarter in 0..=4 {
        let part = f64::from(quarter) / 4.0;
        let y = scale.y(scale.most * part);
        let _infallible =
            writeln!(svg, "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"#d0d0d0\" stroke-width=\"1\"/>");
        text(svg, (left - 8.0, y + 4.0), "end", &format!("{:.0}", scale.most * part));
        let at = scale.longest * part;
        text(svg, (scale.x(at), bottom + 20.0), "middle", &format!("{:.1} s", at / 1e3));
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let _infallible = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

/// How many were done at each moment.
fn curve(started: &Started, scale: Scale) -> Vec<String> {
    let step = started.done.len().div_ceil(POINTS).max(1);
    let last = started.done.len().saturating_sub(1);
    let shown = started.done.iter().enumerate().filter(|(n, _)| n % step == 0 || *n == last);
    let point = |millis: f64, clients: f64| format!("{:.1},{:.1}", scale.x(millis), scale.y(clients));
    let points = shown.map(|(n, millis)| point(figure(*millis), figure(n as u64 + 1)));
    let end = point(figure(started.took), figure(started.done.len() as u64));
    [point(0.0, 0.0)].into_iter().chain(points).chain([end]).collect()
}

#[allow(clippy::cast_precision_loss, reason = "a picture; nothing here comes near 2^53")]
fn figure(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_broker::report::tests::report;

    #[test]
    fn curves_begin_at_nothing_and_end_with_who_was_served_when_all_was_over() {
        let starts = report(10.0, 0, 0, 0).start;
        let svg = svg(&starts);
        assert_eq!(svg, super::svg(&starts), "the same each time");
        let curves: Vec<_> = svg.lines().filter(|line| line.starts_with("<polyline")).collect();
        assert_eq!(curves.len(), 2);
        assert!(curves[1].contains("64.0,312.0 ") && curves[1].ends_with("696.0,176.0\"/>"), "{}", curves[1]);
        assert!(svg.contains("directly: 2 have their values, 2 failed"), "{svg}");
    }
}
