//! Painting of a canvas by plotters' SVG and bitmap backends.

use super::canvas::{Align, Canvas, FONT, Ink, Letters, Place, Shape, font_scale};
use crate::{Error, Result};
use ab_glyph::{Font, point};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBAColor, RGBColor, ShapeStyle, TextStyle};

/// plotters' backends take whole pixels; SVG coordinates are tenths of a pixel.
const SVG_UNITS: f64 = 10.0;
/// Pixels of the PNG to a pixel of the layout.
const PNG_SCALE: usize = 2;
/// Pixels painted to a pixel of the PNG, along each side; their mean smooths edges.
const PNG_SAMPLES: usize = 2;

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(format!("drawing a figure: {error}"))
}

fn rgba(ink: Ink) -> RGBAColor {
    RGBColor(ink.colour.red, ink.colour.green, ink.colour.blue).mix(ink.alpha)
}

/// The canvas as SVG; text stays text.
pub(super) fn svg(canvas: &Canvas) -> Result<String> {
    let mut text = String::new();
    let units = |length: f64| (length * SVG_UNITS).round() as u32;
    {
        let mut backend = SVGBackend::with_string(&mut text, (units(canvas.width), units(canvas.height)));
        let mut painter = Painter { backend: &mut backend, scale: SVG_UNITS };
        painter.background(canvas)?;
        for shape in &canvas.shapes {
            match shape {
                Shape::Letters(letters) => painter.letters_as_text(letters)?,
                Shape::Line { points, width, ink } => painter.path(points, *width, *ink)?,
                other => painter.shape(other)?,
            }
        }
        painter.backend.present().map_err(failed)?;
    }
    // The same picture at its proper size: the view box keeps the finer units.
    let fine = format!("width=\"{}\" height=\"{}\"", units(canvas.width), units(canvas.height));
    let size =
        format!("width=\"{}\" height=\"{}\" stroke-linejoin=\"round\"", canvas.width.round(), canvas.height.round());
    Ok(text.replacen(&fine, &size, 1))
}

/// The canvas as PNG with twice as many pixels along each side.
pub(super) fn png(canvas: &Canvas) -> Result<Vec<u8>> {
    let (width, height, pixels) = pixels(canvas)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Width, height and red, green, blue of each pixel.
pub(super) fn pixels(canvas: &Canvas) -> Result<(usize, usize, Vec<u8>)> {
    let size = |length: f64| (length.ceil() as usize).max(1) * PNG_SCALE;
    let (width, height) = (size(canvas.width), size(canvas.height));
    let (wide, high) = (width * PNG_SAMPLES, height * PNG_SAMPLES);
    let mut fine = vec![255u8; wide * high * 3];
    {
        let mut backend = BitMapBackend::with_buffer(&mut fine, (wide as u32, high as u32));
        let mut painter = Painter { backend: &mut backend, scale: (PNG_SCALE * PNG_SAMPLES) as f64 };
        painter.background(canvas)?;
        for shape in &canvas.shapes {
            match shape {
                Shape::Letters(letters) => painter.letters_as_pixels(letters)?,
                Shape::Line { points, width, ink } => painter.segments(points, *width, *ink)?,
                other => painter.shape(other)?,
            }
        }
        painter.backend.present().map_err(failed)?;
    }
    let mut pixels = vec![0u8; width * height * 3];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let (x, y, channel) = (index / 3 % width, index / 3 / width, index % 3);
        let samples = (0..PNG_SAMPLES * PNG_SAMPLES).map(|sample| {
            let (dx, dy) = (sample % PNG_SAMPLES, sample / PNG_SAMPLES);
            usize::from(fine[((y * PNG_SAMPLES + dy) * wide + x * PNG_SAMPLES + dx) * 3 + channel])
        });
        *pixel = (samples.sum::<usize>() / (PNG_SAMPLES * PNG_SAMPLES)) as u8;
    }
    Ok((width, height, pixels))
}

/// A backend and its pixels to a pixel of the layout.
struct Painter<'a, B> {
    backend: &'a mut B,
    scale: f64,
}

