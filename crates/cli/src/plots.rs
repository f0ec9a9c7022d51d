//! Charts as SVG.

use std::error::Error;

use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, IntoSegmentedCoord, RGBColor, Rectangle, SVGBackend,
    SegmentValue, TRANSPARENT, WHITE,
};

use crate::error::Failure;

/// Width and height in pixels; chosen to fit a page.
const SIZE: (u32, u32) = (900, 420);
const BAR: RGBColor = RGBColor(0x2f, 0x6f, 0xa8);
const LINE: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// Labels below the bars; of more bars only some have one.
const LABELS_MAX: usize = 12;

/// A chart of counts, a bar for each.
pub(crate) struct Bars<'a> {
    /// What is shown.
    pub(crate) title: &'a str,
    /// What the bars are.
    pub(crate) across: &'a str,
    /// What is counted.
    pub(crate) up: &'a str,
    /// From left to right: what stands below, and the count.
    pub(crate) bars: &'a [(String, u64)],
}

impl Bars<'_> {
    /// Draws the chart.
    pub(crate) fn svg(&self) -> Result<String, Failure> {
        let mut text = String::new();
        self.draw(&mut text).map_err(|error| {
            let message = format!("the chart {:?} cannot be drawn", self.title);
            let hint = "report it; the figures are in --csv and --json";
            Failure::internal(message, hint).cause(error)
        })?;
        Ok(text)
    }

    fn draw(&self, text: &mut String) -> Result<(), Box<dyn Error>> {
        let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let count = u32::try_from(self.bars.len())?.max(1);
        let tallest = self.bars.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        let top = tallest.saturating_add(tallest.div_ceil(20));
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d((0..count).into_segmented(), 0..top)?;
        let label = |place: &SegmentValue<u32>| match place {
            SegmentValue::Exact(at) | SegmentValue::CenterOf(at) => {
                let bar = usize::try_from(*at).ok().and_then(|at| self.bars.get(at));
                bar.map_or_else(String::new, |(label, _)| label.clone())
            }
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(LINE)
            .light_line_style(TRANSPARENT)
            .x_desc(self.across)
            .y_desc(self.up)
            .x_labels(LABELS_MAX)
            .x_label_formatter(&label)
            .draw()?;
        chart.draw_series((0..).zip(self.bars).map(|(at, (_, count))| {
            let corners = [(SegmentValue::Exact(at), 0), (SegmentValue::Exact(at + 1), *count)];
            let mut bar = Rectangle::new(corners, BAR.filled());
            bar.set_margin(0, 0, 1, 1);
            bar
        }))?;
        root.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(counts: &[u64]) -> String {
        let bars: Vec<_> = counts.iter().map(|count| (format!("<{count}>"), *count)).collect();
        let chart = Bars { title: "a & b", across: "x", up: "y", bars: &bars };
        chart.svg().unwrap()
    }

    #[test]
    fn every_count_has_a_bar_and_text_is_escaped() {
        let bar = "fill=\"#2F6FA8\"";
        for counts in [&[][..], &[0], &[7], &[1, 2, 3], &[1 << 40; 3]] {
            let svg = bars(counts);
            assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
            assert_eq!(svg.matches(bar).count(), counts.len(), "{svg}");
            assert!(svg.contains("a &amp; b"), "{svg}");
        }
        assert!(bars(&[7]).contains("&lt;7&gt;"));
    }
}
