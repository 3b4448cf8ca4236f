//! Tests of whole figures: what is drawn, what is saved, and that no input brings a panic.

use super::canvas::{Canvas, Letters, Shape};
use super::*;

fn every_kind(values: &[f64], more: &[f64]) -> Vec<Mark> {
    let pairs = || values.iter().zip(more);
    vec![
        Line::new(values, more).band(more, values).label("line").dots().into(),
        Line::new(values, more).dashed().into(),
        Scatter::new(values, more).errors(more, values).values(more).label("points").into(),
        Bars::at(values, more).errors(values, more).members([values, more]).label("bars").into(),
        Bars::new(["a", "b", "a"], more).colour_each().into(),
        Histogram::new(values).label("counts").into(),
        Histogram::new(values).edges(more).density().into(),
        HeatMap::new([values, more]).at(values, more).annotate().into(),
        HeatMap::new([values, &[][..]]).diverging().into(),
        Dendrogram::new(pairs().map(|(a, b)| (*a as usize, *b as usize, *a)), ["x", "y", "z"]).into(),
        Barcode::new(pairs().map(|(a, b)| (1, *a, *b))).into(),
        Trajectory2::new().path(values, more).path(more, values).coloured_by(values).into(),
        Rule::horizontal(values.first().copied().unwrap_or(f64::NAN)).label("rule").into(),
        Rule::vertical(more.last().copied().unwrap_or(f64::INFINITY)).solid().into(),
        Span::vertical(values.first().copied().unwrap_or(0.0), 1.0).label("span").into(),
        Span::horizontal(0.0, more.first().copied().unwrap_or(f64::NAN)).into(),
        Quiver::new(values, more, more, values).into(),
        Text::new(values.first().copied().unwrap_or(0.0), 0.0, "note").into(),
    ]
}

fn letters(canvas: &Canvas) -> Vec<&Letters> {
    canvas.shapes.iter().filter_map(|shape| if let Shape::Letters(text) = shape { Some(text) } else { None }).collect()
}

#[test]
fn degenerate_inputs_draw_without_a_panic() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let inputs: [(&[f64], &[f64]); 10] = [
        (&[], &[]),
        (&[1.0], &[2.0]),
        (&[nan, nan], &[nan, nan]),
        (&[1.0, nan, inf, 3.0], &[nan, 2.0, 1.0, -inf]),
        (&[5.0; 4], &[5.0; 4]),
        (&[0.0; 3], &[0.0; 3]),
        (&[-1.0, -2.0, 0.0], &[-5.0, 0.0, -1.0]),
        (&[1e308, -1e308, 1.0], &[1e-320, 1e308, -1e308]),
        (&[1.0, 1.0 + 1e-15], &[1e15, 1e15 + 0.125]),
        (&[1.0, 2.0, 3.0], &[1.0]),
    ];
    for (values, more) in inputs {
        for mark in every_kind(values, more) {
            for (x, y) in [
                (Axis::new("x"), Axis::new("y")),
                (Axis::new("x").log(), Axis::new("y").log().reversed()),
                (Axis::new("x").limits(nan, 1.0), Axis::new("y").limits(2.0, 2.0)),
                (Axis::new("x").limits(0.4, 0.6).ticks([nan, 0.5]), Axis::new("y").categories([""; 3])),
            ] {
                let panel = Panel::new("t").x(x).y(y).mark(mark.clone()).equal_units();
                let figure = Figure::new("f", "").panel(panel);
                let svg = figure.to_svg().unwrap_or_else(|error| panic!("{mark:?}: {error}"));
                assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{mark:?}");
                figure.to_csv().unwrap_or_else(|error| panic!("{mark:?}: {error}"));
            }
        }
        let together = Figure::new("f", "").panel(Panel::new("").marks(every_kind(values, more))).panel(
            Panel::new("")
                .z(Axis::new("z").log())
                .mark(Scatter::spatial(values, more, values).values(more))
                .mark(Trajectory3::new().path(values, more, more).coloured_by(values).label("path")),
        );
        together.to_png().unwrap_or_else(|error| panic!("{values:?} {more:?}: {error}"));
    }
    Figure::new("none", "").to_png().expect("no panel");
    Figure::new("none", "a title").columns(9).panel(Panel::new("")).to_png().expect("no mark");
}