impl<B: DrawingBackend> Painter<'_, B> {
    fn at(&self, place: Place) -> (i32, i32) {
        ((place.0 * self.scale).round() as i32, (place.1 * self.scale).round() as i32)
    }

    fn length(&self, pixels: f64) -> u32 {
        ((pixels * self.scale).round() as u32).max(1)
    }

    fn background(&mut self, canvas: &Canvas) -> Result<()> {
        let ink = Ink::from(super::Colour::WHITE);
        self.shape(&Shape::Box { from: (0.0, 0.0), to: (canvas.width.ceil(), canvas.height.ceil()), ink })
    }

    fn shape(&mut self, shape: &Shape) -> Result<()> {
        let solid = |ink: &Ink| ShapeStyle { color: rgba(*ink), filled: true, stroke_width: 1 };
        match shape {
            Shape::Box { from, to, ink } => {
                let (from, to) = (self.at(*from), self.at(*to));
                self.backend.draw_rect(from, to, &solid(ink), true).map_err(failed)
            }
            Shape::Area { points, ink } => {
                let points: Vec<_> = points.iter().map(|place| self.at(*place)).collect();
                self.backend.fill_polygon(points, &solid(ink)).map_err(failed)
            }
            Shape::Disc { at, radius, ink } => {
                let (at, radius) = (self.at(*at), self.length(*radius));
                self.backend.draw_circle(at, radius, &solid(ink), true).map_err(failed)
            }
            Shape::Line { .. } | Shape::Letters(_) => Ok(()),
        }
    }

    fn path(&mut self, points: &[Place], width: f64, ink: Ink) -> Result<()> {
        let style = ShapeStyle { color: rgba(ink), filled: false, stroke_width: self.length(width) };
        let points: Vec<_> = points.iter().map(|place| self.at(*place)).collect();
        self.backend.draw_path(points, &style).map_err(failed)
    }

    /// A line as one rectangle a segment with round joints: the backend's own thick paths have holes where a path
    /// crosses itself.
    fn segments(&mut self, points: &[Place], width: f64, ink: Ink) -> Result<()> {
        let style = ShapeStyle { color: rgba(ink), filled: true, stroke_width: 1 };
        let half = width / 2.0;
        for (index, pair) in points.windows(2).enumerate() {
            let (a, b) = (pair[0], pair[1]);
            let length = (b.0 - a.0).hypot(b.1 - a.1);
            if length * self.scale < 0.5 {
                continue;
            }
            let (nx, ny) = (-(b.1 - a.1) / length * half, (b.0 - a.0) / length * half);
            let corners = [(a.0 + nx, a.1 + ny), (b.0 + nx, b.1 + ny), (b.0 - nx, b.1 - ny), (a.0 - nx, a.1 - ny)];
            let corners = corners.map(|place| self.at(place));
            self.backend.fill_polygon(corners, &style).map_err(failed)?;
            if index > 0 && width * self.scale > 3.0 {
                let radius = ((half * self.scale) as u32).max(1);
                self.backend.draw_circle(self.at(a), radius, &style, true).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Text as text, for a backend that knows fonts by name.
    fn letters_as_text(&mut self, letters: &Letters) -> Result<()> {
        // The backend writes size / 1.24 and shifts the base line by 0.76 em below the place.
        let size = letters.size * self.scale;
        let horizontal = match letters.align {
            Align::Start => HPos::Left,
            Align::Middle => HPos::Center,
            Align::End => HPos::Right,
        };
        let font = ("DejaVu Sans, Verdana, sans-serif", size * 1.24).into_font();
        let font = if letters.upward { font.transform(FontTransform::Rotate270) } else { font };
        let colour = rgba(letters.ink);
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(horizontal, VPos::Top));
        let shift = 0.76 * letters.size;
        // The shift turns with the text; the place is the centre of the rotation.
        let place =
            if letters.upward { (letters.at.0 - shift, letters.at.1) } else { (letters.at.0, letters.at.1 - shift) };
        let place = self.at(place);
        self.backend.draw_text(&letters.text, &style, place).map_err(failed)
    }

    /// Text as outlines of the bundled font: plotters' own glyphs lose their side bearings.
    fn letters_as_pixels(&mut self, letters: &Letters) -> Result<()> {
        let width = super::canvas::text_width(&letters.text, letters.size) * self.scale;
        let scale = font_scale(letters.size * self.scale);
        let advance = |glyph| FONT.h_advance_unscaled(glyph) * scale / FONT.height_unscaled();
        let mut along = match letters.align {
            Align::Start => 0.0,
            Align::Middle => -width / 2.0,
            Align::End => -width,
        } as f32;
        let (x, y) = self.at(letters.at);
        let (right, bottom) = self.backend.get_size();
        for letter in letters.text.chars() {
            let glyph = FONT.glyph_id(letter);
            let outline = FONT.outline_glyph(glyph.with_scale_and_position(scale, point(along, 0.0)));
            along += advance(glyph);
            let Some(outline) = outline else { continue };
            let corner = outline.px_bounds().min;
            let mut covered = Vec::new();
            outline.draw(|column, row, share| covered.push((column as i32, row as i32, f64::from(share))));
            for (column, row, share) in covered {
                let (dx, dy) = (corner.x as i32 + column, corner.y as i32 + row);
                let at = if letters.upward { (x + dy, y - dx) } else { (x + dx, y + dy) };
                if at.0 < 0 || at.1 < 0 || at.0 >= right as i32 || at.1 >= bottom as i32 {
                    continue;
                }
                let ink = Ink { alpha: letters.ink.alpha * share.clamp(0.0, 1.0), ..letters.ink };
                self.backend.draw_pixel(at, rgba(ink).to_backend_color()).map_err(failed)?;
            }
        }
        Ok(())
    }
}
