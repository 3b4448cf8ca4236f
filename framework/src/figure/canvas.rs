//! What a picture consists of once everything has its place: shapes in pixels, before a library paints them.

use super::Colour;
use ab_glyph::{Font, FontRef, ScaleFont};
use std::sync::LazyLock;

/// A place in pixels, from the top left corner.
pub(super) type Place = (f64, f64);

/// A colour with its opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ink {
    pub colour: Colour,
    pub alpha: f64,
}

impl From<Colour> for Ink {
    fn from(colour: Colour) -> Self {
        Self { colour, alpha: 1.0 }
    }
}

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

/// A shape of the picture.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Line { points: Vec<Place>, width: f64, ink: Ink },
    Area { points: Vec<Place>, ink: Ink },
    Box { from: Place, to: Place, ink: Ink },
    Disc { at: Place, radius: f64, ink: Ink },
    Letters(Letters),
}

/// One line of text; `at` lies on its base line.
#[derive(Clone, Debug)]
pub(super) struct Letters {
    pub text: String,
    pub at: Place,
    pub size: f64,
    pub align: Align,
    /// Runs from bottom to top.
    pub upward: bool,
    pub ink: Ink,
}

impl Letters {
    /// The box that the text covers: left, top, right, bottom.
    #[cfg(test)]
    pub fn bounds(&self) -> [f64; 4] {
        let width = text_width(&self.text, self.size);
        let before = match self.align {
            Align::Start => 0.0,
            Align::Middle => width / 2.0,
            Align::End => width,
        };
        let ((x, y), rise, fall) = (self.at, CAPITAL * self.size, 0.2 * self.size);
        if self.upward {
            [x - rise, y + before - width, x + fall, y + before]
        } else {
            [x - before, y - rise, x - before + width, y + fall]
        }
    }
}

/// The bundled font: DejaVu Sans, reduced to Latin, Greek and mathematical signs.
pub(super) static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSans-subset.ttf"))
        .expect("the bundled font is a font: it is compiled in and a test draws with it")
});

/// Height of a capital letter, as a share of the size of the text.
pub(super) const CAPITAL: f64 = 0.73;

/// Scale at which the font's em square is `size` pixels.
pub(super) fn font_scale(size: f64) -> f32 {
    let units = FONT.units_per_em().unwrap_or(2048.0);
    (size * f64::from(FONT.height_unscaled()) / f64::from(units)) as f32
}

/// Width of a line of text, pixels.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let font = FONT.as_scaled(font_scale(size));
    text.chars().map(|letter| f64::from(font.h_advance(font.glyph_id(letter)))).sum()
}

/// The text, or its beginning and an ellipsis, not wider than `width`.
pub(super) fn shorten(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_string();
    }
    let mut kept: String = text.to_string();
    while !kept.is_empty() && text_width(&kept, size) + text_width("…", size) > width {
        kept.pop();
    }
    format!("{}…", kept.trim_end())
}

/// The text broken at spaces into at most `most` lines not wider than `width`; the last one is shortened.
pub(super) fn wrap(text: &str, size: f64, width: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let full = lines.len() >= most;
        match lines.last_mut() {
            Some(line) if full || text_width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines.iter().map(|line| shorten(line, size, width)).collect()
}

/// A picture under construction.
#[derive(Debug)]
pub(super) struct Canvas {
    pub width: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
}

impl Canvas {
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    pub fn line(&mut self, points: Vec<Place>, width: f64, ink: impl Into<Ink>) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, width, ink: ink.into() });
        }
    }

    pub fn area(&mut self, points: Vec<Place>, ink: impl Into<Ink>) {
        if points.len() > 2 {
            self.shapes.push(Shape::Area { points, ink: ink.into() });
        }
    }

    /// A filled rectangle between two opposite corners.
    pub fn fill(&mut self, a: Place, b: Place, ink: impl Into<Ink>) {
        let (from, to) = ((a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1)));
        self.shapes.push(Shape::Box { from, to, ink: ink.into() });
    }

    pub fn disc(&mut self, at: Place, radius: f64, ink: impl Into<Ink>) {
        self.shapes.push(Shape::Disc { at, radius, ink: ink.into() });
    }

    pub fn text(&mut self, text: impl Into<String>, at: Place, size: f64, align: Align, ink: impl Into<Ink>) {
        let text = text.into();
        if !text.is_empty() {
            self.shapes.push(Shape::Letters(Letters { text, at, size, align, upward: false, ink: ink.into() }));
        }
    }

    /// Text from bottom to top.
    pub fn upward(&mut self, text: impl Into<String>, at: Place, size: f64, align: Align, ink: impl Into<Ink>) {
        let text = text.into();
        if !text.is_empty() {
            self.shapes.push(Shape::Letters(Letters { text, at, size, align, upward: true, ink: ink.into() }));
        }
    }

    /// A polyline in dashes of 5 pixels with gaps of 3.
    pub fn dashes(&mut self, points: &[Place], width: f64, ink: impl Into<Ink>) {
        const PATTERN: [f64; 2] = [5.0, 3.0];
        let ink = ink.into();
        let (mut phase, mut left) = (0, PATTERN[0]);
        let mut dash: Vec<Place> = points.first().copied().into_iter().collect();
        for pair in points.windows(2) {
            let (mut from, to) = (pair[0], pair[1]);
            let mut length = (to.0 - from.0).hypot(to.1 - from.1);
            while length > left {
                let share = left / length;
                from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
                length -= left;
                dash.push(from);
                if phase == 0 {
                    self.line(std::mem::take(&mut dash), width, ink);
                }
                dash = vec![from];
                phase = 1 - phase;
                left = PATTERN[phase];
            }
            left -= length;
            dash.push(to);
        }
        if phase == 0 {
            self.line(dash, width, ink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_and_shortened_to_the_width() {
        let lines = wrap("a rather long title that has to be broken somewhere", 12.0, 120.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| text_width(line, 12.0) <= 120.0), "{lines:?}");
        assert!(lines[1].ends_with('…'));
        assert_eq!(shorten("short", 12.0, 120.0), "short");
    }

    #[test]
    fn an_em_is_as_large_as_asked() {
        // DejaVu Sans: the advance of 'm' is 1995 of 2048 units.
        assert!((text_width("m", 100.0) - 100.0 * 1995.0 / 2048.0).abs() < 0.05);
    }

    #[test]
    fn dashes_cover_five_eighths_of_a_long_line() {
        let mut canvas = Canvas::new(1.0, 1.0);
        canvas.dashes(&[(0.0, 0.0), (333.0, 0.0), (800.0, 0.0)], 1.0, Colour::BLACK);
        let covered: f64 = canvas
            .shapes
            .iter()
            .map(|shape| match shape {
                Shape::Line { points, .. } => points[points.len() - 1].0 - points[0].0,
                _ => 0.0,
            })
            .sum();
        assert!((covered - 500.0).abs() < 1e-6, "{covered}");
    }
}