#[test]
fn text_really_appears_in_the_png() {
    let dark = |label: &str, drawn: bool| {
        let mark = Line::new([0.0, 1.0], [0.0, 1.0]).colour(Colour::hex(0x00_b0_00));
        let mut canvas = layout::lay_out(&Figure::new("f", "").panel(Panel::new("").x(label).y("y").mark(mark)));
        let found = letters(&canvas).into_iter().find(|text| text.text == label).expect("laid out");
        let [left, top, right, bottom] = found.bounds().map(|edge| (edge * 2.0) as usize);
        if !drawn {
            canvas.shapes.retain(|shape| !matches!(shape, Shape::Letters(text) if text.text == label));
        }
        let (width, _, pixels) = paint::pixels(&canvas).expect("paints");
        let black = |row: usize| (left..right).filter(|x| pixels[(row * width + x) * 3 + 1] < 90).count();
        (top..bottom).map(black).sum::<usize>()
    };
    assert_eq!(dark("time", false), 0);
    let (short, long) = (dark("time", true), dark("time since the stimulus", true));
    assert!(short > 60, "{short} dark pixels for a short label");
    assert!(long > 3 * short, "{long} dark pixels for a long label, {short} for a short one");
}

#[test]
fn every_sign_used_by_the_framework_is_in_the_font() {
    use ab_glyph::Font;
    for letter in "aZé0123−×⁻⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂…–αβγΔθλμσΣτφω∞≤≥≠≈±√∂∇·→µ°".chars()
    {
        assert_ne!(canvas::FONT.glyph_id(letter).0, 0, "'{letter}' is missing");
    }
}

#[test]
fn svg_holds_the_labels_as_text_and_escapes_them() {
    let mark = Line::new([0.0, 1.0], [0.0, 1.0]).label("<b> & \"c\"");
    let svg = Figure::new("f", "Title").panel(Panel::new("Panel").x("τ (ms)").mark(mark)).to_svg().expect("draws");
    for text in ["Title", "Panel", "τ (ms)", "&lt;b&gt; &amp; &quot;c&quot;"] {
        assert!(svg.contains(&format!(">\n{text}\n</text>")), "{text} is missing");
    }
    assert!(!svg.contains("<b>"));
}

/// All texts of a picture, checked pair by pair.
#[test]
fn no_text_lies_on_another_one() {
    let names = |count: usize| (0..count).map(|k| format!("a rather long name {k}")).collect::<Vec<_>>();
    let wave: Vec<f64> = (0..50).map(|k| (f64::from(k) / 5.0).sin() * 1e-7).collect();
    let line = || Line::of(&wave).label("one of the curves").deviation([1e-8; 50]);
    let figure = Figure::new("f", "A title that is long enough to be broken into more than a single line of text")
        .columns(2)
        .panel(Panel::new("Bars").y("height").mark(Bars::new(names(30), (0..30).numbers())))
        .panel(Panel::new("Few bars").y("height").mark(Bars::new(names(4), [1.0, 2.0, 3.0, 4.0])))
        .panel(
            Panel::new("A very long title of a panel that has to be broken into several lines of text")
                .x("a label as long as it can be without being cut off at all, I should say")
                .y(Axis::new("y"))
                .marks((0..6).map(|k| line().label(format!("curve {k}")))),
        )
        .panel(
            Panel::new("Map")
                .x(Axis::new("x").categories(names(25)))
                .y(Axis::new("y").categories(names(25)).reversed())
                .mark(HeatMap::new((0..25).map(|k| vec![f64::from(k); 25])))
                .colour_label("value"),
        )
        .panel(Panel::new("Log").x(Axis::new("x").log().limits(1.3, 8.9)).y(Axis::new("y").log().limits(1e-12, 1e9)))
        .panel(Panel::new("Fine").x(Axis::new("x").limits(1000.00001, 1000.00002)).y(Axis::new("y").limits(-1e9, 1e9)));
    let canvas = layout::lay_out(&figure);
    let texts = letters(&canvas);
    assert!(texts.len() > 100);
    for (index, one) in texts.iter().enumerate() {
        let [left, top, right, bottom] = one.bounds();
        assert!(
            left >= 0.0 && top >= 0.0 && right <= canvas.width && bottom <= canvas.height,
            "'{}' leaves the picture: {:?}",
            one.text,
            one.bounds()
        );
        for other in &texts[index + 1..] {
            let [l, t, r, b] = other.bounds();
            let apart = right <= l || r <= left || bottom <= t || b <= top;
            assert!(apart, "'{}' lies on '{}'", one.text, other.text);
        }
    }
}

#[test]
fn a_legend_avoids_the_data_or_goes_beside() {
    let place = |points: Scatter| {
        let canvas = layout::lay_out(&Figure::new("f", "").panel(Panel::new("").mark(points.label("legend"))));
        let entry = letters(&canvas).into_iter().find(|text| text.text == "legend").expect("drawn").at;
        (entry.0 / canvas.width, entry.1 / canvas.height)
    };
    let corner = place(Scatter::new([0.0, 1.0], [0.0, 1.0]));
    assert!(corner.0 < 0.5 && corner.1 < 0.3, "the upper right corner is taken: {corner:?}");
    let grid: Vec<(f64, f64)> = (0..900).map(|k| (f64::from(k % 30), f64::from(k / 30))).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = grid.into_iter().unzip();
    assert!(place(Scatter::new(x, y)).0 > 0.8, "no corner is free");
}

#[test]
fn csv_holds_every_number_exactly() {
    let (x, y) = (vec![0.1, 1.0 / 3.0, f64::NAN], vec![1e-300, -2.5, f64::INFINITY]);
    let figure = Figure::new("f", "").panel(
        Panel::new("")
            .mark(Line::new(&x, &y).label("a, \"b\""))
            .mark(HeatMap::new([[1.5, 2.5], [3.5, 4.5]]).at([10.0, 20.0], [0.0, 5.0]))
            .mark(Barcode::new([(1, 0.25, f64::INFINITY)])),
    );
    let csv = figure.to_csv().expect("writes");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("reads");
    let number = |row: usize, column: usize| rows[row][column].parse::<f64>().expect("a number");
    for index in 0..3 {
        assert_eq!(&rows[index][3], "a, \"b\"");
        assert_eq!(number(index, 6).to_bits(), x[index].to_bits());
        assert_eq!(number(index, 7).to_bits(), y[index].to_bits());
    }
    let cells: Vec<[f64; 3]> = (3..7).map(|row| [number(row, 6), number(row, 7), number(row, 13)]).collect();
    assert_eq!(cells, [[10.0, 0.0, 1.5], [20.0, 0.0, 2.5], [10.0, 5.0, 3.5], [20.0, 5.0, 4.5]]);
    assert_eq!((number(7, 4), number(7, 11), number(7, 12)), (1.0, 0.25, f64::INFINITY));
}

#[test]
fn counts_equal_numpys() {
    // numpy.histogram([0, 0.1, 0.25, 0.25, 0.5, 0.99, 1.0], bins=4) gives [2, 2, 1, 2].
    let histogram = Histogram::new([0.0, 0.1, 0.25, 0.25, 0.5, 0.99, 1.0]).bins(4);
    let panel = Panel::new("").mark(histogram.clone());
    let counts: Vec<f64> = prepared::Prepared::new(&panel).bins(&histogram).iter().map(|bin| bin.2).collect();
    assert_eq!(counts, [2.0, 2.0, 1.0, 2.0]);
    let density = histogram.density();
    let area: f64 = prepared::Prepared::new(&panel).bins(&density).iter().map(|(a, b, h)| (b - a) * h).sum();
    assert!((area - 1.0).abs() < 1e-12);
}

#[test]
fn a_million_points_stay_small() {
    let many: Vec<f64> = (0..1_000_000).map(|k| f64::from(k) * 1e-3).collect();
    let wave: Vec<f64> = many.iter().map(|x| (x * 7.0).sin() + (x * 313.0).sin() * 0.1).collect();
    let figure = Figure::new("f", "")
        .panel(Panel::new("").mark(Line::new(&many, &wave).deviation(vec![0.1; 1_000_000])))
        .panel(Panel::new("").mark(Scatter::new(&wave, &many)))
        .panel(Panel::new("").mark(HeatMap::new(wave.chunks(1000))));
    let svg = figure.to_svg().expect("draws");
    assert!(svg.len() < 8_000_000, "{} bytes", svg.len());
}

#[test]
fn figures_round_trip_through_json_with_their_gaps() {
    let marks = every_kind(&[1.0, 0.1, f64::NEG_INFINITY], &[2.0, f64::INFINITY, 1e-310]);
    let figure = Figure::new("f", "t").panel(Panel::new("p").x(Axis::new("x").log()).marks(marks));
    let json = serde_json::to_string(&figure).expect("serialises");
    assert_eq!(serde_json::from_str::<Figure>(&json).expect("reads"), figure);
    let gap = serde_json::to_string(&Mark::from(Line::of([f64::NAN]))).expect("serialises");
    let Mark::Line(line) = serde_json::from_str(&gap).expect("reads") else { panic!("a line") };
    assert!(line.y[0].is_nan());
}

#[test]
fn files_are_saved_under_a_safe_name() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let paths = Figure::new("a-figure", "").panel(Panel::new("")).save(&folder.path().join("new")).expect("saves");
    let endings: Vec<_> = paths.iter().map(|path| path.extension().and_then(|ending| ending.to_str())).collect();
    assert_eq!(endings, [Some("svg"), Some("png"), Some("csv")]);
    assert!(paths.iter().all(|path| path.metadata().expect("exists").len() > 50));
    let error = Figure::new("../escape", "").save(folder.path()).expect_err("leaves the folder");
    assert_eq!(error.to_string(), "figure name '../escape' is no file stem; use letters, digits, '-' and '_'");
}
